"""Zero arbitrage in what is published to quoting: checked densely, after events of every kind."""

import math
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.events import ChainQuotes, IndexTick, QuoteRow, TradePrint
from flatbook.domain.units import NS_PER_YEAR, parse_utc
from flatbook.market.market import Market, MarketModel
from flatbook.market.surface_model import SliceStatus
from flatbook.sim.drawn import MarketParameters
from flatbook.sim.market import SimulatedVenue
from flatbook.sim.takers import TakerParameters
from flatbook.store.importers import import_session
from flatbook.store.session import open_session
from tests.conftest import TAPE_FOLDER
from tests.market_analytics.chains import CHAINS, needs_chains

from .builders import REFERENCE, START_NS, World, at, chain, index, new_market, options, trade
from .witness import assert_free, least_density, least_rise, published, sure_profit_coin


def take(market: Market, event: object) -> bool:
    """Whether it was an event of this market."""
    match event:
        case IndexTick() if event.underlying == market.underlying:
            market.take_index(event)
        case TradePrint():
            market.take_trade(event)
        case ChainQuotes() if event.underlying == market.underlying:
            market.take_chain(event)
        case _:
            return False
    return True


def watch(market: Market, events: Iterable[object], every: int) -> int:
    """Takes events and looks after each chain and every so many others; how often it looked."""
    looks = 0
    for n, event in enumerate(events):
        if take(market, event) and (n % every == 0 or isinstance(event, ChainQuotes)):
            now_ns = event.local_ts_ns  # type: ignore[attr-defined]
            assert_free(published(market, now_ns), f"after event {n}, {event!r:.80}")
            looks += 1
    return looks


def test_the_witness_sees_what_is_known_to_be_arbitrage() -> None:
    vogt = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])
    assert least_density(vogt) == pytest.approx(-0.0328636, abs=1e-6)  # Gatheral and Jacquier (2014), example 3.1
    plain = np.array([0.02, 0.1, -0.3, 0.0, 0.2])
    assert least_density(plain) > 0.1
    assert least_rise(plain, plain * np.array([1.1, 1.1, 1.0, 1.0, 1.0])) == pytest.approx(0.1)
    assert least_rise(plain, plain + np.array([0.01, -0.001, 0.0, 0.0, 0.0])) < 0.0  # only in the wings
    assert least_density(plain * np.array([1.0, 25.0, 1.0, 1.0, 1.0])) < 0.0
    assert sure_profit_coin(plain, 80_000.0, 0.1) < 1e-9 < sure_profit_coin(vogt, 80_000.0, 1.0)


def test_a_drawn_session_with_expiries() -> None:
    busy = MarketParameters(
        takers=TakerParameters(arrivals_per_day=20_000.0), index_every_s=30, slice_every_s=120, chain_every_s=1800
    )
    venue = SimulatedVenue(REFERENCE, seed=3, hours=3.0, start_ns=parse_utc("2026-01-06T06:00"), parameters=busy)
    assert watch(new_market(), venue.events(), 25) > 40


@pytest.mark.skipif(not TAPE_FOLDER.exists(), reason="the recorded tape is not beside the repository")
def test_the_shock_of_2_april_2025(tmp_path: Path) -> None:
    import_session(TAPE_FOLDER, tmp_path / "april", REFERENCE)
    market = new_market()
    events = open_session(tmp_path / "april").market_events(
        parse_utc("2025-04-02T18:00"), parse_utc("2025-04-02T22:00"), REFERENCE
    )
    assert watch(market, events, 100) > 40
    assert (market.surface.status[: market.universe.slots] == SliceStatus.FITTED).sum() >= 8


def recorded(rows: pl.DataFrame, name: str, now_ns: int, *, marks: bool) -> ChainQuotes:
    """A recorded chain: its mark vols as narrow bands, or its prices."""
    nan = math.nan
    if marks:
        names = rows.select("instrument_name", "implied_volatility", "underlying").iter_rows()
        quotes = [QuoteRow(one, nan, nan, iv - 0.003, iv + 0.003, iv, fwd) for one, iv, fwd in names if 0.05 < iv < 3.0]
    else:
        prices = rows.select("instrument_name", "bid_price", "ask_price", "underlying").fill_null(nan).iter_rows()
        quotes = [QuoteRow(one, bid, ask, nan, nan, nan, fwd) for one, bid, ask, fwd in prices]
    return ChainQuotes(exch_ts_ns=now_ns, local_ts_ns=now_ns, underlying=name, rows=tuple(quotes))


@needs_chains
@pytest.mark.parametrize("marks", [True, False], ids=["marks", "prices"])
@pytest.mark.parametrize("name", ["BTC", "ETH"])
def test_the_crash_of_february_2026_by_whole_chains(name: str, marks: bool) -> None:
    """Four chains a day, vols doubling between two of them: levels are where the venue marks them, not beyond."""
    frame = pl.read_parquet(CHAINS / "chain_2026-02-01_14.parquet").filter(
        (pl.col("currency") == name) & pl.col("timestamp").is_between(pl.lit("2026-02-03"), pl.lit("2026-02-08"))
    )
    market, off = Market(name, REFERENCE, MarketModel()), []
    for (time,), rows in frame.sort("timestamp").group_by("timestamp", maintain_order=True):
        now_ns = int(datetime.fromisoformat(str(time)).timestamp() * 1e9)
        spot = float(rows["index_price"].to_numpy().mean())
        take(market, IndexTick(exch_ts_ns=now_ns, local_ts_ns=now_ns, underlying=name, price_usd=spot))
        take(market, recorded(rows, name, now_ns, marks=marks))
        assert_free(published(market, now_ns), time)
        off += [math.log(level / mark) for level, mark in _levels_and_marks(market, rows, now_ns)]
    assert len(off) > 150
    assert np.abs(off).max() < 0.2  # 0.78 before slices kept their order without lifting whole levels
    assert np.sqrt(np.mean(np.square(off))) < 0.02


def _levels_and_marks(market: Market, rows: pl.DataFrame, now_ns: int) -> list[tuple[float, float]]:
    """Of expiries half a day off and farther: the level, and the venue's mark vols at the four strikes nearest."""
    found = []
    for (_,), expiry in rows.group_by("expiry_datetime"):
        listed = [name for name in expiry["instrument_name"].to_list() if name in market.universe.row_of]
        slot = int(market.universe.slot[market.universe.row_of[listed[0]]])
        if (int(market.universe.expiry_ns[slot]) - now_ns) / NS_PER_YEAR * 365 > 0.5 and market.surface.is_known(slot):
            k = np.abs(np.log(expiry["strike"].to_numpy().astype(float) / expiry["underlying"].to_numpy()))
            marks = expiry["implied_volatility"].to_numpy()[np.argsort(k)[:4]]
            found.append((market.surface.vol(slot, 0.0), float(marks.mean())))
    return found


DATES = ["1APR25", "2APR25", "4APR25", "11APR25", "25APR25", "27JUN25", "26DEC25"]
prints = st.tuples(
    st.floats(0.0, 20_000.0),  # seconds since the last
    st.sampled_from(DATES),
    st.floats(-6.0, 6.0),  # deviations from the money at 60 %
    st.sampled_from([0.03, 0.3, 0.55, 0.6, 0.65, 0.9, 1.6, 4.5]),
    st.integers(1, 4),  # times in a row: three alike are believed
)


@settings(deadline=None, max_examples=12)
@given(st.lists(prints, min_size=5, max_size=40), st.booleans())
def test_prints_of_any_vol_in_any_order(stream: list[tuple[float, str, float, float, int]], begins_well: bool) -> None:
    market, world, seconds = new_market(), World(), 1.0
    market.take_index(index(0, world.index_usd))
    if begins_well:
        market.take_chain(chain(1, [world.quote(1, name) for date in DATES for name in options(date)]))
    for wait, date, deviations, vol, times in stream:
        seconds += wait
        years = world.years(f"BTC-{date}-1-C", seconds)
        if not years > 0:
            continue
        strike = max(round(80_000 * math.exp(deviations * 0.6 * math.sqrt(years))), 1)
        for _ in range(times):
            seconds += 1.0
            market.take_trade(trade(seconds, f"BTC-{date}-{strike}-C", 0.01, math.nan, vol))
            assert_free(published(market, at(seconds)), (date, strike, vol))


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(st.sampled_from(DATES), st.floats(0.2, 3.0), st.floats(-0.8, 0.8)), min_size=2, max_size=12))
def test_chains_of_any_smiles(smiles: list[tuple[str, float, float]]) -> None:
    market, seconds = new_market(), 0.0
    market.take_index(index(0, 80_000.0))
    for date, level, skew in smiles:
        seconds += 600.0
        world = World(vol=level)
        world.smile[2] = skew
        market.take_chain(chain(seconds, [world.quote(seconds, name) for name in options(date)]))
        assert_free(published(market, at(seconds)), (date, level, skew))


def test_prices_of_what_is_published_leave_no_sure_profit() -> None:
    market, world = new_market(), World(tenor_power=-0.2)
    market.take_index(world.index(0))
    for n, date in enumerate(DATES[2:]):
        world.smile[2] = 0.3 - 0.2 * n
        market.take_chain(chain(n + 1, [world.quote(n + 1, name) for name in options(date)]))
    now_ns = at(100)
    years = market.years(now_ns)
    for slot in range(market.universe.slots):
        params = market.surface.slots_at(years)[slot]
        assert sure_profit_coin(params, market.forwards.forward_usd(slot), float(years[slot])) < 1e-9
    assert now_ns > START_NS
