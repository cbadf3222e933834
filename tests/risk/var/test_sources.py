import math
from collections.abc import Callable

import numpy as np
import pytest

from flatbook.kernels.chain import FACTORS, LEVELS, SPOT, SQUARED
from flatbook.risk.var.measures import measure
from flatbook.risk.var.parametric import moments_of, normal
from flatbook.risk.var.sources import (
    FactorScenarios,
    JumpModel,
    VolFilter,
    covariance_of,
    fill_unseen,
    filtered,
    historical,
    monte_carlo,
    standardised,
)

from .builders import MODEL, prices_alone, prior, wandering

BOTH = ("BTC", "ETH")
OWN = np.array([n for n in range(2 * FACTORS) if n % FACTORS != SQUARED])
DAY = 1.0 / 365


@pytest.mark.parametrize("jumps", [JumpModel(0.0), JumpModel.of(MODEL), JumpModel(30.0, -0.06, 0.04)])
def test_monte_carlo_has_the_covariance_asked_for_whatever_jumps_are_in_it(jumps: JumpModel) -> None:
    sigma = prior(*BOTH)
    count = 60_000
    drawn = monte_carlo(BOTH, sigma, 24.0, count, jumps, np.random.default_rng(1))
    moves = drawn.moves.reshape(count, -1)[:, OWN]
    found, asked = np.cov(moves.T), sigma[np.ix_(OWN, OWN)] * DAY
    scale = np.sqrt(np.outer(np.diag(asked), np.diag(asked)))
    # The error of a covariance is of order one over the root of the count; jumps make it some times as large.
    assert np.abs((found - asked) / scale).max() < 12 / math.sqrt(count)
    assert np.abs(moves.mean(axis=0) / np.sqrt(np.diag(asked))).max() < 5 / math.sqrt(count)


def test_jumps_have_mertons_fourth_moment() -> None:
    sigma, jumps = prior(), JumpModel.of(MODEL)
    drawn = monte_carlo(("BTC",), sigma, 24.0, 400_000, jumps, np.random.default_rng(2))
    found = moments_of(drawn.of("BTC")[:, SPOT])
    expected = 3 * jumps.per_year * jumps.deviation**4 * DAY / (sigma[SPOT, SPOT] * DAY) ** 2
    assert found.kurtosis == pytest.approx(expected, rel=0.1)
    assert 3 * jumps.per_year * jumps.deviation**4 == pytest.approx(MODEL.jump_fourth_moment)


def test_jumps_never_take_more_than_half_of_the_variance() -> None:
    sigma = prior()
    drawn = monte_carlo(("BTC",), sigma, 24.0, 60_000, JumpModel(50.0, 0.0, 0.3), np.random.default_rng(3))
    assert drawn.of("BTC")[:, SPOT].var() == pytest.approx(sigma[SPOT, SPOT] * DAY, rel=0.1)


def test_a_linear_book_has_the_normal_closed_form() -> None:
    sigma, rng = prior(*BOTH), np.random.default_rng(4)
    drawn = monte_carlo(BOTH, sigma, 24.0, 40_000, JumpModel(0.0), rng)
    exposure = np.zeros((2, FACTORS))
    exposure[:, SPOT] = [1e6, -7e5]
    exposure[0, LEVELS] = [2e5, -1e5, 3e5]
    pnl = np.einsum("nuf,uf->un", drawn.moves, exposure)
    deviation = math.sqrt(exposure.ravel() @ sigma @ exposure.ravel() * DAY)
    for confidence in (0.95, 0.99):
        found, law = measure(pnl, confidence, np.ones(2)), normal(confidence)
        assert abs(found.var.value - deviation * law.var) < 4 * found.var.error
        assert abs(found.shortfall.value - deviation * law.shortfall) < 4 * found.shortfall.error


def test_unseen_factors_are_drawn_as_sigma_expects_them() -> None:
    sigma = prior(*BOTH)
    rng = np.random.default_rng(5)
    moves = (rng.standard_normal((40_000, len(sigma))) @ np.linalg.cholesky(sigma).T).reshape(-1, 2, FACTORS)
    hidden = moves.copy()
    hidden[:20_000, 0, 2:] = np.nan
    hidden[:, 1, :] = np.nan
    filled = fill_unseen(hidden, sigma, rng).reshape(-1, 2 * FACTORS)[:, OWN]
    scale = np.sqrt(np.diag(sigma)[OWN])
    assert np.abs(np.cov(filled.T) - sigma[np.ix_(OWN, OWN)]).max() < 0.03 * scale.max() ** 2
    assert np.abs(np.cov((filled / scale).T) - (sigma[np.ix_(OWN, OWN)] / np.outer(scale, scale))).max() < 0.05
    assert np.array_equal(filled[20_000:, 0], moves[20_000:, 0, SPOT])


def test_the_vol_filter_is_the_garch_recursion() -> None:
    rng, years = np.random.default_rng(6), 6 / 8760
    moves = rng.standard_normal((50, 1, FACTORS)) * 0.01
    vol_filter = VolFilter(100.0, 400.0)
    shocks, last, mean = standardised(moves, years, vol_filter)
    keep, pull = 0.5 ** (6 / 100), 0.5 ** (6 / 400)
    variance = mean = (moves**2 / years).mean(axis=0)
    for at in range(50):
        assert shocks[at] == pytest.approx(moves[at] / np.sqrt(variance * years))
        variance = mean + pull * (keep * variance + (1 - keep) * moves[at] ** 2 / years - mean)
    assert last == pytest.approx(variance)


def test_filtered_scenarios_have_the_vol_of_now() -> None:
    sigma, rng = prior(), np.random.default_rng(7)
    history = wandering(800, sigma, rng)
    levels = history.levels.copy()
    late = levels[601:] - levels[600]
    levels[601:] = levels[600] + 3.0 * late
    loud = type(history)(history.underlyings, history.times_ns, levels)
    vol_filter = VolFilter(72.0)
    calm_, loud_ = (
        filtered(one, sigma, 24.0, 4_000, vol_filter, np.random.default_rng(8)).of("BTC")[:, SPOT].std()
        for one in (history, loud)
    )
    assert loud_ / calm_ == pytest.approx(3.0, rel=0.15)
    plain = historical(loud, sigma, 24.0, np.random.default_rng(9)).of("BTC")[:, SPOT].std()
    assert calm_ * 1.2 < plain < loud_ / 1.2


def test_a_history_of_sigma_gives_sigma_back() -> None:
    asked = prior(*BOTH) * 2.25
    history = wandering(2_000, asked, np.random.default_rng(10), underlyings=BOTH)
    found = covariance_of(history, dict.fromkeys(BOTH, MODEL), 0.8)
    scale = np.sqrt(np.outer(np.diag(asked), np.diag(asked)))[np.ix_(OWN, OWN)]
    # So many steps weigh as some hundred: each entry is known to a tenth, and the worst of hundreds to a third.
    assert np.abs((found - asked)[np.ix_(OWN, OWN)] / scale).max() < 0.35


def test_prices_alone_have_the_vols_of_the_prior_beside_them() -> None:
    sigma = prior()
    history = prices_alone(wandering(1_500, sigma, np.random.default_rng(11)))
    drawn = historical(history, sigma, 6.0, np.random.default_rng(12)).of("BTC")
    assert np.isfinite(drawn).all()
    assert drawn[:, LEVELS].std(axis=0) == pytest.approx(np.sqrt(np.diag(sigma)[LEVELS] * 6 / 8760), rel=0.1)


def test_the_same_seed_gives_the_same_scenarios() -> None:
    sigma, history = prior(), wandering(200, prior(), np.random.default_rng(1))
    sources: list[Callable[[np.random.Generator], FactorScenarios]] = [
        lambda rng: historical(history, sigma, 24.0, rng),
        lambda rng: filtered(history, sigma, 24.0, 100, VolFilter(), rng),
        lambda rng: monte_carlo(("BTC",), sigma, 24.0, 100, JumpModel(), rng),
    ]
    for source in sources:
        one, again = (source(np.random.default_rng(3)).moves for _ in range(2))
        assert np.array_equal(one, again)
