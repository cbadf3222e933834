import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.chain import FACTORS
from flatbook.valuation.limit_price import LimitCharge, LimitPrice
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]

PRICE = LimitPrice(
    np.array([80.0, 60_000.0, 2e6]),
    np.array([150.0, 0.7, 0.02]),
    np.array([False, False, True]),
    share=0.6,
    names=("delta", "vega", "stress_loss"),
)
SOFT = PRICE.share * PRICE.bound


def total(value: Floats) -> float:
    return float(PRICE.costs_usd(value).sum())


def test_nothing_is_charged_up_to_the_soft_bound_nor_for_gains() -> None:
    for value in (np.zeros(3), SOFT, -SOFT, np.array([0.0, 0.0, -9e6])):
        assert total(value) == 0.0
        assert not PRICE.slopes_usd(value).any()
        assert not PRICE.bends_usd(value).any()


def test_at_the_bound_a_unit_more_costs_what_was_asked_for_and_beyond_it_more() -> None:
    np.testing.assert_allclose(PRICE.slopes_usd(PRICE.bound), PRICE.marginal_usd)
    np.testing.assert_allclose(PRICE.slopes_usd(-PRICE.bound), [-150.0, -0.7, 0.0])
    assert (PRICE.slopes_usd(1.2 * PRICE.bound) > 2.0 * PRICE.marginal_usd).all()


@settings(deadline=None)
@given(st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3))
def test_slope_and_bend_are_those_of_finite_differences(shares: list[float]) -> None:
    value, step = np.array(shares) * PRICE.bound, 1e-4 * PRICE.bound
    up, here, down = (PRICE.costs_usd(value + sign * step) / PRICE.marginal_usd for sign in (1, 0, -1))
    slope, bend = PRICE.slopes_usd(value) / PRICE.marginal_usd, PRICE.bends_usd(value) / PRICE.marginal_usd
    np.testing.assert_allclose((up - down) / (2 * step), slope, atol=3e-7)
    # The third derivative jumps at the soft bound: a step across it sees half of that.
    np.testing.assert_allclose((up - 2 * here + down) / step**2 * PRICE.bound, bend * PRICE.bound, atol=2e-3)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_it_is_convex_so_that_no_round_trip_is_paid_for(seed: int, share: float) -> None:
    one, other = np.random.default_rng(seed).uniform(-1.5, 1.5, (2, 3)) * PRICE.bound
    assert total(share * one + (1 - share) * other) <= share * total(one) + (1 - share) * total(other) + 1e-6
    charge = LimitCharge(PRICE, one, np.zeros((3, FACTORS)), np.zeros(FACTORS))
    for axis in range(3):
        buying, selling = charge.side_costs_usd(axis, other[axis : axis + 1] / 50, 2.0)
        assert buying[0] + selling[0] >= -1e-9
        traded = one.copy()
        traded[axis] += 2.0 * other[axis] / 50
        assert buying[0] == pytest.approx((total(traded) - total(one)) / 2.0, abs=1e-9)


def test_in_factors_it_is_the_parabola_at_the_book_and_at_any_other() -> None:
    rng = np.random.default_rng(4)
    direction, exposure = rng.normal(size=(3, FACTORS)) * PRICE.bound[:, None] / 1e6, 1e5 * rng.normal(size=FACTORS)
    core = RiskPrice(np.diag(rng.uniform(0.0, 1e-9, FACTORS)), 1e-3 * rng.normal(size=FACTORS))
    charge = LimitCharge(PRICE, np.array([0.8, -0.9, 0.7]) * PRICE.bound, direction, exposure)
    price, trade = charge.in_factors(core), 1e5 * rng.normal(size=FACTORS)
    assert np.linalg.eigvalsh(price.curvature)[0] >= -1e-20
    missed = []
    for size in (0.2, 0.1):
        exact = total(charge.value + size * direction @ trade) - total(charge.value)
        exact += core.charge_usd(exposure, size * trade)
        missed.append(abs(price.charge_usd(exposure, size * trade) - exact))
    assert 6.0 < missed[0] / missed[1] < 11.0
    there = charge.at(exposure + trade)
    np.testing.assert_allclose(there.value, charge.value + direction @ trade)
    expected = core.gradient(there.exposure) + PRICE.slopes_usd(there.value) @ direction
    np.testing.assert_allclose(there.in_factors(core).gradient(there.exposure), expected)
