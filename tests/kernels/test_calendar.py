import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels import svi
from flatbook.kernels.calendar import order_slices, order_slices_plain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REACH = 3.0


class Slices:
    """Smiles of some expiries, their levels badly out of order, with part of their time gone."""

    def __init__(self, seed: int, expiries: int, off: float) -> None:
        rng = np.random.default_rng(seed)
        self.order = rng.permutation(expiries + 2)[:expiries]  # slots by expiry; two slots are not in use
        fitted = np.sort(rng.uniform(0.002, 0.5, expiries))
        width = np.full(expiries + 2, math.nan)
        width[self.order] = rng.uniform(0.4, 0.8) * np.sqrt(fitted) * np.exp(off * rng.normal(size=expiries))
        n = expiries + 2
        self.params = np.column_stack(
            [0.5 * width**2, 0.3 * width, rng.uniform(-0.5, 0.5, n), rng.normal(0.0, 0.2, n) * width, 1.2 * width]
        )
        self.left = np.full(n, math.nan)
        elapsed = rng.uniform(0.0, fitted[0])
        self.left[self.order] = (fitted - elapsed) / fitted
        self.doubt = rng.uniform(0.0, 1e-3, n)
        self.drift = np.zeros(n)

    def put_in_order(self, plain: bool = False) -> None:
        twin = order_slices_plain if plain else order_slices
        twin(self.order, self.left, self.doubt, REACH, self.params, self.drift)

    def remaining(self, slot: int) -> Floats:
        left = self.left[slot]
        return np.asarray(self.params[slot] * np.array([left, left, 1, 1, 1]))

    def gap(self, near: int, far: int) -> float:
        """Least rise of total variance over the nearer slice's reach, as a share of it at the money, on a fine grid."""
        at_the_money = np.empty(1)
        svi.svi_total_variance(self.remaining(near), np.zeros(1), at_the_money)
        reach = REACH * math.sqrt(at_the_money[0])
        return svi.calendar_gap(self.remaining(near), self.remaining(far), -reach, reach, 401) / float(at_the_money[0])

    def pairs(self) -> list[tuple[int, int]]:
        return list(pairwise(self.order.tolist()))


slices = st.builds(Slices, st.integers(0, 100_000), st.integers(1, 9), st.sampled_from([0.0, 0.05, 0.3]))


@settings(deadline=None)
@given(slices)
def test_the_plain_twin_moves_the_same_slices_by_the_same(made: Slices) -> None:
    plain = Slices.__new__(Slices)
    plain.__dict__ = {name: np.copy(value) for name, value in vars(made).items()}
    made.put_in_order()
    plain.put_in_order(plain=True)
    np.testing.assert_allclose(made.params, plain.params, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(made.drift, plain.drift, rtol=1e-7, atol=1e-12)


@settings(deadline=None)
@given(slices)
def test_total_variance_then_rises_from_expiry_to_expiry(made: Slices) -> None:
    made.put_in_order()
    assert all(made.gap(near, far) >= -1e-3 for near, far in made.pairs())


@settings(deadline=None)
@given(slices)
def test_only_heights_move_and_what_moved_is_noted(made: Slices) -> None:
    before = made.params.copy()
    made.put_in_order()
    np.testing.assert_array_equal(made.params[:, 1:], before[:, 1:])
    at_the_money = [params[:, 0] + params[:, 1] * (np.hypot(params[:, 3], params[:, 4]) - params[:, 2] * params[:, 3])
                    for params in (before, made.params)]  # fmt: skip
    moved = 0.5 * np.log(at_the_money[1] / at_the_money[0])
    np.testing.assert_allclose(made.drift, np.nan_to_num(moved), atol=1e-12)


def test_slices_in_order_stay_as_they_are() -> None:
    made = Slices(1, 6, 0.0)
    made.put_in_order()
    before = made.params.copy()
    made.drift[:] = 0.0
    made.put_in_order()
    np.testing.assert_array_equal(made.params, before)
    assert not made.drift.any()


@pytest.mark.parametrize(("near_error", "far_error", "gives"), [(0.02, 0.01, 0), (0.01, 0.02, 1)])
def test_the_one_known_less_well_gives_way(near_error: float, far_error: float, gives: int) -> None:
    made = Slices(1, 2, 0.0)
    made.order = np.arange(2)
    made.params[:2] = [[0.01, 0.02, -0.2, 0.0, 0.1], [0.0098, 0.02, -0.2, 0.0, 0.1]]
    made.left[:2] = 1.0
    made.doubt = np.array([near_error**2, far_error**2, 0.0, 0.0])
    before = made.params.copy()
    made.put_in_order()
    changed = np.flatnonzero((made.params != before).any(axis=1) & np.isfinite(before[:, 0]))
    assert changed.tolist() == [gives]
    assert 0.0 <= made.gap(0, 1) < 1e-3


def test_a_nearer_slice_is_not_lowered_into_a_butterfly() -> None:
    made = Slices(1, 2, 0.0)
    made.order = np.arange(2)
    at_the_money, gap = 0.01317, 0.0005
    made.params[:2] = [[0.00817, 0.25, 0.0, 0.0, 0.02], [0.00817 - gap, 0.25, 0.0, 0.0, 0.02]]
    made.left[:2] = 1.0
    made.doubt = np.array([1.0, 0.0, 0.0, 0.0])
    near = made.params[0].copy()
    made.put_in_order()
    np.testing.assert_array_equal(made.params[0], near)
    assert made.gap(0, 1) >= 0.0
    lowered = near - np.array([gap, 0, 0, 0, 0])
    reach = REACH * math.sqrt(at_the_money)
    assert svi.durrleman_min(near, -reach, reach, 101) > 0.0 > svi.durrleman_min(lowered, -reach, reach, 101)


def test_a_crossing_that_would_cost_the_nearer_its_level_lifts_the_farther() -> None:
    made = Slices(1, 2, 0.0)
    made.order = np.arange(2)
    made.params[:2] = [[0.01, 0.02, -0.2, 0.0, 0.1], [0.008, 0.02, -0.2, 0.0, 0.1]]
    made.left[:2] = 1.0
    made.doubt = np.array([1.0, 0.0, 0.0, 0.0])
    before = made.params.copy()
    made.put_in_order()
    np.testing.assert_array_equal(made.params[0], before[0])
    assert made.params[1, 0] > before[1, 0]
