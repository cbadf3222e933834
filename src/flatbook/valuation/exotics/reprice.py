"""What a pricer hands over: a function that values one contract anywhere near its market, and where it is smooth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from flatbook.valuation.point import Point

Interval = tuple[float, float]
ANYWHERE: Interval = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Repricer:
    """`at(point)` is the value of one contract, in quote currency.

    `spots`, `spots2`, `passed` and `rates` (by change) are the intervals around the contract's own point inside which
    `at` has all its derivatives: a barrier, an exercise boundary, a fixing date or a rate of nil ends one. `coarse`,
    where `at` is slow, is a faster approximation whose derivatives are as good. `rate_scale` is the change of rate over
    which the value bends, where it is not that of an option over the contract's years.
    """

    at: Callable[[Point], float]
    method: str
    spots: Interval = ANYWHERE
    spots2: Interval = ANYWHERE
    passed: Interval = ANYWHERE
    rates: Interval = ANYWHERE
    coarse: Callable[[Point], float] | None = None
    rate_scale: float = math.inf
