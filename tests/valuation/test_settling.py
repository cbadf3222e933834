import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.black import inverse
from flatbook.market.analytics.settlement import DERIBIT_WINDOW_YEARS, Window, settlement_value
from flatbook.market.market import Market
from flatbook.market.settling import Settling
from flatbook.valuation.chain import DELTA, GAMMA, PRICE, THETA, VANNA, VEGA, VOLGA, ChainValues
from flatbook.valuation.inventory import Inventory
from flatbook.valuation.scenarios import ShockGrid, scenario_pnl_usd
from flatbook.valuation.settling import settle_greeks, settled_price
from tests.market.builders import DAY_S, World, at, index, shown_market

Floats = NDArray[np.float64]

W = DERIBIT_WINDOW_YEARS
NAN = math.nan

shares_left = st.one_of(st.floats(0.03, 0.97), st.floats(1.03, 2.0))
near = st.floats(-0.006, 0.006)


def one(value: float) -> Floats:
    return np.array([value])


def expiry(left: float, average: float = NAN, stretch: float = 1.2) -> Settling:
    """An expiry `left` windows away."""
    return Settling(0, Window(left * W, W, average if left < 1 else NAN), stretch)


def price(settling: Settling, forward: float, strike: float, vol: float, sign: float) -> float:
    return float(settled_price(settling, one(forward), one(strike), one(vol), one(sign))[0])


def greeks(settling: Settling, index_usd: float, forward: float, strike: float, vol: float, sign: float) -> Floats:
    return settle_greeks(settling, index_usd, one(forward), one(strike), one(vol), one(sign))[:, 0]


@given(shares_left, near, near, st.floats(0.2, 1.5), st.sampled_from([1.0, -1.0]))
def test_in_coin_it_is_the_open_option_over_the_expected_delivery_price(
    left: float, off: float, moneyness: float, vol: float, sign: float
) -> None:
    forward, average = 80_000.0, 80_000.0 * math.exp(off)
    strike, settling = forward * math.exp(moneyness), expiry(left, average)
    open_ = settlement_value(forward, strike, settling.stretch * vol, sign, settling.window)
    passed = settling.window.passed_share
    delivery = passed * average + (1 - passed) * forward if passed else forward
    assert price(settling, forward, strike, vol, sign) / forward == pytest.approx(open_.price / delivery, abs=1e-15)


@settings(deadline=None)
@given(shares_left, near, near, st.floats(0.3, 1.0), st.sampled_from([1.0, -1.0]))
def test_the_greeks_are_slopes(left: float, off: float, moneyness: float, vol: float, sign: float) -> None:
    forward, average = 80_000.0, 80_000.0 * math.exp(off)
    index_usd, strike = forward * 0.99999, forward * math.exp(moneyness)
    settling = expiry(left, average)
    width = settling.stretch * vol * math.sqrt(settling.window.variance_years)
    assume(abs(moneyness - off) < 4 * width)
    found = greeks(settling, index_usd, forward, strike, vol, sign)

    def at_forward(f: float) -> float:
        return price(settling, f, strike, vol, sign)

    h, hv = 2e-3 * width * forward, 1e-4
    up, here, down = at_forward(forward + h), at_forward(forward), at_forward(forward - h)
    assert found[PRICE] == pytest.approx(here, rel=1e-14)
    assert found[DELTA] == pytest.approx((up - down) / (2 * h), abs=1e-5)
    assert found[GAMMA] == pytest.approx((up - 2 * here + down) / h**2, rel=1e-3, abs=1e-4 / (forward * width))
    by_vol = (price(settling, forward, strike, vol + hv, sign) - price(settling, forward, strike, vol - hv, sign)) / (
        2 * hv
    )
    assert found[VEGA] == pytest.approx(by_vol, rel=1e-5, abs=1e-3)
    vanna = (
        greeks(settling, index_usd, forward + h, strike, vol, sign)[VEGA]
        - greeks(settling, index_usd, forward - h, strike, vol, sign)[VEGA]
    ) / (2 * h)
    assert found[VANNA] == pytest.approx(vanna, rel=1e-4, abs=1e-4)
    volga = (
        greeks(settling, index_usd, forward, strike, vol + hv, sign)[VEGA]
        - greeks(settling, index_usd, forward, strike, vol - hv, sign)[VEGA]
    ) / (2 * hv)
    assert found[VOLGA] == pytest.approx(volga, rel=1e-4, abs=1e-2)

    def later(windows: float) -> float:
        """Its price a little later, the index fixed meanwhile at what it is."""
        passed, then = settling.window.passed_share, left - windows
        fixed = passed * average + (1 - then - passed) * index_usd if then < 1 else NAN
        moved = expiry(then, fixed / (1 - then) if then < 1 else NAN)
        return price(moved, forward, strike, vol, sign)

    step = 1e-4 * min(left, abs(left - 1))
    slope = (later(step) - later(-step)) / (2 * step * W)
    assert found[THETA] == pytest.approx(slope, rel=1e-4, abs=1e-5 * forward / W)


@pytest.mark.parametrize(("left", "off"), [(0.8, 0.0), (0.5, 0.002), (0.2, -0.001), (1.5, 0.0)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_price_is_the_expected_payment_in_coin(left: float, off: float, sign: float) -> None:
    """By simulation under the coin's measure, in which one over the index is a martingale."""
    forward, vol, strike = 80_000.0, 0.6, 80_050.0
    average, settling = forward * math.exp(off), expiry(left, 80_000.0 * math.exp(off))
    rng, paths, steps = np.random.default_rng(1), 40_000, 120
    sigma = settling.stretch * vol * math.sqrt(left * W / steps)
    logs = np.cumsum(sigma * rng.normal(size=(paths, steps)) + 0.5 * sigma**2, axis=1)
    counted = steps if left <= 1 else round(steps / left)
    rest = forward * np.exp(logs[:, -counted:]).mean(axis=1)
    passed = settling.window.passed_share
    delivered = passed * average + (1 - passed) * rest if passed else rest
    paid = np.maximum(sign * (1 - strike / delivered), 0.0)
    found = price(settling, forward, strike, vol, sign) / forward
    assert found == pytest.approx(paid.mean(), abs=4 * paid.std() / math.sqrt(paths) + 0.01 * paid.mean() + 1e-9)


@given(shares_left, near, near, st.floats(0.2, 1.5))
def test_parity_is_about_the_expected_delivery_price(left: float, off: float, moneyness: float, vol: float) -> None:
    forward, average = 80_000.0, 80_000.0 * math.exp(off)
    strike, settling = forward * math.exp(moneyness), expiry(left, average)
    passed = settling.window.passed_share
    delivery = passed * average + (1 - passed) * forward if passed else forward
    call, put = (price(settling, forward, strike, vol, sign) / forward for sign in (1.0, -1.0))
    assert call - put == pytest.approx(1 - strike / delivery, abs=1e-13)


def test_as_the_window_passes_the_delta_over_the_coin_fades_to_nothing() -> None:
    """Far in the money the fade is the venue's, linear; at the end nothing is left of it, and the coin price stands."""
    forward, vol = 80_000.0, 0.5
    for strike, sign in ((70_000.0, 1.0), (90_000.0, -1.0)):
        net = []
        for left in (0.999, 0.75, 0.5, 0.25, 0.001):
            found = greeks(expiry(left, forward), forward, forward, strike, vol, sign)
            net.append(found[DELTA] - found[PRICE] / forward)
        black = inverse(forward, strike, vol, W, sign)
        full = sign - float(black.price)
        assert net == pytest.approx([full * left for left in (0.999, 0.75, 0.5, 0.25, 0.001)], rel=1e-3)
    settled = greeks(expiry(0.0, 80_400.0), forward, forward, 80_000.0, vol, 1.0)
    assert settled[PRICE] / forward == pytest.approx(400 / 80_400, rel=1e-14)
    assert settled[DELTA] - settled[PRICE] / forward == pytest.approx(0.0, abs=1e-16)
    assert not settled[GAMMA : VOLGA + 1].any()


def test_at_the_windows_start_nothing_jumps() -> None:
    forward = 80_000.0
    for strike, sign in ((79_900.0, 1.0), (80_100.0, -1.0), (80_000.0, 1.0)):
        before, after = (greeks(expiry(left, forward), forward, forward, strike, 0.6, sign) for left in (1.0, 1 - 1e-9))
        np.testing.assert_allclose(after[:4], before[:4], rtol=1e-6)
        np.testing.assert_allclose(after[VANNA : VOLGA + 1], before[VANNA : VOLGA + 1], rtol=1e-6, atol=1e-6)


EIGHT_S = 4 * DAY_S - 4 * 3_600


def closing(seconds_before: float, world: World | None = None) -> Market:
    """A market that saw 4 April's chain, and the index every ten seconds of its last half hour."""
    world = world or World()
    market = shown_market(world, "4APR25", "25APR25", seconds=EIGHT_S - 3_700)
    for before_s in range(1_900, int(seconds_before) - 1, -10):
        market.take_index(index(EIGHT_S - before_s, 80_000.0 + 0.1 * before_s))
    return market


def test_the_chain_settles_the_expiring_rows_and_touches_no_other() -> None:
    market, values, plain = closing(900), ChainValues(), ChainValues()
    now_ns = at(EIGHT_S - 900)
    values.revalue(market, now_ns)
    ((settling, rows),) = values.settling
    assert set(rows.tolist()) == {row for name, row in market.universe.row_of.items() if "-4APR25-" in name}
    assert settling.window.passed_share == pytest.approx(0.5)
    strike, sign = market.universe.strike_usd[rows], market.universe.sign[rows]
    expected = settled_price(settling, values.forward_usd[rows], strike, values.vol[rows], sign)
    np.testing.assert_allclose(values.fair_coin[rows], expected / values.forward_usd[rows], rtol=1e-14)
    plain.revalue(market, at(EIGHT_S - 3_650))
    assert plain.settling == ()
    others = np.setdiff1d(np.arange(values.rows), rows)
    market.settling = lambda years, now_ns: ()  # type: ignore[method-assign]
    plain.revalue(market, now_ns)
    np.testing.assert_array_equal(plain.greeks[:, others], values.greeks[:, others])
    assert np.abs(plain.greeks[PRICE, rows] - values.greeks[PRICE, rows]).max() > 1.0


def test_a_slice_fitted_at_the_hour_keeps_its_prices_when_settling_begins() -> None:
    """The stretch gives back the variance that the fit, which knew no window, put into too short a time."""
    market = shown_market(World(), "4APR25", seconds=EIGHT_S - 3_601)
    before, after = ChainValues(), ChainValues()
    before.revalue(market, at(EIGHT_S - 3_601))
    after.revalue(market, at(EIGHT_S - 3_599))
    assert not before.settling
    assert after.settling
    np.testing.assert_allclose(after.fair_coin, before.fair_coin, atol=6e-6)  # two seconds' decay


def test_stress_of_a_settling_book_is_its_revaluation_and_zero_at_no_shock() -> None:
    market, values = closing(600), ChainValues()
    values.revalue(market, at(EIGHT_S - 600))
    book, grid = Inventory(market.universe.capacity), ShockGrid()
    rng = np.random.default_rng(0)
    book.size_coin[: values.rows] = np.rint(rng.normal(0.0, 5.0, values.rows))
    found = scenario_pnl_usd(grid, market.universe, values, book)
    assert found[grid.spot.index(0.0), grid.vol.index(0.0)] == 0.0
    ((settling, rows),) = values.settling
    shock = 0.01
    moved = ShockGrid(spot=(0.0, shock), vol=(0.0,))
    alone = Inventory(market.universe.capacity)
    alone.size_coin[rows] = book.size_coin[rows]
    strike, sign = market.universe.strike_usd[rows], market.universe.sign[rows]
    before, after = (
        settled_price(settling, values.forward_usd[rows] * up, strike, values.vol[rows], sign)
        / (values.forward_usd[rows] * up)
        * values.index_usd
        * up
        for up in (1.0, 1 + shock)
    )
    gained = scenario_pnl_usd(moved, market.universe, values, alone)[1, 0]
    assert gained == pytest.approx(float(alone.size_coin[rows] @ (after - before)), rel=1e-9)
