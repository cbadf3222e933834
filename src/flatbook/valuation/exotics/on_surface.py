"""Contracts over the counter on a market's forwards and smiles: which vol each style is valued at, and how it moves.

| style | vol |
| --- | --- |
| american | its strike's at its expiry, flat |
| digital | its strike's and the smile's slope there: the limit of a call spread |
| barrier, touch, digital with a barrier | all of the smile: its cost by vanna-volga, weighted by survival |
| asian | its strike's at each fixing's time: the term structure of variance |
| lookback, exchange, spread, basket | at the money, flat |
| min_max | each asset's at the strike |
| two_asset_barrier | the first asset's at the strike, the second's at the barrier |
| two_asset_correlation | each asset's at its own strike |

A contract that settles in the coin is discounted by the carry, so that a coin is worth a coin at any time, as a listed
inverse option is over its forward; one that settles in dollars is not discounted at all, as the venue's linear options
are not. The carry is the forward's to expiry. While time passes spot, the log of forward over spot and vols stand
still, and when spot moves strikes keep their vols: the conventions of the chain. A style valued at the money keeps its
vol in its Greeks; that the money then meets another vol is a move of vol.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError, UnpricedError
from flatbook.market.snapshot import MarketSnapshot
from flatbook.valuation.contracts import (
    AsianTerms,
    Barrier,
    Contract,
    DigitalTerms,
    MinMaxTerms,
    Style,
    TouchTerms,
    TwoAssetBarrierTerms,
    TwoAssetCorrelationTerms,
)
from flatbook.valuation.exotics.asian import asian
from flatbook.valuation.exotics.pricing import in_range, repricer
from flatbook.valuation.exotics.quantlib import EngineError
from flatbook.valuation.exotics.reprice import Repricer
from flatbook.valuation.exotics.watched import Smile, digital_on_smile, watched_on_smile
from flatbook.valuation.otc import OtcTerms, PathState
from flatbook.valuation.point import Point, pair_of, point_of

Floats = NDArray[np.float64]

_BASIS_STEP: Final = 1e-5
_SOONEST_YEARS: Final = 1e-9

_AT_THE_MONEY: Final = frozenset({Style.LOOKBACK, Style.EXCHANGE, Style.SPREAD, Style.BASKET})
_WHICH_VOL: Final = {
    Style.AMERICAN: "vol of the strike",
    Style.ASIAN: "vols of the strike by time",
    Style.LOOKBACK: "vol at the money",
    **dict.fromkeys((Style.EXCHANGE, Style.SPREAD, Style.BASKET), "vols at the money"),
    Style.MIN_MAX: "vols of the strike",
    Style.TWO_ASSET_BARRIER: "vols of strike and barrier",
    Style.TWO_ASSET_CORRELATION: "vols of the strikes",
}
"""Added to the method's name; a method of the smile says it itself."""


class Underlyings(NamedTuple):
    """The markets of a contract's underlyings, prices in its quote currency, and the correlation of the two."""

    first: MarketSnapshot
    second: MarketSnapshot | None = None
    correlation: float = math.nan


class OnSurface(NamedTuple):
    """A contract in the flat market of its reference vols, and its value near there on the smile."""

    contract: Contract
    repricer: Repricer


def on_surface(terms: OtcTerms, path: PathState, markets: Underlyings) -> OnSurface:
    """The contract as of the first market's time.

    Domain      expiry after that time
    Errors      BadInputError where the market has no smile, or the path lacks what the contract needs
    """
    market, on_two = markets.first, pair_of(terms.template) is not None
    years = market.years_to(terms.expiry_ns)
    carry = float(market.log_basis(years)) / years
    rate = carry if terms.pays_coin else 0.0
    point = Point(market.index_usd, _known_vol(market, reference_strike(terms, market, years), years), carry, rate)
    if on_two:
        point = _with_second(point, terms, markets.second, years)
    correlation = _known_correlation(terms, markets) if on_two else math.nan
    contract = terms.in_market(market.ts_ns, point, path, correlation)
    smile = Smile(lambda strikes: market.vol(strikes, years), point.vol)
    return OnSurface(contract, _holding_basis(_on_smile(contract, smile, market), years))


def basis_slope(valued: OnSurface, *, pays_coin: bool) -> float:
    """d value / d ln(forward / spot) at a held spot, of both underlyings alike; NaN where the engine has none."""
    contract, at = valued.contract, valued.repricer.coarse or valued.repricer.at
    base = point_of(contract)

    def moved(step: float) -> float:
        change = step / contract.years
        rate = base.rate + (change if pays_coin else 0.0)
        return at(base._replace(carry=base.carry + change, carry2=base.carry2 + change, rate=rate))

    for low, high in ((-_BASIS_STEP, _BASIS_STEP), (0.0, _BASIS_STEP), (-_BASIS_STEP, 0.0)):
        try:
            with in_range():
                return (moved(high) - moved(low)) / (high - low)
        except EngineError:  # a formula may end at a rate of nil
            continue
    return math.nan


def reference_strike(terms: OtcTerms, market: MarketSnapshot, years: float) -> float:
    """The strike, or the forward, whose vol is the contract's."""
    if terms.style in _AT_THE_MONEY:
        return float(market.forward_at(years))
    if terms.style is Style.TOUCH and terms.barrier is not None:
        return terms.barrier.level
    return terms.template.strike


def _on_smile(contract: Contract, smile: Smile, market: MarketSnapshot) -> Repricer:
    match contract.terms:
        case DigitalTerms(barrier=None):
            return digital_on_smile(contract, smile)
        case DigitalTerms() | Barrier() | TouchTerms():
            return watched_on_smile(contract, smile)
        case AsianTerms():
            found = asian(contract, lambda times: _vol_to(market, contract.strike, times))
        case _:
            found = repricer(contract)
    return replace(found, method=f"{found.method}, {_WHICH_VOL[contract.style]}")


def _vol_to(market: MarketSnapshot, strike: float, times: Floats) -> Floats:
    """The strike's vol at each time; nothing has variance to now, whatever its vol."""
    ahead = np.maximum(times, _SOONEST_YEARS)
    return market.vol(strike, ahead)


def _holding_basis(inner: Repricer, years: float) -> Repricer:
    """The repricer whose forwards stay where they are, by expiry, while time passes."""

    def held(at: Callable[[Point], float]) -> Callable[[Point], float]:
        def value(point: Point) -> float:
            faster = years / (years - point.passed)
            scaled = point._replace(carry=point.carry * faster, carry2=point.carry2 * faster, rate=point.rate * faster)
            return at(scaled)

        return value

    return replace(inner, at=held(inner.at), coarse=held(inner.coarse) if inner.coarse else None)


def _with_second(point: Point, terms: OtcTerms, market: MarketSnapshot | None, years: float) -> Point:
    if market is None:
        raise BadInputError(f"{terms.instrument.name}: no market for {terms.underlying2}; give one that has it")
    match terms.template.terms:
        case TwoAssetBarrierTerms(barrier=barrier):
            strike = barrier.level
        case TwoAssetCorrelationTerms(strike2=strike2):
            strike = strike2
        case MinMaxTerms():
            strike = terms.template.strike
        case _:
            strike = float(market.forward_at(years))
    carry = float(market.log_basis(years)) / years
    return point._replace(spot2=market.index_usd, vol2=_known_vol(market, strike, years), carry2=carry)


def _known_vol(market: MarketSnapshot, strike: float, years: float) -> float:
    vol = float(market.vol(strike, years))
    if not 0.0 < vol < math.inf:
        raise UnpricedError(
            f"{market.underlying}: no vol at a strike of {strike:g} in {years:.4g} years; no smile there"
        )
    return vol


def _known_correlation(terms: OtcTerms, markets: Underlyings) -> float:
    agreed = terms.correlation if not math.isnan(terms.correlation) else markets.correlation
    if math.isnan(agreed):
        pair = f"{terms.underlying} and {terms.underlying2}"
        raise BadInputError(f"correlation: missing, and the market knows none of {pair}; give it")
    return agreed
