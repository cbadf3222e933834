import math
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels import calendar, calendar_plain, crossing
from flatbook.kernels.calendar import IN_ORDER, MENDED, STUCK, limit_scales
from flatbook.kernels.calendar_plain import MOST_SHIFT
from tests.market.witness import least_density, least_rise, total_variance

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TWINS = pytest.mark.parametrize("module", [calendar, calendar_plain], ids=["kernel", "plain"])


def scaled(params: Floats, by: float) -> Floats:
    return np.asarray(params * np.array([by, by, 1.0, 1.0, 1.0]))


def at_the_money(params: Floats) -> float:
    return float(total_variance(params, np.zeros(1))[0])


def limits(*slices: Floats, module: ModuleType = calendar) -> tuple[Floats, Floats]:
    n = len(slices)
    most, rise = np.full(n, math.nan), np.full(n, math.nan)
    module.limit_scales(np.arange(n), -1, np.zeros(n), np.array(slices), most, rise)
    return most, rise


@st.composite
def smiles(draw: st.DrawFn) -> Floats:
    """Raw SVI at its own deviation, from smooth to sharp, some with butterflies."""
    width = draw(st.floats(0.02, 0.8))
    return np.array([
        draw(st.floats(0.1, 0.9)) * width**2, draw(st.floats(0.02, 1.2)) * width, draw(st.floats(-0.9, 0.9)),
        draw(st.floats(-0.8, 0.8)) * width, draw(st.sampled_from([0.001, 0.1, 0.5, 1.5])) * width,
    ])  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(smiles())
def test_a_slice_may_grow_to_its_limit_and_no_farther(params: Floats) -> None:
    room = float(limits(params)[0][0])
    assume(room > -5.0)  # else the slice is none at any scale worth naming
    assert least_density(scaled(params, math.exp(room))) >= -1e-7
    if params[4] > 0.01 * math.sqrt(at_the_money(params)):  # the witness may look past a sharper bend
        assert least_density(scaled(params, 1.01 * math.exp(room))) < 0.0
    for share in (0.9, 0.1):
        assert least_density(scaled(params, share * math.exp(room))) > 0.0


@example(np.array([0.125, 0.5625, 0.0, 0.0, 0.75]), np.array([0.03125, 0.25, 0.0, 0.0, 0.375]))  # least midway
@settings(deadline=None, max_examples=60)
@given(smiles(), smiles())
def test_two_slices_are_in_order_from_their_limit_on_and_no_sooner(near: Floats, far: Floats) -> None:
    limit = float(limits(near, far)[1][1])
    assert -1e-9 <= least_rise(near, scaled(far, math.exp(limit))) <= 1e-4  # the witness may miss the very point
    assert least_rise(near, scaled(far, 1.01 * math.exp(limit))) > 0.0
    assert least_rise(near, scaled(far, 0.99 * math.exp(limit))) < 0.0


@settings(deadline=None, max_examples=30)
@given(smiles(), smiles())
def test_limits_are_those_of_the_plain_twin(near: Floats, far: Floats) -> None:
    for fast, plain in zip(limits(near, far), limits(near, far, module=calendar_plain), strict=True):
        # Of a slice that has no room worth naming the two need not name the same.
        np.testing.assert_allclose(np.maximum(fast, -5.0), np.maximum(plain, -5.0), rtol=1e-6, atol=1e-6)
    for name in ("crosses", "is_flatter"):
        assert getattr(crossing, name)(near, far) == getattr(calendar_plain, name)(near, far)
    one, two = crossing.least_gap(near, far), calendar_plain.least_gap(near, far)
    if abs(two) < 0.02 * (near[0] + near[1] * near[4] * math.sqrt(1.0 - near[2] ** 2)):
        assert one == pytest.approx(two, rel=1e-2, abs=1e-9)
    else:  # between points a gap is looked at only where it is small
        assert math.copysign(1.0, one) == math.copysign(1.0, two)


def test_limits_of_one_slot_alone_leave_those_of_others() -> None:
    slices = [scaled(np.array([0.01, 0.05, -0.2, 0.0, 0.1]), by) for by in (1.0, 1.5, 2.0, 3.0)]
    most, rise = np.zeros(4), np.zeros(4)
    limit_scales(np.arange(4), 2, np.zeros(4), np.array(slices), most, rise)
    assert (most != 0.0).tolist() == [False, False, True, False]
    assert (rise != 0.0).tolist() == [False, False, True, True]
    np.testing.assert_allclose(rise[2:], [-math.log(2.0 / 1.5), -math.log(1.5)], rtol=1e-9)


class Slots:
    """Smiles of some expiries in order, whose levels then move, with part of their time gone."""

    def __init__(self, seed: int, expiries: int, off: float) -> None:
        rng = np.random.default_rng(seed)
        n = expiries + 2
        self.order = rng.permutation(n)[:expiries]  # slots by expiry; two slots are not in use
        self.fitted_years, self.years = np.zeros(n), np.zeros(n)
        fitted = np.sort(rng.uniform(0.01, 0.5, expiries))
        self.fitted_years[self.order] = fitted
        self.years[self.order] = fitted - rng.uniform(0.0, 0.9) * fitted[0]
        self.params = np.full((n, 5), math.nan)
        shape = np.array([0.5, 0.3, rng.uniform(-0.4, 0.4), 0.1, 1.2])
        for slot, years in zip(self.order, fitted, strict=True):
            width = 0.6 * math.sqrt(years)
            own = shape * np.array([1.0, 1.0 + 0.05 * rng.random(), 1.0, 1.0, 1.0])
            self.params[slot] = own * np.array([width**2, width, 1.0, width, width])
        self.rmse = np.full(n, 0.005)
        self.covariance = np.diag(rng.uniform(0.0, 1e-3, n))
        self.drift, self.most, self.rise = np.zeros((3, n))
        limit_scales(self.order, -1, self.drift, self.params, self.most, self.rise)
        moves = off * rng.normal(size=n)
        self.drift += moves
        self.params[:, :2] *= np.exp(2.0 * moves)[:, None]

    def copy(self) -> "Slots":
        other = Slots.__new__(Slots)
        other.__dict__ = {name: np.copy(value) for name, value in vars(self).items()}
        return other

    def settle(self, module: ModuleType = calendar) -> int:
        return int(module.settle(
            self.order, self.years, self.fitted_years, self.rmse, self.covariance, self.params, self.drift, self.most,
            self.rise,
        ))  # fmt: skip

    def now(self) -> list[Floats]:
        return [scaled(self.params[slot], self.years[slot] / self.fitted_years[slot]) for slot in self.order.tolist()]

    def is_free(self) -> bool:
        slices = self.now()
        return min(map(least_density, slices)) >= -1e-9 and all(
            least_rise(near, far) >= -1e-9 for near, far in pairwise(slices)
        )


slots = st.builds(Slots, st.integers(0, 100_000), st.integers(1, 7), st.sampled_from([0.0, 0.003, 0.02, 0.1, 0.4]))


@settings(deadline=None, max_examples=60)
@given(slots)
def test_settled_slices_are_free_of_arbitrage_and_stuck_ones_as_they_were(made: Slots) -> None:
    assume(Slots(0, 1, 0.0).is_free())
    before, was_free = made.copy(), made.is_free()
    code = made.settle()
    if code == MENDED:
        assert not was_free
        assert made.is_free()
        money = [
            abs(at_the_money(one) / at_the_money(two) - 1.0) for one, two in zip(made.now(), before.now(), strict=True)
        ]
        assert max(money) <= 2 * MOST_SHIFT + 1e-9  # inwards once and outwards once
        assert made.settle() == IN_ORDER
    else:
        assert was_free == (code == IN_ORDER)
        for name, value in vars(before).items():
            np.testing.assert_array_equal(getattr(made, name), value)


@settings(deadline=None, max_examples=25)
@given(slots)
def test_the_plain_twin_settles_alike(made: Slots) -> None:
    plain = made.copy()
    assert made.settle() == plain.settle(calendar_plain)
    for name in ("params", "drift", "most", "rise"):
        np.testing.assert_allclose(getattr(made, name), getattr(plain, name), rtol=1e-6, atol=1e-8, err_msg=name)


@settings(deadline=None, max_examples=30)
@given(slots, st.floats(0.01, 1.0))
def test_time_alone_breaks_neither(made: Slots, share: float) -> None:
    assume(made.settle() != STUCK)
    used = made.years > 0.0
    made.years[used] -= (1.0 - share) * made.years[used].min()
    assert made.is_free()
    assert made.settle() == IN_ORDER


@TWINS
@pytest.mark.parametrize(("near_doubt", "far_doubt", "gives"), [(2e-4, 1e-4, 0), (1e-4, 2e-4, 1)])
def test_the_one_known_less_well_gives_way(module: ModuleType, near_doubt: float, far_doubt: float, gives: int) -> None:
    made = Slots(1, 2, 0.0)
    made.order, made.rmse[:] = np.arange(2), 0.0
    made.params[:2] = [[0.01, 0.02, -0.2, 0.0, 0.1], [0.01, 0.02, -0.2, 0.0, 0.1]]
    made.years[:2] = made.fitted_years[:2] = [0.05, 0.06]
    module.limit_scales(made.order, -1, made.drift, made.params, made.most, made.rise)
    made.params[0, :2] *= 1.004
    made.drift[0] += 0.5 * math.log(1.004)
    made.covariance[:2, :2] = np.diag([near_doubt, far_doubt])
    before = made.params.copy()
    assert made.settle(module) == MENDED
    assert np.flatnonzero((made.params != before)[:2].any(axis=1)).tolist() == [gives]
    assert 0.0 <= least_rise(made.params[0], made.params[1]) < 0.03
