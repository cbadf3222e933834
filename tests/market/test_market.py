import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.domain.events import ChainQuotes, IndexTick, QuoteRow, TopOfBook, TradePrint
from flatbook.domain.units import NS_PER_SECOND, NS_PER_YEAR
from flatbook.kernels import svi
from flatbook.kernels.chain import SPOT
from flatbook.market.analytics.funding import DERIBIT
from flatbook.market.market import Market, MarketModel
from flatbook.market.perpetual import fair_premium
from flatbook.market.surface_model import SliceStatus

from .builders import (
    DAY_S,
    NAN,
    START_NS,
    World,
    at,
    chain,
    forwards_of,
    index,
    new_market,
    options,
    shown_market,
    top,
    trade,
)
from .witness import assert_free, published

Floats = NDArray[np.float64]

CALL, PUT = "BTC-4APR25-82000-C", "BTC-4APR25-78000-P"


def vols(market: Market, slot: int, k: Floats) -> Floats:
    return np.array([market.surface.vol(slot, at) for at in k])


def test_a_print_teaches_its_forward_and_its_smile_and_leaves_its_mark() -> None:
    world, market = World(rate=0.2), new_market()
    market.take_index(world.index(0))
    names = np.random.default_rng(0).permutation(options("4APR25", 74_000, 88_000, 1_000) * 3).tolist()
    slots = [market.take_trade(world.trade(n, name)) for n, name in enumerate(names)]
    assert set(slots) == {0}
    end = len(names) - 1
    assert market.forwards.forward_usd(0) == pytest.approx(world.forward_usd(CALL, end), rel=2e-5)
    years, k = world.years(CALL, end), np.linspace(-0.06, 0.08, 15)
    np.testing.assert_allclose(vols(market, 0, k), vol_of(world.slice_at(years), k, years), atol=0.01)
    row = market.universe.row_of[names[end]]
    assert market.mark_coin[row] == world.trade(end, names[end]).mark_price
    assert market.mark_ns[row] == at(end)


def vol_of(params: Floats, k: Floats, years: float) -> Floats:
    out = np.empty(len(k))
    svi.svi_vol(params, k, years, out)
    return out


def test_a_print_without_a_mark_teaches_the_vol_it_traded_at() -> None:
    world, market = World(), new_market()
    market.take_index(world.index(0))
    names = np.random.default_rng(1).permutation(options("4APR25", 74_000, 88_000, 1_000) * 3).tolist()
    for n, name in enumerate(names):
        market.take_trade(world.trade(n, name, mark=False))
    assert market.surface.vol(0, 0.0) == pytest.approx(world.vol_at("BTC-4APR25-80000-C", 0), abs=0.01)
    assert np.isnan(market.mark_coin).all()


def test_before_an_index_nothing_is_learnt() -> None:
    world, market = World(), new_market()
    assert market.take_trade(world.trade(0, CALL)) is None
    market.take_chain(chain(0, [world.quote(0, CALL)]))
    assert not market.surface.is_known(0)
    assert math.isnan(market.forwards.forward_usd(0))


@pytest.mark.parametrize("name", ["ETH-4APR25-2000-C", "BTC_USDC-4APR25-80000-C", "BTC-PERPETUAL"])
def test_a_print_of_another_market_teaches_nothing(name: str) -> None:
    market = new_market()
    market.take_index(index(0, 80_000.0))
    assert market.take_trade(trade(1, name, 0.02, 0.02, 0.6)) is None
    assert market.universe.count == 0


def test_an_expiry_in_its_last_hour_teaches_nothing() -> None:
    world, market = World(), new_market()
    seconds = 3 * DAY_S + 19.5 * 3_600  # 30 minutes before 4 April, 08:00
    market.take_index(world.index(seconds))
    assert market.take_trade(world.trade(seconds, CALL)) is None
    assert not market.surface.is_known(0)


@pytest.mark.parametrize("iv", [0.0, -0.5, 1e-9, 50.0, math.inf])
def test_a_vol_that_is_none_is_set_aside_and_counted(iv: float) -> None:
    market = shown_market(World(), "4APR25")
    before = state_of(market)
    assert market.take_trade(trade(1, CALL, 0.02, NAN, iv)) is None
    assert market.set_aside == 1
    assert state_of(market) == before


@pytest.mark.parametrize("mark", [0.0, -0.01, 1.0, 2.0, 1e-9])
def test_a_mark_that_no_vol_explains_is_set_aside_and_counted(mark: float) -> None:
    market = shown_market(World(), "4APR25")
    before = state_of(market)
    assert market.take_trade(trade(1, CALL, 0.02, mark, NAN)) is None
    assert market.set_aside == 1
    assert state_of(market) == before


@pytest.mark.parametrize("iv", [0.0, -0.5])
def test_a_vol_that_is_none_beside_a_good_mark_is_passed_over(iv: float) -> None:
    world, market = World(), shown_market(World(), "4APR25")
    fair = world.fair_coin(CALL, 1)
    assert market.take_trade(trade(1, CALL, fair, fair, iv)) == 0
    assert market.set_aside == 0


def state_of(market: Market) -> bytes:
    """What a market says of slot 0, forward and smile, with their ages."""
    surface, forwards = market.surface, market.forwards
    parts = (surface.slices.params[0], surface.seen_ns[:1], surface.level_covariance[:1, :1], forwards.basis[:1],
             forwards.variance[:1], forwards.seen_ns[:1], surface.points(0)[0])  # fmt: skip
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def test_a_chain_teaches_every_expirys_forward_by_parity_and_its_smile() -> None:
    world, dates = World(rate=0.15), ("4APR25", "25APR25", "27JUN25")
    market = shown_market(world, *dates)
    market.take_chain(chain(10, [world.quote(10, name) for date in dates for name in options(date)]))
    for slot, date in enumerate(dates):
        name = f"BTC-{date}-80000-C"
        assert market.forwards.forward_usd(slot) == pytest.approx(world.forward_usd(name, 0), rel=1e-4)
        years = world.years(name, 0)
        k = np.linspace(-1, 1, 9) * 0.6 * math.sqrt(years)
        np.testing.assert_allclose(vols(market, slot, k), vol_of(world.slice_at(years), k, years), atol=0.008)
        assert market.surface.status[slot] == SliceStatus.FITTED


def test_a_stated_forward_comes_before_parity() -> None:
    world, market = World(), new_market()
    market.take_index(world.index(0))
    rows = [QuoteRow(name, NAN, NAN, 0.59, 0.61, NAN, 80_040.0) for name in options("4APR25")]
    market.take_chain(chain(0, rows))
    assert market.forwards.forward_usd(0) == pytest.approx(80_040.0, rel=1e-4)


def crossed_vols(row: QuoteRow) -> QuoteRow:
    return QuoteRow(row.instrument, NAN, NAN, row.ask_iv, row.bid_iv, NAN, NAN)


def no_bid(row: QuoteRow) -> QuoteRow:
    return QuoteRow(row.instrument, NAN, row.ask, NAN, row.ask_iv, NAN, NAN)


def bid_of_nothing(row: QuoteRow) -> QuoteRow:
    return QuoteRow(row.instrument, 0.0, row.ask, 0.0, row.ask_iv, NAN, NAN)


def empty(row: QuoteRow) -> QuoteRow:
    return QuoteRow(row.instrument, NAN, NAN, NAN, NAN, NAN, NAN)


def absurdly_wide(row: QuoteRow) -> QuoteRow:
    return QuoteRow(row.instrument, NAN, NAN, 0.05, 4.0, NAN, NAN)


def crossed_prices(row: QuoteRow) -> QuoteRow:
    return QuoteRow(row.instrument, row.ask, row.bid, NAN, NAN, NAN, NAN)


BAD_ROWS = [crossed_vols, no_bid, bid_of_nothing, empty, absurdly_wide, crossed_prices]


@pytest.mark.parametrize("spoil", BAD_ROWS)
def test_rows_without_two_good_sides_make_nothing_look_fresh(spoil: Callable[[QuoteRow], QuoteRow]) -> None:
    world = World()
    market = shown_market(world, "4APR25")
    before, seen_ns = state_of(market), market.surface.seen_ns[0]
    error = market.surface.levels_and_errors(1, at(600))[1][0]
    market.take_index(world.index(600))
    market.take_chain(chain(600, [spoil(world.quote(600, name)) for name in options("4APR25")]))
    assert market.surface.seen_ns[0] == seen_ns
    assert market.forwards.seen_ns[0] == at(0)
    assert market.surface.levels_and_errors(1, at(600))[1][0] == pytest.approx(error, rel=1e-3)
    market.surface.refit(0)
    assert state_of(market)[40:] == before[40:]  # all but the shape, which time itself may refit


@pytest.mark.parametrize("spoil", BAD_ROWS)
def test_rows_without_two_good_sides_open_no_expiry(spoil: Callable[[QuoteRow], QuoteRow]) -> None:
    world, market = World(), new_market()
    market.take_index(world.index(0))
    market.take_chain(chain(0, [spoil(world.quote(0, name)) for name in options("4APR25")]))
    assert not market.surface.is_known(0)
    assert math.isnan(market.surface.vol(0, 0.0))
    assert market.forwards.seen_ns[0] == 0


def test_a_crossed_quote_among_good_ones_is_counted_and_does_not_move_the_forward() -> None:
    world = World(rate=0.15)
    good = [world.quote(0, name) for name in options("4APR25")]
    market = new_market()
    market.take_index(world.index(0))
    bad = good[8]
    # The bid stands far above the ask; the pair's spreads still sum to something positive.
    good[8] = QuoteRow(bad.instrument, bad.bid + 0.03, bad.ask + 0.0295, bad.ask_iv, bad.bid_iv, NAN, NAN)
    market.take_chain(chain(0, good))
    assert market.set_aside == 1
    assert market.forwards.forward_usd(0) == pytest.approx(world.forward_usd(CALL, 0), rel=1e-4)


def test_an_index_tick_moves_all_forwards_and_no_smile() -> None:
    world = World()
    market = shown_market(world, "4APR25", "25APR25")
    forwards, smiles = forwards_of(market.forwards, 2), market.surface.slices.params[:2].copy()
    market.take_index(index(1, 1.02 * world.index_usd))
    np.testing.assert_allclose(forwards_of(market.forwards, 2), 1.02 * forwards, rtol=1e-14)
    np.testing.assert_array_equal(market.surface.slices.params[:2], smiles)


def test_years_are_counted_to_the_second_and_go_below_zero() -> None:
    market = shown_market(World(), "4APR25", "25APR25")
    assert market.years(START_NS)[0] == (3 * 86_400 + 20 * 3_600) * NS_PER_SECOND / NS_PER_YEAR
    assert market.years(at(4 * DAY_S))[0] < 0 < market.years(at(4 * DAY_S))[1]


def test_sigma_learns_from_the_index_and_the_levels() -> None:
    rng, world = np.random.default_rng(0), World()
    market = shown_market(world, "4APR25", "25APR25", "27JUN25")
    for n in range(1, 200):
        seconds = 600.0 * n
        world.index_usd *= math.exp(0.01 * rng.normal())  # 1 % in ten minutes: 230 % a year
        market.take_trade(world.trade(seconds - 1, f"BTC-25APR25-{round(world.index_usd, -3):.0f}-C"))
        market.take_index(world.index(seconds))
    sigma, prior = market.covariance.matrix(), market.model.covariance.prior()
    kept = market.model.covariance.half_life_hours / math.log(2)
    hours = kept * -math.expm1(-(199 - market.model.meter.window_steps) / 6 / kept)
    assert market.covariance.seen_hours == pytest.approx(hours, rel=0.02)
    assert sigma[SPOT, SPOT] == pytest.approx(0.01**2 * 52_560, rel=0.4)
    assert sigma[SPOT, SPOT] > 10 * prior[SPOT, SPOT]
    assert market.covariance.age_hours(at(199 * 600.0)) < 1.0


def stormy(seed: int, prints: int) -> Iterator[tuple[World, IndexTick | TradePrint | ChainQuotes]]:
    """A world that moves and jumps, with prints off their marks and now and then a chain."""
    rng = np.random.default_rng(seed)
    world = World(tenor_power=-0.1)
    dates = ["1APR25", "2APR25", "4APR25", "11APR25", "25APR25", "27JUN25"]
    seconds = 0.0
    for n in range(prints):
        seconds += rng.exponential(20.0)
        if n % 3 == 0:
            world.index_usd *= math.exp(0.0005 * rng.normal() + (0.02 * rng.normal() if n % 97 == 0 else 0.0))
            world.vol *= math.exp(0.004 * rng.normal() + (0.1 * rng.normal() if n % 97 == 0 else 0.0))
            world.smile[2] = np.clip(world.smile[2] + 0.02 * rng.normal(), -0.7, 0.4)
            yield world, world.index(seconds)
        elif n % 50 == 49:
            names = [name for date in dates for name in options(date, 60_000, 110_000, 10_000)]
            yield world, chain(seconds, [world.quote(seconds, name) for name in names])
        else:
            date = dates[rng.integers(len(dates))]
            strike = round(world.index_usd * math.exp(0.05 * rng.normal()), -3)
            name = f"BTC-{date}-{strike:.0f}-{'CP'[rng.integers(2)]}"
            yield world, world.trade(seconds, name, vol=world.vol_at(name, seconds) * math.exp(0.02 * rng.normal()))


def take(market: Market, event: IndexTick | TradePrint | ChainQuotes) -> None:
    match event:
        case IndexTick():
            market.take_index(event)
        case TradePrint():
            market.take_trade(event)
        case ChainQuotes():
            market.take_chain(event)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_published_is_free_of_arbitrage_throughout_a_storm(seed: int) -> None:
    market = new_market()
    for n, (_, event) in enumerate(stormy(seed, 600)):
        take(market, event)
        if n % 5 == 0 or isinstance(event, ChainQuotes):
            assert_free(published(market, event.local_ts_ns), event)


def test_through_a_storm_levels_are_followed_and_their_errors_are_honest() -> None:
    market, off = new_market(), []
    for n, (world, event) in enumerate(stormy(7, 1_500)):
        take(market, event)
        if n > 100 and n % 25 == 0:
            _, error = market.surface.levels_and_errors(market.universe.slots, event.local_ts_ns)
            seconds = (event.local_ts_ns - START_NS) / NS_PER_SECOND
            for date in ("4APR25", "11APR25", "25APR25"):
                name = f"BTC-{date}-{market.forwards.index_usd:.0f}-C"
                slot = int(market.universe.slot[market.universe.row_of[f"BTC-{date}-80000-C"]])
                k = math.log(float(name.split("-")[2]) / world.forward_usd(name, seconds))
                off.append((market.surface.vol(slot, k) - world.vol_at(name, seconds)) / error[slot])
    scores = np.array(off)
    assert abs(np.median(scores)) < 0.7
    assert np.quantile(np.abs(scores), 0.9) < 3.0


def test_the_same_events_make_the_same_market() -> None:
    first, second = new_market(), new_market(MarketModel())
    for market in (first, second):
        for _, event in stormy(2, 200):
            take(market, event)
    np.testing.assert_array_equal(first.surface.slices.params, second.surface.slices.params)
    np.testing.assert_array_equal(first.forwards.basis, second.forwards.basis)
    np.testing.assert_array_equal(first.covariance.matrix(), second.covariance.matrix())


FUTURE = "BTC-4APR25"


def test_the_perpetuals_prices_tell_its_premium_and_move_no_forward() -> None:
    market = shown_market(World(), "4APR25")
    before = forwards_of(market.forwards, 1)
    market.take_index(index(1, 80_000.0))
    market.take_top(top(1, 80_031.5, 80_032.5))
    assert market.perpetual.premium(at(1)) == pytest.approx(math.log(80_032 / 80_000), rel=1e-3)
    np.testing.assert_array_equal(forwards_of(market.forwards, 1), before)


@pytest.mark.parametrize(
    "event",
    [
        top(1, 81_000.0, 81_001.0, "ETH-PERPETUAL"),
        top(1, 81_000.0, 81_001.0, "BTC_USDC-PERPETUAL"),
        top(1, 81_000.0, 81_001.0, "BTC-27JUN25"),
        top(1, NAN, 81_001.0, FUTURE),
        top(1, NAN, NAN),
    ],
)
def test_a_top_of_another_market_or_without_prices_tells_nothing(event: TopOfBook) -> None:
    market = shown_market(World(), "4APR25")
    before = (forwards_of(market.forwards, 1), market.forwards.seen_ns.copy())
    market.take_top(event)
    assert market.perpetual.seen_ns == 0
    np.testing.assert_array_equal(forwards_of(market.forwards, 1), before[0])
    np.testing.assert_array_equal(market.forwards.seen_ns, before[1])


def test_tops_before_an_index_tell_nothing() -> None:
    market = new_market()
    market.take_top(top(0, 80_000.0, 80_001.0))
    assert market.perpetual.seen_ns == 0


def test_a_dated_futures_prices_tell_its_expirys_forward_as_well_as_its_spread_is_narrow() -> None:
    world, market = World(), shown_market(World(), "4APR25")
    at_parity, doubt = market.forwards.forward_usd(0), market.forwards.deviation(0, at(3_600))
    assert at_parity == pytest.approx(world.forward_usd(CALL, 0), rel=1e-5)
    shifted = at_parity * (1 + doubt)
    market.take_top(top(3_600, 0.99 * shifted, 1.01 * shifted, FUTURE))
    after_wide = market.forwards.forward_usd(0)
    assert after_wide == pytest.approx(at_parity, rel=0.1 * doubt)
    # Its venue's clock is that of the index: what the index did since is an error of the basis.
    market.take_index(index(3_601, 80_000.0))
    market.take_top(top(3_601, shifted - 0.5, shifted + 0.5, FUTURE))
    assert market.forwards.forward_usd(0) == pytest.approx(shifted, rel=0.1 * doubt)
    assert market.forwards.deviation(0, at(3_601)) < 0.2 * doubt


def test_a_future_in_its_last_hour_tells_of_its_average_and_not_of_the_forward() -> None:
    market, late = shown_market(World(), "4APR25"), 4 * DAY_S - 4 * 3_600 - 1_800
    market.take_index(index(late, 80_000.0))
    before = market.forwards.forward_usd(0)
    market.take_top(top(late, 80_500.0, 80_501.0, FUTURE))
    assert market.forwards.forward_usd(0) == before


def test_an_expiry_with_a_future_and_no_print_yet_is_observed_by_it() -> None:
    market = shown_market(World(rate=0.05), "4APR25")
    assert market.universe.row("BTC-27JUN25-80000-C") is not None
    market.take_top(top(1, 81_399.0, 81_401.0, "BTC-27JUN25"))
    assert market.forwards.forward_usd(1) == pytest.approx(81_400.0, rel=1e-4)
    assert market.forwards.seen_ns[1] == at(1)


def test_an_expiry_never_observed_follows_what_is_learnt_of_the_others() -> None:
    world = World(rate=0.05)
    market = shown_market(world, "4APR25")
    wing = world.trade(1, "BTC-27JUN25-300000-C")  # too far out to tell of a forward
    market.take_trade(wing)
    first = market.forwards.basis[1]
    assert market.forwards.seen_ns[1] == 0
    assert first / world.years("BTC-27JUN25-300000-C", 1) == pytest.approx(0.05, rel=0.4)
    for n in range(2, 5):
        market.take_chain(chain(n, [World(rate=0.09).quote(n, name) for name in options("11APR25")]))
    market.take_trade(wing)
    assert market.forwards.basis[1] > 1.2 * first


def test_the_premium_reverts_to_what_pays_for_the_forwards_carry() -> None:
    market = shown_market(World(rate=0.2), "4APR25", "25APR25")
    market.take_index(index(700, 80_000.0))
    expected = fair_premium(DERIBIT, 0.2, market.model.perpetual.deviation)
    assert market.perpetual.fair_premium == pytest.approx(math.log1p(expected), rel=0.1)
