import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE
from flatbook.kernels.chain import BASIS, CONVEXITIES, FACTORS, LEVELS, PREMIUM, SKEWS, SPOT, SQUARED
from flatbook.market.covariance import CovarianceModel, FactorCovariance
from flatbook.market.factors import FactorMoves

Floats = NDArray[np.float64]

MODEL = CovarianceModel()
STEP_NS = 10 * NS_PER_MINUTE
FOREVER = CovarianceModel(half_life_hours=1e9)


def shown(sigma: FactorCovariance, moves: Floats, start: int = 0) -> FactorCovariance:
    """`sigma` after moves per root year, a step each, that have no errors: averaged or not they are the same."""
    for n, move in enumerate(moves, start):
        sigma.observe(FactorMoves(move, move, STEP_NS), (n + 1) * STEP_NS)
    return sigma


def watched(moves: Floats, model: CovarianceModel = MODEL) -> FactorCovariance:
    return shown(FactorCovariance.of(model, 1.0), moves)


def drawn(truth: Floats, steps: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).multivariate_normal(np.zeros(len(truth)), truth, steps)


def unitless(matrix: Floats) -> Floats:
    scale = np.sqrt(np.diag(MODEL.prior()))
    return np.asarray(matrix / np.outer(scale, scale))


def test_the_prior_says_what_its_parameters_say() -> None:
    prior = MODEL.prior()
    deviation = np.sqrt(np.diag(prior))
    month = [MODEL.level * MODEL.vol_of_vol * (30 / days) ** MODEL.tenor_power for days in MODEL.tenor_days]
    np.testing.assert_allclose(deviation[LEVELS], month)
    np.testing.assert_allclose(deviation[SKEWS], np.array(month) * MODEL.skew_share)
    np.testing.assert_allclose(deviation[CONVEXITIES], np.array(month) * MODEL.convexity_share)
    assert deviation[[SPOT, BASIS, PREMIUM]] == pytest.approx([MODEL.spot_vol, MODEL.carry_vol, MODEL.premium_vol])
    correlation = prior / np.outer(deviation, deviation)
    assert correlation[LEVELS, LEVELS][0, 2] == pytest.approx(MODEL.tenor_correlation**2)
    assert (correlation[SPOT, LEVELS] == MODEL.spot_level_correlation).all()
    assert np.linalg.eigvalsh(correlation)[0] > 0


def test_the_prior_of_squared_returns_is_that_of_a_diffusion_with_jumps() -> None:
    # Var of sum of (r_i^2 - dt sigma^2) over a year of Gaussian steps is 2 sigma^4 dt; a jump J adds J^4.
    rng = np.random.default_rng(0)
    steps = round(8760 / MODEL.hedge_hours)
    returns = MODEL.spot_vol / math.sqrt(steps) * rng.normal(size=(400, steps))
    seen = float(np.var((returns**2).sum(axis=1)))
    assert MODEL.prior()[SQUARED, SQUARED] - MODEL.jump_fourth_moment == pytest.approx(seen, rel=0.2)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 40), st.floats(1e-3, 100.0))
def test_sigma_is_symmetric_positive_definite_whatever_is_seen(seed: int, steps: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    moves = rng.normal(0.0, size, (steps, FACTORS)) * rng.choice([0.0, 1.0, 30.0], (steps, 1))
    moves[rng.random((steps, FACTORS)) < 0.3] = math.nan
    sigma = watched(moves)
    matrix = unitless(sigma.matrix())
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-12 * matrix.max())
    assert np.linalg.eigvalsh(matrix)[0] > 1e-3 - 1e-12 * matrix.max()
    assert np.isfinite(sigma.standard_error()).all()
    assert 0.0 <= sigma.prior_weight <= 1.0


def test_before_anything_is_seen_sigma_is_the_prior_with_the_priors_error() -> None:
    sigma = FactorCovariance.of(MODEL, 7.0)
    deviation = np.sqrt(np.diag(MODEL.prior()))
    np.testing.assert_allclose(sigma.matrix(), MODEL.prior(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(sigma.standard_error(), MODEL.prior_error * np.outer(deviation, deviation), rtol=1e-12)
    assert sigma.prior_weight == 1.0
    assert sigma.age_hours(NS_PER_HOUR) == math.inf


def test_what_is_seen_long_enough_replaces_the_prior() -> None:
    truth = CovarianceModel(spot_vol=0.9, vol_of_vol=0.5, spot_level_correlation=0.6, carry_vol=0.1).prior()
    sigma = watched(drawn(truth, 20_000), FOREVER)
    scale = np.sqrt(np.diag(truth))
    np.testing.assert_allclose(sigma.matrix() / np.outer(scale, scale), truth / np.outer(scale, scale), atol=0.05)
    assert sigma.prior_weight < 0.01


def test_a_short_memory_does_not_keep_the_prior_alive() -> None:
    """A day's half-life never sees more than 35 hours; a market twice as lively as the prior must still be believed."""
    lively = 4 * MODEL.prior()
    sigma = watched(drawn(lively, 6 * 24 * 14), MODEL)
    assert sigma.seen_hours == pytest.approx(24 / math.log(2), rel=0.01)
    assert sigma.prior_weight < 0.05
    assert np.median(np.diag(sigma.matrix()) / np.diag(lively)) == pytest.approx(1.0, abs=0.15)


def test_where_the_data_agree_with_the_prior_it_is_kept_and_their_noise_is_not_taken() -> None:
    sigma = watched(drawn(MODEL.prior(), 400), FOREVER)
    assert sigma.prior_weight > 0.7
    off = unitless(sigma.matrix() - MODEL.prior())
    assert np.abs(off).mean() < 0.03


def sample_of(moves: Floats) -> Floats:
    return np.asarray(moves.T @ moves / len(moves))


@pytest.mark.parametrize("steps", [10, 40, 200])
@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
def test_sigma_errs_less_than_the_sample_and_hardly_more_than_the_prior(steps: int, factor: float) -> None:
    """Mean squared error over many draws, of truths that are the prior's multiples."""
    truth, prior = factor * MODEL.prior(), MODEL.prior()
    ours, sample = 0.0, 0.0
    for seed in range(12):
        moves = drawn(truth, steps, seed)
        ours += float(np.sum(unitless(watched(moves, FOREVER).matrix() - truth) ** 2))
        sample += float(np.sum(unitless(sample_of(moves) - truth) ** 2))
    of_prior = 12 * float(np.sum(unitless(prior - truth) ** 2))
    assert ours < 1.05 * sample
    assert ours < 1.3 * of_prior + 0.1 * sample


def test_the_stated_error_of_each_entry_is_the_error_that_is_made() -> None:
    """Truths drawn about the prior, its error in their scale: distances in stated errors are of order one."""
    rng, scores = np.random.default_rng(3), []
    for seed in range(20):
        spread = np.exp(MODEL.prior_error / 2 * rng.normal(size=FACTORS))
        truth = MODEL.prior() * np.outer(spread, spread)
        sigma = watched(drawn(truth, 300, seed), FOREVER)
        error = sigma.standard_error()
        scores.append((sigma.matrix() - truth) / error)
        assert (np.diag(error) < 0.2 * np.diag(truth)).all()
    rms = np.sqrt(np.mean(np.square(scores)))
    assert 0.6 < rms < 1.4
    assert np.mean(np.abs(scores) < 3) > 0.97


def test_overlapping_moves_count_for_less() -> None:
    moves = drawn(4 * MODEL.prior(), 300)
    apart, together = (shown(FactorCovariance.of(FOREVER, overlap), moves) for overlap in (1.0, 7.0))
    assert together.prior_weight > 3 * apart.prior_weight
    others = np.ones((FACTORS, FACTORS), np.bool_)
    others[SPOT, SPOT] = False
    ratio = (together.standard_error() / apart.standard_error())[others]
    assert 1.4 < np.median(ratio) <= math.sqrt(7.0)


def test_spot_is_judged_by_its_single_steps_and_the_rest_by_averaged_moves() -> None:
    sigma = FactorCovariance.of(FOREVER, 7.0)
    rng, deviation = np.random.default_rng(0), np.sqrt(np.diag(MODEL.prior()))
    for n in range(500):
        single, averaged = 3.0 * deviation * rng.normal(size=FACTORS), 0.5 * deviation * rng.normal(size=FACTORS)
        sigma.observe(FactorMoves(single, averaged, STEP_NS), (n + 1) * STEP_NS)
    ratio = np.sqrt(np.diag(sigma.matrix())) / deviation
    assert ratio[SPOT] == pytest.approx(3.0, rel=0.1)
    np.testing.assert_allclose(np.delete(ratio, SPOT), 0.5, rtol=0.2)


def test_before_a_window_is_full_spot_alone_is_learnt() -> None:
    sigma = FactorCovariance.of(FOREVER, 7.0)
    nothing = np.full(FACTORS, math.nan)
    for n in range(300):
        sigma.observe(FactorMoves(np.full(FACTORS, 1.1), nothing, STEP_NS), (n + 1) * STEP_NS)
    assert sigma.matrix()[SPOT, SPOT] == pytest.approx(1.1**2, rel=0.02)
    rest = np.delete(np.arange(FACTORS), SPOT)
    np.testing.assert_allclose(sigma.matrix()[np.ix_(rest, rest)], MODEL.prior()[np.ix_(rest, rest)], atol=1e-12)
    correlation = sigma.matrix()[SPOT, LEVELS] / np.sqrt(1.1**2 * np.diag(MODEL.prior())[LEVELS])
    np.testing.assert_allclose(correlation, MODEL.spot_level_correlation, rtol=0.02)
    assert sigma.seen_hours == 0.0
    assert sigma.age_hours(300 * STEP_NS + NS_PER_HOUR) == pytest.approx(1.0)


def test_old_moves_are_forgotten_by_half_in_a_half_life() -> None:
    sigma = FactorCovariance.of(CovarianceModel(half_life_hours=2.0), 1.0)
    ones = np.ones(FACTORS)
    sigma.observe(FactorMoves(ones, ones, NS_PER_HOUR), NS_PER_HOUR)
    before = sigma.seen_hours
    sigma.observe(FactorMoves(ones, ones, 2 * NS_PER_HOUR), 3 * NS_PER_HOUR)
    assert sigma.seen_hours == pytest.approx(before / 2 + 2.0)
    assert sigma.updated_ns == 3 * NS_PER_HOUR


def test_a_factor_not_seen_keeps_its_relation_to_those_that_are() -> None:
    """The far tenor unseen: given the others, Σ still expects of it what the prior does, with the prior's doubt."""
    truth = 4 * MODEL.prior()
    far = np.array([SQUARED, *(np.arange(FACTORS)[kind][-1] for kind in (LEVELS, SKEWS, CONVEXITIES))])
    seen = np.setdiff1d(np.arange(FACTORS), far)
    moves = drawn(truth, 4_000)
    moves[:, far] = math.nan
    sigma = watched(moves, FOREVER)

    def given_the_others(matrix: Floats) -> tuple[Floats, Floats]:
        """What is expected of the unseen factors, and what is left of them; in the prior's deviations."""
        whole = unitless(matrix)
        gain = np.linalg.solve(whole[np.ix_(seen, seen)], whole[np.ix_(seen, far)])
        return gain, whole[np.ix_(far, far)] - gain.T @ whole[np.ix_(seen, far)]

    for ours, priors in zip(given_the_others(sigma.matrix()), given_the_others(MODEL.prior()), strict=True):
        np.testing.assert_allclose(ours, priors, atol=0.05)
    assert np.diag(sigma.matrix())[seen] == pytest.approx(np.diag(truth)[seen], rel=0.1)
    variance = MODEL.prior()[far[1], far[1]]
    assert sigma.standard_error()[far[1], far[1]] == pytest.approx(MODEL.prior_error * variance)


def test_gaps_at_random_cost_precision_and_no_bias() -> None:
    truth = CovarianceModel(spot_level_correlation=0.5, vol_of_vol=2.0).prior()
    moves = drawn(truth, 6_000)
    holes = moves.copy()
    holes[np.random.default_rng(0).random(moves.shape) < 0.3] = math.nan
    whole, sparse = watched(moves, FOREVER), watched(holes, FOREVER)
    scale = np.outer(np.sqrt(np.diag(truth)), np.sqrt(np.diag(truth)))
    np.testing.assert_allclose(sparse.matrix() / scale, truth / scale, atol=0.12)
    assert (sparse.standard_error() >= whole.standard_error() * 0.99).all()
