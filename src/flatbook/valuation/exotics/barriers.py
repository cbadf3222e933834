"""Single barriers, digitals and touches in a flat market, watched continuously.

A contract whose barrier is already hit is what it has become: a knock-out its rebate, a knock-in the plain contract.
Sources: Reiner and Rubinstein, "Breaking down the barriers" (1991) and "Unscrambling the binary code" (1991), through
QuantLib's analytic engines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from scipy.special import ndtr

from flatbook.valuation.contracts import Barrier, Contract, DigitalTerms, TouchTerms
from flatbook.valuation.exotics.quantlib import (
    ANY_TIME,
    ANY_TIME_PAID_LATE,
    AT_EXPIRY,
    FlatMarket,
    barrier_type,
    binary_payoff,
    black_value,
    npv,
    plain_payoff,
    ql,
    with_engine,
)
from flatbook.valuation.exotics.reprice import ANYWHERE, Interval, Repricer
from flatbook.valuation.point import Point

Value = Callable[[Point], float]


def barrier(contract: Contract) -> Repricer:
    """A knock-in or knock-out option; the rebate of a knock-out is paid at the hit, of a knock-in at expiry."""
    terms = contract.terms
    assert isinstance(terms, Barrier)
    market = FlatMarket()

    def valued(*, is_in: bool) -> Value:
        kind = barrier_type(is_down=terms.is_down, is_in=is_in)
        payoff = plain_payoff(contract.sign, contract.strike)
        option = ql.BarrierOption(kind, terms.level, terms.rebate, payoff, AT_EXPIRY)
        return _moving(contract, market, with_engine(option, ql.AnalyticBarrierEngine(market.process)))

    before = valued(is_in=terms.is_in)
    if not terms.is_in and terms.rebate == 0.0:
        before = _or_by_parity(contract, before, valued(is_in=True))

    def once_hit(point: Point) -> float:
        return vanilla_value(contract, point) if terms.is_in else terms.rebate

    return Repricer(_until_hit(terms, before, once_hit), "reiner-rubinstein", spots=_side(terms, contract))


def digital(contract: Contract) -> Repricer:
    """Cash or the asset at expiry in the money, perhaps only if a barrier was (or was not) hit."""
    terms = contract.terms
    assert isinstance(terms, DigitalTerms)
    market = FlatMarket()
    payoff = binary_payoff(contract.sign, contract.strike, terms.cash, pays_asset=terms.pays_asset)
    plain = with_engine(ql.VanillaOption(payoff, AT_EXPIRY), ql.AnalyticEuropeanEngine(market.process))
    without_barrier = _moving(contract, market, plain)
    watched = terms.barrier
    if watched is None:
        return Repricer(without_barrier, "black")
    kind = barrier_type(is_down=watched.is_down, is_in=watched.is_in)
    option = with_engine(
        ql.BarrierOption(kind, watched.level, 0.0, payoff, ANY_TIME_PAID_LATE),
        ql.AnalyticBinaryBarrierEngine(market.process),
    )

    def once_hit(point: Point) -> float:
        return without_barrier(point) if watched.is_in else 0.0

    at = _until_hit(watched, _moving(contract, market, option), once_hit)
    return Repricer(at, "reiner-rubinstein", spots=_side(watched, contract))


def touch(contract: Contract) -> Repricer:
    """One-touch (a barrier that knocks in) at the hit or at expiry, and no-touch (knocks out) at expiry."""
    terms = contract.terms
    assert isinstance(terms, TouchTerms)
    at = touch_value(contract, terms)
    return Repricer(at, "reiner-rubinstein", spots=_side(terms.barrier, contract))


def touch_value(contract: Contract, terms: TouchTerms) -> Value:
    """Value of a touch that lives as long as `contract`."""
    watched = terms.barrier
    market = FlatMarket()
    payoff = binary_payoff(-1 if watched.is_down else 1, watched.level, terms.cash, pays_asset=terms.pays_asset)
    engine = ql.AnalyticDigitalAmericanEngine if watched.is_in else ql.AnalyticDigitalAmericanKOEngine
    option = with_engine(
        ql.VanillaOption(payoff, ANY_TIME if terms.at_hit else ANY_TIME_PAID_LATE), engine(market.process)
    )

    def once_hit(point: Point) -> float:
        if not watched.is_in:
            return 0.0
        if terms.at_hit:
            return point.spot if terms.pays_asset else terms.cash
        years = contract.years - point.passed
        if terms.pays_asset:
            return point.spot * math.exp((point.carry - point.rate) * years)
        return terms.cash * math.exp(-point.rate * years)

    return _until_hit(watched, _moving(contract, market, option), once_hit)


def vanilla_value(contract: Contract, point: Point) -> float:
    """The plain European option of the contract's strike and right."""
    years = contract.years - point.passed
    forward = point.spot * math.exp(point.carry * years)
    width = point.vol * math.sqrt(years)
    return black_value(contract.sign, contract.strike, forward, width, math.exp(-point.rate * years))


def cash_digital_on_smile(
    sign: int, strike: float, forward: float, vol: float, vol_slope: float, years: float, discount: float
) -> float:
    """A digital paying 1 where vol varies with strike: the limit of a call (or put) spread on the smile.

    Units       `vol_slope` is d vol / d strike at `strike`, in vol per unit of quote currency
    Source      -d call / d strike = D (N(d2) - F n(d1) sqrt(years) d vol / d strike)
    """
    width = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / width + 0.5 * width
    vega = forward * math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi) * math.sqrt(years)
    return discount * (float(ndtr(sign * (d1 - width))) - sign * vega * vol_slope)


def _or_by_parity(contract: Contract, knock_out: Value, knock_in: Value) -> Value:
    """A knock-out; at negative rates, where the engine's rebate term may have no value though the rebate is nil, the
    plain option less the knock-in."""

    def at(point: Point) -> float:
        if point.rate >= 0.0:
            return knock_out(point)
        return vanilla_value(contract, point) - knock_in(point)

    return at


def _moving(contract: Contract, market: FlatMarket, instrument: Any) -> Value:
    def at(point: Point) -> float:
        market.move(point.spot, point.vol, contract.years - point.passed, point.rate, point.carry)
        return npv(instrument)

    return at


def _until_hit(watched: Barrier, before: Value, once_hit: Value) -> Value:
    def at(point: Point) -> float:
        return once_hit(point) if watched.touched(point.spot) else before(point)

    return at


def _side(watched: Barrier, contract: Contract) -> Interval:
    return ANYWHERE if watched.touched(contract.asset.spot) else watched.live_spots
