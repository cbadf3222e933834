"""How far prints hang together: the surprise of each block of time, against what independent prints would show.

What comes in crowds is worth less as evidence, by the ratio of the variance of its counts to Poisson's. A crowd that is
everywhere at once is the whole's: a tenor answers for its part of the whole's count alone, a bucket for its part of its
tenor's, so that a busy day does not make each bucket seem uncertain against its siblings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flatbook.market.flow.decays import Dispersion, Evidence, expected_arrivals

Floats = NDArray[np.float64]

LEVELS = ("all", "tenor", "bucket")
"""Whose counts a dispersion is of, from the top."""

_BELIEVED_COUNT = 20.0
"""The belief in a dispersion counts as this many prints."""

_TINY = 1e-12


class Crowds:
    """Dispersions by level.

    Invariant   `_surprise` over `_expected` are fading sums over blocks, of counts and of ends: squared surprise, and
                what it would be were prints independent
    """

    def __init__(self, sizes: tuple[int, int, int], belief: float) -> None:
        self._sizes = dict(zip(LEVELS, sizes, strict=True))
        self._surprise = {level: np.full(2, _BELIEVED_COUNT * belief) for level in LEVELS}
        self._expected = {level: np.full(2, _BELIEVED_COUNT) for level in LEVELS}

    def measure(self, block: Evidence, grid: Floats, arrivals: Floats, decay: Floats, fade: float) -> None:
        """Takes a block's counts against the rates and decays, shape (rates,), believed before it."""
        expected, ends = expected_arrivals(block, grid, arrivals, decay), decay * block.path
        columns = (block.arrivals - expected, expected, block.ended - ends, ends)
        above: tuple[Floats, ...] = ()
        for level, groups in self._sizes.items():
            sums = tuple(column.reshape(groups, -1).sum(axis=1) for column in columns)
            found = np.array([_surprise(*sums[at : at + 2], *above[at : at + 2]) for at in (0, 2)])
            self._surprise[level] = fade * self._surprise[level] + found[:, 0]
            self._expected[level] = fade * self._expected[level] + found[:, 1]
            above = sums

    def dispersion(self, level: str) -> Dispersion:
        """Variance over that of independent prints, at least 1: of counts, and of where prints end."""
        ratio = np.maximum(self._surprise[level] / self._expected[level], 1.0)
        return Dispersion(float(ratio[0]), float(ratio[1]))


def _surprise(off: Floats, variance: Floats, off_above: Floats | None = None, above: Floats | None = None) -> Floats:
    """Squared surprise and its expectation were counts independent, summed; net of the parent's where it is given."""
    if off_above is None or above is None:
        return np.array([(off**2).sum(), variance.sum()])
    part = variance / np.maximum(np.repeat(above, len(off) // len(above)), _TINY)
    own = off - part * np.repeat(off_above, len(off) // len(above))
    return np.array([(own**2).sum(), (variance * (1 - part)).sum()])
