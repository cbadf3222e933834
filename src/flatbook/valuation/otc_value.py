"""A contract over the counter as an entry of `Marks`: valued on its markets' surfaces, or paid where it has ended."""

from __future__ import annotations

import math
from typing import NamedTuple

from flatbook.market.snapshot import Markets
from flatbook.valuation.exotics.on_surface import OnSurface, Underlyings, basis_slope, on_surface
from flatbook.valuation.exotics.pricing import in_range, measured
from flatbook.valuation.marks import Marks
from flatbook.valuation.measures import Measures, SecondAsset
from flatbook.valuation.otc import OtcTerms, PathState
from flatbook.valuation.payoffs import payoff
from flatbook.valuation.point import point_of


class OtcSurroundings(NamedTuple):
    """A contract's markets in its quote currency, and what that is worth in dollars."""

    underlyings: Underlyings
    usd: float


def surroundings(terms: OtcTerms, markets: Markets) -> OtcSurroundings:
    """What of `markets` the contract looks at."""
    usd = 1.0 if terms.pays_coin else markets.usd_per(terms.instrument.contract.settle)
    first = markets.of(terms.underlying).in_units_of(usd)
    if terms.underlying2 is None:
        return OtcSurroundings(Underlyings(first), usd)
    second = markets.of(terms.underlying2).in_units_of(usd)
    correlation = markets.correlation(terms.underlying, terms.underlying2)
    return OtcSurroundings(Underlyings(first, second, math.nan if correlation is None else correlation), usd)


def otc_worth_usd(terms: OtcTerms, path: PathState, markets: Markets) -> float:
    """Value in USD of one contract; its payoff at the spots of the moment once it has expired."""
    (underlyings, usd) = surroundings(terms, markets)
    if underlyings.first.years_to(terms.expiry_ns) <= 0.0:
        return usd * _paid(terms, path, underlyings)
    valued = on_surface(terms, path, underlyings)
    with in_range():
        return usd * valued.repricer.at(point_of(valued.contract))


def mark_otc(marks: Marks, at: int, terms: OtcTerms, path: PathState, size: float, markets: Markets) -> None:
    """Fills entry `at` of `marks` with a position of `size` contracts."""
    underlyings, usd = surroundings(terms, markets)
    spot = underlyings.first.index_usd
    marks.index_usd[at] = spot
    if underlyings.first.years_to(terms.expiry_ns) <= 0.0:
        _put_value(marks, at, terms, size, _paid(terms, path, underlyings), usd, spot)
        marks.years[at], marks.method[at] = 0.0, "payoff"
        return
    valued = on_surface(terms, path, underlyings)
    found = measured(valued.contract, valued.repricer)
    _put_value(marks, at, terms, size, found.measures.price, usd, spot)
    _put_greeks(marks, at, found.measures, size * usd, spot)
    marks.delta_coin[at] = size * found.measures.delta
    marks.net_delta_coin[at] = marks.delta_coin[at] - (marks.value[at] if terms.pays_coin else 0.0)
    marks.basis_usd[at] = size * usd * basis_slope(valued, pays_coin=terms.pays_coin)
    marks.years[at], marks.vol[at] = valued.contract.years, valued.contract.asset.vol
    marks.log_basis[at] = valued.contract.asset.carry * valued.contract.years
    marks.method[at] = found.method
    if found.second is not None:
        _put_second(marks, at, found.second, size, usd, valued)


def _paid(terms: OtcTerms, path: PathState, underlyings: Underlyings) -> float:
    spot2 = underlyings.second.index_usd if underlyings.second is not None else math.nan
    return payoff(terms, path, underlyings.first.index_usd, spot2)


def _put_value(marks: Marks, at: int, terms: OtcTerms, size: float, price: float, usd: float, spot: float) -> None:
    marks.price[at] = price / spot if terms.pays_coin else price
    marks.value[at] = size * marks.price[at]
    marks.value_usd[at] = size * (usd * price)


def _put_greeks(marks: Marks, at: int, found: Measures, size_usd: float, spot: float) -> None:
    marks.delta_usd[at] = size_usd * found.delta * spot
    marks.gamma_1pct_usd[at] = size_usd * found.gamma * spot * spot / 100
    marks.vega_usd[at] = size_usd * found.vega / 100
    marks.theta_usd[at] = size_usd * found.theta / 365
    marks.vanna_usd[at] = size_usd * found.vanna * spot / 100
    marks.volga_usd[at] = size_usd * found.volga / 10_000


def _put_second(marks: Marks, at: int, found: SecondAsset, size: float, usd: float, valued: OnSurface) -> None:
    point = point_of(valued.contract)
    marks.index2_usd[at], marks.vol2[at] = point.spot2, point.vol2
    marks.delta2_coin[at] = size * found.delta2
    marks.delta2_usd[at] = size * usd * found.delta2 * point.spot2
    marks.gamma2_1pct_usd[at] = size * usd * found.gamma2 * point.spot2**2 / 100
    marks.vega2_usd[at] = size * usd * found.vega2 / 100
