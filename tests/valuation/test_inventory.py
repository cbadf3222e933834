import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_SECOND
from flatbook.kernels.black import black
from flatbook.kernels.chain import BASIS, FACTORS, PREMIUM, TENORS
from flatbook.kernels.explain import STRATEGIES
from flatbook.kernels.factors import WING
from flatbook.market.market import Market
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.inventory import PERPETUAL, Inventory
from tests.market.builders import DAY_S, World, at, shown_market

Floats = NDArray[np.float64]

INDEX = 80_000.0


@pytest.fixture(scope="module")
def market() -> Market:
    return shown_market(World(rate=0.1), "1APR25", "4APR25", "25APR25", "27JUN25", "26DEC25")


@pytest.fixture(scope="module")
def values(market: Market) -> ChainValues:
    made = ChainValues()
    made.revalue(market, at(1))
    return made


class Book:
    """Random options, coin and perpetual, and their worth by formula when something moves."""

    def __init__(self, market: Market, values: ChainValues, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.values = values
        self.inventory = Inventory(market.universe.capacity)
        rows = rng.choice(values.rows, 25, replace=False)
        self.inventory.size_coin[rows] = np.rint(rng.normal(0.0, 30.0, 25)) / 10
        self.inventory.carried_coin = rng.normal(0.0, 5.0)
        self.inventory.perp_usd = round(rng.normal(0.0, 2e4)) * 10.0
        self.strike = market.universe.strike_usd[: values.rows]
        self.sign = market.universe.sign[: values.rows]

    def equity_usd(
        self, spot: float = 1.0, vol_move: Floats | float = 0.0, days: float = 0.0, carry: float = 0.0,
        premium: float = 0.0,
    ) -> float:  # fmt: skip
        """The book's worth when spot, forwards and perpetual move alike, vols by `vol_move`, days pass, and forwards
        move by more carry a year and the perpetual by its premium."""
        values = self.values
        forward = values.forward_usd * spot * np.exp(carry * values.years)
        price = black(forward, self.strike, values.vol + vol_move, values.years - days / 365, self.sign).price
        coin = self.inventory.carried_coin + float(self.inventory.size_coin[: values.rows] @ (price / forward))
        return (coin - self.inventory.perp_usd / (INDEX * spot * math.exp(premium))) * INDEX * spot

    def exposure(self) -> Floats:
        return self.inventory.measure(self.values).exposure


@pytest.mark.parametrize("seed", range(5))
def test_equity_is_coin_options_and_perpetual(market: Market, values: ChainValues, seed: int) -> None:
    book = Book(market, values, seed)
    assert book.inventory.equity_coin(values, INDEX) * INDEX == pytest.approx(book.equity_usd(), rel=1e-10, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_spot_exposures_are_slopes_of_equity(market: Market, values: ChainValues, seed: int) -> None:
    book, h = Book(market, values, seed), 1e-4
    up, here, down = book.equity_usd(1 + h), book.equity_usd(), book.equity_usd(1 - h)
    x = book.exposure()
    gross = float(np.abs(book.inventory.size_coin).sum()) * INDEX
    assert x[0] == pytest.approx((up - down) / (2 * h), abs=1e-5 * gross)
    assert x[1] == pytest.approx((up - 2 * here + down) / (2 * h * h), abs=1e-3 * abs(x[1]) + 1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_exposures_to_carry_and_premium_are_slopes_of_equity(market: Market, values: ChainValues, seed: int) -> None:
    book, h = Book(market, values, seed), 1e-5
    for factor, up, down in (
        (BASIS, book.equity_usd(carry=h), book.equity_usd(carry=-h)),
        (PREMIUM, book.equity_usd(premium=h), book.equity_usd(premium=-h)),
    ):
        slope = (up - down) / (2 * h)
        assert abs(slope) > 1_000
        assert book.exposure()[factor] == pytest.approx(slope, rel=1e-5)


def test_a_dated_future_is_worth_its_notional_over_its_forward(market: Market, values: ChainValues) -> None:
    """Bought at its forward it is worth nothing, and risks the coin that it owes and its carry."""
    book, h, slot, usd = Book(market, values, 2), 1e-5, 1, 30_000.0
    before, equity = book.exposure(), book.inventory.equity_coin(values, INDEX)
    forward, years = float(values.delivery_usd[slot]), float(values.slot_years[slot])
    book.inventory.future_usd[slot] = usd
    book.inventory.carried_coin += usd / forward
    assert book.inventory.equity_coin(values, INDEX) == pytest.approx(equity, abs=1e-12)
    added = book.exposure() - before
    worth = [usd / forward - usd / (forward * math.exp(side * h * years)) for side in (1, -1)]
    assert added[BASIS] == pytest.approx(INDEX * (worth[0] - worth[1]) / (2 * h), rel=1e-6)
    assert added[0] == pytest.approx(usd * INDEX / forward, rel=1e-9)
    assert np.count_nonzero(np.abs(added) > 1e-6) == 2


def test_what_a_hedge_adds_is_the_perpetuals_loading(market: Market, values: ChainValues) -> None:
    book = Book(market, values, 2)
    before, usd = book.exposure(), 25_000.0
    book.inventory.perp_usd += usd
    book.inventory.carried_coin += usd / values.perp_usd
    np.testing.assert_allclose(book.exposure() - before, usd * PERPETUAL, rtol=1e-12, atol=1e-6)


def test_a_premium_is_a_risk_of_the_notional_at_the_mark(values: ChainValues) -> None:
    book = Inventory(values.rows)
    book.perp_usd = 40_000.0
    dear = ChainValues()
    dear.copy_from(values)
    dear.perp_usd = 1.01 * INDEX
    h = 1e-5
    up, down = (book.equity_coin(dear, 1.01 * INDEX * math.exp(move)) * INDEX for move in (h, -h))
    assert book.measure(dear).exposure[PREMIUM] == pytest.approx((up - down) / (2 * h), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bucket", range(TENORS))
@pytest.mark.parametrize("power", range(3))
def test_vol_exposures_are_slopes_by_tenor_of_level_skew_and_convexity(
    market: Market, values: ChainValues, seed: int, bucket: int, power: int
) -> None:
    book, h = Book(market, values, seed), 1e-5
    peak = np.zeros(TENORS)
    peak[bucket] = 1.0
    log_tenor = np.log(np.array(market.model.covariance.tenor_days) / 365)
    share = np.interp(np.log(values.years), log_tenor, peak)
    z = np.log(book.strike / values.forward_usd) / (values.vol * np.sqrt(values.years))
    move = h * share * np.clip(z, -WING, WING) ** power
    slope = (book.equity_usd(vol_move=move) - book.equity_usd(vol_move=-move)) / (2 * h)
    assert book.exposure()[2 + 3 * bucket + power] == pytest.approx(slope, rel=1e-5, abs=1.0)


@pytest.mark.parametrize("seed", range(3))
def test_greeks_of_the_report_are_slopes_too(market: Market, values: ChainValues, seed: int) -> None:
    book = Book(market, values, seed)
    measured = book.inventory.measure(values)
    gamma, vega, theta = measured.gamma_1pct_usd, measured.vega_usd_per_vol_pt, measured.theta_usd_per_day
    assert vega == pytest.approx((book.equity_usd(vol_move=1e-5) - book.equity_usd(vol_move=-1e-5)) / 2e-3, rel=1e-5)
    assert theta == pytest.approx((book.equity_usd(days=1e-3) - book.equity_usd(days=-1e-3)) / 2e-3, rel=1e-3)
    assert gamma == pytest.approx(2 * book.exposure()[1] / 100, rel=1e-9)


def test_a_book_without_options_has_no_greeks(values: ChainValues) -> None:
    book = Inventory(values.rows)
    book.carried_coin = 3.0
    measured = book.measure(values)
    assert (measured.gamma_1pct_usd, measured.vega_usd_per_vol_pt, measured.theta_usd_per_day) == (0.0, 0.0, 0.0)
    assert book.measure(values).exposure.tolist() == [3.0 * INDEX] + [0.0] * (FACTORS - 1)


@pytest.mark.parametrize("side", [1, -1])
def test_a_perpetual_just_entered_is_worth_nothing_and_has_its_delta(values: ChainValues, side: int) -> None:
    book = Inventory(values.rows)
    book.perp_usd = side * 40_000.0
    book.carried_coin = side * 40_000.0 / INDEX
    assert book.equity_coin(values, INDEX) == 0.0
    assert book.measure(values).exposure[0] == side * 40_000.0
    assert book.equity_coin(values, 1.1 * INDEX) * 1.1 * INDEX == pytest.approx(side * 4_000.0)


def test_an_option_bought_at_fair_value_adds_its_loading_to_the_book(market: Market, values: ChainValues) -> None:
    book = Book(market, values, 1)
    before = book.exposure()
    row, size = 12, 2.5
    book.inventory.size_coin[row] += size
    book.inventory.carried_coin -= size * values.fair_coin[row]
    np.testing.assert_allclose(book.exposure() - before, size * values.loading[row], rtol=1e-9, atol=1e-6)


def test_fills_are_fresh_for_their_horizon() -> None:
    book, second = Inventory(4), NS_PER_SECOND
    book.add_fresh(1, 0.3, 60 * second)
    book.add_fresh(1, -0.1, 90 * second)
    book.add_fresh(2, 1.0, 90 * second)
    book.age(59 * second)
    np.testing.assert_allclose(book.fresh_coin, [0.0, 0.2, 1.0, 0.0])
    book.age(60 * second)
    np.testing.assert_allclose(book.fresh_coin, [0.0, -0.1, 1.0, 0.0])
    book.drop_fresh(2)
    assert book.fresh_coin[2] == 0.0
    book.age(3_600 * second)
    assert book.fresh_coin.tolist() == [0.0] * 4


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-30, 30), st.integers(0, 20)), max_size=50))
def test_whatever_is_traded_nothing_is_fresh_once_all_horizons_passed(fills: list[tuple[int, int, int]]) -> None:
    book, now_s = Inventory(4), 0
    for row, lots, wait_s in fills:
        now_s += wait_s
        book.age(now_s * NS_PER_SECOND)
        book.add_fresh(row, lots / 10, (now_s + 60) * NS_PER_SECOND)
    book.age((now_s + 60) * NS_PER_SECOND)
    assert book.fresh_coin.tolist() == [0.0] * 4


def test_more_rows_keep_what_was_held() -> None:
    book = Inventory(2)
    book.size_coin[:] = (1.5, -2.0)
    book.add_fresh(1, -2.0, 60)
    book.grow(5)
    assert book.size_coin.tolist() == [1.5, -2.0, 0.0, 0.0, 0.0]
    assert book.fresh_coin.tolist() == [0.0, -2.0, 0.0, 0.0, 0.0]


def test_exposures_are_those_of_the_time_they_are_asked_for(market: Market) -> None:
    late = ChainValues()
    late.revalue(market, at(4 * DAY_S))
    book = Inventory(late.rows)
    book.size_coin[: late.rows] = 1.0
    expired = late.years == 0
    only_dead = Inventory(late.rows)
    only_dead.size_coin[: late.rows] = np.where(expired, 1.0, 0.0)
    assert not only_dead.measure(late).exposure[1:].any()
    assert math.isfinite(book.equity_coin(late, INDEX))


def test_another_venues_perpetual_at_the_same_price_is_the_same_risk_and_worth(
    market: Market, values: ChainValues
) -> None:
    here, there = Book(market, values, 5).inventory, Book(market, values, 5).inventory
    there.perp_usd, there.away_usd = 0.0, here.perp_usd
    before, after = ChainValues(), ChainValues()
    for one, move in ((before, 1.0), (after, 1.003)):
        one.copy_from(values)
        one.perp_usd = one.away_usd = values.perp_usd * move
    cells = STRATEGIES * (len(values.slot_years) + 1)
    for one in (before, after):
        np.testing.assert_allclose(there.measure(one).exposure, here.measure(one).exposure, rtol=1e-12)
        assert there.equity_coin(one, one.perp_usd) == pytest.approx(here.equity_coin(one, one.perp_usd), rel=1e-12)
        np.testing.assert_allclose(there.beside_coin(one, 0.0, cells), here.beside_coin(one, 0.0, cells), rtol=1e-12)
    gained_there, gained_here = (book.basis_gained_usd(before, after, cells) for book in (there, here))
    np.testing.assert_allclose(gained_there, gained_here, rtol=1e-12)
