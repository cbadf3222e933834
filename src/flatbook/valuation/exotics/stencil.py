"""Finite-difference stencils on evenly spaced nodes that keep clear of kinks."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.valuation.contracts import Contract
from flatbook.valuation.exotics.reprice import Interval
from flatbook.valuation.point import Point

Floats = NDArray[np.float64]

SPOT_REACH = 3
"""Nodes on either side of the spot: enough for a third derivative of fourth order."""

_SPOT_STEP = 0.03
_MARGIN = 0.49
"""Nodes stay this share of a step inside an interval's ends."""


class Nodes(NamedTuple):
    """Evenly spaced nodes `centre + offset * step`, the centre among them."""

    centre: float
    step: float
    offsets: tuple[int, ...]

    @property
    def values(self) -> list[float]:
        """The nodes."""
        return [self.centre + offset * self.step for offset in self.offsets]

    @property
    def here(self) -> int:
        """Position of the centre among the nodes."""
        return self.offsets.index(0)

    def derivative(self, values: Floats, order: int) -> Floats:
        """The derivative of `order` at the centre, over the last axis of `values`; exactly 0 of a constant."""
        change = values - values[..., self.here : self.here + 1]
        return np.asarray(change @ _weights(self.offsets, order) / self.step**order, dtype=np.float64)


def spot_step(contract: Contract, point: Point) -> float:
    """A step in spot that is small against the width of its distribution, yet keeps third differences out of noise."""
    years = 1.0 if math.isnan(contract.years) else contract.years
    width = point.vol * math.sqrt(years)
    return _SPOT_STEP * point.spot * min(width, 1.0) if width > 0.0 else _SPOT_STEP * point.spot


def nodes_around(centre: float, step: float, reach: int, inside: Interval) -> Nodes:
    """2 `reach` + 1 nodes inside an open interval, shifted to one side of the centre, or closer, where it is near."""
    count = 2 * reach
    low, high = inside
    step = min(step, (high - low) / (count + 3.0))  # room for whole steps and margins on both sides
    below = min(reach, max(0, _fitting(centre - low, step)))
    above = min(count - below, max(0, _fitting(high - centre, step)))
    below = count - above
    return Nodes(centre, step, tuple(range(-below, above + 1)))


def _fitting(room: float, step: float) -> int:
    """How many steps fit into `room` with a margin left."""
    return 1_000_000 if math.isinf(room) else int(room / step - _MARGIN)


@lru_cache(maxsize=256)
def _weights(offsets: tuple[int, ...], order: int) -> Floats:
    """Weights for unit spacing, from the moments sum w_k k^m = m! [m = order]."""
    grid = np.array(offsets, dtype=np.float64)
    moments = np.vander(grid, increasing=True).T
    target = np.zeros(len(offsets))
    target[order] = math.factorial(order)
    return np.asarray(np.linalg.solve(moments, target), dtype=np.float64)
