"""Quotes as typed data: what is signed, by whom, and what makes a signature good.

    digest = keccak256(0x1901 || domain separator || struct hash)

A quote binds its maker to one price for one package until it expires, once: the nonce is spent by the first fill. The
domain binds it to one contract on one chain. Of the two signatures that every (r, s) has only that with the lower s
counts, else a copy of a spent quote would have another one.

Source      EIP-712 (2017); EIP-2, which bounds s. Hashing and curve are eth-account's
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from flatbook.domain.combos import Leg
from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.venues.onchain.keys import SigningKey

if TYPE_CHECKING:
    from eth_account.messages import SignableMessage

CURVE_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""n of secp256k1."""

QUOTE_FIELDS = (
    ("maker", "address"),
    ("taker", "address"),
    ("packageId", "bytes32"),
    ("makerBuys", "bool"),
    ("price", "int256"),
    ("size", "uint256"),
    ("expiry", "uint64"),
    ("nonce", "uint256"),
)
"""The struct `PackageQuote`, in the order it is hashed."""

ANYONE = "0x0000000000000000000000000000000000000000"
"""A taker of this address may be anyone."""


@dataclass(frozen=True, slots=True)
class SigningDomain:
    """Where a signature counts."""

    name: str
    version: str
    chain_id: int
    verifying_contract: str


@dataclass(frozen=True, slots=True)
class QuoteToSign:
    """One side of a quote.

    maker, taker    addresses; `ANYONE` may take
    package_id      32 bytes, see `package_id`
    price_units     of the settlement currency's smallest unit per package; negative where the buyer is paid
    size_lots       whole packages, or the venue's lots of them
    expiry_s        seconds since 1970: the quote does not count from then on
    """

    maker: str
    taker: str
    package_id: bytes
    maker_buys: bool
    price_units: int
    size_lots: int
    expiry_s: int
    nonce: int


class TypedHashes(NamedTuple):
    """The three hashes of a typed message, 32 bytes each."""

    domain_separator: bytes
    struct_hash: bytes
    digest: bytes


def package_id(legs: Sequence[Leg]) -> bytes:
    """32 bytes that name a package: keccak256 of its legs, sorted, as `ratio instrument` lines."""
    text = "\n".join(sorted(f"{leg.ratio:+d} {leg.instrument}" for leg in legs))
    return _keccak(text.encode())


def type_hash(type_text: str) -> bytes:
    """keccak256 of a type's signature, such as `Mail(address to,string contents)`."""
    return _keccak(type_text.encode())


def typed_data(domain: SigningDomain, quote: QuoteToSign) -> dict[str, Any]:
    """The quote as wallets take it (`eth_signTypedData_v4`)."""
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "PackageQuote": [{"name": name, "type": kind} for name, kind in QUOTE_FIELDS],
        },
        "primaryType": "PackageQuote",
        "domain": {
            "name": domain.name,
            "version": domain.version,
            "chainId": domain.chain_id,
            "verifyingContract": domain.verifying_contract,
        },
        "message": dict(zip((name for name, _ in QUOTE_FIELDS), asdict(quote).values(), strict=True)),
    }


def typed_hashes(message: Mapping[str, Any]) -> TypedHashes:
    """The hashes of any typed message.

    Errors      BadInputError where a field does not fit its type
    """
    signable = _signable(message)
    return TypedHashes(
        signable.header, signable.body, _keccak(b"\x19" + signable.version + signable.header + signable.body)
    )


def sign_quote(domain: SigningDomain, quote: QuoteToSign, key: SigningKey) -> bytes:
    """65 bytes r || s || v, s being the lower one and v 27 or 28.

    Errors      BadInputError where the key is not the maker's
    """
    account = _account()
    if account.from_key(key.secret).address.lower() != quote.maker.lower():
        raise BadInputError(f"the signing key is not that of the maker {quote.maker}; give that one's")
    return bytes(account.sign_message(_signable(typed_data(domain, quote)), key.secret).signature)


def recover_maker(domain: SigningDomain, quote: QuoteToSign, signature: bytes) -> str:
    """Whose signature it is, as a checksummed address.

    Errors      BadInputError for a signature of another form, the malleable twin of a good one among them
    """
    if len(signature) != 65:
        raise BadInputError(f"signature has {len(signature)} bytes; it takes 65: r, s and v")
    r, s, v = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64]
    if not 0 < r < CURVE_ORDER or not 0 < s < CURVE_ORDER:
        raise BadInputError("signature's r or s is 0 or beyond the curve's order; it is none")
    if s > CURVE_ORDER // 2:
        raise BadInputError("signature has the higher s: a malleable copy; only the lower one counts")
    if v not in (27, 28):
        raise BadInputError(f"signature's v is {v}; it takes 27 or 28")
    signable = _signable(typed_data(domain, quote))
    from eth_keys.exceptions import BadSignature

    try:
        return str(_account().recover_message(signable, signature=signature))
    except BadSignature:
        raise BadInputError("signature belongs to no point of the curve; it is none") from None


class QuoteVerifier:
    """Which quotes may still be filled in one domain.

    Invariant   a nonce of a maker is spent at most once; what is below a maker's least nonce is cancelled
    """

    def __init__(self, domain: SigningDomain) -> None:
        self.domain = domain
        self._spent: set[tuple[str, int]] = set()
        self._least: dict[str, int] = {}

    def cancel_below(self, maker: str, nonce: int) -> None:
        """Cancels all of a maker's quotes with a lower nonce; it never goes back."""
        self._least[maker.lower()] = max(nonce, self._least.get(maker.lower(), 0))

    def check(self, domain: SigningDomain, quote: QuoteToSign, signature: bytes, taker: str, now_s: int) -> None:
        """Passes a quote that `taker` may fill now.

        Errors      BadInputError that says what does not hold
        """
        if domain != self.domain:
            raise BadInputError(
                f"quote is signed for {domain.name} {domain.version}, contract {domain.verifying_contract} on chain "
                f"{domain.chain_id}; here counts {self.domain.verifying_contract} on chain {self.domain.chain_id}"
            )
        if now_s >= quote.expiry_s:
            raise BadInputError(f"quote expired at {quote.expiry_s}, and it is {now_s}; ask for another")
        if quote.taker.lower() not in (ANYONE, taker.lower()):
            raise BadInputError(f"quote is for {quote.taker}, not for {taker}")
        if quote.nonce < self._least.get(quote.maker.lower(), 0):
            raise BadInputError(f"quote's nonce {quote.nonce} is cancelled; ask for another quote")
        if (quote.maker.lower(), quote.nonce) in self._spent:
            raise BadInputError(f"quote's nonce {quote.nonce} is spent; ask for another quote")
        signer = recover_maker(domain, quote, signature)
        if signer.lower() != quote.maker.lower():
            raise BadInputError(f"quote names {quote.maker} and is signed by {signer}, or was changed after signing")

    def spend(self, domain: SigningDomain, quote: QuoteToSign, signature: bytes, taker: str, now_s: int) -> None:
        """Checks a quote and spends its nonce."""
        self.check(domain, quote, signature, taker, now_s)
        self._spent.add((quote.maker.lower(), quote.nonce))


# Loaded where first needed: eth-account takes a second to import, and is an extra that few need.


@contextmanager
def _own_recursion_limit() -> Iterator[None]:
    """What eth-account imports raises Python's recursion limit a hundredfold: after that, JSON nested deep enough would
    not be refused by whoever decodes it but end the process."""
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _account() -> Any:
    try:
        with _own_recursion_limit():
            from eth_account import Account
    except ImportError:
        raise ConfigurationError(_NEEDED) from None
    return Account


def _signable(message: Mapping[str, Any]) -> SignableMessage:
    try:
        with _own_recursion_limit():
            from eth_account.messages import encode_typed_data
    except ImportError:
        raise ConfigurationError(_NEEDED) from None
    from eth_abi.exceptions import EncodingError
    from eth_utils.exceptions import ValidationError

    try:
        return encode_typed_data(full_message=dict(message))
    except (EncodingError, ValidationError, TypeError, ValueError) as error:
        raise BadInputError(f"typed data: {str(error).splitlines()[0]}; mend the field") from None


def _keccak(data: bytes) -> bytes:
    try:
        from eth_utils.crypto import keccak
    except ImportError:
        raise ConfigurationError(_NEEDED) from None
    return bytes(keccak(data))


_NEEDED = "signed quotes need eth-account, which is not installed; run: pip install 'flatbook[onchain]'"
