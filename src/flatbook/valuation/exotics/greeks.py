"""Price and Greeks of one contract by finite differences of its own price.

The spot has seven nodes, vol and time five each; vanna, zomma, charm and color come from the grids they span. Steps are
a few hundredths of the distribution's width, or of the vol or time itself: differences are of fourth order or better,
and rounding stays small against a Greek's natural size. Near a barrier, a fixing or an exercise boundary the nodes keep
to the contract's side of it.

An asset quoted by its forward is moved by its forward, and its forward is what stays put while time passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from flatbook.valuation.contracts import Asset, Contract
from flatbook.valuation.exotics.quantlib import EngineError
from flatbook.valuation.exotics.reprice import ANYWHERE, Repricer
from flatbook.valuation.exotics.stencil import SPOT_REACH, Floats, Nodes, nodes_around, spot_step
from flatbook.valuation.measures import Measures, SecondAsset
from flatbook.valuation.point import Point, pair_of, point_of

_VOL_STEP = 0.02
_TIME_STEP = 0.01
_RATE_STEP = 0.005
_REACH = 2


class _Surface(NamedTuple):
    """Value, and its first and second derivative to vol or time, at each spot node."""

    level: Floats
    slope: Floats
    bend: Floats


def measure(contract: Contract, repricer: Repricer) -> Measures:
    """Price and Greeks in the units of `Measures`; rho is NaN where the engine has no value at a rate beside.

    Errors      EngineError where the engine gives no number
    """
    base = point_of(contract)
    at = repricer.coarse or repricer.at
    spots = nodes_around(base.spot, spot_step(contract, base), SPOT_REACH, repricer.spots)
    vol, time = _over_vol(base, at, spots), _over_time(contract, repricer, at, spots)
    per_quote = _spot_per_quote(contract.asset, contract)

    def by_asset(values: Floats, order: int) -> float:
        return float(spots.derivative(values, order)) * per_quote**order

    return Measures(
        price=repricer.at(base),
        delta=by_asset(vol.level, 1),
        gamma=by_asset(vol.level, 2),
        vega=float(vol.slope[spots.here]),
        theta=float(time.slope[spots.here]),
        rho=_rho(contract, repricer, at),
        vanna=by_asset(vol.slope, 1),
        volga=float(vol.bend[spots.here]),
        charm=by_asset(time.slope, 1),
        speed=by_asset(vol.level, 3),
        zomma=by_asset(vol.slope, 2),
        color=by_asset(time.slope, 2),
    )


def measure_second(contract: Contract, repricer: Repricer) -> SecondAsset | None:
    """Greeks to the second asset, None where there is none."""
    pair = pair_of(contract)
    if pair is None:
        return None
    base = point_of(contract)
    at = repricer.coarse or repricer.at
    step = spot_step(contract, base._replace(spot=base.spot2, vol=base.vol2))
    spots = nodes_around(base.spot2, step, SPOT_REACH, repricer.spots2)
    level = np.array([at(base._replace(spot2=spot)) for spot in spots.values])
    vols = nodes_around(base.vol2, _VOL_STEP * base.vol2, _REACH, ANYWHERE)
    by_vol = np.array([at(base._replace(vol2=vol)) for vol in vols.values])
    per_quote = _spot_per_quote(pair.second, contract)
    return SecondAsset(
        float(spots.derivative(level, 1)) * per_quote,
        float(spots.derivative(level, 2)) * per_quote**2,
        float(vols.derivative(by_vol, 1)),
    )


def _over_vol(base: Point, at: Callable[[Point], float], spots: Nodes) -> _Surface:
    if base.vol == 0.0:  # a contract without optionality
        level = np.array([at(base._replace(spot=spot)) for spot in spots.values])
        return _Surface(level, np.zeros_like(level), np.zeros_like(level))
    vols = nodes_around(base.vol, _VOL_STEP * base.vol, _REACH, ANYWHERE)
    values = np.array([[at(base._replace(spot=spot, vol=vol)) for vol in vols.values] for spot in spots.values])
    return _Surface(values[:, vols.here], vols.derivative(values, 1), vols.derivative(values, 2))


def _over_time(contract: Contract, repricer: Repricer, at: Callable[[Point], float], spots: Nodes) -> _Surface:
    base, pair = point_of(contract), pair_of(contract)
    scale = next((span for span in (contract.years, repricer.passed[1]) if math.isfinite(span)), 1.0)
    times = nodes_around(0.0, _TIME_STEP * scale, _REACH, repricer.passed)

    def later(spot: float, passed: float) -> Point:
        point = base._replace(spot=spot * _drift(contract.asset, passed), passed=passed)
        return point if pair is None else point._replace(spot2=base.spot2 * _drift(pair.second, passed))

    values = np.array([[at(later(spot, passed)) for passed in times.values] for spot in spots.values])
    return _Surface(values[:, times.here], times.derivative(values, 1), times.derivative(values, 2))


def _rho(contract: Contract, repricer: Repricer, at: Callable[[Point], float]) -> float:
    base, pair = point_of(contract), pair_of(contract)
    scale = repricer.rate_scale
    if math.isfinite(contract.years):
        scale = min(scale, 1.0, 1.0 / contract.years, base.vol / math.sqrt(contract.years))
    rates = nodes_around(0.0, _RATE_STEP * scale, _REACH, repricer.rates)
    carries = 0.0 if contract.asset.is_forward else 1.0
    carries2 = 0.0 if pair is None or pair.second.is_forward else 1.0

    def at_rate(change: float) -> float:
        carry, carry2 = base.carry + carries * change, base.carry2 + carries2 * change
        return at(base._replace(rate=base.rate + change, carry=carry, carry2=carry2))

    try:
        return float(rates.derivative(np.array([at_rate(change) for change in rates.values]), 1))
    except EngineError:  # a formula may end at a rate of nil, where all other Greeks are well
        return math.nan


def _drift(asset: Asset, passed: float) -> float:
    """How a spot must grow while time passes for what was quoted to stay put."""
    return math.exp(asset.carry * passed) if asset.is_forward else 1.0


def _spot_per_quote(asset: Asset, contract: Contract) -> float:
    """How far the spot moves with what was quoted."""
    return math.exp(-asset.carry * contract.years) if asset.is_forward else 1.0
