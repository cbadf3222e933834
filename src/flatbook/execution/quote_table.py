"""Our resting quotes as a table: both sides of every instrument, as the venue was last told."""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.quotes import changed_rows

Ints = NDArray[np.int64]

_LOTS_OF = {1: 1, -1: 3}


class QuoteTable:
    """Resting quotes.

    grid        (4, capacity): bid ticks, bid lots, ask ticks, ask lots; what filled is taken off
    unsure      (capacity,) rows about which the venue answered since they were last told: a newer quote may be on its
                way, so they are told again, whatever is wanted
    Invariant   a side without lots has no price
    """

    def __init__(self, capacity: int) -> None:
        self.grid: Ints = np.zeros((4, capacity), np.int64)
        self.unsure: NDArray[np.bool_] = np.zeros(capacity, np.bool_)

    def grow(self, capacity: int) -> None:
        """Makes room for more rows."""
        more = np.zeros((4, capacity - self.grid.shape[1]), np.int64)
        self.grid = np.concatenate([self.grid, more], axis=1)
        self.unsure = np.concatenate([self.unsure, np.zeros(more.shape[1], np.bool_)])

    def resting_ticks(self, row: int, side: int) -> int | None:
        """Price of our bid (`side` +1) or ask (-1); None where there is none."""
        at = _LOTS_OF[side]
        return int(self.grid[at - 1, row]) if row < self.grid.shape[1] and self.grid[at, row] else None

    def differing(self, wanted: Ints) -> Ints:
        """Rows whose resting quote is not the wanted one, or is not surely known, rising."""
        rows = np.empty(wanted.shape[1], np.int64)
        return rows[: changed_rows(self.grid, wanted, self.unsure.view(np.int8), rows)]

    def told(self, rows: Ints, wanted: Ints) -> None:
        """The venue is told the wanted quotes of `rows`."""
        self.grid[:, rows] = wanted[:, rows]
        self.unsure[rows] = False

    def filled(self, row: int, side: int, lots: int) -> None:
        """Part of our quote traded; `side` is ours. A quote already replaced may be filled beyond what rests now."""
        at = _LOTS_OF[side]
        self.grid[at, row] = max(int(self.grid[at, row]) - lots, 0)
        if self.grid[at, row] == 0:
            self.grid[at - 1, row] = 0
        self.unsure[row] = True

    def gone(self, row: int) -> None:
        """The venue refused or pulled a quote of ours."""
        self.grid[:, row] = 0
        self.unsure[row] = True
