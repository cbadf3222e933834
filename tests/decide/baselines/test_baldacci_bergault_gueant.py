import math
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.decide.baselines.baldacci_bergault_gueant import VegaBook, VegaValue, distances, solve
from flatbook.decide.baselines.glft import Glft
from flatbook.decide.baselines.intensity import ExponentialIntensity, LogisticIntensity
from flatbook.domain.errors import BadInputError
from flatbook.kernels.black import black
from flatbook.valuation.exotics.models import StochasticVariance, Vanilla, heston
from tests.market_analytics.published import golden

Floats = NDArray[np.float64]

STRIKES, YEARS = (8.0, 9.0, 10.0, 11.0, 12.0), (1.0, 1.5, 2.0, 3.0)
SPOT, VOL = 10.0, 0.15


class Option(NamedTuple):
    strike: float
    years: float
    price: float
    vega: float


@cache
def options() -> tuple[Option, ...]:
    """The paper's twenty calls under its pricing measure."""

    def price(strike: float, years: float, vol: float) -> float:
        variance = StochasticVariance(vol**2, 0.0225, 3.0, 0.2, -0.5)
        return heston(Vanilla(1, strike, SPOT, years, 0.0, 0.0), variance)

    step = 1e-3 * VOL
    return tuple(
        Option(
            strike,
            years,
            price(strike, years, VOL),
            (price(strike, years, VOL + step) - price(strike, years, VOL - step)) / (2 * step),
        )
        for years in YEARS
        for strike in STRIKES
    )


@cache
def paper() -> VegaBook:
    strike, _, price, vega = np.array(options()).T
    peak = 252 * 30 / (1 + 0.7 * np.abs(SPOT - strike))
    return VegaBook(vega, 5e5 / price, LogisticIntensity(peak, 0.7, 150 / vega), 0.2 / 2, 1e-3, 1e7)


@cache
def paper_value() -> VegaValue:
    return solve(paper(), 0.0012)


@pytest.mark.parametrize("row", golden("baldacci_bergault_gueant"), ids=lambda row: row["id"])
def test_published_options_and_half_spreads(row: dict[str, str]) -> None:
    strike, years = float(row["strike"]), float(row["years"])
    at = next(i for i, option in enumerate(options()) if (option.strike, option.years) == (strike, years))
    option = options()[at]
    if row["price"]:
        assert option.price == pytest.approx(float(row["price"]), abs=6e-7)
        assert option.vega == pytest.approx(float(row["vega"]), abs=2e-6)
        implied = float(row["implied_vol_pct"]) / 100
        prices = black(SPOT, strike, np.array([implied - 6e-7, implied + 6e-7]), years, 1.0).price
        assert prices[0] < option.price < prices[1]
    if row["half_spread_vol_pt"]:
        quoted = distances(paper(), paper_value(), 0.0)
        assert quoted.bid[at] == pytest.approx(quoted.ask[at], rel=1e-9)
        assert 100 * quoted.bid[at] / option.vega == pytest.approx(float(row["half_spread_vol_pt"]), rel=1e-3)


def test_the_published_value_of_a_flat_book() -> None:
    assert float(paper_value().at(0.0)) == pytest.approx(1.6406e5, rel=2e-4)
    assert float(solve(paper(), 0.0012, points=41).at(0.0)) == pytest.approx(1.6406e5, rel=2e-4)


def test_quotes_of_all_options_shift_by_much_the_same_vol_and_linearly() -> None:
    middles = []
    for vega in (1e6, 2e6, 3e6):
        quoted = distances(paper(), paper_value(), vega)
        middles.append(0.5 * (quoted.bid - quoted.ask) / paper().vega)
    np.testing.assert_allclose(middles[0], middles[0].mean(), rtol=0.06)
    np.testing.assert_allclose(middles[1], 2 * middles[0], rtol=0.05)
    np.testing.assert_allclose(middles[2], 3 * middles[0], rtol=0.07)
    assert middles[0].min() > 0  # long vega: quotes go down


def small(intensity: type[ExponentialIntensity] | type[LogisticIntensity], drift: float = 0.0) -> VegaBook:
    vega = np.array([2.0, 1.0, 0.5])
    fills = (
        ExponentialIntensity(np.array([3.0, 2.0, 2.0]), 8.0 / vega)
        if intensity is ExponentialIntensity
        else LogisticIntensity(np.array([3.0, 2.0, 2.0]), 0.5, 8.0 / vega)
    )
    return VegaBook(vega, np.array([0.5, 1.0, 2.0]), fills, 0.2, 0.3, 10.0, drift)


@pytest.mark.parametrize("intensity", [ExponentialIntensity, LogisticIntensity])
def test_the_value_agrees_with_small_steps_of_the_printed_equation(
    intensity: type[ExponentialIntensity] | type[LogisticIntensity],
) -> None:
    """Here every fill moves the vega by one, so that the grid is the state and nothing is interpolated."""
    book, left, steps = small(intensity, drift=0.05), 2.0, 4_000
    grid = np.arange(-10.0, 11.0)
    value = np.zeros(21)
    for _ in range(steps):
        rate = 0.05 * grid - 0.5 * 0.3 * 0.2**2 * grid**2
        for side in (1, -1):
            for i, z in enumerate(book.size):
                for_one = book.fills.hamiltonian((value[:, None] - np.roll(value, -side)[:, None]) / book.size)[:, i]
                rate += np.where(np.abs(grid + side) <= 10, z * for_one, 0.0)
        value = value + rate * left / steps
    found = solve(book, left, points=21, tolerance=1e-8)
    np.testing.assert_allclose(found.value, value, atol=2e-4 * value.max())


def test_a_single_option_is_one_asset_whose_price_is_its_vol() -> None:
    """Inventory counted in vega, prices in vol: then the option's dealer is that of Guéant's model B."""
    vega, size, aversion = 2.0, 0.5, 0.3
    fills = ExponentialIntensity(np.array([3.0]), np.array([4.0]))
    book = VegaBook(np.array([vega]), np.array([size]), fills, 0.2, aversion, 12.0)
    value = solve(book, 4.0, points=25, tolerance=1e-9)
    one = Glft(0.2 * vega, ExponentialIntensity(3.0, 4.0), aversion * size, is_cara=False)
    theirs = one.distances(12, 4.0)
    for lots in (-12, -3, 0, 5, 12):
        quoted = distances(book, value, float(lots * vega * size))
        assert quoted.bid[0] == pytest.approx(theirs.bid[lots + 12], abs=1e-6)
        assert quoted.ask[0] == pytest.approx(theirs.ask[lots + 12], abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.floats(-9.9, 9.9), st.floats(0.1, 3.0))
def test_quotes_mirror_and_lean_against_the_vega(vega: float, left: float) -> None:
    book = small(LogisticIntensity)
    value = solve(book, left, points=81)
    here, there = distances(book, value, vega), distances(book, value, -vega)
    np.testing.assert_allclose(here.bid, there.ask, rtol=1e-6)
    both = np.isfinite(here.bid) & np.isfinite(here.ask)
    assert (np.sign(vega) * (here.bid - here.ask)[both] >= -1e-9).all()
    np.testing.assert_array_equal(np.isinf(here.bid), vega + book.size * book.vega > 10.0 * (1 + 1e-12))


def test_a_dealer_who_sees_vol_rising_would_rather_own_it() -> None:
    flat, bull = small(LogisticIntensity), small(LogisticIntensity, drift=0.5)
    neutral, leaning = (distances(book, solve(book, 1.0, points=81), 0.0) for book in (flat, bull))
    assert (leaning.bid < neutral.bid).all()
    assert (leaning.ask > neutral.ask).all()


def test_bad_books_are_refused() -> None:
    book = small(LogisticIntensity)
    with pytest.raises(BadInputError, match="a grid of 40 points must have an odd number"):
        solve(book, 1.0, points=40)
    with pytest.raises(BadInputError, match="vega book: time_left of 0 must be above 0"):
        solve(book, 0.0)
    with pytest.raises(BadInputError, match=r"vega has shape \(2,\) and size \(3,\)"):
        VegaBook(np.ones(2), np.ones(3), book.fills, 0.2, 0.3, 10.0)
    with pytest.raises(BadInputError, match="vega of -1 must be 0 or more"):
        VegaBook(np.array([-1.0]), np.ones(1), book.fills, 0.2, 0.3, 10.0)
    assert math.isinf(distances(book, solve(book, 1.0, points=21), 10.0).bid[0])
