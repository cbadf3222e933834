"""Entries: the frozen lines of the books. Each moves commodities between accounts, and sums to zero in every one.

A commodity is a currency, in its smallest unit, or an instrument, in lots. An account's kind says why something moved,
so the flows by cause are balances of accounts and need no second count.

    fill   BTC-27SEP24-60000-C  buy 1 @ 0.0525   fee 0.0003      (ten lots)

    position:deribit:maker   BTC-27SEP24-60000-C        +10
    market:deribit:maker     BTC-27SEP24-60000-C        -10
    cash:deribit             BTC                 -5 250 000
    premium:deribit:maker    BTC                 +5 250 000
    cash:deribit             BTC                    -30 000
    fees:deribit:maker       BTC                    +30 000
"""

from enum import StrEnum

import msgspec

from flatbook.domain.errors import UnbalancedEntryError


class AccountKind(StrEnum):
    """What an account holds, or where from it came and where it went.

    `cash` and `position` are ours; every other kind is the far side of a movement, so its balance has the other sign:
    what we received through `funding` is minus its balance, what we paid in `fees` is its balance.
    """

    CASH = "cash"
    POSITION = "position"
    CAPITAL = "capital"
    MARKET = "market"
    PREMIUM = "premium"
    VARIATION = "variation"
    EXCHANGE = "exchange"
    SETTLEMENT = "settlement"
    DELIVERY = "delivery"
    FUNDING = "funding"
    FEES = "fees"


class Cause(StrEnum):
    """Which event wrote an entry. A trade's and a delivery's fee are postings of that entry."""

    TRADE = "trade"
    FUNDING = "funding"
    SETTLEMENT = "settlement"
    DELIVERY = "delivery"
    TRANSFER = "transfer"


class Account(msgspec.Struct, frozen=True, array_like=True, order=True):
    """An account: kind, venue, and the strategy where it is one strategy's; cash and capital are the whole venue's."""

    kind: AccountKind
    venue: str
    strategy: str = ""

    def __str__(self) -> str:
        return ":".join(filter(None, (self.kind, self.venue, self.strategy)))


class Posting(msgspec.Struct, frozen=True, array_like=True):
    """`units` of `commodity` into `account` (negative: out of it)."""

    account: Account
    commodity: str
    units: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event in the books. `reference` is a trade id, or the instrument or expiry that the event names.

    Errors      UnbalancedEntryError at birth, also when decoded, where the postings of a commodity do not sum to zero
    """

    exch_ts_ns: int
    cause: Cause
    reference: str
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        sums: dict[str, int] = {}
        for posting in self.postings:
            sums[posting.commodity] = sums.get(posting.commodity, 0) + posting.units
        for commodity, units in sums.items():
            if units:
                raise UnbalancedEntryError(
                    f"{self.cause} entry {self.reference!r}: postings of {commodity} sum to {units}, not to zero"
                )


class VenueFee(msgspec.Struct, frozen=True, kw_only=True):
    """A trade's fee in another currency than the contract's; `units` paid positive, a rebate negative."""

    venue: str
    trade_id: str
    currency: str
    units: int
    exch_ts_ns: int


def swap(giver: Account, taker: Account, commodity: str, units: int) -> tuple[Posting, ...]:
    """`units` of `commodity` from `giver` to `taker`; no posting where there is nothing to move."""
    if not units:
        return ()
    return Posting(taker, commodity, units), Posting(giver, commodity, -units)
