"""Contracts on two assets with a constant correlation.

Sources, through QuantLib's engines: Margrabe (1978) for the exchange, Kirk (1995) for the spread, Stulz (1982) for the
dearer or cheaper of two, Heynen and Kat (1994) for the barrier on the second asset, Zhang (1995) for the correlation
option; the exact spread and the basket are `linear_pair`'s.
"""

from __future__ import annotations

import math
from typing import Any

from flatbook.valuation.contracts import (
    Barrier,
    Contract,
    MinMaxTerms,
    Pair,
    QuantityTerms,
    SpreadTerms,
    TouchTerms,
    TwoAssetBarrierTerms,
    TwoAssetCorrelationTerms,
)
from flatbook.valuation.exotics.barriers import Value, touch_value, vanilla_value
from flatbook.valuation.exotics.linear_pair import TwoLognormals, expected_payoff
from flatbook.valuation.exotics.quantlib import (
    AT_EXPIRY,
    EngineError,
    FlatMarket,
    barrier_type,
    npv,
    option_type,
    plain_payoff,
    ql,
    with_engine,
)
from flatbook.valuation.exotics.reprice import ANYWHERE, Repricer
from flatbook.valuation.point import Point


class _TwoMarkets:
    """Both assets' markets on one clock."""

    def __init__(self, contract: Contract) -> None:
        self._years = contract.years
        self.first, self.second = FlatMarket(), FlatMarket()

    def valuing(self, instrument: Any, scale1: float = 1.0, scale2: float = 1.0) -> Value:
        """The value of `instrument` with the assets scaled by their quantities."""

        def at(point: Point) -> float:
            years = self._years - point.passed
            self.first.move(scale1 * point.spot, point.vol, years, point.rate, point.carry)
            self.second.move(scale2 * point.spot2, point.vol2, years, point.rate, point.carry2)
            return npv(instrument)

        return at


def exchange(contract: Contract) -> Repricer:
    """A call receives quantity1 of the first asset for quantity2 of the second; a put is the other way round."""
    terms = contract.terms
    assert isinstance(terms, QuantityTerms)
    markets = _TwoMarkets(contract)
    processes = [markets.first.process, markets.second.process]
    if contract.sign < 0:
        processes.reverse()
    engine = ql.AnalyticEuropeanMargrabeEngine(*processes, terms.pair.correlation)
    option = with_engine(ql.MargrabeOption(1, 1, AT_EXPIRY), engine)
    return Repricer(markets.valuing(option, terms.quantity1, terms.quantity2), "margrabe")


def spread(contract: Contract) -> Repricer:
    """max(sign (S1 - S2 - K), 0) by Kirk's approximation, or exactly by `quadrature`.

    Kirk's error grows with vol, correlation and |K|: a ten-thousandth of the price at vols of 20 %, a twentieth where
    one vol is 100 % over two years; `quadrature` is the choice there. A negative strike is the spread of the second
    asset over the first with the right turned round.
    """
    terms = contract.terms
    assert isinstance(terms, SpreadTerms)
    if contract.method == "quadrature":
        return Repricer(_linear(contract, terms.pair, 1.0, -1.0), "quadrature")
    markets = _TwoMarkets(contract)
    legs, sign, strike = [markets.first.process, markets.second.process], contract.sign, contract.strike
    if strike < 0.0:
        legs, sign, strike = legs[::-1], -sign, -strike
    payoff = ql.SpreadBasketPayoff(plain_payoff(sign, strike))
    engine = ql.KirkEngine(*legs, terms.pair.correlation)
    return Repricer(markets.valuing(with_engine(ql.BasketOption(payoff, AT_EXPIRY), engine)), "kirk")


def basket(contract: Contract) -> Repricer:
    """max(sign (quantity1 S1 + quantity2 S2 - K), 0)."""
    terms = contract.terms
    assert isinstance(terms, QuantityTerms)
    return Repricer(_linear(contract, terms.pair, terms.quantity1, terms.quantity2), "quadrature")


def min_max(contract: Contract) -> Repricer:
    """A call or put on the dearer or the cheaper of two assets."""
    terms = contract.terms
    assert isinstance(terms, MinMaxTerms)
    _refuse_perfect(terms.pair)
    markets = _TwoMarkets(contract)
    payoff = plain_payoff(contract.sign, contract.strike)
    chosen = ql.MaxBasketPayoff(payoff) if terms.is_max else ql.MinBasketPayoff(payoff)
    engine = ql.StulzEngine(markets.first.process, markets.second.process, terms.pair.correlation)
    return Repricer(markets.valuing(with_engine(ql.BasketOption(chosen, AT_EXPIRY), engine)), "stulz")


def two_asset_barrier(contract: Contract) -> Repricer:
    """An option on the first asset that the second knocks in or out; the rebate is a touch on the second.

    A knock-in is the plain option less the knock-out: the engine's own knock-in forgets the carry of the first asset.
    """
    terms = contract.terms
    assert isinstance(terms, TwoAssetBarrierTerms)
    _refuse_perfect(terms.pair)
    watched = terms.barrier
    markets = _TwoMarkets(contract)
    correlation = ql.QuoteHandle(ql.SimpleQuote(terms.pair.correlation))
    engine = ql.AnalyticTwoAssetBarrierEngine(markets.first.process, markets.second.process, correlation)
    kind = barrier_type(is_down=watched.is_down, is_in=False)
    payoff = plain_payoff(contract.sign, contract.strike)
    option = with_engine(ql.TwoAssetBarrierOption(kind, watched.level, payoff, AT_EXPIRY), engine)
    knock_out, rebate = markets.valuing(option), _rebate(contract, watched)

    def at(point: Point) -> float:
        plain = vanilla_value(contract, point) if watched.is_in else 0.0
        if watched.touched(point.spot2):
            return plain if watched.is_in else watched.rebate
        return (plain - knock_out(point) if watched.is_in else knock_out(point)) + rebate(point)

    spots2 = ANYWHERE if watched.touched(terms.pair.second.spot) else watched.live_spots
    return Repricer(at, "heynen-kat", spots2=spots2)


def two_asset_correlation(contract: Contract) -> Repricer:
    """A call pays max(S2 - strike2, 0) if S1 ends above the strike, a put max(strike2 - S2, 0) if below."""
    terms = contract.terms
    assert isinstance(terms, TwoAssetCorrelationTerms)
    _refuse_perfect(terms.pair)
    markets = _TwoMarkets(contract)
    correlation = ql.QuoteHandle(ql.SimpleQuote(terms.pair.correlation))
    engine = ql.AnalyticTwoAssetCorrelationEngine(markets.first.process, markets.second.process, correlation)
    option = ql.TwoAssetCorrelationOption(option_type(contract.sign), contract.strike, terms.strike2, AT_EXPIRY)
    return Repricer(markets.valuing(with_engine(option, engine)), "zhang")


def _rebate(contract: Contract, watched: Barrier) -> Value:
    """What the rebate is worth: a knock-out's at the hit of the second asset, a knock-in's at expiry if never hit."""
    if watched.rebate == 0.0:
        return lambda _: 0.0
    paid_if_hit = Barrier(watched.level, watched.is_down, is_in=not watched.is_in, rebate=0.0)
    value = touch_value(contract, TouchTerms(False, watched.rebate, paid_if_hit, at_hit=not watched.is_in))
    return lambda point: value(point._replace(spot=point.spot2, vol=point.vol2, carry=point.carry2))


def _linear(contract: Contract, pair: Pair, quantity1: float, quantity2: float) -> Value:
    def at(point: Point) -> float:
        years = contract.years - point.passed
        assets = TwoLognormals(
            quantity1 * point.spot * math.exp(point.carry * years),
            point.spot2 * math.exp(point.carry2 * years),
            point.vol * math.sqrt(years),
            point.vol2 * math.sqrt(years),
            pair.correlation,
        )
        expected = expected_payoff(contract.sign, quantity2, contract.strike, assets)
        return math.exp(-point.rate * years) * expected

    return at


def _refuse_perfect(pair: Pair) -> None:
    if abs(pair.correlation) == 1.0:
        raise EngineError("correlation: 1 in size has no density here; give a correlation inside (-1, 1)")
