"""The stress loss as a live number: taken anew with whatever moves it.

A stress of some hundreds of options under the grid takes half as long as the rest of an engine's step, so it is taken
when something was booked, or the market has moved by a cutoff since, and at the latest after a minute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.policy import RiskPricePolicy
from flatbook.valuation.risk_price import RiskPrice
from flatbook.valuation.scenarios import (
    ShockGrid,
    chain_gains_usd,
    factor_moves,
    scenario_pnl_usd,
    worst_loss_usd,
)
from flatbook.valuation.stress_price import StressPrice

if TYPE_CHECKING:
    from flatbook.engine.state import State

Floats = NDArray[np.float64]

GRID = ShockGrid()

INDEX_MOVE, LEVEL_MOVE = 10e-4, 0.01
"""Relative moves of the index, and of an expiry's vol at the forward, up to which the last stress stands."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveStress:
    """The worst loss over the grid, when it was taken, and the market that it was taken in.

    Shapes      level (slots,) vols at the forward; pnl_usd (scenarios,) of the book; charges_usd (2, rows) what buying
                and selling a contract adds to R's term for tails, None where the policy has none
    """

    loss_usd: float
    ts_ns: int
    index_usd: float
    level: Floats
    pnl_usd: Floats
    charges_usd: Floats | None = None


NO_STRESS = LiveStress(0.0, 0, math.nan, np.zeros(0), np.zeros(0))
"""None taken yet, or none of the book as it is: to be taken at the next valuation."""


def refresh(state: State) -> None:
    """Takes the stress anew where the book, the market or the time since then ask for it."""
    if not is_due(state):
        return
    pnl = scenario_pnl_usd(GRID, state.market.universe, state.values, state.inventory)
    if state.otc is not None:
        pnl += state.otc.scenario_pnl_usd(GRID)
    charges_usd = _charges(state, pnl)
    values = state.values
    state.stress = LiveStress(
        worst_loss_usd(pnl), state.now_ns, values.index_usd, values.level.copy(), pnl.ravel(), charges_usd
    )
    reservation = state.gate.reservation
    if reservation.is_old(state.now_ns - state.setup.stress_every_ns, state.values.index_usd):
        gains = chain_gains_usd(GRID, state.market.universe, state.values)
        reservation.take_scenarios(gains.T, GRID, state.values)


def price_of(policy: RiskPricePolicy) -> StressPrice | None:
    """R's term for tails as the policy asks for it; None where it has none."""
    return StressPrice(policy.stress_weight, policy.stress_temper_usd) if policy.stress_weight else None


def with_tails(state: State, core: RiskPrice) -> RiskPrice:
    """R for trades known by their exposures: with the parabola of its term for tails, where it has one."""
    price, stress = price_of(state.setup.policy.risk_price), state.stress
    if price is None or not len(stress.pnl_usd) or not np.isfinite(stress.pnl_usd).all():
        return core
    level, _ = tenor_levels(state)
    if not np.isfinite(level).all():
        return core
    return price.in_factors(core, stress.pnl_usd, factor_moves(GRID, level), state.book.exposure)


def tenor_levels(state: State) -> tuple[Floats, Floats]:
    """Vols at the forward at the covariance's tenors as of the last stress, NaN where unknown; their years."""
    stress, values = state.stress, state.values
    tenors = np.array(state.market.model.covariance.tenor_days) / 365
    known = np.flatnonzero((stress.level > 0.0) & (values.slots[1, : len(stress.level)] > 0.0))
    if not known.size:
        return np.full(len(tenors), np.nan), tenors
    years = values.slots[1, known]
    order = np.argsort(years)
    return np.interp(tenors, years[order], stress.level[known][order]), tenors


def _charges(state: State, pnl: Floats) -> Floats | None:
    policy = state.setup.policy
    price = price_of(policy.risk_price)
    if price is None or policy.quoting.skew != "price_of_risk" or not np.isfinite(pnl).all():
        return None
    gains = chain_gains_usd(GRID, state.market.universe, state.values)
    return price.charges_usd(pnl.ravel(), gains, policy.quoting.size_coin)


def is_due(state: State) -> bool:
    """Whether the book, the market or the time since the last stress ask for another."""
    last = state.stress
    if state.now_ns - last.ts_ns >= state.setup.stress_every_ns:
        return True
    if not abs(state.values.index_usd / last.index_usd - 1.0) <= INDEX_MOVE:
        return True
    if last.charges_usd is not None and last.charges_usd.shape[1] != state.values.rows:
        return True
    return _have_levels_moved(last.level, state.values.level)


def _have_levels_moved(last: Floats, now: Floats) -> bool:
    """Whether a level is farther from what it was than LEVEL_MOVE, or there are others; unknown ones have not moved."""
    if len(last) != len(now):
        return True
    return bool((np.abs(now - last) > LEVEL_MOVE * last).any())
