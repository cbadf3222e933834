"""Signed quotes: the standard's own hashes, what a signature holds to, and what is refused."""

import pickle
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from flatbook.domain.combos import Leg
from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.venues.onchain.eip712 import (
    ANYONE,
    CURVE_ORDER,
    QuoteToSign,
    QuoteVerifier,
    SigningDomain,
    package_id,
    recover_maker,
    sign_quote,
    type_hash,
    typed_data,
    typed_hashes,
)
from flatbook.venues.onchain.keys import KEY_VARIABLE, SigningKey, key_from_environment, key_from_file

if find_spec("eth_account") is None:
    pytest.skip("the extra onchain is not installed", allow_module_level=True)

# The standard's example: its key is keccak256("cow").
COW = SigningKey(type_hash("cow"))
COW_ADDRESS = "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"
BOB = "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"
PERSON = [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}]
MAIL = {
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Person": PERSON,
        "Mail": [
            {"name": "from", "type": "Person"},
            {"name": "to", "type": "Person"},
            {"name": "contents", "type": "string"},
        ],
    },
    "primaryType": "Mail",
    "domain": {
        "name": "Ether Mail",
        "version": "1",
        "chainId": 1,
        "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
    },
    "message": {
        "from": {"name": "Cow", "wallet": COW_ADDRESS},
        "to": {"name": "Bob", "wallet": BOB},
        "contents": "Hello, Bob!",
    },
}
RFQ_ORDER = (
    "RfqOrder(address makerToken,address takerToken,uint128 makerAmount,uint128 takerAmount,address maker,"
    "address taker,address txOrigin,bytes32 pool,uint64 expiry,uint256 salt)"
)

DOMAIN = SigningDomain("flatbook", "1", 31_337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
LEGS = (Leg("BTC-27SEP24-60000-C", 1), Leg("BTC-27SEP24-65000-C", -1))
QUOTE = QuoteToSign(COW_ADDRESS, BOB, package_id(LEGS), True, -1_250_000, 25, 1_800_000_000, 7)
SIGNATURE = sign_quote(DOMAIN, QUOTE, COW)


def test_the_standards_example_to_the_digit() -> None:
    hashes = typed_hashes(MAIL)
    assert hashes.domain_separator.hex() == "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
    assert hashes.struct_hash.hex() == "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    assert hashes.digest.hex() == "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    mail = type_hash("Mail(Person from,Person to,string contents)Person(string name,address wallet)")
    assert mail.hex() == "a0cedeb2dc280ba39b857546d74f5549c3a1d7bdc2dd96bf881f76108e23dac2"


def test_the_type_hash_of_a_published_rfq_order() -> None:
    assert type_hash(RFQ_ORDER).hex() == "e593d3fdfa8b60e5e17a1b2204662ecbe15c23f2084b9ad5bae40359540a7da9"


def test_a_quote_is_hashed_field_by_field() -> None:
    """The encoding by hand: every value left-padded to 32 bytes, a negative one as its two's complement."""
    text = (
        "PackageQuote(address maker,address taker,bytes32 packageId,bool makerBuys,int256 price,uint256 size,"
        "uint64 expiry,uint256 nonce)"
    )
    words = [int(QUOTE.maker, 16), int(QUOTE.taker, 16), int.from_bytes(QUOTE.package_id), 1, 2**256 - 1_250_000]
    words += [25, 1_800_000_000, 7]
    encoded = type_hash(text) + b"".join(word.to_bytes(32) for word in words)
    from eth_utils.crypto import keccak

    hashes = typed_hashes(typed_data(DOMAIN, QUOTE))
    assert hashes.struct_hash == keccak(encoded)
    assert hashes.digest == keccak(b"\x19\x01" + hashes.domain_separator + hashes.struct_hash)


def test_the_maker_is_recovered() -> None:
    assert recover_maker(DOMAIN, QUOTE, SIGNATURE) == COW_ADDRESS
    QuoteVerifier(DOMAIN).check(DOMAIN, QUOTE, SIGNATURE, BOB, 1_799_999_999)


def test_a_package_has_one_name_whatever_the_order_of_its_legs() -> None:
    assert package_id(LEGS) == package_id(LEGS[::-1])
    assert package_id(LEGS) != package_id((LEGS[0], Leg(LEGS[1].instrument, 1)))


@pytest.mark.parametrize(
    "changed",
    [
        replace(QUOTE, price_units=-1_250_001),
        replace(QUOTE, size_lots=26),
        replace(QUOTE, maker_buys=False),
        replace(QUOTE, expiry_s=1_900_000_000),
        replace(QUOTE, nonce=8),
        replace(QUOTE, package_id=bytes(32)),
    ],
)
def test_nothing_can_be_changed_after_signing(changed: QuoteToSign) -> None:
    with pytest.raises(BadInputError, match="changed after signing"):
        QuoteVerifier(DOMAIN).check(DOMAIN, changed, SIGNATURE, BOB, 0)


def test_the_malleable_twin_is_refused() -> None:
    r, s, v = SIGNATURE[:32], int.from_bytes(SIGNATURE[32:64]), SIGNATURE[64]
    twin = r + (CURVE_ORDER - s).to_bytes(32) + bytes([55 - v])
    with pytest.raises(BadInputError, match="malleable"):
        recover_maker(DOMAIN, QUOTE, twin)


@pytest.mark.parametrize(
    ("signature", "told"),
    [
        (SIGNATURE[:64], "64 bytes"),
        (SIGNATURE[:64] + b"\x00", "v is 0"),
        (bytes(32) + SIGNATURE[32:], "r or s is 0"),
        (b"\xff" * 32 + SIGNATURE[32:], "r or s is 0 or beyond"),
    ],
)
def test_what_is_no_signature_is_told_so(signature: bytes, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        recover_maker(DOMAIN, QUOTE, signature)


@pytest.mark.parametrize("other", [replace(DOMAIN, chain_id=1), replace(DOMAIN, verifying_contract=BOB)])
def test_another_chain_or_contract_is_refused(other: SigningDomain) -> None:
    with pytest.raises(BadInputError, match="here counts"):
        QuoteVerifier(DOMAIN).check(other, QUOTE, SIGNATURE, BOB, 0)
    with pytest.raises(BadInputError, match="changed after signing"):
        QuoteVerifier(other).check(other, QUOTE, SIGNATURE, BOB, 0)


def test_a_quote_ends_at_its_expiry_and_is_for_its_taker() -> None:
    verifier = QuoteVerifier(DOMAIN)
    with pytest.raises(BadInputError, match="quote expired at 1800000000"):
        verifier.check(DOMAIN, QUOTE, SIGNATURE, BOB, QUOTE.expiry_s)
    with pytest.raises(BadInputError, match="not for"):
        verifier.check(DOMAIN, QUOTE, SIGNATURE, COW_ADDRESS, 0)
    for_all = replace(QUOTE, taker=ANYONE)
    verifier.check(DOMAIN, for_all, sign_quote(DOMAIN, for_all, COW), COW_ADDRESS, 0)


def test_a_nonce_is_spent_once_and_cancelled_for_good() -> None:
    verifier = QuoteVerifier(DOMAIN)
    verifier.spend(DOMAIN, QUOTE, SIGNATURE, BOB, 0)
    with pytest.raises(BadInputError, match="nonce 7 is spent"):
        verifier.spend(DOMAIN, QUOTE, SIGNATURE, BOB, 0)
    later = replace(QUOTE, nonce=9)
    verifier.cancel_below(COW_ADDRESS, 10)
    verifier.cancel_below(COW_ADDRESS, 3)
    with pytest.raises(BadInputError, match="nonce 9 is cancelled"):
        verifier.check(DOMAIN, later, sign_quote(DOMAIN, later, COW), BOB, 0)


def test_a_maker_signs_with_his_own_key() -> None:
    with pytest.raises(BadInputError, match="not that of the maker"):
        sign_quote(DOMAIN, replace(QUOTE, maker=BOB), COW)


def test_a_field_that_does_not_fit_is_told_in_one_line() -> None:
    with pytest.raises(BadInputError, match="typed data: ") as caught:
        sign_quote(DOMAIN, replace(QUOTE, nonce=-1), COW)
    assert "\n" not in str(caught.value)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eth_account", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'flatbook\[onchain\]'"):
        sign_quote(DOMAIN, QUOTE, COW)


def test_signing_leaves_the_recursion_limit_as_it_was() -> None:
    program = (
        "import sys; from flatbook.venues.onchain.eip712 import SigningDomain, QuoteToSign, typed_data, typed_hashes; "
        "before = sys.getrecursionlimit(); domain = SigningDomain('f', '1', 1, '0x' + '11' * 20); "
        "quote = QuoteToSign('0x' + '22' * 20, '0x' + '00' * 20, bytes(32), True, 1, 1, 1, 1); "
        "typed_hashes(typed_data(domain, quote)); "
        "assert 'eth_account' in sys.modules; assert sys.getrecursionlimit() == before"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_key_is_shown_nowhere(tmp_path: Path) -> None:
    digits = COW.secret.hex()
    assert digits not in repr(COW)
    assert digits not in f"{COW} {[COW]}"
    with pytest.raises(ConfigurationError):
        pickle.dumps(COW)
    broken = tmp_path / "key"
    broken.write_text(digits[:-1])
    broken.chmod(0o600)
    with pytest.raises(ConfigurationError, match="64 hexadecimal digits") as caught:
        key_from_file(broken)
    assert digits[:8] not in str(caught.value)


def test_a_key_comes_from_the_environment_or_from_a_file_of_ones_own(tmp_path: Path) -> None:
    digits, path = COW.secret.hex(), tmp_path / "key"
    path.write_text(f"0x{digits}\n")
    path.chmod(0o644)
    assert key_from_environment({KEY_VARIABLE: digits}).secret == COW.secret
    with pytest.raises(ConfigurationError, match="chmod 600"):
        key_from_environment({f"{KEY_VARIABLE}_FILE": str(path)})
    path.chmod(0o600)
    assert key_from_environment({f"{KEY_VARIABLE}_FILE": str(path)}).secret == COW.secret
    with pytest.raises(ConfigurationError, match="no signing key: set FLATBOOK_SIGNING_KEY"):
        key_from_environment({})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        key_from_file(tmp_path / "absent")
