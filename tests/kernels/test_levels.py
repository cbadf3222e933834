import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.levels import (
    age_levels,
    age_levels_plain,
    level_errors,
    level_errors_plain,
    see_level,
    see_level_plain,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SLOTS = 9
OTHER = 7.0


def covariance(seed: int, live: Ints) -> Floats:
    """A random covariance of the live slots; what the others hold is their own business."""
    root = np.random.default_rng(seed).normal(0.0, 0.1, (SLOTS, SLOTS))
    p = np.full((SLOTS, SLOTS), OTHER)
    p[np.ix_(live, live)] = (root @ root.T)[np.ix_(live, live)]
    return p


def slices(seed: int, n: int = SLOTS) -> Floats:
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [rng.uniform(0.001, 0.1, n), rng.uniform(0.01, 0.3, n), rng.uniform(-0.8, 0.8, n), rng.normal(0, 0.1, n),
         rng.uniform(0.01, 0.3, n)]
    )  # fmt: skip


def see(p: Floats, live: Ints, slot: int, surprise: float, noise: float) -> Floats:
    """The log move of each level when `slot` is seen; p shrinks."""
    drift = np.zeros(len(p))
    see_level(live, slot, surprise, noise, p, slices(0, len(p)), drift)
    return drift


some_live = st.sets(st.integers(0, SLOTS - 1), min_size=1).map(lambda slots: np.array(sorted(slots), np.int64))


@settings(deadline=None)
@given(some_live, st.integers(0, 99), st.floats(-0.5, 0.5), st.floats(1e-6, 1.0), st.floats(0.1, 1.0))
def test_kernels_and_plain_twins_agree(
    live: Ints, seed: int, surprise: float, noise: float, correlation: float
) -> None:
    rng = np.random.default_rng(seed)
    wander, log_tenor = rng.uniform(0.1, 3.0, SLOTS), rng.uniform(-6.0, 0.5, SLOTS)
    fast, plain = covariance(seed, live), covariance(seed, live)
    age_levels(live, wander, log_tenor, correlation, 1e-3, fast)
    age_levels_plain(live, wander, log_tenor, correlation, 1e-3, plain)
    np.testing.assert_allclose(fast, plain, rtol=1e-13)
    params, drift = slices(seed), rng.normal(0, 1, SLOTS)
    plain_params, plain_drift = params.copy(), drift.copy()
    see_level(live, int(live[0]), surprise, noise, fast, params, drift)
    see_level_plain(live, int(live[0]), surprise, noise, plain, plain_params, plain_drift)
    np.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(params, plain_params, rtol=1e-12)
    np.testing.assert_allclose(drift, plain_drift, rtol=1e-12, atol=1e-14)


@settings(deadline=None)
@given(some_live, st.integers(0, 99), st.floats(1e-6, 1.0))
def test_seeing_is_the_kalman_update_in_joseph_form(live: Ints, seed: int, noise: float) -> None:
    slot, surprise = int(live[seed % len(live)]), 0.07
    p = covariance(seed, live)
    known = p[np.ix_(live, live)].copy()
    at = int(np.flatnonzero(live == slot)[0])
    gain = known[:, at] / (known[at, at] + noise)
    kept = np.eye(len(live)) - np.outer(gain, np.eye(len(live))[at])
    expected = kept @ known @ kept.T + noise * np.outer(gain, gain)
    shift = see(p, live, slot, surprise, noise)
    np.testing.assert_allclose(p[np.ix_(live, live)], expected, atol=1e-12)
    np.testing.assert_allclose(shift[live], gain * surprise, rtol=1e-12)


def test_a_moved_level_multiplies_every_vol_of_its_slice() -> None:
    live = np.array([0, 2], np.int64)
    p, params, drift = covariance(1, live), slices(2), np.zeros(SLOTS)
    k = np.linspace(-0.5, 0.5, 11)

    def vol(slice_: Floats) -> Floats:
        a, b, rho, m, s = slice_
        return np.asarray(np.sqrt(a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + s * s))))

    before = [vol(slice_) for slice_ in params]
    see_level(live, 2, 0.05, 1e-4, p, params, drift)
    assert drift[2] > drift[0] != 0.0
    for slot in range(SLOTS):
        np.testing.assert_allclose(vol(params[slot]), before[slot] * math.exp(drift[slot]), rtol=1e-13)


def test_what_is_not_live_neither_moves_nor_shrinks() -> None:
    live = np.array([1, 4, 6], np.int64)
    p = covariance(5, live)
    age_levels(live, np.ones(SLOTS), np.zeros(SLOTS), 0.9, 0.1, p)
    shift = see(p, live, 4, 0.3, 1e-3)
    others = np.setdiff1d(np.arange(SLOTS), live)
    assert np.all(p[others] == OTHER)
    assert np.all(p[:, others] == OTHER)
    assert not shift[others].any()


def test_levels_stay_symmetric_and_positive_through_any_news() -> None:
    rng = np.random.default_rng(11)
    live = np.arange(SLOTS, dtype=np.int64)
    wander, log_tenor = rng.uniform(0.3, 4.0, SLOTS), np.log(rng.uniform(1 / 365, 1.0, SLOTS))
    p = np.zeros((SLOTS, SLOTS))
    for step in range(2_000):
        age_levels(live, wander, log_tenor, 0.9, 10.0 ** rng.uniform(-9, -4), p)
        slot, noise = int(rng.integers(SLOTS)), 10.0 ** rng.uniform(-9, -3)
        see(p, live, slot, rng.normal(0.0, 0.02), noise)
        assert p[slot, slot] <= noise * (1 + 1e-12)
        if step % 100 == 0:
            np.testing.assert_allclose(p, p.T, rtol=0, atol=1e-12 * p.max())
            assert np.linalg.eigvalsh(p)[0] > -1e-12 * p.max()


def test_a_level_learns_of_its_neighbour_by_their_correlation() -> None:
    live, p = np.array([0, 1], np.int64), np.zeros((2, 2))
    age_levels(live, np.array([1.0, 2.0]), np.array([math.log(0.02), math.log(0.08)]), 0.9, 1e-3, p)
    correlation = 0.9 ** math.log(4)
    np.testing.assert_allclose(p, 1e-3 * np.array([[1, 2 * correlation], [2 * correlation, 4]]), rtol=1e-14)
    shift = see(p, live, 0, 0.01, 0.0)  # seen without error: the regression of one level on the other
    assert shift.tolist() == pytest.approx([0.01, 0.02 * correlation])
    assert p[0, 0] == 0.0
    assert p[1, 1] == pytest.approx(4e-3 * (1 - correlation**2))


@settings(deadline=None)
@given(some_live, st.integers(0, 99), st.floats(1e-9, 1e-2), st.floats(1e-9, 1e-2))
def test_ageing_twice_is_ageing_once_for_as_long(live: Ints, seed: int, first: float, then: float) -> None:
    rng = np.random.default_rng(seed)
    wander, log_tenor = rng.uniform(0.1, 3.0, SLOTS), rng.uniform(-6.0, 0.5, SLOTS)
    twice, once = covariance(seed, live), covariance(seed, live)
    age_levels(live, wander, log_tenor, 0.8, first, twice)
    age_levels(live, wander, log_tenor, 0.8, then, twice)
    age_levels(live, wander, log_tenor, 0.8, first + then, once)
    np.testing.assert_allclose(twice, once, rtol=1e-12)


def test_level_errors_add_in_squares_and_an_absent_slice_is_wholly_unknown() -> None:
    params = np.array([[0.01, 0.1, -0.2, 0.03, 0.1], [math.nan] * 5, [0.02, 0.1, 0.0, 0.0, 0.1]])
    years, rmse, p = np.array([0.1, 0.0, 0.2]), np.array([0.004, math.nan, 0.0]), np.diag([0.02**2, 0.0, 0.0])
    wander = np.array([2.0, 0.0, 0.0])
    for twin in (level_errors, level_errors_plain):
        level, error = np.empty(3), np.empty(3)
        twin(params, years, rmse, p, wander, 1e-4, 0.003, level, error)
        w = 0.01 + 0.1 * (0.2 * 0.03 + math.hypot(0.03, 0.1))
        assert level[0] == pytest.approx(math.sqrt(w / 0.1))
        assert level[2] == pytest.approx(math.sqrt(0.03 / 0.2))
        assert math.isnan(level[1])
        assert error[0] == pytest.approx(math.sqrt((0.02**2 + 2.0**2 * 1e-4) * level[0] ** 2 + 0.004**2 + 0.003**2))
        assert error[1] == math.inf
        assert error[2] == pytest.approx(0.003)
