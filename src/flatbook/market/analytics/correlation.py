"""Correlation of two underlyings' returns from ticks that are not taken together."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_RETURNS = 30
"""With fewer the standard error is above a sixth."""


def return_correlation(first_ns: Ints, first_usd: Floats, second_ns: Ints, second_usd: Floats, step_ns: int) -> float:
    """Of log returns over steps of one length, each price the last one known at the step's end; means taken as zero.

    Shapes      (n,) and (m,): times rising, prices above 0
    Returns     NaN where the two overlap for fewer than `LEAST_RETURNS` steps, or one stands still
    Convention  steps of minutes: over shorter ones, prices that are not taken together look unrelated (Epps 1979)
    """
    if step_ns <= 0:
        raise BadInputError(f"a step of {step_ns} ns; give one above 0")
    if not first_ns.size or not second_ns.size:
        return math.nan
    begin, end = max(int(first_ns[0]), int(second_ns[0])), min(int(first_ns[-1]), int(second_ns[-1]))
    grid = np.arange(begin, end + 1, step_ns)
    if grid.size <= LEAST_RETURNS:
        return math.nan
    one, other = (
        np.diff(np.log(prices[np.searchsorted(times, grid, side="right") - 1]))
        for times, prices in ((first_ns, first_usd), (second_ns, second_usd))
    )
    size = math.sqrt(float(one @ one) * float(other @ other))
    return float(np.clip(one @ other / size, -1.0, 1.0)) if size > 0.0 else math.nan
