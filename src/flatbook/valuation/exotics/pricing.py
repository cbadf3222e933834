"""One door to every contract that is not Black's formula: value, Greeks, implied vol."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import brentq

from flatbook.domain.errors import BadInputError
from flatbook.valuation.contracts import Contract, Style
from flatbook.valuation.exotics.american import american
from flatbook.valuation.exotics.asian import asian
from flatbook.valuation.exotics.barriers import barrier, digital, touch
from flatbook.valuation.exotics.greeks import measure, measure_second
from flatbook.valuation.exotics.lookback import lookback
from flatbook.valuation.exotics.pairs import (
    basket,
    exchange,
    min_max,
    spread,
    two_asset_barrier,
    two_asset_correlation,
)
from flatbook.valuation.exotics.perpetual import everlasting, perpetual
from flatbook.valuation.exotics.quantlib import EngineError
from flatbook.valuation.exotics.reprice import Repricer
from flatbook.valuation.measures import Measures, SecondAsset
from flatbook.valuation.point import point_of

_PRICERS: Final[dict[Style, Callable[[Contract], Repricer]]] = {
    Style.AMERICAN: american,
    Style.BARRIER: barrier,
    Style.DIGITAL: digital,
    Style.TOUCH: touch,
    Style.ASIAN: asian,
    Style.LOOKBACK: lookback,
    Style.EXCHANGE: exchange,
    Style.SPREAD: spread,
    Style.BASKET: basket,
    Style.MIN_MAX: min_max,
    Style.TWO_ASSET_BARRIER: two_asset_barrier,
    Style.TWO_ASSET_CORRELATION: two_asset_correlation,
    Style.PERPETUAL: perpetual,
    Style.EVERLASTING: everlasting,
}

VOL_LIMITS: Final = (1e-3, 10.0)
_VOL_GRID: Final = tuple(VOL_LIMITS[0] * (VOL_LIMITS[1] / VOL_LIMITS[0]) ** (i / 40.0) for i in range(41))


class Valuation(NamedTuple):
    """What one contract is worth, and by which method."""

    measures: Measures
    second: SecondAsset | None
    method: str


def repricer(contract: Contract) -> Repricer:
    """The contract as a function of its market.

    Domain      any style but european and inverse, which `flatbook.valuation.vanilla` values by column
    """
    return _PRICERS[contract.style](contract)


def price(contract: Contract) -> float:
    """Value of one contract, in quote currency.

    Errors      EngineError where no engine gives a number
    """
    with in_range():
        return repricer(contract).at(point_of(contract))


def value(contract: Contract) -> Valuation:
    """Price and Greeks of one contract, in natural units; Greeks NaN where the price has none that are numbers.

    Errors      EngineError where no engine gives a price
    """
    with in_range():
        pricer = repricer(contract)
    return measured(contract, pricer)


def measured(contract: Contract, pricer: Repricer) -> Valuation:
    """As `value`, by a repricer of the contract."""
    with in_range():
        found = pricer.at(point_of(contract))
    try:
        with in_range():
            return Valuation(measure(contract, pricer), measure_second(contract, pricer), pricer.method)
    except EngineError:
        # The price stands, and a neighbour that the differences need is beyond the engine.
        return Valuation(Measures(found, *[math.nan] * 11), None, pricer.method)


def implied_vol(contract: Contract, quoted: float) -> float:
    """The one vol of the (first) asset inside `VOL_LIMITS` at which the contract is worth `quoted`.

    A barrier, digital or touch may be worth the same at two vols, and then none is the answer.

    Errors      BadInputError when no vol, or more than one, gives the price
    """
    with in_range():
        pricer, base = repricer(contract), point_of(contract)

    def excess(vol: float) -> float:
        with in_range():
            return pricer.at(base._replace(vol=vol)) - quoted

    found = _crossings(excess)
    if not found:
        raise BadInputError(f"price: {quoted:g} is not reached by any vol from {VOL_LIMITS[0]:g} to {VOL_LIMITS[1]:g}")
    if len(found) > 1:
        vols = ", ".join(f"{vol:.6g}" for vol in found)
        raise BadInputError(f"price: {quoted:g} is reached at more than one vol ({vols}); none is implied")
    return found[0]


@contextmanager
def in_range() -> Iterator[None]:
    """Numbers too large or too small for a float end as an EngineError, not as a warning or another error."""
    try:
        with np.errstate(all="ignore"):
            yield
    except ArithmeticError as error:
        raise EngineError(f"no finite number for these inputs ({error}); check years, vol, rate and carry") from None


def _crossings(excess: Callable[[float], float]) -> list[float]:
    """Vols at which `excess` changes sign, by bracket and Brent; a vol its engine refuses ends a bracket."""
    found: list[float] = []
    last = math.nan
    for low, high in zip((math.nan, *_VOL_GRID), _VOL_GRID, strict=False):
        try:
            here = excess(high)
        except EngineError:
            here = math.nan
        if here == 0.0 and last != 0.0:
            found.append(high)
        elif last * here < 0.0:
            found.append(float(brentq(excess, low, high, xtol=1e-14, rtol=1e-14)))
        last = here
    return found
