import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.black import inverse, price_full
from flatbook.kernels.chain import BASIS, CONVEXITIES, FACTORS, LEVELS, PREMIUM, SKEWS, SPOT
from flatbook.kernels.charges import (
    FOLDED,
    charge_rows,
    charge_rows_plain,
    fold_curvature,
    fold_curvature_plain,
    fold_gradient,
    fold_gradient_plain,
)
from flatbook.kernels.factors import (
    PRIMITIVES,
    TOTALS,
    WING,
    expose_book,
    expose_book_plain,
    load_factors,
    load_factors_plain,
    map_factors,
    map_factors_plain,
)

Floats = NDArray[np.float64]
Twin = Callable[..., None]
Ints = NDArray[np.int64]

TENOR_YEARS = np.array([3.0, 20.0, 100.0]) / 365
INDEX = 80_000.0


def runs(slot: Ints) -> tuple[Ints, Ints, Ints]:
    """Rows by slot and as they come; where each slot begins; and which slot that is."""
    walk = np.argsort(slot, kind="stable").astype(np.int64)
    first = np.flatnonzero(np.diff(slot[walk], prepend=-1, append=-1)).astype(np.int64)
    return walk, first, slot[walk][first[:-1]]


def factor_map(years: Floats, twin: Twin = map_factors) -> Floats:
    """The map of slots that are `years` from expiry."""
    made = np.empty((len(years), PRIMITIVES * FACTORS))
    twin(TENOR_YEARS, years, made)
    return made


def loadings(years: Floats, forward: Floats, moneyness: Floats, greeks: Floats, twin: Twin = load_factors) -> Floats:
    """Loadings of rows that are each an expiry of their own."""
    loading = np.empty((len(years), FACTORS))
    twin(INDEX, np.arange(len(years)), factor_map(years), forward, moneyness, greeks, loading)
    return loading


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
    forward, years, moneyness, greeks = random_rows(seed, rows)
    np.testing.assert_allclose(factor_map(years), factor_map(years, map_factors_plain), rtol=1e-12, atol=1e-13)
    fast, plain = (loadings(years, forward, moneyness, greeks, twin) for twin in (load_factors, load_factors_plain))
    np.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-6)


def test_loadings_are_the_slopes_of_an_option_bought_with_coin() -> None:
    forward, years, vol, strike = 1.03 * INDEX, 0.1, 0.6, 84_000.0

    def held_usd(spot: float, level: float, carry: float = 0.0) -> float:
        """What the option is worth less the coin once paid for it, in USD, the basis held but for its carry rate."""
        moved = forward * spot * math.exp(carry * years)
        now, before = (inverse(f, strike, v, years, 1.0).price for f, v in ((moved, vol + level), (forward, vol)))
        return float(now - before) * INDEX * spot

    greeks = np.empty((11, 1))
    price_full(np.full(1, forward), np.full(1, strike), np.full(1, vol), np.full(1, years), np.ones(1), greeks)
    loading = loadings(np.full(1, years), np.full(1, forward), np.zeros(1), greeks)
    h = 1e-4
    slope = (held_usd(1 + h, 0.0) - held_usd(1 - h, 0.0)) / (2 * h)
    bend = (held_usd(1 + h, 0.0) - 2 * held_usd(1.0, 0.0) + held_usd(1 - h, 0.0)) / (h * h)
    assert loading[0, 0] == pytest.approx(slope, rel=1e-6)
    assert loading[0, 1] == pytest.approx(0.5 * bend, rel=1e-4)
    assert loading[0, LEVELS].sum() == pytest.approx((held_usd(1.0, h) - held_usd(1.0, -h)) / (2 * h), rel=1e-6)
    by_carry = (held_usd(1.0, 0.0, h) - held_usd(1.0, 0.0, -h)) / (2 * h)
    assert loading[0, BASIS] == pytest.approx(by_carry, rel=1e-6)
    assert loading[0, PREMIUM] == 0.0


def test_vega_is_shared_between_the_two_tenors_around_and_nothing_is_lost() -> None:
    days = np.array([0.5, 3.0, math.sqrt(3 * 20), 20.0, 50.0, 100.0, 700.0])
    n = len(days)
    greeks = np.zeros((11, n))
    greeks[3] = 40.0
    z = np.linspace(-4.0, 4.0, n)
    loading = loadings(days / 365, np.full(n, 1.02 * INDEX), z, greeks)
    level, skew, convexity = (loading[:, kind] for kind in (LEVELS, SKEWS, CONVEXITIES))
    vega = 40.0 / 1.02
    np.testing.assert_allclose(level.sum(axis=1), vega)
    late = math.log(50 / 20) / math.log(100 / 20)
    rows = [[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 1 - late, late], [0, 0, 1], [0, 0, 1]]
    shares = np.array(rows, float)
    np.testing.assert_allclose(level / vega, shares, atol=1e-12)
    held = np.clip(z, -WING, WING)[:, None]
    np.testing.assert_allclose(skew, level * held)
    np.testing.assert_allclose(convexity, level * held * held)


class Futures(NamedTuple):
    """Notional in USD by expiry, years left, the price it is delivered at, and what of that is fixed."""

    usd: Floats
    years: Floats
    delivery: Floats
    fixed: Floats


@dataclass
class Book:
    """A chain in some expiries, what is held of it, and a convex R."""

    seed: int
    rows: int
    slots: int = 5

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.slot = rng.integers(0, self.slots, self.rows)
        self.slot = np.sort(self.slot) if self.seed % 2 else self.slot
        years = np.exp(rng.uniform(math.log(1 / 8760), 0.5, self.slots))
        self.forward, _, self.moneyness, self.greeks = random_rows(self.seed, self.rows)
        self.map = factor_map(years)
        root = rng.normal(0.0, 1e-3, (FACTORS, FACTORS))
        self.curvature, self.exposure = root @ root.T, rng.normal(0.0, 1e3, FACTORS)
        self.held = np.rint(rng.normal(0.0, 5.0, self.rows)) * (rng.random(self.rows) < 0.4)
        self.size = float(rng.uniform(0.1, 9.0))
        held = np.rint(rng.normal(0.0, 1e5, self.slots)) * (rng.random(self.slots) < 0.4)
        self.futures = Futures(held, years, INDEX * np.exp(0.1 * years), np.maximum(rng.uniform(-1, 1, self.slots), 0))

    def loading(self) -> Floats:
        made = np.empty((self.rows, FACTORS))
        load_factors(INDEX, self.slot, self.map, self.forward, self.moneyness, self.greeks, made)
        return made

    def folded(self, plain: bool = False) -> Floats:
        made = np.empty((FOLDED, self.slots))
        (fold_gradient_plain if plain else fold_gradient)(self.map, self.curvature @ self.exposure, made)
        (fold_curvature_plain if plain else fold_curvature)(self.map, self.curvature, made)
        return made

    def charges(self, plain: bool = False) -> tuple[Floats, Floats]:
        shift, width = np.empty(self.rows), np.empty(self.rows)
        twin = charge_rows_plain if plain else charge_rows
        inputs = (self.forward, self.moneyness, self.greeks)
        twin(INDEX, *runs(self.slot), self.folded(plain), *inputs, self.size, shift, width)
        return shift, width

    def exposed(self, twin: Twin = expose_book) -> tuple[Floats, Floats]:
        exposure, totals = np.empty(FACTORS), np.empty(len(TOTALS))
        inputs = (self.slot, self.map, self.forward, self.moneyness, self.greeks, self.held, *self.futures)
        twin(INDEX, *inputs, exposure, totals)
        return exposure, totals


books = st.builds(Book, st.integers(0, 10_000), st.integers(0, 40))


@settings(deadline=None)
@given(books)
def test_charges_agree_with_the_plain_twin(book: Book) -> None:
    np.testing.assert_allclose(book.folded(), book.folded(plain=True), rtol=1e-9, atol=1e-18)
    for fast, plain in zip(book.charges(), book.charges(plain=True), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-10)


@settings(deadline=None)
@given(books)
def test_a_charge_is_the_change_of_r_for_buying_and_for_selling(book: Book) -> None:
    def r(x: Floats) -> float:
        return float(0.5 * x @ book.curvature @ x)

    shift, width = book.charges()
    before, size = r(book.exposure), book.size
    bought = [r(book.exposure + size * g) - before for g in book.loading()]
    sold = [r(book.exposure - size * g) - before for g in book.loading()]
    scale = max(before, 1.0)
    np.testing.assert_allclose(size * (width + shift), bought, rtol=1e-7, atol=1e-9 * scale)
    np.testing.assert_allclose(size * (width - shift), sold, rtol=1e-7, atol=1e-9 * scale)
    assert np.all(width >= 0)


@settings(deadline=None)
@given(books)
def test_a_book_is_exposed_to_what_it_holds(book: Book) -> None:
    exposure, totals = book.exposed()
    for fast, plain in zip((exposure, totals), book.exposed(expose_book_plain), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-6)
    loading = book.loading()
    futures, dated = book.futures, np.zeros(FACTORS)
    worth = futures.usd * INDEX / futures.delivery
    dated[SPOT], dated[BASIS] = -worth @ futures.fixed, (worth * (1 - futures.fixed)) @ futures.years
    np.testing.assert_allclose(exposure, book.held @ loading + dated, rtol=1e-9, atol=1e-6)
    assert totals[1] == pytest.approx(2 * exposure[1] / 100, rel=1e-9, abs=1e-9)
    assert totals[2] == pytest.approx(exposure[LEVELS].sum() / 100, rel=1e-9, abs=1e-9)


def test_what_is_not_held_does_not_matter_though_it_is_not_known() -> None:
    book = Book(3, 30)
    known = book.exposed()
    book.futures.delivery[book.futures.usd == 0.0] = math.nan
    book.greeks[:, book.held == 0.0] = math.nan
    for now, before in zip(book.exposed(), known, strict=True):
        np.testing.assert_array_equal(now, before)
