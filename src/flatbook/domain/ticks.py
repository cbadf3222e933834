"""The price grid, a price at a time: ticks that a contract may be quoted at."""

import math

from flatbook.domain.reference import TickSteps

FUZZ = 1e-9
"""A price this far (ticks) on the wrong side of a grid point is on it: floats miss decimal ticks by less."""


def is_on_grid(steps: TickSteps, price_ticks: int) -> bool:
    """Whether `price_ticks` (finest ticks) may be quoted: coarse steps above the threshold, every tick below."""
    return price_ticks <= steps.above_ticks or price_ticks % steps.coarse_ticks == 0


def floor_tick(steps: TickSteps, exact_ticks: float) -> int:
    """The highest price on the grid that is not above `exact_ticks`."""
    ticks = math.floor(exact_ticks + FUZZ)
    return ticks - ticks % steps.coarse_ticks if ticks > steps.above_ticks else ticks


def ceil_tick(steps: TickSteps, exact_ticks: float) -> int:
    """The lowest price on the grid that is not below `exact_ticks`."""
    ticks = math.ceil(exact_ticks - FUZZ)
    return ticks + -ticks % steps.coarse_ticks if ticks > steps.above_ticks else ticks
