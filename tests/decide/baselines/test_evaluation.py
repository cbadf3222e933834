import math

import numpy as np
import pytest
from bench.utility import simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.decide.baselines import gueant
from flatbook.decide.baselines.evaluation import certainty_equivalent
from flatbook.decide.baselines.gueant import Assets
from flatbook.decide.baselines.intensity import Distances, ExponentialIntensity
from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]

UTILITIES = pytest.mark.parametrize("is_cara", [True, False])


def single(*, is_cara: bool, vol: float = 0.5) -> Assets:
    fills = ExponentialIntensity(np.array([1.2]), np.array([1.5]))
    return Assets(np.array([[vol**2]]), fills, np.ones(1), 0.2, is_cara)


def constant_quotes(assets: Assets, bound: int, distance: float) -> Distances:
    held = gueant.inventories(assets, bound)
    everywhere = np.full(held.shape, distance)
    return gueant.within(Distances(everywhere, everywhere), held, assets.size, bound)


@UTILITIES
def test_an_inventory_that_cannot_be_traded_costs_its_variance(is_cara: bool) -> None:
    assets = single(is_cara=is_cara)
    never = constant_quotes(assets, 2, np.inf)
    held = np.arange(-2.0, 3.0)
    np.testing.assert_allclose(
        certainty_equivalent(assets, 2, never, 3.0), -0.5 * 0.2 * 0.25 * held**2 * 3.0, atol=1e-12
    )


def test_quotes_far_from_any_bound_earn_their_fills_and_pay_for_their_variance() -> None:
    """Alike at every inventory: Poisson fills, E q² = 2 Λ t, so the cost is γ/2 σ² Λ T²."""
    assets = single(is_cara=False)
    rate = 1.2 * math.exp(-1.5 * 0.8)
    level = certainty_equivalent(assets, 25, constant_quotes(assets, 25, 0.8), 2.0)[25]
    assert level == pytest.approx(2 * rate * 0.8 * 2.0 - 0.5 * 0.2 * 0.25 * rate * 4.0, rel=1e-9)


def test_utility_of_riskless_fills_is_that_of_compound_poisson_gains() -> None:
    assets = single(is_cara=True, vol=1e-6)
    rate = 1.2 * math.exp(-1.5 * 0.8)
    level = certainty_equivalent(assets, 25, constant_quotes(assets, 25, 0.8), 2.0)[25]
    assert level == pytest.approx(2 * rate * 2.0 * -math.expm1(-0.2 * 0.8) / 0.2, rel=1e-9)


@UTILITIES
def test_the_optimum_of_ever_is_worth_its_own_equation(is_cara: bool) -> None:
    """Far from the horizon the optimal quotes stand still, and so what they are worth grows as the optimum does."""
    assets = single(is_cara=is_cara)
    early, late = gueant.solve(assets, 6, 60.0), gueant.solve(assets, 6, 70.0)
    quotes = gueant.optimal_distances(assets, late)
    grown = certainty_equivalent(assets, 6, quotes, 70.0) - certainty_equivalent(assets, 6, quotes, 60.0)
    np.testing.assert_allclose(grown, late - early, rtol=1e-6)


@UTILITIES
@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_no_quotes_beat_the_optimum(is_cara: bool, seed: int, noise: float) -> None:
    assets, bound, left = single(is_cara=is_cara), 4, 8.0
    best = gueant.solve(assets, bound, left)
    optimal = gueant.optimal_distances(assets, best)
    rng = np.random.default_rng(seed)
    tried = Distances(*(side + noise * rng.normal(size=side.shape) for side in optimal))
    assert (certainty_equivalent(assets, bound, tried, left) <= best + 1e-7).all()


@UTILITIES
def test_drawn_paths_agree(is_cara: bool) -> None:
    vol = np.array([1.0, 0.6])
    covariance = np.outer(vol, vol) * np.array([[1.0, 0.7], [0.7, 1.0]])
    fills = ExponentialIntensity(np.array([1.2, 0.8]), np.array([1.5, 2.0]))
    assets, bound, time = Assets(covariance, fills, np.ones(2), 0.05, is_cara), 6, 5.0
    curvature = gueant.curvature(assets)

    def quoter(held: Floats, _: float) -> Distances:
        return gueant.within(gueant.closed_form_distances(assets, curvature, held), held, assets.size, bound)

    exact = certainty_equivalent(assets, bound, quoter(gueant.inventories(assets, bound), 0.0), time)[bound, bound]
    drawn = simulate(assets, quoter, time, 1_000, 8_000, seed=1)
    if is_cara:
        level, error = drawn.certainty_equivalent(0.05)
    else:
        level = float(drawn.pnl.mean()) - drawn.risk_cost
        error = float(drawn.pnl.std()) / math.sqrt(8_000)
    assert level == pytest.approx(float(exact), abs=3.5 * error)
    assert error < 0.01 * exact


def test_a_long_time_overflows_nowhere() -> None:
    assets = single(is_cara=True, vol=2.0)
    quotes = gueant.optimal_distances(assets, gueant.solve(assets, 6, 50.0))
    by_horizon = [certainty_equivalent(assets, 6, quotes, time)[6] for time in (5_000.0, 10_000.0)]
    rate = by_horizon[1] - by_horizon[0]
    assert rate / 5_000 == pytest.approx(by_horizon[1] / 10_000, rel=0.01)


def test_a_quote_that_would_leave_the_grid_is_refused() -> None:
    assets = single(is_cara=True)
    everywhere = np.full((1, 5), 0.5)
    with pytest.raises(BadInputError, match="asset 0 is quoted where a fill would lead beyond the grid"):
        certainty_equivalent(assets, 2, Distances(everywhere, everywhere), 1.0)
