"""The estimates on recorded option trades, each day forecast from the days before it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.market.flow.crowds import LEVELS
from flatbook.market.flow.decays import Decays, Dispersion, Evidence, Prior, fit_decays
from flatbook.market.flow.markouts import EDGE_UNITS, UNITS
from flatbook.store.session import open_session
from flatbook.venues.deribit import load_reference
from tests.market_flow.tape import FROM_NS, TO_NS, WARM_FROM_NS, Replay, log_likelihood, replay

pytestmark = pytest.mark.slow

Floats = NDArray[np.float64]

LATER_DAYS = (1, 2, 3)


@pytest.fixture(scope="module")
def replayed(tape_session: Path) -> Replay:
    """The window's flow."""
    reference = load_reference()
    return replay(open_session(tape_session).market_events(WARM_FROM_NS, TO_NS, reference), reference)


def constant(train: Evidence, grid: Floats, groups: int = 1) -> Decays:
    """One A and one k by maximum likelihood, for all or for each group, repeated for every rate."""
    ones = np.ones(groups)
    prior = Prior(700 * ones, ones, ones, ones)
    found = fit_decays(train.pooled(groups), grid, prior, Dispersion(1.0, 1.0))
    return Decays(*(np.repeat(column, len(train.exposure) // groups) for column in found))


@pytest.mark.parametrize("day", LATER_DAYS)
def test_a_day_is_forecast_better_than_by_one_rate_by_tenors_and_by_each_buckets_own_counts(
    replayed: Replay, day: int
) -> None:
    grid, train, test = replayed.flow.intensities.grid, Evidence(replayed.evidence[day - 1]), replayed.day(day)
    estimate, one = replayed.estimates[day - 1], constant(train, grid)
    pooled = log_likelihood(test, grid, one.arrivals, one.decay)
    found = log_likelihood(test, grid, estimate.arrivals_per_year.ravel(), estimate.decay.ravel())
    assert found > pooled + 0.5, "nats a print"
    by_tenor = constant(train, grid, replayed.flow.model.buckets.tenors)
    assert found > log_likelihood(test, grid, by_tenor.arrivals, by_tenor.decay) + 0.3
    own = (train.arrivals + 0.5) / (train.exposure + 0.5 / one.arrivals)
    assert found > log_likelihood(test, grid, own, one.decay) + 0.03
    same_decay = log_likelihood(test, grid, estimate.arrivals_per_year.ravel(), one.decay)
    assert found > same_decay, "decays by bucket add to rates by bucket"


def test_prints_fall_about_once_by_e_over_a_unit_of_depth(replayed: Replay) -> None:
    """What the unit was chosen for: decays of all tenors and strikes are near 1."""
    seen = replayed.flow.intensities.evidence()
    assert 0.8 < float(seen.ended.sum() / seen.path.sum()) < 1.2
    decay = replayed.estimates[-1].decay
    assert 0.4 < decay.min() < decay.max() < 2.0


def test_prints_come_in_crowds_most_of_all_those_of_the_whole_market(replayed: Replay) -> None:
    crowds = [replayed.flow.intensities.dispersion(level).arrivals for level in LEVELS]
    assert crowds == sorted(crowds, reverse=True)
    assert crowds[-1] > 2


def test_activity_forecasts_the_next_minute_better_than_the_mean(replayed: Replay) -> None:
    minutes = np.array(replayed.minutes)
    count, mean, activity = np.diff(minutes[:, 2]), minutes[:-1, 0], minutes[:-1, 1]

    def gain(rate: Floats) -> float:
        return float((count * np.log(rate) - rate).sum() / count.sum())

    assert gain(mean * activity) > gain(mean) + 0.2, "nats a print"


def test_takers_pay_for_what_they_know_within_the_minute(replayed: Replay) -> None:
    """Makers on the tape earn an edge and lose the better part of it to the minutes after."""
    flow = replayed.flow
    found = [flow.prints.samples(horizon, TO_NS) for horizon in range(len(flow.model.markouts.horizons_s))]
    whole = flow.prints.nodes["all"]
    edge = found[2].of(whole, EDGE_UNITS)
    assert edge.mean[0] > 4 * edge.error[0]
    loss = [samples.of(whole, UNITS) for samples in found]
    means = [-float(samples.mean[0]) for samples in loss[:4]]
    assert means == sorted(means), "at 1 s, 10 s, 1 min and 10 min"
    assert means[2] > 2 * loss[2].error[0]
    assert means[3] < edge.mean[0] + 2 * float(np.hypot(loss[3].error[0], edge.error[0]))


def test_the_charge_is_there_for_every_bucket_and_within_reason(replayed: Replay) -> None:
    found = replayed.flow.toxicity()
    assert ((found.charge >= 0) & (found.charge < 1)).all()
    assert found.charge.max() > 0.15
    assert (found.sd > 0).all()


def test_vpin_is_known_and_ranked(replayed: Replay) -> None:
    regime = replayed.flow.regime()
    assert 0 < regime.vpin < 1
    assert 0 <= regime.vpin_rank <= 1


def test_every_day_of_the_window_has_its_estimate(replayed: Replay) -> None:
    assert len(replayed.estimates) == len(replayed.evidence) == 4
    assert all(FROM_NS < estimate.now_ns <= TO_NS for estimate in replayed.estimates)
