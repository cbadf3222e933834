import math

import msgspec
import numpy as np
import pytest

from flatbook.domain.units import NS_PER_MINUTE
from flatbook.engine.recording import Recorder, smile_points, smile_row
from tests.market.builders import chain, options

from .builders import SIMULATED_FROM_NS, engine, opened, our_fill, policy, row_of, simulated

CALL = "BTC-25APR25-80000-C"


def test_a_fill_is_told_as_fair_value_spread_and_inventory_that_add_up() -> None:
    maker, _ = opened(policy("advanced"))
    state = maker.state
    quotes, row = state.quotes, row_of(state, CALL)
    assert quotes is not None
    for side in (1, -1):
        maker.step(our_fill(state, 1.0 if side > 0 else 1.5, CALL, side, fee_coin="0.0003"))
        told = state.recorder.tables.fills.frame().row(-1, named=True)
        assert told["price"] == pytest.approx(told["fair"] + told["spread_part"] + told["inventory_part"], abs=1e-15)
        assert side * told["spread_part"] < 0  # bought under fair, sold over
        if side > 0:
            assert told["fair"] == quotes.fair_coin[row]
            assert told["inventory_part"] == -quotes.bid_inventory_coin[row]
            assert told["fee_usd"] == pytest.approx(24.0)
            assert told["vega_usd"] == pytest.approx(state.values.greeks[3, row] / 1.0038 / 100, rel=0.01)


def test_markouts_are_what_the_fill_is_worth_at_each_horizon() -> None:
    maker, world = opened()
    state, row = maker.state, row_of(maker.state, CALL)
    fill = our_fill(state, 1, CALL, -1, lots=20)
    maker.step(fill)
    expected = {}
    for seconds, column in ((62, "markout_1m_usd"), (602, "markout_10m_usd"), (3_602, "markout_1h_usd")):
        world.index_usd *= 1.002
        before = state.recorder.tables.fills.frame().row(0, named=True)
        assert math.isnan(before[column])
        maker.step(world.index(seconds))
        expected[column] = -2.0 * (state.values.fair_coin[row] - fill.price_ticks * 1e-4) * state.values.index_usd
    told = state.recorder.tables.fills.frame().row(0, named=True)
    for column, worth in expected.items():
        assert told[column] == pytest.approx(worth), column
    assert told["markout_1h_usd"] < told["markout_10m_usd"] < min(told["markout_1m_usd"], 0.0)


def test_a_row_of_each_series_is_taken_once_a_minute() -> None:
    maker, world = opened()
    start = maker.state.recorder.tables.equity.frame().height
    for n in range(1, 601):
        world.index_usd *= 1 + 2e-4 * (-1) ** n
        maker.step(world.index(n))
    frames = maker.state.recorder.tables.frames()
    for name in ("equity", "exposures"):
        times = frames[name]["ts_ns"].to_numpy()
        assert len(times) - start == 9, name  # at 61 s, 121 s, ... 541 s
        assert np.all(np.diff(times) >= NS_PER_MINUTE)
    assert maker.state.recorder.samples == frames["equity"].height


def test_the_equity_series_is_the_pnl_and_its_parts() -> None:
    _, _, maker = simulated(policy("intermediate"), 0.1)
    equity = maker.state.recorder.tables.frames()["equity"]
    parts = [name for name in maker.state.pnl.by_name() if name in equity.columns]
    assert len(parts) == 15
    np.testing.assert_allclose(equity["equity_usd"], equity.select(parts).sum_horizontal(), atol=1e-6)


def test_standing_beyond_a_limit_is_counted_and_logged_once_each_time() -> None:
    maker, world = opened(policy(limits={"vega_usd": 10.0}, quoting={"refresh_s": 1.0}))
    state = maker.state
    maker.step(our_fill(state, 1, CALL, 1, lots=20))
    for n in range(2, 20):
        maker.step(world.index(n))
    assert sum(state.recorder.breached.values()) == 1
    assert [entry.text for entry in state.recorder.log if entry.kind == "limit"] == ["vega is beyond its limit"]
    maker.step(our_fill(state, 20, CALL, -1, lots=20))
    maker.step(our_fill(state, 21, CALL, -1, lots=20, price=0.06))
    assert sum(state.recorder.breached.values()) == 2


def test_two_sided_share_and_uptime_are_of_what_rests() -> None:
    maker, _ = opened()
    recorder, grid = maker.state.recorder, maker.state.table.grid
    both, either = ((grid[1] > 0) & (grid[3] > 0)).sum(), ((grid[1] > 0) | (grid[3] > 0)).sum()
    assert recorder.two_sided == [both / either]
    assert recorder.quoting_samples == recorder.samples == 1
    assert recorder.half_spread_vol[0] > 0


def test_the_tape_counts_what_others_traded_in_the_book_once_trading() -> None:
    maker, world = opened()
    maker.step(world.trade(1, CALL))
    assert maker.state.trades_seen == 1
    assert maker.state.recorder.tape_usd == pytest.approx(10 * 0.1 * 80_000)
    off_book = world.trade(2, CALL)
    maker.step(msgspec.structs.replace(off_book, off_book=True))
    assert maker.state.trades_seen == 2
    assert maker.state.recorder.tape_usd == pytest.approx(80_000)


def test_a_smile_is_told_with_its_points_their_age_and_its_status() -> None:
    maker, world = opened()
    names = options("4APR25")
    maker.step(chain(10, [world.quote(10, name) for name in names]))
    maker.step(world.index(70))
    smile, points = smile_row(maker.state, 0), smile_points(maker.state, 0)
    assert smile.status == "fitted"
    assert smile.age_s == pytest.approx(60.0)
    vol_at_forward = math.sqrt((smile.a + smile.b * (math.hypot(smile.m, smile.s) - smile.rho * smile.m)) / smile.years)
    assert vol_at_forward == pytest.approx(world.vol_at("BTC-4APR25-80000-C", 70), abs=0.01)
    assert {round(point.age_s) for point in points} == {60, 70}
    for point in points:
        assert point.vol_low <= point.vol_high


def test_nothing_recorded_is_read_by_a_decision() -> None:
    """A maker whose memory is wiped at every step does the same."""
    heard, did, _ = simulated(policy("advanced"), 0.03)
    forgetful = engine(policy("advanced"), trade_from_ns=SIMULATED_FROM_NS)
    for event, effects in zip(heard, did, strict=True):
        forgetful.state.recorder = Recorder(10**9)
        if forgetful.state.quotes is not None:
            forgetful.state.recorder.quoted(forgetful.state, np.arange(0))
        assert repr(forgetful.step(event)) == repr(effects)
