"""Protection as the engine heeds it: what pulls and widens its quotes, until when, and what its log says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.events import OrderAccepted
from flatbook.engine.loop import Engine
from flatbook.risk.loss_stop import Stage
from tests.market.builders import World, at, chain, options

from .builders import engine, opened, our_fill, policy, simulated

CALL, PUT = "BTC-25APR25-80000-C", "BTC-25APR25-75000-P"
CAREFUL: dict[str, object] = {"mmp_quantity_coin": 10.0, "mmp_share": 0.5, "mmp_rest_s": 5.0}


def log_of(maker: Engine) -> list[str]:
    return [entry.text for entry in maker.state.recorder.log if entry.kind == "protection"]


def tick(maker: Engine, world: World, seconds: float, rate: float = 3e-4) -> None:
    world.index_usd *= 1 + rate
    maker.step(world.index(seconds))


def rests(maker: Engine) -> bool:
    grid = maker.state.table.grid
    return bool(grid[1].any() or grid[3].any())


def test_fills_near_the_venues_limit_pull_every_quote_until_the_rest_is_over() -> None:
    maker, world = opened(policy("intermediate", protection=CAREFUL))
    maker.step(our_fill(maker.state, 1, CALL, 1, lots=49))
    assert rests(maker)
    maker.step(our_fill(maker.state, 2, PUT, -1, lots=1))
    assert not rests(maker)
    tick(maker, world, 6.9)
    assert not rests(maker)
    tick(maker, world, 7.1)
    assert rests(maker)
    began, ended = log_of(maker)
    assert began == "mmp: 5 coin of contracts filled in 5 s; the venue freezes at 10"
    assert ended == "mmp: calm again"


@pytest.mark.parametrize(("side", "is_pulled"), [(1, True), (-1, False)])
def test_vega_bought_and_sold_again_is_no_alarm(side: int, is_pulled: bool) -> None:
    """Two fills of one option: together twice its vega, or none."""
    maker, _ = opened(policy("intermediate"))
    maker.step(our_fill(maker.state, 1, CALL, 1))
    vega_usd = abs(maker.state.risk.vega_usd)
    assert vega_usd > 50.0
    made = policy("intermediate", protection={"mmp_vega_usd": 1.5 * vega_usd, "mmp_share": 1.0})
    maker, _ = opened(made)
    maker.step(our_fill(maker.state, 1, CALL, 1))
    maker.step(our_fill(maker.state, 2, CALL, side))
    assert maker.state.protection.is_pulled is is_pulled


def spread(maker: Engine) -> float:
    assert maker.state.quotes is not None
    return float(np.nanmean(maker.state.quotes.spread_coin))


def test_a_jump_of_the_index_doubles_spreads_until_a_minute_was_calm() -> None:
    maker, world = opened(policy("primitive"))
    calm = spread(maker)
    tick(maker, world, 1, 0.011)
    assert spread(maker) == pytest.approx(2 * calm, rel=0.05)
    tick(maker, world, 60.9)
    assert spread(maker) == pytest.approx(2 * calm, rel=0.05)
    tick(maker, world, 72)
    assert spread(maker) == pytest.approx(calm, rel=0.05)
    assert log_of(maker) == ["index_jump: the index moved 1.09% within 10 s", "index_jump: calm again"]


def test_a_jump_of_all_vols_widens_too() -> None:
    maker, world = opened(policy("primitive"))
    calm = spread(maker)
    for n in range(3, 40):
        for strike in (75_000, 80_000, 85_000):
            name = f"BTC-25APR25-{strike}-C"
            maker.step(world.trade(0.2 * n, name, vol=world.vol_at(name, n) + 0.10))
    assert any(text.startswith("vol_jump: the vol moved") for text in log_of(maker))
    assert spread(maker) > 1.5 * calm


def test_a_venue_that_answers_hedges_late_widens_and_factors_do_not_multiply() -> None:
    band = {"rule": "band_and_timer", "band_coin": 0.1, "every_s": 0.0}
    maker, world = opened(policy("primitive", hedging=band))
    (order,) = maker.step(our_fill(maker.state, 1, CALL, 1, lots=50)).orders
    before = spread(maker)
    maker.step(OrderAccepted(exch_ts_ns=at(1), local_ts_ns=at(1.4), order_id=order.order_id))
    tick(maker, world, 2)
    assert log_of(maker) == ["latency: the venue answers in 400 ms, the budget is 250"]
    assert spread(maker) == pytest.approx(1.5 * before, rel=0.02)
    maker.state.risk = maker.state.risk.__class__(0.0, 0.0, 0.0, 0.0, Stage.WIDEN)
    assert maker.state.widen == 2.0


def test_a_simulated_run_stands_back_and_comes_back_and_keeps_its_books() -> None:
    heard, _, maker = simulated(policy("advanced", protection={"mmp_quantity_coin": 1.0}), 0.5)
    alarms = maker.state.protection.alarms
    pulled = [alarm for alarm in alarms if alarm.reason == "mmp"]
    assert len(pulled) >= 4
    assert [alarm.begins for alarm in pulled] == [n % 2 == 0 for n in range(len(pulled))]
    assert log_of(maker) == [f"{alarm.reason}: {alarm.text}" for alarm in alarms]
    assert sum(maker.state.pnl.by_name().values()) == pytest.approx(maker.state.pnl.equity_usd, abs=1e-6)
    assert len(heard) > 1000


@settings(max_examples=6, deadline=None)
@given(st.floats(1.0, 200.0), st.floats(1.0, 60.0))
def test_no_span_of_time_holds_more_messages_than_the_budget(rate: float, burst: float) -> None:
    made = policy("primitive", protection={"messages_per_s": rate, "burst_messages": burst})
    world, maker, sent = World(), engine(made), []
    maker.step(world.index(0))
    sent.append((0.5, maker.step(chain(0.5, [world.quote(0.5, name) for name in options("25APR25")]))))
    rng = np.random.default_rng(0)
    for n in range(60):
        world.index_usd *= float(np.exp(1e-3 * rng.normal()))
        seconds = 1 + 0.1 * n
        sent.append((seconds, maker.step(world.index(seconds))))
    counts = [(when, 0 if effects.quotes is None else len(effects.quotes.row)) for when, effects in sent]
    assert sum(count for _, count in counts) > 0
    for first in range(len(counts)):
        total = 0
        for when, count in counts[first:]:
            total += count
            assert total <= burst + rate * (when - counts[first][0]) + 1e-6


def test_what_waits_for_the_budget_goes_next_time_and_the_book_is_whole_again() -> None:
    made = policy("primitive", protection={"messages_per_s": 10.0, "burst_messages": 10.0})
    maker, world = opened(made, "25APR25")
    assert maker.state.recorder.messages == 10
    for n in range(1, 8):
        maker.step(world.index(60.0 * n))
    wanted = maker.state.quotes
    assert wanted is not None
    np.testing.assert_array_equal(maker.state.table.grid[:, : maker.state.values.rows], wanted.grid)


def test_small_moves_are_not_sent_anew() -> None:
    def messages(share: float) -> int:
        wide: dict[str, object] = {"half_spread_coin": 0.002}
        maker, world = opened(policy("primitive", quoting=wide, protection={"least_change_share": share}))
        for n in range(1, 60):
            tick(maker, world, n, 1.5e-4 * (-1) ** n)
        return maker.state.recorder.messages

    assert messages(0.5) < 0.5 * messages(0.0)
