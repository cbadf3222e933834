"""A place in a flat market: what a contract beyond Black's formula is valued at."""

from __future__ import annotations

import math
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
