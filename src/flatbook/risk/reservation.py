"""The worst that resting quotes and working orders may do, held inside every bound before a message leaves.

An axis is one number of the book with a bound on either side: delta, gamma, vega, vega by tenor, vanna, volga, and the
P&L of each scenario, which is bounded below. What the book is, and what everything that may fill would add in the worst
order, stays inside; so it does by expiry, and the position in each option.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import TENORS
from flatbook.kernels.fill_units import LINEAR, fill_units
from flatbook.kernels.reserve import reserve
from flatbook.kernels.rooms import leave_room
from flatbook.market.universe import Universe
from flatbook.risk.limits import UNBOUNDED_COIN, LimitPolicy
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.scenarios import ShockGrid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

INDEX_MOVE = 0.003
"""Scenarios of single contracts stand until the index has moved by this."""

MARGIN = -1
"""Where margin is among the axes: up and down alike, for bids and asks ask for it both."""

_BESIDE = ("margin", "position", "expiry")


class Resting(NamedTuple):
    """What the venue may fill: the last version told, and what earlier ones leave.

    Shapes      told (4, capacity), loose (2, capacity) lots, unsure (capacity,) as in `execution.quote_table`
    """

    told: Ints
    loose: Ints
    unsure: NDArray[np.bool_]


class Exposed(NamedTuple):
    """The book on every axis, and what else than quotes may fill.

    linear          the book by `kernels.reserve.LINEAR` up to the tenors' vegas
    scenario_usd    (scenarios,) its P&L under each
    held_coin       (rows,) contracts, signed
    orders          (2, axes) what orders at work, and those about to leave, may add up and down; margin in both rows
    through_coin    contracts that can fill before the venue stops all quotes; inf where it would not
    margin_usd      (2, rows) what a contract of each, bought and sold, asks for; None where nothing bounds it
    margin_room_usd that quotes and orders may ask for beside what the book does, and of that quotes alone
    """

    linear: tuple[float, ...]
    scenario_usd: Floats
    held_coin: Floats
    orders: Floats
    through_coin: float
    reduce_only: bool
    margin_usd: Floats | None = None
    margin_room_usd: float = math.inf
    quotes_room_usd: float = math.inf


class Reservation:
    """What a contract of each row adds on each axis, and the worst on each as of the last message.

    names           axes, then where else a side may give way
    refused         (len(names),) sides that gave way
    worst, room     (2, axes) what may be added up and down at most, and what may be
    position        (rows,) bounds on what is held of each option, as of the last message
    worth           (rows,) what a contract's quote is worth to the maker, to rank those that give way
    sure_vega_usd   gross vega that is sure to remain, whatever closes; as of the last message, shares are of it
    """

    def __init__(self, limits: LimitPolicy) -> None:
        self._limits = limits
        self._bound = _bounds(limits)
        self.names: tuple[str, ...] = (*LINEAR, *_BESIDE)
        self.refused = np.zeros(len(self.names), np.int64)
        self.worst = self.room = np.zeros((2, len(LINEAR) + 1))
        self.worth: Floats = np.zeros(0)
        self.position: Floats = np.zeros(0)
        self.sure_vega_usd = limits.concentration_free_usd
        self._unit: Floats = np.zeros((len(LINEAR), 0))
        self._reach: Floats = np.zeros(len(LINEAR))
        self._orders_room_usd = math.inf
        self._least_left: Floats = np.full(len(LINEAR) + 1, math.inf)
        self._taken_ns, self._taken_usd = 0, math.nan
        self._spot_gain_usd: Floats = np.zeros(0)
        self._slot_limit: Floats = np.zeros((3, 0))
        self._position: Floats = np.zeros(0)

    @property
    def axes(self) -> int:
        """How many there are: LINEAR, a scenario each once they were taken, and margin."""
        return len(self._unit) + 1

    def is_old(self, before_ns: int, index_usd: float) -> bool:
        """Whether the scenarios of single contracts are of before then, or of another index."""
        return self._taken_ns <= before_ns or not abs(index_usd / self._taken_usd - 1) <= INDEX_MOVE

    def take_scenarios(self, unit_usd: Floats, grid: ShockGrid, values: ChainValues) -> None:
        """P&L of a contract of each row under each scenario, (scenarios, rows); what is NaN stays as last known."""
        self._taken_ns, self._taken_usd = values.ts_ns, values.index_usd
        self._spot_gain_usd = np.repeat(np.array(grid.spot), len(grid.vol)) * values.index_usd
        axes = len(LINEAR) + len(unit_usd)
        if axes != len(self._unit):
            self.names = (*LINEAR, *("stress_loss" for _ in unit_usd), *_BESIDE)
            self.refused = np.zeros(len(self.names), np.int64)
            self._unit, self._reach = np.zeros((axes, 0)), np.zeros(axes)
            self._least_left = np.full(axes + 1, math.inf)
        self._make_room(unit_usd.shape[1])
        rows = self._unit[len(LINEAR) :]
        np.copyto(rows, unit_usd, where=np.isfinite(unit_usd))
        self._reach[len(LINEAR) :] = np.abs(rows).max(axis=1, initial=0.0)

    def _make_room(self, rows: int) -> None:
        known = self._unit.shape[1]
        if rows > known:
            self._unit = np.concatenate([self._unit, np.zeros((len(self._unit), rows - known))], axis=1)
            self.worth = np.concatenate([self.worth, np.zeros(rows - len(self.worth))])

    def fit(self, grid: Ints, universe: Universe, values: ChainValues, resting: Resting, book: Exposed) -> None:
        """Shrinks and drops sides of `grid` (4, rows) until the worst fill of everything is inside every bound."""
        self._measure(values)
        gross_coin = self._leave_room(book)
        self.worst = np.empty_like(self.room)
        self.position, slot_limit = self._concentrated(grid, universe, resting, book)
        reserve(
            self._unit,
            self._reach,
            self.room,
            _nothing(2 * values.rows) if book.margin_usd is None else np.ascontiguousarray(book.margin_usd).ravel(),
            values.slot,
            slot_limit,
            universe.ladders().columns.lot_coin,
            book.held_coin,
            self.position,
            book.reduce_only or not gross_coin <= self._limits.gross_coin,
            book.through_coin,
            self.worth,
            resting.told,
            resting.loose,
            resting.unsure.view(np.int8),
            grid,
            self.worst,
            self._least_left,
            self.refused,
        )

    def least_left(self) -> dict[str, float]:
        """By axis what the worst left of its bound when it left least, in the axis's unit; below 0 beyond it.

        Of an axis well within its bound the worst is an upper bound of itself, and this a lower one.
        """
        left: dict[str, float] = {}
        for name, least in zip(self.names, self._least_left.tolist(), strict=False):
            left[name] = min(least, left.get(name, math.inf))
        return left

    def _measure(self, values: ChainValues) -> None:
        self._make_room(values.rows)
        fill_units(
            values.index_usd,
            values.slot,
            values.factor_map,
            values.forward_usd,
            values.greeks,
            self._unit,
            self._reach,
        )

    def units(self, values: ChainValues) -> Floats:
        """What a contract of each row adds on each axis as of `values`, (axes, rows)."""
        self._measure(values)
        return self._unit[:, : values.rows]

    def book_sums(self, held_coin: Floats) -> tuple[float, float]:
        """The book's vanna and volga, by what contracts added when last measured."""
        known = self._unit[6:8, : len(held_coin)]
        vanna, volga = known.dot(held_coin[: known.shape[1]]).tolist()
        return vanna, volga

    def _leave_room(self, book: Exposed) -> float:
        """Takes anew what is left of every bound; the book's gross contracts."""
        sums, room = np.empty(3), np.empty((2, self.axes))
        leave_room(
            self._bound,
            np.array(book.linear),
            self._unit,
            book.held_coin,
            book.scenario_usd if len(self._unit) > len(LINEAR) else _nothing(0),
            self._limits.stress_loss_usd,
            book.through_coin,
            book.margin_room_usd,
            book.orders,
            sums,
            room,
        )
        self.room, self._orders_room_usd = room, float(room[0, MARGIN])
        if book.quotes_room_usd < math.inf:
            room[:, MARGIN] = np.minimum(room[:, MARGIN], book.quotes_room_usd)
        return float(sums[2])

    def added(self, row: int, coin: float) -> Floats:
        """What an order of so many contracts of a row adds on each axis but margin; of a row below 0, delta alone."""
        added = np.zeros(self.axes)
        if row >= 0:
            added[:MARGIN] = coin * self._unit[:, row]
            return added
        added[0] = coin
        added[len(LINEAR) : MARGIN] = coin * self._spot_gain_usd
        return added

    def excess(self) -> Floats:
        """(2, axes) by how much the worst lies beyond what orders are bounded by; 0 where it does not."""
        room = self.room.copy()
        room[:, MARGIN] = self._orders_room_usd
        beyond = ~(self.worst <= room)
        excess = np.zeros_like(room)
        excess[beyond] = self.worst[beyond] - room[beyond]
        return excess

    def _concentrated(self, grid: Ints, universe: Universe, resting: Resting, book: Exposed) -> tuple[Floats, Floats]:
        """Bounds on each position, (rows,), and by expiry, (SLOT_AXES, slots), with shares of the gross vega.

        Gross is what is left of it once everything that may close positions has: shares of less bind sooner.
        """
        limits, rows = self._limits, len(book.held_coin)
        slots = self._slots(universe.slots)
        if len(self._position) != rows:
            self._position = np.full(rows, limits.position_coin)
        position = self._position
        if min(limits.concentration_option, limits.concentration_expiry) >= 1.0:
            return position, slots
        vega, free_usd = np.abs(self._unit[2, :rows]), limits.concentration_free_usd
        gross = self.sure_vega_usd = free_usd
        if not vega @ np.abs(book.held_coin) <= free_usd:
            at = np.flatnonzero(book.held_coin)
            held = book.held_coin[at]
            may_fill = resting.told[1::2, at] + resting.loose[:, at] + grid[1::2, at]
            closing = np.where(held > 0, may_fill[1], may_fill[0]) * universe.lot_coin[at]
            gross = self.sure_vega_usd = max(float(vega[at] @ np.maximum(np.abs(held) - closing, 0.0)), free_usd)
        if limits.concentration_option < 1.0:
            # What has next to no vega has no share to exceed.
            vega = np.maximum(vega, limits.concentration_option * gross / UNBOUNDED_COIN)
            position = np.minimum(position, limits.concentration_option * gross / vega)
        slots = slots.copy()
        if limits.concentration_expiry < 1.0:
            slots[2] = np.minimum(slots[2], limits.concentration_expiry * gross)
        return position, slots

    def _slots(self, slots: int) -> Floats:
        if self._slot_limit.shape[1] != slots:
            limits = self._limits
            bounds = (limits.expiry_delta_coin, limits.expiry_gamma_1pct_usd, limits.expiry_vega_usd)
            self._slot_limit = np.repeat(np.array(bounds)[:, None], slots, axis=1)
        return self._slot_limit

    def dropped(self) -> dict[str, int]:
        """Sides that gave way, by what they would have broken."""
        counts: dict[str, int] = {}
        for name, count in zip(self.names, self.refused.tolist(), strict=True):
            if count:
                counts[name] = counts.get(name, 0) + count
        return counts


def _bounds(limits: LimitPolicy) -> Floats:
    """Of LINEAR."""
    tenor, greeks = limits.vega_tenor_usd, (limits.delta_coin, limits.gamma_1pct_usd, limits.vega_usd)
    return np.array([*greeks, *[tenor] * TENORS, limits.vanna_usd, limits.volga_usd, limits.gross_coin])


@lru_cache(maxsize=4)
def _nothing(count: int) -> Floats:
    zeros = np.zeros(count)
    zeros.setflags(write=False)
    return zeros
