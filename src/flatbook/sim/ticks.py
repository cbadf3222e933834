"""The price grid, an array of prices at a time; see `domain.ticks`."""

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.reference import TickSteps
from flatbook.domain.ticks import FUZZ, ceil_tick, floor_tick, is_on_grid

__all__ = ["ceil_tick", "ceil_ticks", "floor_tick", "floor_ticks", "is_on_grid"]


def floor_ticks(steps: TickSteps, exact_ticks: NDArray[np.float64]) -> NDArray[np.int64]:
    """`floor_tick` of an array."""
    ticks = np.floor(exact_ticks + FUZZ).astype(np.int64)
    return ticks - np.where(ticks > steps.above_ticks, ticks % steps.coarse_ticks, 0)


def ceil_ticks(steps: TickSteps, exact_ticks: NDArray[np.float64]) -> NDArray[np.int64]:
    """`ceil_tick` of an array."""
    ticks = np.ceil(exact_ticks - FUZZ).astype(np.int64)
    return ticks + np.where(ticks > steps.above_ticks, -ticks % steps.coarse_ticks, 0)
