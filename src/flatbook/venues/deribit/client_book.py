"""A book put together from what the venue says of it: a snapshot, then changes, each naming the one before. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from flatbook.venues.deribit.codec_messages import BookUpdate, Level


class Taken(Enum):
    """What became of an update: it stands, it is of before the book, or something is missing before it."""

    APPLIED = "applied"
    OLD = "old"
    GAP = "gap"


@dataclass(slots=True)
class AssembledBook:
    """The levels of one instrument, amounts by price.

    Invariant   while `is_whole`, the levels are the venue's as of `change_id`; else there are none: a book with a hole
                in it is no book, and only a snapshot mends it
    """

    instrument: str
    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)
    change_id: int = 0
    is_whole: bool = False
    gaps: int = 0

    def take(self, update: BookUpdate) -> Taken:
        """Applies an update, or finds that it cannot be."""
        if update.is_snapshot:
            if self.is_whole and update.change_id < self.change_id:
                return Taken.OLD
            self.bids.clear()
            self.asks.clear()
            self.is_whole = True
        elif not self.is_whole:
            return Taken.GAP
        elif update.change_id <= self.change_id:
            return Taken.OLD
        elif update.prev_change_id != self.change_id:
            self.lose()
            return Taken.GAP
        _apply(self.bids, update.bids)
        _apply(self.asks, update.asks)
        self.change_id = update.change_id
        return Taken.APPLIED

    def lose(self) -> None:
        """Something was missed: nothing is known until the next snapshot."""
        self.gaps += self.is_whole
        self.is_whole = False
        self.bids.clear()
        self.asks.clear()

    def best(self) -> tuple[float | None, float | None]:
        """The best bid and ask."""
        return max(self.bids, default=None), min(self.asks, default=None)


def _apply(side: dict[float, float], levels: Iterable[Level]) -> None:
    for action, price, amount in levels:
        if action == "delete":
            side.pop(price, None)
        else:
            side[price] = amount
