"""Our resting quotes as a table: both sides of every instrument, as the venue was last told, and what came before.

A quote that was replaced may fill until the venue acknowledges the message that replaced it. The venue's answers keep
their order, so every fill heard before that acknowledgement was of an earlier version, and none after it is.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.quotes import changed_rows
from flatbook.kernels.telling import settle_rows, tell_rows

Ints = NDArray[np.int64]

_LOTS_OF = {1: 1, -1: 3}


class QuoteTable:
    """Resting quotes.

    grid        (4, capacity): bid ticks, bid lots, ask ticks, ask lots; what filled is taken off
    unsure      (capacity,) rows about which the venue answered since they were last told: a newer quote may be on its
                way, so they are told again, whatever is wanted
    loose       (2, capacity) lots of earlier versions, bid and ask, that may still fill
    sent        how many messages the venue was told; `acknowledges` whether it ever said so
    Invariant   a side without lots has no price; what may yet fill on a side is at most what rests and what is loose
    """

    def __init__(self, capacity: int) -> None:
        self.grid: Ints = np.zeros((4, capacity), np.int64)
        self.unsure: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.loose: Ints = np.zeros((2, capacity), np.int64)
        self.sent = 0
        self.acknowledges = False
        self._filled_loose: Ints = np.zeros((2, capacity), np.int64)
        self._lost: Ints = np.zeros((2, capacity), np.int64)
        self._replaced: deque[tuple[int, int, Ints, Ints]] = deque()

    def grow(self, capacity: int) -> None:
        """Makes room for more rows."""
        more = np.zeros((4, capacity - self.grid.shape[1]), np.int64)
        self.grid = np.concatenate([self.grid, more], axis=1)
        self.unsure = np.concatenate([self.unsure, np.zeros(more.shape[1], np.bool_)])
        self.loose = np.concatenate([self.loose, np.zeros_like(more[:2])], axis=1)
        self._filled_loose = np.concatenate([self._filled_loose, np.zeros_like(more[:2])], axis=1)
        self._lost = np.concatenate([self._lost, np.zeros_like(more[:2])], axis=1)

    def resting_ticks(self, row: int, side: int) -> int | None:
        """Price of our bid (`side` +1) or ask (-1); None where there is none."""
        at = _LOTS_OF[side]
        return int(self.grid[at - 1, row]) if row < self.grid.shape[1] and self.grid[at, row] else None

    def differing(self, wanted: Ints) -> Ints:
        """Rows whose resting quote is not the wanted one, or is not surely known, rising."""
        rows = np.empty(wanted.shape[1], np.int64)
        return rows[: changed_rows(self.grid, wanted, self.unsure.view(np.int8), rows)]

    def told(self, rows: Ints, wanted: Ints, now_ns: int = 0) -> tuple[int, Ints]:
        """The venue is told the wanted quotes of `rows`, each once.

        Returns     the message's number, by which it is acknowledged, and what it tells, (4, len(rows))
        """
        self.sent += 1
        columns, replaced = np.empty((4, len(rows)), np.int64), np.empty((2, len(rows)), np.int64)
        tell_rows(rows, wanted, self.grid, self.loose, self._lost, self.unsure.view(np.int8), replaced, columns)
        self._replaced.append((self.sent, now_ns, rows, replaced))
        return self.sent, columns

    def acknowledged(self, number: int) -> None:
        """The venue has taken every message up to `number`: what they replaced can fill no more."""
        self.acknowledges = True
        while self._replaced and self._replaced[0][0] <= number:
            _, _, rows, lots = self._replaced.popleft()
            settle_rows(rows, lots, self.loose, self._filled_loose)

    def filled(self, row: int, side: int, lots: int) -> None:
        """Part of our quote traded; `side` is ours. Earlier versions fill first: they stood at the venue before."""
        at = _LOTS_OF[side]
        s = at // 2
        of_earlier = min(int(self.loose[s, row]), lots)
        self.loose[s, row] -= of_earlier
        self._filled_loose[s, row] += of_earlier
        self.grid[at, row] = max(int(self.grid[at, row]) - (lots - of_earlier), 0)
        if self.grid[at, row] == 0:
            self.grid[at - 1, row] = 0
        self.unsure[row] = True

    def gone(self, row: int) -> None:
        """The venue refused or pulled a quote of ours, which of its versions it does not say: the last may stand."""
        self._lose(np.array([row]))

    def all_gone(self) -> None:
        """The venue pulled everything; what is on its way may yet stand."""
        self._lose(np.flatnonzero(self.grid[1::2].any(axis=0)))

    def waited_ns(self, now_ns: int) -> int:
        """For how long the oldest message has not been acknowledged; zero where none waits."""
        return now_ns - self._replaced[0][1] if self._replaced else 0

    def _lose(self, rows: Ints) -> None:
        """What rests on `rows` may fill until they have been told anew and the venue has acknowledged that."""
        lots = self.grid[1::2, rows]
        self.loose[:, rows] += lots
        self._lost[:, rows] += lots
        self.grid[:, rows] = 0
        self.unsure[rows] = True

    def expired(self, row: int) -> None:
        """The contract is no more, and neither is any quote of it."""
        self.grid[:, row] = 0
        self._filled_loose[:, row] += self.loose[:, row]
        self.loose[:, row] = self._lost[:, row] = 0
