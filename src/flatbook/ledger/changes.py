"""A position before and after an event, and the postings that say so."""

from typing import NamedTuple

from flatbook.domain.reference import Instrument
from flatbook.ledger.entries import Account, AccountKind, Posting, swap
from flatbook.ledger.positions import Position, PositionKey


class Change(NamedTuple):
    """A position before and after an event, and the cash received by that, by kind."""

    key: PositionKey
    instrument: Instrument
    before: Position
    after: Position
    received: tuple[tuple[AccountKind, int], ...]


def postings_of(change: Change) -> tuple[Posting, ...]:
    """Lots against the market, then cash by kind."""
    venue, strategy, name = change.key
    market, position = Account(AccountKind.MARKET, venue, strategy), Account(AccountKind.POSITION, venue, strategy)
    postings = swap(market, position, name, change.after.size_lots - change.before.size_lots)
    cash, settle = Account(AccountKind.CASH, venue), change.instrument.contract.settle
    for kind, units in change.received:
        postings += swap(Account(kind, venue, strategy), cash, settle, units)
    return postings
