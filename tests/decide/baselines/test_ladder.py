import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from flatbook.decide.baselines.ladder import Ladder, distances, inventories, stationary_falls
from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]

rates = st.floats(0.05, 5.0)


def ladder(cost: float, tilt: float, buying: float, selling: float, bound: int = 6) -> Ladder:
    held = inventories(bound)
    return Ladder(cost * held**2 - tilt * held, buying, selling)


def matrix(rungs: Ladder) -> Floats:
    n = len(rungs.charge)
    return np.asarray(np.diag(rungs.charge) - rungs.buying * np.eye(n, k=1) - rungs.selling * np.eye(n, k=-1))


@settings(deadline=None)
@given(st.floats(0.0, 2.0), st.floats(-2.0, 2.0), rates, rates, st.integers(1, 9))
def test_the_ground_state_is_an_eigenvector_of_one_sign(
    cost: float, tilt: float, buying: float, selling: float, bound: int
) -> None:
    rungs = ladder(cost, tilt, buying, selling, bound)
    value = np.exp(rungs.log_ground_state())
    growth = matrix(rungs) @ value / value
    np.testing.assert_allclose(growth, growth[0], atol=1e-9 * (np.abs(rungs.charge).max() + buying + selling))
    assert (value > 0).all()  # and of one sign only the lowest is


@settings(deadline=None)
@given(st.floats(0.05, 2.0), st.floats(-1.0, 1.0), rates, rates)
def test_far_from_the_horizon_the_value_is_the_ground_state(
    cost: float, tilt: float, buying: float, selling: float
) -> None:
    rungs = ladder(cost, tilt, buying, selling)
    long = rungs.log_value(np.zeros(13), 400.0)
    state = rungs.log_ground_state()
    np.testing.assert_allclose(np.diff(long), np.diff(state), atol=1e-7)


def test_the_value_solves_its_equation() -> None:
    rungs = ladder(0.3, 0.2, 0.8, 1.1)
    terminal = -0.4 * inventories(6) ** 2
    found = solve_ivp(
        lambda _, v: -matrix(rungs) @ v, (0, 2.5), np.exp(terminal), method="DOP853", rtol=1e-11, atol=1e-14
    )
    np.testing.assert_allclose(
        np.diff(rungs.log_value(terminal, 2.5)), np.diff(np.log(found.y[:, -1])), rtol=1e-8, atol=1e-9
    )
    np.testing.assert_allclose(rungs.log_value(terminal, 0.0), terminal - terminal.max(), atol=1e-14)


def test_what_is_too_small_for_an_eigenvector_still_has_its_ratios() -> None:
    rungs = ladder(40.0, 0.0, 0.01, 0.01, bound=60)
    state = rungs.log_ground_state()
    assert state[0] < -700
    # Where charges are steep a rung leans on its inner neighbour alone: v(q) = v(q-1) selling / (charge - lowest).
    np.testing.assert_allclose(np.diff(state)[-1], np.log(0.01 / (40.0 * 3600)), rtol=1e-4)
    np.testing.assert_allclose(state, state[::-1], rtol=1e-12)


def test_quotes_charge_the_fall_of_the_value_and_end_with_the_ladder() -> None:
    quotes = distances(np.array([0.0, 2.0, 1.0]), 2.0, 0.5)
    np.testing.assert_allclose(quotes.bid, [-0.5, 1.0, np.inf])
    np.testing.assert_allclose(quotes.ask, [np.inf, 1.5, 0.0])


def test_a_ladder_has_rungs() -> None:
    with pytest.raises(BadInputError, match="bound of 0 must be 1 or more"):
        inventories(0)


@settings(deadline=None)
@given(st.floats(-18.0, 11.0), st.integers(1, 12), st.floats(-13.0, 13.0))
def test_tabled_falls_are_those_of_the_ladder(log_ratio: float, bound: int, lots: float) -> None:
    ratio = float(np.exp(log_ratio))
    whole = -np.diff(Ladder(ratio * inventories(bound) ** 2, 1.0, 1.0).log_ground_state())
    tabled = float(stationary_falls(np.array([ratio]), np.array([lots]), bound)[0])
    if lots + 1 > bound * (1 + 1e-12):
        assert tabled == np.inf
    else:
        expected = np.interp(lots, inventories(bound)[:-1], whole)
        assert tabled == pytest.approx(float(expected), rel=1e-3, abs=1e-3 * float(np.abs(whole).max()))


def test_falls_are_tabled_for_many_ladders_at_once() -> None:
    ratios, lots = np.array([1e-3, 0.1, 5.0]), np.array([2.0, -1.0, 0.5])
    together = stationary_falls(ratios, lots, 4)
    alone = [stationary_falls(ratios[[i]], lots[[i]], 4)[0] for i in range(3)]
    np.testing.assert_array_equal(together, alone)
