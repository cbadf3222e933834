import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels import svi
from flatbook.kernels.chain import SLOT_ROWS, age_slices, age_slices_plain, spread_slots, spread_slots_plain

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


def runs(slot: Ints) -> tuple[Ints, Ints, Ints]:
    """Rows by slot and as they come; where each slot begins; and which slot that is."""
    walk = np.argsort(slot, kind="stable").astype(np.int64)
    first = np.flatnonzero(np.diff(slot[walk], prepend=-1, append=-1)).astype(np.int64)
    return walk, first, slot[walk][first[:-1]]


def spread(twin: Twin, slot: Ints, strike: Floats, slots: tuple[Floats, Floats, Floats]) -> list[Floats]:
    forward, years, smiles = slots
    walk, first, run_slot = runs(slot)
    columns = [np.empty(len(slot)) for _ in range(4)]
    twin(walk, first, run_slot, strike, np.vstack([forward, years, smiles.T]), *columns)
    return columns


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 60))
def test_rows_of_a_chain_agree_with_the_plain_twin(seed: int, slots: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    slot, strike = rng.integers(0, slots, rows), INDEX * rng.uniform(0.3, 2.5, rows)
    slot = np.sort(slot) if seed % 2 else slot
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


@pytest.mark.parametrize("seed", range(5))
def test_slices_age_as_the_plain_twin_ages_them(seed: int) -> None:
    forward, years, params = random_slots(seed, 9)
    fitted = np.maximum(years, 0.0) + 0.01
    fast, plain = np.empty((2, len(SLOT_ROWS), 6))
    for twin, slots in ((age_slices, fast), (age_slices_plain, plain)):
        slots[0], slots[1] = forward[:6], years[:6]
        twin(params, fitted, slots)
    np.testing.assert_allclose(fast, plain, rtol=1e-15)
    np.testing.assert_array_equal(fast[4:], params[:6, 2:].T)
