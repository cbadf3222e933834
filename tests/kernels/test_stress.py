"""Options under many scenarios: the kernel against its plain twin, Black's formula, and itself in another column."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.black import black
from flatbook.kernels.stress import (
    CELLS,
    LANES,
    stress_totals,
    stress_totals_plain,
    stress_values,
    stress_values_plain,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Book = tuple[Ints, Floats, Floats, Floats]

PRECISION = 2.5e-12
YEARS = np.array([0.01, 0.1, 0.5, 2.0])


def drawn(seed: int, options: int = 40) -> tuple[Book, Floats, Floats]:
    """Options on four expiries, one perhaps empty; cells of 32 scenarios, some twisted; contracts held."""
    rng = np.random.default_rng(seed)
    first = np.concatenate([[0], np.sort(rng.integers(0, options + 1, 3)), [options]]).astype(np.int64)
    width = 0.6 * np.sqrt(YEARS)
    base = np.stack([80_000 * np.exp(0.05 * YEARS), 0.1 * width, 0.9 * width], axis=1)
    cells = np.empty((4, len(CELLS), 2 * LANES))
    spot, vol = rng.uniform(0.3, 3.0, 2 * LANES), rng.uniform(0.1, 3.0, 2 * LANES)
    for r, one in enumerate(cells):
        b = 0.35 * width[r] * vol**2
        slope = b * rng.uniform(-0.5, 0.5, 2 * LANES)
        one[:-1] = spot * base[r, 0], np.log(spot), 0.45 * width[r] ** 2 * vol**2, b, slope
        one[-1] = 0.9
    expiry = np.repeat(np.arange(4), np.diff(first))
    strike = base[expiry, 0] * np.exp(rng.normal(0.0, 2.0, options) * width[expiry])
    book = first, base, strike, rng.choice([-1.0, 1.0], options)
    return book, cells.reshape(-1, 2 * LANES), rng.normal(0.0, 10.0, options)


@pytest.mark.parametrize("seed", range(6))
def test_the_kernels_and_their_twins_agree(seed: int) -> None:
    book, cells, held = drawn(seed)
    fast, plain = np.empty((2, len(held), cells.shape[1]))
    stress_values(*book, cells, fast)
    stress_values_plain(*book, cells, plain)
    first, _, strike, _ = book
    forward = cells.reshape(4, len(CELLS), -1)[np.repeat(np.arange(4), np.diff(first)), 0]
    assert np.all(np.abs(fast - plain) <= PRECISION * np.maximum(forward, strike[:, None]))
    total, plain_total = np.empty((2, cells.shape[1]))
    stress_totals(*book, held, cells, total)
    stress_totals_plain(*book, held, cells, plain_total)
    np.testing.assert_allclose(total, held @ fast, rtol=1e-11)
    np.testing.assert_allclose(plain_total, held @ plain, rtol=1e-12)


def test_it_is_black_on_the_moved_smile() -> None:
    book, cells, held = drawn(7)
    value = np.empty((len(held), cells.shape[1]))
    stress_values(*book, cells, value)
    first, base, strike, sign = book
    expiry = np.repeat(np.arange(4), np.diff(first))
    for j in range(cells.shape[1]):
        forward, log_move, a, b, slope, scale = cells.reshape(4, len(CELLS), -1)[expiry, :, j].T
        m, s = base[expiry, 1], base[expiry, 2]
        # The slice's place moves against the forward, so that a strike stays where it was on it.
        y = np.log(strike / forward) - (m - log_move)
        vol = np.sqrt((a + slope * y + b * np.hypot(y, s)) / YEARS[expiry])
        expected = black(forward, strike, vol, YEARS[expiry], sign).price * scale
        assert np.all(np.abs(value[:, j] - expected) <= PRECISION * np.maximum(forward, strike))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 2 * LANES - 1), st.integers(0, 2 * LANES - 1))
def test_the_same_scenario_gives_the_same_bits_in_any_column(seed: int, one: int, other: int) -> None:
    book, cells, held = drawn(seed, 9)
    cells[:, other] = cells[:, one]
    total = np.empty(cells.shape[1])
    stress_totals(*book, held, cells, total)
    assert total[one] == total[other]


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_calls_less_puts_are_forwards_less_strikes(seed: int) -> None:
    (first, base, strike, sign), cells, _ = drawn(seed, 12)
    calls, puts = np.empty((2, 12, cells.shape[1]))
    stress_values(first, base, strike, np.abs(sign), cells, calls)
    stress_values(first, base, strike, -np.abs(sign), cells, puts)
    forward = cells.reshape(4, len(CELLS), -1)[np.repeat(np.arange(4), np.diff(first)), 0]
    np.testing.assert_allclose(calls - puts, 0.9 * (forward - strike[:, None]), rtol=1e-13, atol=1e-9)
    assert np.all(np.minimum(calls, puts) >= -PRECISION * np.maximum(forward, strike[:, None]))


def test_what_has_expired_pays_and_what_is_unknown_is_unknown_alone() -> None:
    first, base = np.array([0, 2, 3]), np.array([[100.0, 0.0, 0.1], [100.0, 0.0, 0.1]])
    cells = np.zeros((2, len(CELLS), LANES))
    cells[:, 0], cells[:, 5] = 110.0, 1.0
    cells[:, 1] = math.log(1.1)
    cells[1, 2] = np.nan
    value = np.empty((3, LANES))
    table = cells.reshape(-1, LANES)
    for function in (stress_values, stress_values_plain):
        function(first, base, np.array([90.0, 110.0, 100.0]), np.array([1.0, -1.0, 1.0]), table, value)
        np.testing.assert_allclose(value[0], 20.0, rtol=1e-12)
        np.testing.assert_allclose(value[1], 0.0, atol=1e-10)
        assert np.isnan(value[2]).all()
