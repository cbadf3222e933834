import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.market.analytics.correlation import LEAST_RETURNS, return_correlation

MINUTE = 60 * 10**9


def walks(correlation: float, steps: int = 40_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two prices each minute whose returns are correlated."""
    rng = np.random.default_rng(seed)
    one, own = rng.standard_normal((2, steps))
    other = correlation * one + math.sqrt(1 - correlation**2) * own
    times = np.arange(steps, dtype=np.int64) * MINUTE
    return times, 8e4 * np.exp(1e-3 * np.cumsum(one)), 3e3 * np.exp(2e-3 * np.cumsum(other))


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.8])
def test_it_finds_what_was_put_in(correlation: float) -> None:
    times, first, second = walks(correlation)
    found = return_correlation(times, first, times, second, 10 * MINUTE)
    assert found == pytest.approx(correlation, abs=3 / math.sqrt(4_000))


def test_ticks_need_not_be_taken_together() -> None:
    times, first, second = walks(0.8)
    odd, even = slice(1, None, 2), slice(0, None, 2)
    found = return_correlation(times[odd], first[odd], times[even], second[even], 60 * MINUTE)
    assert found == pytest.approx(0.8, abs=0.05)


@given(st.floats(1e-3, 1e3))
def test_a_price_and_its_multiple_move_as_one(scale: float) -> None:
    times, first, _ = walks(0.0, steps=500)
    assert return_correlation(times, first, times, scale * first, MINUTE) == pytest.approx(1.0)
    assert return_correlation(times, first, times, scale / first, MINUTE) == pytest.approx(-1.0)


def test_too_little_to_say_is_not_a_number() -> None:
    times, first, second = walks(0.5, steps=LEAST_RETURNS)
    assert math.isnan(return_correlation(times, first, times, second, MINUTE))
    assert math.isnan(return_correlation(times[:0], first[:0], times, second, MINUTE))
    later = times + 10**18
    assert math.isnan(return_correlation(times, first, later, second, MINUTE))
    times, first, _ = walks(0.5, steps=100)
    assert math.isnan(return_correlation(times, first, times, np.ones(100), MINUTE))
    with pytest.raises(BadInputError, match="a step of 0 ns"):
        return_correlation(times, first, times, first, 0)
