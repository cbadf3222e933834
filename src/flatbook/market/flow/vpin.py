"""VPIN: how lopsided recent volume is, in volume time. A flag of a regime, never a forecast.

Volume is cut into buckets of one size; VPIN is the mean of |buys - sells| over the last so many buckets, over the
bucket's size. Where nobody says who took, a bar's volume is split by its price change (bulk classification). Its level
says little across markets, so it is read by its rank among its own past.

Source      D. Easley, M. López de Prado, M. O'Hara (2012), "Flow toxicity and liquidity in a high-frequency world",
            Review of Financial Studies 25; against reading more into it: Andersen and Bondarenko (2014)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]


def bulk_buy_share(move: float, deviation: float) -> float:
    """The share of a bar's volume taken by buyers: Φ(move / deviation of such moves); a half where none is known."""
    return 0.5 * math.erfc(-move / deviation / math.sqrt(2)) if deviation > 0 else 0.5


def vpin(buys: Floats, bucket_volume: float) -> float:
    """VPIN of full buckets by what was bought in each, shape (n,); NaN of none."""
    return float(np.mean(np.abs(2 * buys - bucket_volume))) / bucket_volume if buys.size else math.nan


class Vpin:
    """VPIN online.

    Invariant   the last `window` full buckets are in `_imbalance`, the last `history` values in `_past`; the open
                bucket holds less than its volume
    """

    def __init__(self, bucket_volume: float, window: int = 50, history: int = 500) -> None:
        if not (bucket_volume > 0 and window > 0 and history > 0):
            raise BadInputError(
                f"VPIN over {window} buckets of {bucket_volume:g} with {history} of the past: all must be above 0"
            )
        self.bucket_volume = bucket_volume
        self.filled = 0
        self._imbalance: Floats = np.zeros(window)
        self._past: Floats = np.zeros(history)
        self._values = 0
        self._open_volume = 0.0
        self._open_buys = 0.0
        self._sum = 0.0

    def observe(self, volume: float, buy_share: float) -> None:
        """Volume of which this share was bought; it fills as many buckets as it does, each in that proportion."""
        left = volume
        while left >= (room := self.bucket_volume - self._open_volume):
            self._fill(self._open_buys + room * buy_share)
            left -= room
        self._open_volume += left
        self._open_buys += left * buy_share

    @property
    def value(self) -> float:
        """VPIN now, 0 to 1; NaN until the window is full."""
        window = len(self._imbalance)
        return self._sum / (window * self.bucket_volume) if self.filled >= window else math.nan

    @property
    def rank(self) -> float:
        """The share of past values below or at the present one; NaN until the history is a fifth full."""
        known = min(self._values, len(self._past))
        if known < max(len(self._past) // 5, 1):
            return math.nan
        return float(np.count_nonzero(self._past[:known] <= self.value) / known)

    def _fill(self, buys: float) -> None:
        at = self.filled % len(self._imbalance)
        self._imbalance[at] = abs(2 * buys - self.bucket_volume)
        self.filled += 1
        self._open_volume = self._open_buys = 0.0
        # Summed anew, not by differences: rounding would pile up over a run of days.
        self._sum = float(self._imbalance.sum())
        if self.filled >= len(self._imbalance):
            self._past[self._values % len(self._past)] = self.value
            self._values += 1
