"""The chain of one underlying as columns: which options we know of, a row each.

Rows are given once, in the order in which options are first seen, and never move; so a row number is an option's name
in every array of the system. Expiries get slots the same way.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind, Right
from flatbook.domain.reference import Instrument, ReferenceData

_Scalar = TypeVar("_Scalar", bound=np.generic)

FIRST_ROWS = 1024
FIRST_SLOTS = 64
MOST_SLOTS = 512
"""Columns of expiries grow up to here: a run's P&L has its cells laid out for as many."""


@dataclass(frozen=True, slots=True)
class Ladders:
    """Which rows are neighbours.

    order       rows by expiry, then calls before puts, then strike
    later       the row of the same right and strike at the next expiry that lists it, -1 where there is none
    first       where each expiry's run begins in `order`, and at the end its length
    run_slot    the slot of each run
    walk        rows by expiry and then as listed: where an expiry was listed in one go, its rows are neighbours
    columns     the columns of the rows that there are
    """

    order: NDArray[np.int64]
    later: NDArray[np.int64]
    first: NDArray[np.int64]
    run_slot: NDArray[np.int64]
    walk: NDArray[np.int64]
    columns: "Columns"

    def rows(self, slot: int) -> NDArray[np.int64]:
        """The rows of one expiry."""
        runs = np.flatnonzero(self.run_slot == slot).tolist()
        parts = [self.walk[self.first[run] : self.first[run + 1]] for run in runs]
        return parts[0] if parts else self.walk[:0]


class Columns(NamedTuple):
    """What does not change about each option, shape (rows,); as in `Universe`."""

    slot: NDArray[np.int64]
    strike_usd: NDArray[np.float64]
    sign: NDArray[np.float64]
    tick: NDArray[np.float64]
    lot_coin: NDArray[np.float64]
    tick_above: NDArray[np.int64]
    tick_coarse: NDArray[np.int64]


class Universe:
    """Columns of what does not change about an option.

    Invariant   arrays hold `capacity` rows or `slot_capacity` expiries, the first `count` or `slots` of them in use;
                `row_of[instrument.name]` is that instrument's row
    """

    def __init__(self, underlying: str, reference: ReferenceData) -> None:
        self.underlying = underlying
        self.instruments: list[Instrument] = []
        self.row_of: dict[str, int] = {}
        self.slot_of: dict[int, int] = {}
        self.count = 0
        self.slots = 0
        self.expiry_ns: NDArray[np.int64] = np.zeros(FIRST_SLOTS, np.int64)
        self.slot: NDArray[np.int64] = np.zeros(FIRST_ROWS, np.int64)
        self.strike_usd: NDArray[np.float64] = np.zeros(FIRST_ROWS)
        self.sign: NDArray[np.float64] = np.zeros(FIRST_ROWS)
        self.tick: NDArray[np.float64] = np.zeros(FIRST_ROWS)
        self.tick_above: NDArray[np.int64] = np.zeros(FIRST_ROWS, np.int64)
        self.tick_coarse: NDArray[np.int64] = np.zeros(FIRST_ROWS, np.int64)
        self.lot_coin: NDArray[np.float64] = np.zeros(FIRST_ROWS)
        self._ladders: Ladders | None = None
        self._reference = reference

    @property
    def capacity(self) -> int:
        """How many rows the columns hold before they grow."""
        return len(self.slot)

    @property
    def slot_capacity(self) -> int:
        """How many expiries they hold before they grow."""
        return len(self.expiry_ns)

    def row(self, name: str) -> int | None:
        """The row of option `name`, listing it when it is new; None for what is not an option of this chain."""
        known = self.row_of.get(name)
        if known is not None:
            return known
        instrument = self._reference.instrument(name)
        contract = instrument.contract
        if contract.kind is not Kind.OPTION or contract.base != self.underlying or not contract.is_inverse:
            return None
        return self._list(instrument)

    def _list(self, instrument: Instrument) -> int:
        contract = instrument.contract
        assert contract.expiry_ns is not None
        assert contract.strike is not None
        if self.count == self.capacity:
            self._grow()
        row = self.count
        ticks = instrument.spec.ticks
        self.slot[row] = self._slot(contract.expiry_ns)
        self.strike_usd[row] = float(contract.strike)
        self.sign[row] = 1.0 if contract.right is Right.CALL else -1.0
        self.tick[row] = instrument.tick_size
        self.tick_above[row] = ticks.above_ticks
        self.tick_coarse[row] = ticks.coarse_ticks
        self.lot_coin[row] = instrument.lot_size
        self.instruments.append(instrument)
        self.row_of[instrument.name] = row
        self.count += 1
        self._ladders = None
        return row

    def _slot(self, expiry_ns: int) -> int:
        known = self.slot_of.get(expiry_ns)
        if known is not None:
            return known
        slot = self.slots
        if slot == MOST_SLOTS:
            raise BadInputError(f"{self.underlying}: more than {MOST_SLOTS} expiries in one run; shorten the span")
        if slot == self.slot_capacity:
            self.expiry_ns = np.concatenate([self.expiry_ns, np.zeros_like(self.expiry_ns)])
        self.expiry_ns[slot] = expiry_ns
        self.slot_of[expiry_ns] = slot
        self.slots += 1
        return slot

    def _grow(self) -> None:
        def doubled(column: NDArray[_Scalar]) -> NDArray[_Scalar]:
            return np.concatenate([column, np.zeros_like(column)])

        self.slot = doubled(self.slot)
        self.strike_usd = doubled(self.strike_usd)
        self.sign = doubled(self.sign)
        self.tick = doubled(self.tick)
        self.tick_above = doubled(self.tick_above)
        self.tick_coarse = doubled(self.tick_coarse)
        self.lot_coin = doubled(self.lot_coin)

    def ladders(self) -> Ladders:
        """Neighbours in strike, right and expiry; made anew when a row is listed."""
        if self._ladders is None:
            self._ladders = self._make_ladders()
        return self._ladders

    def _make_ladders(self) -> Ladders:
        used = slice(self.count)
        expiry_ns = self.expiry_ns[self.slot[used]]
        order = np.lexsort((self.strike_usd[used], -self.sign[used], expiry_ns)).astype(np.int64)
        later = np.full(self.count, -1, np.int64)
        farther: dict[tuple[float, float], int] = {}
        for row in order[::-1].tolist():
            strike = float(self.strike_usd[row])
            chain = (strike, float(self.sign[row]))
            later[row] = farther.get(chain, -1)
            farther[chain] = row
        slots = self.slot[order]
        first = np.flatnonzero(np.diff(slots, prepend=-1, append=-1)).astype(np.int64)
        columns = Columns(
            self.slot[used],
            self.strike_usd[used],
            self.sign[used],
            self.tick[used],
            self.lot_coin[used],
            self.tick_above[used],
            self.tick_coarse[used],
        )
        walk = np.argsort(expiry_ns, kind="stable").astype(np.int64)
        return Ladders(order, later, first, slots[first[:-1]], walk, columns)

    def slots_by_expiry(self, after_ns: int) -> NDArray[np.int64]:
        """The slots that expire after `after_ns`, nearest first."""
        order = np.argsort(self.expiry_ns[: self.slots], kind="stable")
        return order[self.expiry_ns[order] > after_ns].astype(np.int64)
