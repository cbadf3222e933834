import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize

from flatbook.decide.hedge.best import hedge_problem
from flatbook.decide.hedge.solver import KinkedQuadratic, rounded, solve
from tests.decide.hedge.builders import FACTOR_NAMES, random_set, risk_price

Floats = NDArray[np.float64]


def drawn(seed: int, count: int) -> tuple[KinkedQuadratic, Floats]:
    """A hedging problem, and its lots."""
    hedge_set = random_set(seed, count)
    exposure = np.random.default_rng(seed + 1).normal(0.0, 10 ** (3 + seed % 4), len(FACTOR_NAMES))
    return hedge_problem(exposure, risk_price(seed), hedge_set), hedge_set.lot


def by_programme(problem: KinkedQuadratic) -> float:
    """The least value by scipy's sequential programme, each variable split into what is bought and what is sold."""
    scale = np.sqrt(np.diag(problem.hessian))
    m = scale.size
    hessian = problem.hessian / np.outer(scale, scale)
    unit = max(float(np.abs(problem.gradient / scale).max()), 1e-300)
    gradient, buy, sell = (column / scale / unit for column in (problem.gradient, problem.buy, problem.sell))

    def value(split: Floats) -> float:
        n = split[:m] - split[m:]
        return float(0.5 * n @ hessian @ n + gradient @ n + buy @ split[:m] + sell @ split[m:])

    def slope(split: Floats) -> Floats:
        n = split[:m] - split[m:]
        along = hessian @ n + gradient
        return np.concatenate([along + buy, -along + sell])

    bounds = [(0.0, most) for most in np.tile(problem.most * scale / unit, 2)]
    found = minimize(
        value, np.zeros(2 * m), jac=slope, method="SLSQP", bounds=bounds, options={"ftol": 1e-15, "maxiter": 1_000}
    )
    return float(found.fun) * unit * unit


@pytest.mark.parametrize("seed", range(8))
def test_the_answer_is_what_an_general_programme_finds(seed: int) -> None:
    problem, _ = drawn(seed, 2 + seed % 4)
    ours, theirs = problem.value(solve(problem).n), by_programme(problem)
    assert ours <= theirs + 1e-9 * abs(theirs)
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40))
def test_the_optimality_conditions_hold_wherever_the_search_starts(seed: int, count: int) -> None:
    problem, _ = drawn(seed, count)
    cold = solve(problem)
    near = solve(problem, cold.n)
    elsewhere = solve(problem, np.random.default_rng(seed).normal(0.0, 1.0, count) * problem.most)
    steepest = float(np.abs(problem.gradient).max() + problem.buy.max() + problem.sell.max())
    for answer in (cold, near, elsewhere):
        assert answer.residual <= 1e-7 * steepest
        assert np.all(np.abs(answer.n) <= problem.most)
        assert problem.value(answer.n) <= 0.0
        assert problem.value(answer.n) == pytest.approx(problem.value(cold.n), rel=1e-7, abs=1e-9)
    assert near.steps <= 2


def test_from_the_last_answer_a_small_move_takes_one_step() -> None:
    problem, _ = drawn(4, 10)
    answer = solve(problem)
    moved = KinkedQuadratic(problem.hessian, problem.gradient * 1.0001, problem.buy, problem.sell, problem.most)
    assert answer.n.any()
    assert solve(moved, answer.n).steps == 1 < answer.steps


def test_the_residual_sees_what_is_not_optimal() -> None:
    one = np.ones(1)
    problem = KinkedQuadratic(np.eye(1), -3 * one, one, one, 10 * one)
    for n, missed in [(0.0, 2.0), (2.0, 0.0), (3.0, 1.0), (-1.0, 5.0), (10.0, 8.0)]:
        assert problem.kkt_residual(np.array([n])) == pytest.approx(missed)
    tight = KinkedQuadratic(np.eye(1), -3 * one, one, one, one)
    assert tight.kkt_residual(one) == 0.0
    assert tight.kkt_residual(-one) > 0.0


@pytest.mark.parametrize("seed", range(60))
def test_rounding_finds_what_trying_all_lots_around_finds(seed: int) -> None:
    problem, lot = drawn(seed, 1 + seed % 4)
    n = solve(problem).n
    whole = np.round(problem.most / lot)
    first = np.floor(n / lot)
    around = (np.clip(first + off, -whole, whole) * lot for off in itertools.product(range(-1, 3), repeat=lot.size))
    best = min(0.0, *(problem.value(size) for size in around))
    # A lot that is fine is rounded by itself, which may cost its share of what is saved.
    assert problem.value(rounded(problem, n, lot)) <= best + 1e-3 * abs(best)


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 12))
def test_whole_lots_are_never_worse_than_no_trade_nor_much_worse_than_a_lot_more_or_less(seed: int, count: int) -> None:
    problem, lot = drawn(seed, count)
    size = rounded(problem, solve(problem).n, lot)
    assert np.allclose(size / lot, np.round(size / lot), rtol=0.0, atol=1e-6)
    assert np.all(np.abs(size) <= problem.most * (1 + 1e-9))
    value = problem.value(size)
    assert value <= 0.0
    if not size.any():
        return
    for j, side in itertools.product(range(count), (-1.0, 1.0)):
        other = size.copy()
        other[j] += side * lot[j]
        if abs(other[j]) <= problem.most[j] * (1 + 1e-9):
            assert problem.value(other) >= value - 1e-5 * abs(value)


def test_an_option_lot_is_chosen_with_its_delta_made_up_for() -> None:
    """Rounded by itself each, an option would leave a delta that the perpetual has already been rounded for."""
    curvature = np.diag([1e-9, 1e-6])  # delta, vega
    loading = np.array([[1.0, 0.0], [40_000.0, 8_000.0]])
    exposure = np.array([0.0, 56_000.0])
    problem = KinkedQuadratic(
        loading @ curvature @ loading.T,
        loading @ curvature @ exposure,
        np.array([5e-5, 2.0]),
        np.array([5e-5, 2.0]),
        np.array([1e7, 100.0]),
    )
    size = rounded(problem, solve(problem).n, np.array([10.0, 1.0]))
    assert size[1] == -7.0
    assert abs(exposure[0] + size @ loading[:, 0]) == pytest.approx(5e-5 / 1e-9, abs=10.0)
    apart = np.array([np.round(solve(problem).n[0] / 10) * 10, -7.0])
    assert problem.value(size) < problem.value(apart) < 0.0
