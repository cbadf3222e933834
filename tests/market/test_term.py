import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.kernels.svi import durrleman_min
from flatbook.market.analytics.smile import Smile
from flatbook.market.term import TermStructure

Floats = NDArray[np.float64]

NATURAL = np.array([0.5, 0.5, -0.3, 0.1, 1.0])
"""A smile in its own standard deviations, free of arbitrage at any level."""

levels = st.floats(0.2, 1.5)
skews = st.floats(-0.9, 0.9)
moneyness = st.floats(-3.0, 3.0)


def raw(deviation: float, skew: float = -0.3) -> Floats:
    a, b, _, m, s = NATURAL * np.array([deviation**2, deviation, 1.0, deviation, deviation])
    return np.array([a, b, skew, m, s])


def listed(*slices: tuple[float, float]) -> TermStructure:
    """Slices of one shape at some years with some vol levels."""
    return TermStructure(
        np.array([years for years, _ in slices]),
        np.array([raw(vol * math.sqrt(years)) for years, vol in slices]),
    )


@st.composite
def ordered(draw: st.DrawFn) -> TermStructure:
    """One to five slices in calendar order on the whole axis: each a rising multiple of one shape."""
    gaps = draw(st.lists(st.floats(0.002, 1.0), min_size=1, max_size=5))
    growth = draw(st.lists(st.floats(1.0, 4.0), min_size=len(gaps), max_size=len(gaps)))
    first = raw(draw(levels) * math.sqrt(gaps[0]), draw(skews))
    scale = np.cumprod([1.0, *growth[1:]])
    params = np.tile(first, (len(gaps), 1))
    params[:, :2] *= scale[:, None]
    return TermStructure(np.cumsum(gaps), params)


@given(ordered(), moneyness)
def test_a_listed_expiry_has_the_variance_of_its_slice(term: TermStructure, k: float) -> None:
    expected = [
        float(Smile(params, years, 1.0).variance(k)[0]) for params, years in zip(term.params, term.years, strict=True)
    ]
    np.testing.assert_allclose(term.total_variance(k, term.years), expected, rtol=1e-12)
    np.testing.assert_allclose(term.vol(k, term.years) ** 2 * term.years, expected, rtol=1e-12)


@given(ordered(), moneyness)
def test_total_variance_never_falls_with_time(term: TermStructure, k: float) -> None:
    years = np.sort(np.concatenate([term.years, np.linspace(1e-6, 2.0 * term.years[-1], 101)]))
    variance = term.total_variance(k, years)
    assert variance[0] > 0.0
    assert (np.diff(variance) >= -1e-12 * variance[1:]).all()


@given(ordered(), moneyness, st.floats(0.01, 0.99))
def test_before_the_first_expiry_vol_is_flat(term: TermStructure, k: float, share: float) -> None:
    first = term.years[0]
    assert float(term.vol(k, share * first)) == pytest.approx(float(term.vol(k, first)), rel=1e-12)


@given(ordered(), moneyness, st.floats(0.0, 1.0))
def test_between_two_expiries_forward_variance_is_flat(term: TermStructure, k: float, share: float) -> None:
    years = np.concatenate([[0.0], term.years])
    for near, far in pairwise(years):
        inside = near + share * (far - near)
        if inside > near:
            from_near = float(term.total_variance(k, near)) if near > 0.0 else 0.0
            whole = float(term.total_variance(k, far)) - from_near
            part = float(term.total_variance(k, inside)) - from_near
            assert part == pytest.approx(share * whole, rel=1e-6, abs=1e-9)


@given(ordered(), moneyness, st.floats(1.0, 5.0))
def test_beyond_the_last_expiry_forward_variance_stays_as_it_was(term: TermStructure, k: float, times: float) -> None:
    last = term.years[-1]
    before = term.years[-2] if len(term.years) > 1 else 0.0
    known = float(term.total_variance(k, before)) if before else 0.0
    rate = (float(term.total_variance(k, last)) - known) / (last - before)
    found = float(term.total_variance(k, times * last)) - float(term.total_variance(k, last))
    assert found == pytest.approx(rate * (times - 1.0) * last, rel=1e-6, abs=1e-9)


def test_a_worked_example() -> None:
    # 60 % for one month and 50 % for two: the second month's variance is 2 x 0.25 - 0.36 = 0.14.
    term = listed((1 / 12, 0.6), (2 / 12, 0.5))
    at_money = float(Smile(raw(1.0), 1.0, 1.0).variance(0.0)[0])
    variance = term.total_variance(0.0, np.array([0.5, 1.0, 1.5, 2.0, 3.0]) / 12) * 12 / at_money
    np.testing.assert_allclose(variance, [0.18, 0.36, 0.43, 0.5, 0.64], rtol=1e-12)


def test_k_and_years_broadcast() -> None:
    term = listed((0.1, 0.6), (0.3, 0.5))
    k, years = np.linspace(-0.3, 0.3, 4), np.array([[0.05], [0.2], [0.5]])
    grid = term.vol(k, years)
    assert grid.shape == (3, 4)
    assert grid[1, 2] == float(term.vol(k[2], 0.2))
    assert term.vol(0.0, 0.2).shape == ()


@given(ordered(), st.floats(0.01, 1.0))
def test_a_slice_scaled_down_in_time_has_no_butterflies(term: TermStructure, share: float) -> None:
    """Durrleman's g is concave in the scale of total variance, and not negative without any."""
    first = term.params[0].copy()
    width = math.sqrt(float(term.total_variance(0.0, term.years[0])))
    if durrleman_min(first, -8 * width, 8 * width, 401) >= 0.0:
        first[:2] *= share
        assert durrleman_min(first, -8 * width, 8 * width, 401) >= 0.0
        k = np.linspace(-3, 3, 7) * width
        np.testing.assert_allclose(
            Smile(first, share * term.years[0], 1.0).variance(k)[0], term.total_variance(k, share * term.years[0])
        )


def test_slices_are_put_in_order_and_those_unknown_or_expired_left_out() -> None:
    params = np.array([raw(0.3), np.full(5, np.nan), raw(0.1), raw(0.2)])
    term = TermStructure.of(np.array([0.3, 0.2, -0.01, 0.1]), params)
    assert term.years.tolist() == [0.1, 0.3]
    np.testing.assert_array_equal(term.params, params[[3, 0]])


def test_what_is_not_known_is_not_a_number() -> None:
    term = TermStructure.of(np.array([0.1]), np.full((1, 5), np.nan))
    assert np.isnan(term.vol(np.zeros(3), 0.1)).all()
    assert np.isnan(listed((0.1, 0.6)).vol(0.0, np.array([0.0, -0.1]))).all()


@pytest.mark.parametrize("years", [[0.0, 0.1], [0.2, 0.1], [0.1, 0.1], [0.1, math.nan]])
def test_years_that_do_not_rise_are_refused(years: list[float]) -> None:
    with pytest.raises(BadInputError, match="must rise"):
        TermStructure(np.array(years), np.array([raw(0.2), raw(0.3)]))


def test_a_slice_that_is_no_slice_is_refused() -> None:
    with pytest.raises(BadInputError, match="five finite numbers"):
        TermStructure(np.array([0.1]), np.full((1, 5), np.nan))
