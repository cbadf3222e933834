"""American options: an exact engine by default, two approximations by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from flatbook.valuation.contracts import Contract
from flatbook.valuation.exotics.quantlib import ANY_TIME, FlatMarket, npv, plain_payoff, ql, with_engine
from flatbook.valuation.exotics.reprice import ANYWHERE, Interval, Repricer
from flatbook.valuation.exotics.stencil import SPOT_REACH, spot_step
from flatbook.valuation.point import Point, point_of

EXACT = "qdfp"

_ENGINES: dict[str, Callable[[Any], Any]] = {
    EXACT: lambda process: ql.QdFpAmericanEngine(process, ql.QdFpLegendreTanhSinhScheme(32, 8, 20, 1e-10)),
    "barone_adesi_whaley": ql.BaroneAdesiWhaleyApproximationEngine,
    "bjerksund_stensland": ql.BjerksundStenslandApproximationEngine,
}


def american(contract: Contract) -> Repricer:
    """The exercise boundary by fixed point (`qdfp`, the default), or an approximation asked for in `method`.

    Against QuantLib's 7 ms high-precision scheme over 120 calls and puts (vols 15 to 80 %, to three years) the fixed
    point is within 5e-7 of the strike, 1e-8 at the mean. Greeks come from a scheme nine times quicker, within 1.1e-5.

    Source      Andersen, Lake, Offengenden, "High-performance American option pricing" (2016); Barone-Adesi and
                Whaley (1987); Bjerksund and Stensland (1993)
    """
    method = contract.method or EXACT
    market = FlatMarket()
    payoff = plain_payoff(contract.sign, contract.strike)

    def valued_by(engine: Any) -> Callable[[Point], float]:
        option = with_engine(ql.VanillaOption(payoff, ANY_TIME), engine)

        def at(point: Point) -> float:
            market.move(point.spot, point.vol, contract.years - point.passed, point.rate, point.carry)
            return npv(option)

        return at

    at = valued_by(_ENGINES[method](market.process))
    coarse = at
    if method == EXACT:
        coarse = valued_by(ql.QdFpAmericanEngine(market.process, ql.QdFpLegendreTanhSinhScheme(12, 3, 12, 1e-8)))
    # Below a rate of nil a put has two boundaries, or none, and the value as a function of the rate has a kink.
    rates = ANYWHERE if contract.rate < 0.0 else (-contract.rate, math.inf)
    return Repricer(at, method, spots=_side_of_boundary(contract, coarse), rates=rates, coarse=coarse)


def _side_of_boundary(contract: Contract, at: Callable[[Point], float]) -> Interval:
    """Spots around the contract's own, as far as Greeks look, on its side of the exercise boundary.

    There the value leaves the payoff with a kink in its second derivative.
    """
    base = point_of(contract)
    if math.isnan(base.vol):  # a vol to be implied: no Greeks yet, and no boundary
        return ANYWHERE
    step = spot_step(contract, base)

    def exercised(spot: float) -> bool:
        payoff = contract.sign * (spot - contract.strike)
        return payoff > 0.0 and at(base._replace(spot=spot)) <= payoff * (1.0 + 1e-12)

    here = exercised(base.spot)
    low, high = ANYWHERE
    for offset in range(1, SPOT_REACH + 1):
        if math.isinf(low) and exercised(base.spot - offset * step) is not here:
            low = base.spot - (offset - 0.5) * step
        if math.isinf(high) and exercised(base.spot + offset * step) is not here:
            high = base.spot + (offset - 0.5) * step
    return low, high
