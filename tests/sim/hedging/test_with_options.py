import numpy as np
import pytest

from flatbook.sim.hedging.book import SHORT_STRANGLE, along
from flatbook.sim.hedging.contest import path_draws, run
from flatbook.sim.hedging.paths import STEPS_PER_HOUR, STOCHASTIC_VOL, simulated
from flatbook.sim.hedging.rules import OURS, Stage, stage_of
from flatbook.sim.hedging.with_options import HOURS_PER_YEAR, OptionTerms, learnt_covariance, run_with_options

PATHS = 6


@pytest.fixture(scope="module")
def stage() -> Stage:
    paths = simulated(STOCHASTIC_VOL, range(PATHS), 24)
    return stage_of(paths, along(paths, SHORT_STRANGLE), 5.5e-4)


def test_covariance_starts_at_its_prior_and_follows_what_was(stage: Stage) -> None:
    covariance = learnt_covariance(stage)
    assert covariance.shape == (24, PATHS, 3, 3)
    assert covariance[0, :, 0, 0] == pytest.approx(stage.book.atm_vol[:, 0] ** 2)
    assert np.all(np.linalg.eigvalsh(covariance) > 0.0)
    hourly = np.diff(np.log(stage.paths.index_usd[:, ::STEPS_PER_HOUR]))
    weights = 0.5 ** (np.arange(23)[::-1] / 24)
    by_hand = (
        24 * 0.5 ** (23 / 24) * stage.book.atm_vol[:, 0] ** 2 / HOURS_PER_YEAR + hourly[:, :23] ** 2 @ weights
    ) / (24 * 0.5 ** (23 / 24) + weights.sum())
    assert covariance[23, :, 0, 0] == pytest.approx(by_hand * HOURS_PER_YEAR)


def test_options_remove_what_the_index_cannot(stage: Stage) -> None:
    everyone = path_draws(PATHS, 1, np.random.default_rng(0))[:1]
    bold, careful = run_with_options(stage, (1e-7, 3e-5), OptionTerms()).outcomes
    delta_only = run(stage, OURS[1]).outcomes[-1]
    assert careful.deviation(everyone) < 0.8 * delta_only.deviation(everyone)
    assert careful.deviation(everyone) < bold.deviation(everyone)
    assert careful.cost_per_day(everyone) > bold.cost_per_day(everyone)


def test_dear_options_are_left_alone(stage: Stage) -> None:
    everyone = path_draws(PATHS, 1, np.random.default_rng(0))[:1]
    cheap, dear = (
        run_with_options(stage, (1e-6,), OptionTerms(half_spread_vol=spread)).outcomes[0] for spread in (0.001, 0.2)
    )
    assert cheap.deviation(everyone) < dear.deviation(everyone)
