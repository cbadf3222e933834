"""What a pricer hands over: a function that values one contract anywhere near its market, and where it is smooth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from flatbook.valuation.contracts import Contract, Pair


class Point(NamedTuple):
    """A place in the market to value a contract at.

    `passed` is calendar time in years since the contract's `years` were counted, negative for before. Assets by spot;
    the second asset's are NaN where there is none.
    """

    spot: float
    vol: float
    carry: float
    rate: float
    passed: float = 0.0
    spot2: float = math.nan
    vol2: float = math.nan
    carry2: float = math.nan


def point_of(contract: Contract) -> Point:
    """The contract's own market."""
    first, pair = contract.asset, pair_of(contract)
    base = Point(first.spot, first.vol, first.carry, contract.rate)
    if pair is None:
        return base
    return base._replace(spot2=pair.second.spot, vol2=pair.second.vol, carry2=pair.second.carry)


def pair_of(contract: Contract) -> Pair | None:
    """The second asset, where the contract is on two."""
    return getattr(contract.terms, "pair", None)


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
