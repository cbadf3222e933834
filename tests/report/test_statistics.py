import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.units import NS_PER_HOUR
from flatbook.report.statistics import hourly_changes, max_drawdown, std_per_hour, time_weighted_rms

HOUR = NS_PER_HOUR
PATHS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("gains", "drawdown"),
    [
        ([1.0, 5.0, 2.0, 7.0, 3.5], 3.5),
        ([-4.0, -1.0], 4.0),
        ([1.0, 2.0, 3.0], 0.0),
        ([5.0, math.nan, 1.0], 4.0),
    ],
)
def test_drawdown_by_hand(gains: list[float], drawdown: float) -> None:
    assert max_drawdown(np.array(gains)) == drawdown


@given(PATHS)
def test_drawdown_is_the_worst_pair(gains: list[float]) -> None:
    path = [0.0, *gains]
    worst = max(path[i] - path[j] for i in range(len(path)) for j in range(i, len(path)))
    assert max_drawdown(np.array(gains)) == pytest.approx(worst)


def test_rms_weighs_by_time() -> None:
    times = np.array([0, 3 * HOUR, 4 * HOUR])
    assert time_weighted_rms(times, np.array([2.0, 4.0, 100.0])) == pytest.approx(math.sqrt((3 * 4 + 16) / 4))


@given(PATHS)
def test_rms_of_even_samples_is_the_plain_one(values: list[float]) -> None:
    held = np.array([*values, 0.0])
    times = np.arange(held.size) * HOUR
    assert time_weighted_rms(times, held) == pytest.approx(math.sqrt(np.mean(np.square(values))))


def test_a_single_value_is_its_own_rms() -> None:
    assert time_weighted_rms(np.array([7]), np.array([-3.0])) == 3.0


def test_unknown_values_are_left_out() -> None:
    times = np.array([0, HOUR, 2 * HOUR])
    assert time_weighted_rms(times, np.array([2.0, math.nan, 9.0])) == pytest.approx(2.0)


def test_hourly_changes_use_the_last_value_known_at_each_hour() -> None:
    times = np.array([0, HOUR // 2, HOUR, HOUR + 1, 2 * HOUR + 5])
    assert hourly_changes(times, np.array([0.0, 1.0, 5.0, 6.0, 9.0])).tolist() == [5.0, 1.0]


def test_std_needs_two_changes() -> None:
    times = np.arange(4) * HOUR
    assert std_per_hour(times, np.array([0.0, 1.0, 4.0, 5.0])) == pytest.approx(np.std([1, 3, 1], ddof=1))
    assert math.isnan(std_per_hour(times[:2], np.array([0.0, 1.0])))


def test_nothing_is_nan() -> None:
    nothing, no_times = np.empty(0), np.empty(0, dtype=np.int64)
    assert math.isnan(max_drawdown(nothing))
    assert math.isnan(time_weighted_rms(no_times, nothing))
    assert math.isnan(std_per_hour(no_times, nothing))
