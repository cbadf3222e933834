import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE
from flatbook.kernels.chain import FACTORS
from flatbook.market.covariance import CovarianceModel, FactorCovariance

Floats = NDArray[np.float64]

MODEL = CovarianceModel()
LEVELS = [2, 5, 8]
STEP_NS = 10 * NS_PER_MINUTE


def watched(moves: Floats, model: CovarianceModel = MODEL) -> FactorCovariance:
    sigma = FactorCovariance(model)
    for n, move in enumerate(moves):
        sigma.observe(move, STEP_NS, n * STEP_NS)
    return sigma


def test_the_prior_says_what_its_parameters_say() -> None:
    prior = MODEL.prior()
    deviation = np.sqrt(np.diag(prior))
    assert deviation[0] == pytest.approx(MODEL.spot_vol)
    month = [MODEL.level * MODEL.vol_of_vol * (30 / days) ** MODEL.tenor_power for days in MODEL.tenor_days]
    np.testing.assert_allclose(deviation[LEVELS], month)
    np.testing.assert_allclose(deviation[[3, 6, 9]], np.array(month) * MODEL.skew_share)
    np.testing.assert_allclose(deviation[[4, 7, 10]], np.array(month) * MODEL.convexity_share)
    correlation = prior / np.outer(deviation, deviation)
    assert correlation[2, 8] == pytest.approx(MODEL.tenor_correlation**2)
    assert correlation[0, 5] == MODEL.spot_level_correlation
    assert np.linalg.eigvalsh(correlation)[0] > 0


def test_the_prior_of_squared_returns_is_that_of_a_diffusion_with_jumps() -> None:
    # Var of sum of (r_i^2 - dt sigma^2) over a year of Gaussian steps is 2 sigma^4 dt; a jump J adds J^4.
    rng = np.random.default_rng(0)
    steps = round(8760 / MODEL.hedge_hours)
    returns = MODEL.spot_vol / math.sqrt(steps) * rng.normal(size=(400, steps))
    seen = float(np.var((returns**2).sum(axis=1)))
    assert MODEL.prior()[1, 1] - MODEL.jump_fourth_moment == pytest.approx(seen, rel=0.2)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 40), st.floats(1e-6, 1.0))
def test_sigma_is_symmetric_positive_definite_whatever_is_seen(seed: int, steps: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    moves = rng.normal(0.0, size, (steps, FACTORS)) * rng.choice([0.0, 1.0, 30.0], (steps, 1))
    moves[rng.random((steps, FACTORS)) < 0.3] = math.nan
    matrix = watched(moves).matrix()
    scale = np.sqrt(np.diag(MODEL.prior()))
    unitless = matrix / np.outer(scale, scale)
    np.testing.assert_allclose(unitless, unitless.T, rtol=0, atol=1e-12 * unitless.max())
    assert np.linalg.eigvalsh(unitless)[0] > 1e-3 - 1e-12 * unitless.max()


def test_before_anything_is_seen_sigma_is_the_prior() -> None:
    np.testing.assert_allclose(FactorCovariance(MODEL).matrix(), MODEL.prior(), rtol=1e-12, atol=1e-15)


def test_what_is_seen_long_enough_replaces_the_prior() -> None:
    truth = CovarianceModel(spot_vol=0.9, vol_of_vol=0.5, spot_level_correlation=0.6).prior()
    step_years = 10 / 60 / 8760
    moves = np.random.default_rng(1).multivariate_normal(np.zeros(FACTORS), truth * step_years, 20_000)
    slow = CovarianceModel(prior_hours=1.0, half_life_hours=1e6)
    sigma = watched(moves, slow)
    scale = np.sqrt(np.diag(truth))
    np.testing.assert_allclose(sigma.matrix() / np.outer(scale, scale), truth / np.outer(scale, scale), atol=0.05)


def test_prior_and_data_are_weighed_by_their_hours() -> None:
    model = CovarianceModel(prior_hours=2.0, half_life_hours=1e9)
    move = 0.01 * np.ones(FACTORS)
    sigma = watched(np.tile(move, (18, 1)), model)  # three hours
    assert sigma.seen_hours == pytest.approx(3.0)
    annual = np.outer(move, move) * 6 * 8760
    expected = (2 * model.prior() + 3 * annual) / 5
    np.testing.assert_allclose(sigma.matrix(), expected, rtol=1e-6, atol=1e-4)


def test_old_moves_are_forgotten_by_half_in_a_half_life() -> None:
    model = CovarianceModel(half_life_hours=2.0)
    sigma = FactorCovariance(model)
    sigma.observe(np.full(FACTORS, 0.02), NS_PER_HOUR, 0)
    before = sigma.seen_hours
    sigma.observe(np.zeros(FACTORS), 2 * NS_PER_HOUR, 2 * NS_PER_HOUR)
    assert sigma.seen_hours == pytest.approx(before / 2 + 2.0)
    assert sigma.updated_ns == 2 * NS_PER_HOUR


def test_a_tenor_not_seen_keeps_its_entries() -> None:
    moves = np.random.default_rng(3).normal(0.0, 0.02, (200, FACTORS))
    moves[:, 8:] = math.nan
    matrix = watched(moves).matrix()
    np.testing.assert_allclose(matrix[8:, 8:], MODEL.prior()[8:, 8:], rtol=0.02, atol=1e-12)
    assert matrix[2, 2] > 2 * MODEL.prior()[2, 2]
