"""Floating-strike lookbacks, watched continuously."""

from __future__ import annotations

import math

from flatbook.valuation.contracts import Contract, LookbackTerms
from flatbook.valuation.exotics.quantlib import AT_EXPIRY, FlatMarket, npv, option_type, ql, with_engine
from flatbook.valuation.exotics.reprice import Repricer
from flatbook.valuation.point import Point

_NODES = (-3, -2, -1, 1, 2, 3)
_STEP_SHARE = 0.02


def lookback(contract: Contract) -> Repricer:
    """A call on the spot less its lowest price, a put on its highest less the spot.

    The formula divides by the carry and is lost in rounding near a carry of zero, the usual case here, though the
    value itself is smooth through it. There the value is interpolated in carry from six nodes around zero.

    Source      Goldman, Sosin, Gatto (1979); Garman (1989)
    """
    terms = contract.terms
    assert isinstance(terms, LookbackTerms)
    market = FlatMarket()
    option = with_engine(
        ql.ContinuousFloatingLookbackOption(
            terms.extreme_so_far, ql.FloatingTypePayoff(option_type(contract.sign)), AT_EXPIRY
        ),
        ql.AnalyticContinuousFloatingLookbackEngine(market.process),
    )

    def at_carry(point: Point, carry: float) -> float:
        market.move(point.spot, point.vol, contract.years - point.passed, point.rate, carry)
        return npv(option)

    def at(point: Point) -> float:
        step = _carry_step(point, contract.years - point.passed, terms.extreme_so_far)
        if abs(point.carry) >= step:
            return at_carry(point, point.carry)
        x = point.carry / step
        return sum(_lagrange(node, x) * at_carry(point, node * step) for node in _NODES)

    spots = (terms.extreme_so_far, math.inf) if contract.sign > 0 else (0.0, terms.extreme_so_far)
    return Repricer(at, "goldman-sosin-gatto", spots=spots)


def _carry_step(point: Point, years: float, extreme: float) -> float:
    """A carry small against those over which the value bends: vol^2, vol / sqrt(years), shrunk by the drawdown."""
    natural = min(point.vol * point.vol, point.vol / math.sqrt(years)) / 2.0
    return _STEP_SHARE * natural / (1.0 + abs(math.log(point.spot / extreme)))


def _lagrange(node: int, x: float) -> float:
    """The weight of the value at `node` in the polynomial through all nodes, at `x`."""
    return math.prod((x - other) / (node - other) for other in _NODES if other != node)
