import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels import svi
from flatbook.kernels.black import inverse, price_full
from flatbook.kernels.chain import (
    FACTORS,
    WING,
    charge_rows,
    charge_rows_plain,
    load_factors,
    load_factors_plain,
    spread_slots,
    spread_slots_plain,
)

Floats = NDArray[np.float64]
Twin = Callable[..., None]
Ints = NDArray[np.int64]

TENOR_YEARS = np.array([3.0, 20.0, 100.0]) / 365
INDEX = 80_000.0


def random_slots(seed: int, slots: int) -> tuple[Floats, Floats, Floats]:
    """Forwards, years and smiles by slot; now and then an expired one, or one without a smile."""
    rng = np.random.default_rng(seed)
    years = rng.uniform(-0.02, 1.0, slots)
    width = 0.6 * np.sqrt(np.maximum(years, 1e-4))
    smiles = np.column_stack(
        [0.4 * width**2, 0.3 * width, rng.uniform(-0.7, 0.7, slots), rng.normal(0, 0.3, slots) * width, width]
    )
    smiles[rng.random(slots) < 0.2] = math.nan
    smiles[years <= 0, :2] *= 0.0
    return INDEX * rng.uniform(0.9, 1.1, slots), years, smiles


def spread(twin: Twin, slot: Ints, strike: Floats, slots: tuple[Floats, Floats, Floats]) -> list[Floats]:
    columns = [np.empty(len(slot)) for _ in range(4)]
    twin(slot, strike, *slots, *columns)
    return columns


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 60))
def test_rows_of_a_chain_agree_with_the_plain_twin(seed: int, slots: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    slot, strike = rng.integers(0, slots, rows), INDEX * rng.uniform(0.3, 2.5, rows)
    by_slot = random_slots(seed, slots)
    for fast, plain in zip(
        spread(spread_slots, slot, strike, by_slot), spread(spread_slots_plain, slot, strike, by_slot), strict=True
    ):
        np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=1e-15)


def test_a_row_has_the_vol_that_its_expirys_smile_has_at_its_strike() -> None:
    forward, years, smiles = random_slots(3, 6)
    years, smiles[:, :] = np.abs(years) + 0.01, [0.01, 0.1, -0.3, 0.02, 0.15]
    slot, strike = np.repeat(np.arange(6), 5), np.tile(INDEX * np.array([0.5, 0.9, 1.0, 1.2, 2.0]), 6)
    row_forward, row_years, vol, moneyness = spread(spread_slots, slot, strike, (forward, years, smiles))
    np.testing.assert_array_equal(row_forward, forward[slot])
    np.testing.assert_array_equal(row_years, years[slot])
    for j in range(6):
        rows, seen = slot == j, np.empty(5)
        k = np.log(strike[rows] / forward[j])
        svi.svi_vol(smiles[j], k, years[j], seen)
        np.testing.assert_allclose(vol[rows], seen, rtol=1e-14)
        np.testing.assert_allclose(moneyness[rows] * seen * math.sqrt(years[j]), k, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("twin", [spread_slots, spread_slots_plain], ids=["kernel", "plain"])
def test_an_expired_row_has_no_vol_and_one_without_a_smile_an_unknown_one(twin: Twin) -> None:
    smiles = np.array([[0.0, 0.0, -0.3, 0.0, 0.1], [math.nan] * 5, [math.nan] * 5])
    by_slot = (np.full(3, INDEX), np.array([-0.1, 0.1, -0.1]), smiles)
    _, years, vol, moneyness = spread(twin, np.arange(3), np.full(3, 70_000.0), by_slot)
    assert years.tolist() == [0.0, 0.1, 0.0]
    assert vol[[0, 2]].tolist() == [0.0, 0.0]
    assert math.isnan(vol[1])
    assert moneyness.tolist() == [0.0, 0.0, 0.0]


def random_rows(seed: int, rows: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Forward, years, standardised moneyness and Black's Greeks of random options."""
    rng = np.random.default_rng(seed)
    forward, vol = INDEX * rng.uniform(0.9, 1.1, rows), rng.uniform(0.2, 1.5, rows)
    years = np.exp(rng.uniform(math.log(1 / 8760), 0.5, rows))
    moneyness = rng.normal(0.0, 2.0, rows)
    greeks = np.empty((11, rows))
    strike = forward * np.exp(moneyness * vol * np.sqrt(years))
    price_full(forward, strike, vol, years, rng.choice([-1.0, 1.0], rows), greeks)
    return forward, years, moneyness, greeks


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60))
def test_loadings_agree_with_the_plain_twin(seed: int, rows: int) -> None:
    inputs = random_rows(seed, rows)
    fast, plain = np.empty((rows, FACTORS)), np.empty((rows, FACTORS))
    load_factors(INDEX, TENOR_YEARS, *inputs, fast)
    load_factors_plain(INDEX, TENOR_YEARS, *inputs, plain)
    np.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-6)


def test_loadings_are_the_slopes_of_an_option_bought_with_coin() -> None:
    forward, years, vol, strike = 1.03 * INDEX, 0.1, 0.6, 84_000.0

    def held_usd(spot: float, level: float) -> float:
        """What the option is worth less the coin once paid for it, in USD, the basis held."""
        now, before = (
            inverse(f, strike, v, years, 1.0).price for f, v in ((forward * spot, vol + level), (forward, vol))
        )
        return float(now - before) * INDEX * spot

    greeks = np.empty((11, 1))
    price_full(np.full(1, forward), np.full(1, strike), np.full(1, vol), np.full(1, years), np.ones(1), greeks)
    loading = np.empty((1, FACTORS))
    load_factors(INDEX, TENOR_YEARS, np.full(1, forward), np.full(1, years), np.zeros(1), greeks, loading)
    h = 1e-4
    slope = (held_usd(1 + h, 0.0) - held_usd(1 - h, 0.0)) / (2 * h)
    bend = (held_usd(1 + h, 0.0) - 2 * held_usd(1.0, 0.0) + held_usd(1 - h, 0.0)) / (h * h)
    assert loading[0, 0] == pytest.approx(slope, rel=1e-6)
    assert loading[0, 1] == pytest.approx(0.5 * bend, rel=1e-4)
    assert loading[0, 2::3].sum() == pytest.approx((held_usd(1.0, h) - held_usd(1.0, -h)) / (2 * h), rel=1e-6)


def test_vega_is_shared_between_the_two_tenors_around_and_nothing_is_lost() -> None:
    days = np.array([0.5, 3.0, math.sqrt(3 * 20), 20.0, 50.0, 100.0, 700.0])
    n = len(days)
    greeks = np.zeros((11, n))
    greeks[3] = 40.0
    z = np.linspace(-4.0, 4.0, n)
    loading = np.empty((n, FACTORS))
    load_factors(INDEX, TENOR_YEARS, np.full(n, 1.02 * INDEX), days / 365, z, greeks, loading)
    level, skew, convexity = (loading[:, 2 + kind :: 3] for kind in range(3))
    vega = 40.0 / 1.02
    np.testing.assert_allclose(level.sum(axis=1), vega)
    late = math.log(50 / 20) / math.log(100 / 20)
    rows = [[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 1 - late, late], [0, 0, 1], [0, 0, 1]]
    shares = np.array(rows, float)
    np.testing.assert_allclose(level / vega, shares, atol=1e-12)
    held = np.clip(z, -WING, WING)[:, None]
    np.testing.assert_allclose(skew, level * held)
    np.testing.assert_allclose(convexity, level * held * held)


def random_charge(seed: int, rows: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Loadings, a book's exposure, the curvature of a convex R, and sizes."""
    rng = np.random.default_rng(seed)
    root = rng.normal(0.0, 1e-3, (FACTORS, FACTORS))
    return (
        rng.normal(0.0, 50.0, (rows, FACTORS)),
        rng.normal(0.0, 1e3, FACTORS),
        root @ root.T,
        rng.uniform(0.1, 9, rows),
    )


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_charges_agree_with_the_plain_twin(seed: int, rows: int) -> None:
    loading, exposure, curvature, size = random_charge(seed, rows)
    fast, plain = (np.empty(rows), np.empty(rows)), (np.empty(rows), np.empty(rows))
    charge_rows(loading, curvature @ exposure, curvature, size, *fast)
    charge_rows_plain(loading, curvature @ exposure, curvature, size, *plain)
    np.testing.assert_allclose(fast, plain, rtol=1e-10, atol=1e-12)


def test_a_charge_is_the_change_of_r_for_buying_and_for_selling() -> None:
    loading, exposure, curvature, size = random_charge(8, 20)

    def r(x: Floats) -> float:
        return float(0.5 * x @ curvature @ x)

    shift, width = np.empty(20), np.empty(20)
    charge_rows(loading, curvature @ exposure, curvature, size, shift, width)
    bought = [r(exposure + z * g) - r(exposure) for z, g in zip(size, loading, strict=True)]
    sold = [r(exposure - z * g) - r(exposure) for z, g in zip(size, loading, strict=True)]
    np.testing.assert_allclose(size * (width + shift), bought, rtol=1e-9)
    np.testing.assert_allclose(size * (width - shift), sold, rtol=1e-9)
    assert np.all(width > 0)
