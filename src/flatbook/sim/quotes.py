"""Our resting quotes as the venue has them: a row an instrument, and changes that wait in line for their time."""

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import Instrument
from flatbook.engine.effects import QuoteChanges

_NEVER_NS = 2**63 - 1
_ROWS_AT_FIRST = 256

Ints = NDArray[np.int64]


class LiveQuotes:
    """The table of live quotes.

    Invariant   a live price is on the tick grid and positive, and no row's bid meets its own ask; the line of pending
                changes is in the order of its times
    """

    def __init__(self) -> None:
        self.instruments: list[Instrument] = []
        self.row_of: dict[str, int] = {}
        self._bid_ticks, self._bid_lots, self._ask_ticks, self._ask_lots = (_column() for _ in range(4))
        self._above_ticks, self._coarse_ticks, self._expiry_ns = (_column() for _ in range(3))
        self._pending: deque[tuple[int, QuoteChanges]] = deque()
        self.last_effective_ns = 0
        self.frozen_until_ns = 0

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        """Gives the next row to `instrument`.

        Errors      BadInputError where `row` is not the next one, or the instrument has a row
        """
        if row != len(self.instruments) or instrument.name in self.row_of:
            raise BadInputError(f"row {row} for {instrument.name}: rows are given once, and the next is {self.rows}")
        self._grow(row + 1)
        self.instruments.append(instrument)
        self.row_of[instrument.name] = row
        self._above_ticks[row] = instrument.spec.ticks.above_ticks
        self._coarse_ticks[row] = instrument.spec.ticks.coarse_ticks
        self._expiry_ns[row] = instrument.contract.expiry_ns or _NEVER_NS

    @property
    def rows(self) -> int:
        """How many instruments are listed."""
        return len(self.instruments)

    def queue(self, effective_ns: int, changes: QuoteChanges) -> None:
        """Puts changes in line; they take effect once the venue's clock has passed `effective_ns`, never out of order.

        Errors      BadInputError where a row was never listed
        """
        if changes.row.size and not 0 <= int(changes.row[0]) <= int(changes.row[-1]) < self.rows:
            raise BadInputError(f"quotes for rows {changes.row[0]} to {changes.row[-1]}: only {self.rows} are listed")
        self.last_effective_ns = max(self.last_effective_ns, effective_ns)
        self._pending.append((self.last_effective_ns, changes))

    def apply_until(self, now_ns: int) -> Iterator[tuple[int, Ints]]:
        """Makes every change due before `now_ns` live; yields its time and the rows whose quotes the venue refused."""
        while self._pending and self._pending[0][0] < now_ns:
            effective_ns, changes = self._pending.popleft()
            refused = self._refused(changes)
            keep = ~refused & (effective_ns >= self.frozen_until_ns)
            rows = changes.row
            self._bid_ticks[rows] = changes.bid_ticks
            self._ask_ticks[rows] = changes.ask_ticks
            self._bid_lots[rows] = changes.bid_lots * keep
            self._ask_lots[rows] = changes.ask_lots * keep
            yield effective_ns, rows[refused]

    def standing(self, row: int, side: int, now_ns: int) -> tuple[int, int]:
        """Price (ticks) and size (lots) of our bid (`side` +1) or ask (-1); no lots once the contract has expired."""
        if now_ns >= self._expiry_ns.item(row):
            return 0, 0
        if side > 0:
            return self._bid_ticks.item(row), self._bid_lots.item(row)
        return self._ask_ticks.item(row), self._ask_lots.item(row)

    def columns(self, rows: Ints, now_ns: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Bid ticks, bid lots, ask ticks, ask lots of `rows`; no lots on contracts that have expired."""
        alive = self._expiry_ns[rows] > now_ns
        return (
            self._bid_ticks[rows],
            self._bid_lots[rows] * alive,
            self._ask_ticks[rows],
            self._ask_lots[rows] * alive,
        )

    def take(self, row: int, side: int, size_lots: int) -> None:
        """Removes filled lots from our bid (`side` +1) or ask (-1)."""
        lots = self._bid_lots if side > 0 else self._ask_lots
        lots[row] -= size_lots

    def freeze(self, until_ns: int) -> None:
        """Pulls every quote, and lets none stand that takes effect before `until_ns`."""
        self._bid_lots[:] = self._ask_lots[:] = 0
        self.frozen_until_ns = until_ns

    def invariant(self) -> None:
        """Raises AssertionError where the table is not what its owner says it is."""
        n = self.rows
        bid, ask, bid_lots, ask_lots = (
            column[:n] for column in (self._bid_ticks, self._ask_ticks, self._bid_lots, self._ask_lots)
        )
        assert (bid_lots >= 0).all()
        assert (ask_lots >= 0).all()
        assert (bid < ask)[(bid_lots > 0) & (ask_lots > 0)].all()
        assert (bid > 0)[bid_lots > 0].all()
        assert (ask > 0)[ask_lots > 0].all()
        times = [effective_ns for effective_ns, _ in self._pending]
        assert times == sorted(times)

    def _refused(self, changes: QuoteChanges) -> NDArray[np.bool_]:
        """Rows that a venue refuses: prices off the grid or below a tick, negative sizes, a bid that meets its ask."""
        bids, asks = changes.bid_lots > 0, changes.ask_lots > 0
        wrong_bid = bids & self._off_grid(changes.row, changes.bid_ticks)
        wrong_ask = asks & self._off_grid(changes.row, changes.ask_ticks)
        crossed = bids & asks & (changes.bid_ticks >= changes.ask_ticks)
        negative = (changes.bid_lots < 0) | (changes.ask_lots < 0)
        refused: NDArray[np.bool_] = wrong_bid | wrong_ask | crossed | negative
        return refused

    def _off_grid(self, rows: Ints, ticks: Ints) -> NDArray[np.bool_]:
        between = (ticks > self._above_ticks[rows]) & (ticks % self._coarse_ticks[rows] != 0)
        off_grid: NDArray[np.bool_] = between | (ticks <= 0)
        return off_grid

    def _grow(self, rows: int) -> None:
        if rows <= self._bid_ticks.size:
            return
        names = ("_bid_ticks", "_bid_lots", "_ask_ticks", "_ask_lots", "_above_ticks", "_coarse_ticks", "_expiry_ns")
        for name in names:
            column: Ints = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))


def _column() -> Ints:
    return np.zeros(_ROWS_AT_FIRST, np.int64)
