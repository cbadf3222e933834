"""One number for the level of vols, to see a jump of all of them by."""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_DAY

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DAYS, _LEAST_DAYS = 30, 7


class TypicalVol:
    """The at-the-money vol of an expiry about a month away.

    Invariant   passing from one expiry to another moves nothing: the number follows the changes of the one it is at
    """

    def __init__(self) -> None:
        self._slot = -1
        self._last = self._vol = math.nan

    def follow(self, level: Floats, expiry_ns: Ints, now_ns: int) -> float:
        """Takes the vols as of now, NaN where none is known; the number then. Shapes (slots,)."""
        slot = self._slot
        if not (0 <= slot < len(level) and expiry_ns[slot] - now_ns > _LEAST_DAYS * NS_PER_DAY):
            slot = _nearest(level, expiry_ns, now_ns)
        known = float(level[slot]) if slot >= 0 else math.nan
        if slot != self._slot or math.isnan(self._last):
            self._slot, self._last = slot, known
            if math.isnan(self._vol):
                self._vol = known
        elif not math.isnan(known):
            self._vol += known - self._last
            self._last = known
        return self._vol


def _nearest(level: Floats, expiry_ns: Ints, now_ns: int) -> int:
    """The known expiry that is nearest to a month away, rather than one of under a week; -1 where none is."""
    ahead = expiry_ns - now_ns
    known = np.isfinite(level) & (ahead > 0)
    if not known.any():
        return -1
    away = np.where(ahead > _LEAST_DAYS * NS_PER_DAY, np.abs(ahead - _DAYS * NS_PER_DAY), 2**61 - ahead)
    return int(np.argmin(np.where(known, away, 2**62)))
