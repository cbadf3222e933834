"""Crowds: likelihood by brute force, known processes found again, activity as it should be."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad

from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.market.flow.hawkes import Activity, Hawkes, excitations
from flatbook.market.flow.hawkes_fit import fit_hawkes

Floats = NDArray[np.float64]


def drawn(process: Hawkes, seed: int, end: float) -> Floats:
    """Arrivals as immigrants and their offspring."""
    rng = np.random.default_rng(seed)
    found = [rng.uniform(0, end, rng.poisson(process.mu * end))]
    while found[-1].size:
        parents = np.repeat(found[-1], rng.poisson(process.branching, found[-1].size))
        found.append(parents + rng.exponential(1 / process.beta, parents.size))
    times = np.sort(np.concatenate(found))
    return times[times < end]


@given(st.lists(st.floats(0.01, 3.0), max_size=8), st.floats(0.1, 3), st.floats(0, 2), st.floats(2.1, 9))
def test_the_likelihood_is_that_of_the_rate(gaps: list[float], mu: float, alpha: float, beta: float) -> None:
    process, times = Hawkes(mu, alpha, beta), np.cumsum(gaps)
    end = float(times[-1]) + 0.5 if gaps else 1.0

    def rate(t: float) -> float:
        past = times[times < t]
        return mu + alpha * float(np.exp(-beta * (t - past)).sum())

    marks = [0.0, *times.tolist(), end]
    area = sum(quad(rate, low, high)[0] for low, high in pairwise(marks))
    by_hand = float(np.sum([np.log(rate(t)) for t in times])) - area
    assert process.log_likelihood(times, end) == pytest.approx(by_hand, abs=1e-6)


def test_excitation_is_the_sum_over_the_past() -> None:
    times = np.array([0.0, 0.3, 1.1])
    assert excitations(times, 2.0) == pytest.approx([0.0, np.exp(-0.6), np.exp(-1.6) + np.exp(-2.2)])
    assert excitations(np.zeros(0), 1.0).size == 0


def test_a_known_process_is_found_again() -> None:
    process = Hawkes(mu=0.4, alpha=1.2, beta=2.0)
    found = [fit_hawkes(drawn(process, seed, 1_500.0), 1_500.0) for seed in range(4)]
    assert np.mean([fit.branching for fit in found]) == pytest.approx(0.6, abs=0.05)
    assert np.mean([fit.beta for fit in found]) == pytest.approx(2.0, rel=0.15)
    assert np.mean([fit.mean_rate for fit in found]) == pytest.approx(1.0, rel=0.1)


def test_activity_is_one_in_the_mean_and_forecasts_the_counts() -> None:
    process = Hawkes(mu=0.5, alpha=4.0, beta=5.0)
    times = drawn(process, 5, 4_000.0)
    activity, ahead = Activity(process, half_life=1e9), 0.2
    factors, counts, at = [], [], 0
    for tick in range(int(4_000 / ahead) - 1):
        while at < len(times) and times[at] <= tick * ahead:
            activity.arrive(float(times[at]))
            at += 1
        factors.append(activity.factor(tick * ahead, ahead))
        counts.append(np.searchsorted(times, (tick + 1) * ahead) - np.searchsorted(times, tick * ahead))
    assert np.mean(factors) == pytest.approx(1.0, abs=0.05)
    mean = process.mean_rate * ahead
    busy = np.array(factors) > np.quantile(factors, 0.9)
    expected = mean * np.array(factors)[busy].mean()
    assert np.array(counts)[busy].mean() == pytest.approx(expected, rel=0.1)
    assert expected > 2.5 * mean


def test_the_mean_rate_is_learned() -> None:
    process = Hawkes(mu=0.5, alpha=4.0, beta=5.0)
    activity = Activity(process, half_life=200.0)
    assert activity.mean_rate() == pytest.approx(process.mean_rate)
    for tick in range(5_000):
        activity.arrive(0.1 * tick)
    assert activity.mean_rate() == pytest.approx(10.0, rel=0.15)
    assert activity.factor(500.0, 1.0) == pytest.approx(1.0, abs=0.25)


def test_before_any_arrival_flow_is_as_busy_as_ever_and_then_calms_down() -> None:
    activity = Activity(Hawkes(mu=0.5, alpha=4.0, beta=5.0), half_life=100.0)
    assert activity.factor(0.0, 0.1) == pytest.approx(1.0)
    activity.arrive(0.0)
    assert activity.factor(0.0, 0.01) > 1.5
    # Long after, only the immigrants are left.
    assert activity.factor(50.0, 0.01) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("mu", "alpha", "beta"), [(0.0, 1.0, 2.0), (1.0, 2.0, 2.0), (1.0, -1.0, 2.0)])
def test_a_process_that_does_not_exist_is_refused(mu: float, alpha: float, beta: float) -> None:
    with pytest.raises(ConfigurationError, match="Hawkes"):
        Hawkes(mu, alpha, beta)


@pytest.mark.parametrize("times", [[0.5, 0.4], [-0.1, 0.2], [0.5, 2.0]])
def test_times_out_of_order_or_span_are_refused(times: list[float]) -> None:
    with pytest.raises(BadInputError, match="rise"):
        Hawkes(1.0, 0.5, 1.0).log_likelihood(np.array(times), 1.0)


def test_few_arrivals_tell_no_process() -> None:
    with pytest.raises(BadInputError, match="30 or more"):
        fit_hawkes(np.linspace(0, 1, 29), 1.0)
