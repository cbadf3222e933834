"""The house's makers: ladders of orders brought to what should stand by as few orders as that takes."""

from typing import NamedTuple

from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Listing


class Target(NamedTuple):
    """One order that should stand."""

    side: int
    price_ticks: int
    size_lots: int


class House:
    """Orders of one owner without an account."""

    def __init__(self, exchange: Exchange, owner: str) -> None:
        self._exchange = exchange
        self._owner = owner
        # Orders that stand, by instrument: what each was asked for, and its number.
        self._standing: dict[str, dict[Target, int]] = {}

    def quote(self, listing: Listing, targets: list[Target]) -> None:
        """Leaves what stands as it should, whole, in its place; takes out the rest, then puts in what is missing."""
        standing = self._standing.setdefault(listing.name, {})
        wanted = dict.fromkeys(targets)
        book = listing.book
        for target, number in list(standing.items()):
            whole = number in book and book.order(number).left_lots == target.size_lots
            if target not in wanted or not whole:
                self._exchange.house_cancel(listing.name, number)
                del standing[target]
        for target in wanted:
            if target not in standing:
                number, outcome = self._exchange.house_order(
                    self._owner, listing.name, target.side, target.price_ticks, target.size_lots, rests=True
                )
                if outcome.rests:
                    standing[target] = number
