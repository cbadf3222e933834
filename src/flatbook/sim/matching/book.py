"""One instrument's order book: price first, then time.

Prices are ticks and sizes lots. A side is +1 to buy and -1 to sell. A level is filed under `side * price_ticks`, so on
either side the best level has the largest key, and an order of side s at price p meets a level of key k where
`k + s * p >= 0`.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from flatbook.domain.errors import BadInputError

UNBOUNDED_TICKS = 2**62
"""Price of a market order, times its side."""


class TimeInForce(StrEnum):
    """What becomes of what does not trade at once; the venue's words."""

    GOOD_TIL_CANCELLED = "good_til_cancelled"
    GOOD_TIL_DAY = "good_til_day"
    IMMEDIATE_OR_CANCEL = "immediate_or_cancel"
    FILL_OR_KILL = "fill_or_kill"

    @property
    def rests(self) -> bool:
        """Whether what is left stays in the book."""
        return self in (TimeInForce.GOOD_TIL_CANCELLED, TimeInForce.GOOD_TIL_DAY)


class SelfTrade(StrEnum):
    """What happens when an order would meet one of its own account; the venue's words."""

    REJECT_TAKER = "reject_taker"
    CANCEL_MAKER = "cancel_maker"


@dataclass(slots=True, eq=False)
class Resting:
    """An order in the book. `number` is unique in it; `left_lots` is what may still trade, at least one."""

    number: int
    owner: str
    side: int
    price_ticks: int
    left_lots: int


class Trade(NamedTuple):
    """`size_lots` at the resting order's price; `is_last` where nothing of it is left."""

    maker: Resting
    price_ticks: int
    size_lots: int
    is_last: bool


class LevelChange(NamedTuple):
    """A level that changed since the last changes were taken: lots before and now, 0 where there is no level."""

    side: int
    price_ticks: int
    before_lots: int
    now_lots: int


@dataclass(slots=True)
class Outcome:
    """What an order did: trades in their order, own orders it took out of its way, and what is left of it.

    `rests` says whether the left is in the book; `overlaps` that it was refused whole because it would meet an order
    of its own account.
    """

    left_lots: int
    trades: list[Trade] = field(default_factory=list)
    displaced: list[Resting] = field(default_factory=list)
    rests: bool = False
    overlaps: bool = False


@dataclass(slots=True, eq=False)
class _Level:
    total_lots: int = 0
    queue: "OrderedDict[int, Resting]" = field(default_factory=OrderedDict)


class Book:
    """The resting orders of one instrument.

    Invariant   the best bid is below the best ask; a level's total is the sum of its orders, none of them empty
    """

    def __init__(self) -> None:
        self._levels: dict[int, dict[int, _Level]] = {1: {}, -1: {}}
        self._keys: dict[int, list[int]] = {1: [], -1: []}
        self._orders: dict[int, Resting] = {}
        # Lots of each level touched since the changes were last taken, as they were then.
        self._touched: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, number: int) -> bool:
        return number in self._orders

    def order(self, number: int) -> Resting:
        """The resting order of this number; KeyError where there is none."""
        return self._orders[number]

    def best_ticks(self, side: int) -> int | None:
        """The best price of a side."""
        keys = self._keys[side]
        return side * keys[-1] if keys else None

    def best(self, side: int) -> tuple[int, int] | None:
        """The best price of a side and its lots."""
        keys = self._keys[side]
        return (side * keys[-1], self._levels[side][keys[-1]].total_lots) if keys else None

    def depth(self, side: int, levels: int | None = None) -> list[tuple[int, int]]:
        """Prices and lots of a side, best first; all of them, or as many as asked for."""
        held = self._levels[side]
        return [(side * key, held[key].total_lots) for key in islice(reversed(self._keys[side]), levels)]

    def queue(self, side: int, price_ticks: int) -> list[Resting]:
        """The orders of a level, first to trade first."""
        level = self._levels[side].get(side * price_ticks)
        return list(level.queue.values()) if level else []

    def crosses(self, side: int, price_ticks: int) -> bool:
        """Whether an order of `side` at this price would trade at once."""
        keys = self._keys[-side]
        return bool(keys) and keys[-1] + side * price_ticks >= 0

    def submit(
        self,
        order: Resting,
        time_in_force: TimeInForce = TimeInForce.GOOD_TIL_CANCELLED,
        self_trade: SelfTrade = SelfTrade.REJECT_TAKER,
    ) -> Outcome:
        """Trades what the price allows, then rests what is left where its time in force says so.

        The order is refused whole, and nothing has changed, where `self_trade` rejects it or it cannot be filled and
        must be. A market order has a price of `side * UNBOUNDED_TICKS` and never rests.

        Errors      BadInputError for a number already in the book, no size, or a market order that would rest
        """
        self._refuse(order, time_in_force)
        outcome = Outcome(order.left_lots)
        if self.crosses(order.side, order.price_ticks):
            if self_trade is SelfTrade.REJECT_TAKER and self._meets_own(order):
                outcome.overlaps = True
                return outcome
            if time_in_force is TimeInForce.FILL_OR_KILL and self._available(order) < order.left_lots:
                return outcome
            self._match(order, outcome)
        elif time_in_force is TimeInForce.FILL_OR_KILL:
            return outcome
        if order.left_lots and time_in_force.rests:
            self._rest(order)
            outcome.rests = True
        outcome.left_lots = order.left_lots
        return outcome

    def cancel(self, number: int) -> Resting:
        """Takes an order out; KeyError where it is not there."""
        order = self._orders[number]
        self._remove(order, order.left_lots)
        return order

    def reduce(self, number: int, left_lots: int) -> None:
        """Makes an order smaller where it stands: it keeps its place in the queue.

        Errors      BadInputError where it would grow or vanish
        """
        order = self._orders[number]
        if not 0 < left_lots <= order.left_lots:
            raise BadInputError(
                f"order {number} of {order.left_lots} lots cannot be reduced to {left_lots} in its place"
            )
        self._touch(order.side, order.side * order.price_ticks)
        self._levels[order.side][order.side * order.price_ticks].total_lots += left_lots - order.left_lots
        order.left_lots = left_lots

    def take_changes(self) -> list[LevelChange]:
        """The levels that are not as they were when this was last asked, bids first, best first."""
        changes = []
        for (side, key), before_lots in self._touched.items():
            level = self._levels[side].get(key)
            now_lots = level.total_lots if level else 0
            if now_lots != before_lots:
                changes.append(LevelChange(side, side * key, before_lots, now_lots))
        self._touched.clear()
        return sorted(changes, key=lambda change: (-change.side, -change.side * change.price_ticks))

    def _refuse(self, order: Resting, time_in_force: TimeInForce) -> None:
        if order.number in self._orders:
            raise BadInputError(f"order {order.number} is in the book already; number each order once")
        if order.side not in (1, -1) or order.left_lots <= 0:
            raise BadInputError(
                f"order {order.number}: side {order.side}, {order.left_lots} lots; use ±1 and at least 1"
            )
        if time_in_force.rests and abs(order.price_ticks) >= UNBOUNDED_TICKS:
            raise BadInputError(f"order {order.number}: a market order cannot rest; give it a price")

    def _meeting(self, order: Resting) -> Iterator[_Level]:
        """The levels that the order may trade with, best first."""
        levels = self._levels[-order.side]
        for key in reversed(self._keys[-order.side]):
            if key + order.side * order.price_ticks < 0:
                return
            yield levels[key]

    def _meets_own(self, order: Resting) -> bool:
        """Whether an order of the same account stands among those that the order would trade with."""
        wanted = order.left_lots
        for level in self._meeting(order):
            for maker in level.queue.values():
                if maker.owner == order.owner:
                    return True
                wanted -= maker.left_lots
                if wanted <= 0:
                    return False
        return False

    def _available(self, order: Resting) -> int:
        """Lots of others that the order may trade with."""
        makers = (maker for level in self._meeting(order) for maker in level.queue.values())
        return sum(maker.left_lots for maker in makers if maker.owner != order.owner)

    def _match(self, order: Resting, outcome: Outcome) -> None:
        keys, levels = self._keys[-order.side], self._levels[-order.side]
        reach = order.side * order.price_ticks
        while order.left_lots and keys and keys[-1] + reach >= 0:
            maker = next(iter(levels[keys[-1]].queue.values()))
            if maker.owner == order.owner:
                self._remove(maker, maker.left_lots)
                outcome.displaced.append(maker)
                continue
            traded = min(order.left_lots, maker.left_lots)
            order.left_lots -= traded
            is_last = traded == maker.left_lots
            self._remove(maker, traded)
            maker.left_lots -= traded
            outcome.trades.append(Trade(maker, maker.price_ticks, traded, is_last))

    def _rest(self, order: Resting) -> None:
        side, key = order.side, order.side * order.price_ticks
        self._touch(side, key)
        level = self._levels[side].get(key)
        if level is None:
            level = self._levels[side][key] = _Level()
            insort(self._keys[side], key)
        level.queue[order.number] = order
        level.total_lots += order.left_lots
        self._orders[order.number] = order

    def _remove(self, order: Resting, lots: int) -> None:
        """Takes `lots` of an order out of its level; all of them takes the order out, and an empty level with it."""
        side, key = order.side, order.side * order.price_ticks
        self._touch(side, key)
        level = self._levels[side][key]
        level.total_lots -= lots
        if lots < order.left_lots:
            return
        del level.queue[order.number], self._orders[order.number]
        if not level.queue:
            del self._levels[side][key]
            keys = self._keys[side]
            del keys[bisect_left(keys, key)]

    def _touch(self, side: int, key: int) -> None:
        if (side, key) not in self._touched:
            level = self._levels[side].get(key)
            self._touched[side, key] = level.total_lots if level else 0
