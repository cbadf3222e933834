import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.report.bootstrap import (
    difference,
    interval,
    pnl_per_day,
    pnl_per_risk,
    stationary_draws,
    std_per_hour,
)

Floats = NDArray[np.float64]


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.floats(1.0, 50.0))
def test_each_market_is_resampled_from_its_own_hours_and_as_often_as_it_is_long(
    lengths: list[int], block: float
) -> None:
    draws = stationary_draws(lengths, 5, block, rng())
    ends = np.cumsum(lengths)
    for start, end in zip(ends - lengths, ends, strict=True):
        part = draws[:, start:end]
        assert ((part >= start) & (part < end)).all()


def test_blocks_are_as_long_as_asked_for() -> None:
    hours = stationary_draws([4000], 4, 8.0, rng())
    unbroken = (np.diff(hours, axis=1) % 4000 == 1).mean()
    assert unbroken == pytest.approx(1 - 1 / 8, abs=0.01)


def test_the_interval_of_a_mean_is_the_known_one_for_independent_hours() -> None:
    hourly = rng(2).normal(10.0, 5.0, 2000)
    found = interval(pnl_per_day, hourly, stationary_draws([2000], 2000, 1.0, rng()))
    half = 1.96 * 24 * hourly.std() / np.sqrt(2000)
    assert found.value == pytest.approx(24 * hourly.mean())
    assert found.high - found.value == pytest.approx(half, rel=0.1)
    assert found.value - found.low == pytest.approx(half, rel=0.1)


def test_blocks_see_the_error_that_clustering_adds_and_single_hours_do_not() -> None:
    made = rng(3)
    shocks = made.normal(0.0, 1.0, 4000)
    clustered = np.convolve(shocks, np.ones(6), "valid")
    n = clustered.size
    true_half = 1.96 * 24 * 6 / np.sqrt(n)
    blocks = interval(pnl_per_day, clustered, stationary_draws([n], 600, 30.0, made))
    single = interval(pnl_per_day, clustered, stationary_draws([n], 600, 1.0, made))
    assert (blocks.high - blocks.low) / 2 == pytest.approx(true_half, rel=0.2)
    assert (single.high - single.low) / 2 < 0.55 * true_half


def test_nineteen_intervals_in_twenty_hold_the_truth() -> None:
    made, held = rng(4), 0
    for _ in range(300):
        hourly = made.normal(1.0, 3.0, 120)
        found = interval(pnl_per_day, hourly, stationary_draws([60, 60], 200, 2.0, made))
        held += found.low <= 24.0 <= found.high
    assert 0.89 <= held / 300 <= 0.99


def test_two_makers_are_compared_over_the_same_hours() -> None:
    market = rng(5).normal(0.0, 100.0, 500)
    better, draws = market + 1.0, stationary_draws([500], 400, 6.0, rng())
    alone = interval(pnl_per_day, better, draws)
    assert alone.low < 0.0 < alone.high, "the market's noise hides the better maker"
    paired = difference(pnl_per_day, better, market, draws)
    assert paired.low == pytest.approx(24.0)
    assert paired.high == pytest.approx(24.0)


def test_risk_and_profit_per_risk_by_hand() -> None:
    hourly = np.array([1.0, 3.0])
    assert pnl_per_day(hourly) == 48.0
    assert std_per_hour(hourly) == pytest.approx(np.sqrt(2.0))
    assert pnl_per_risk(hourly) == pytest.approx(48.0 / (np.sqrt(24) * np.sqrt(2.0)))
    assert np.isnan(pnl_per_risk(np.zeros(3)))


@pytest.mark.parametrize("hours", [0, 1])
def test_too_few_hours_have_no_interval(hours: int) -> None:
    few = np.ones(hours)
    assert all(np.isnan(interval(pnl_per_day, few, np.zeros((3, hours), np.int64))))
    assert all(np.isnan(difference(pnl_per_day, few, few, np.zeros((3, hours), np.int64))))
