"""A bad tick of the index stops, hedges and quotes nothing; a crash is believed; see `market.index_check`."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from flatbook.domain.events import AnyEvent, Fill, IndexTick, OrderCancelled, Rearm
from flatbook.domain.intents import Purpose
from flatbook.domain.units import NS_PER_SECOND
from flatbook.engine.loop import Engine
from flatbook.risk.loss_stop import Stage
from flatbook.risk.protection import Reason
from flatbook.sim.drawn import MarketParameters
from flatbook.sim.market import SimulatedVenue
from tests.market.builders import REFERENCE, World, at, chain, index, options, top

from .builders import SIMULATED_FROM_NS, engine, opened, our_fill, policy, replayed, simulated

CALL = "BTC-25APR25-80000-C"
TIGHT: dict[str, object] = {"widen_usd": 50.0, "reduce_only_usd": 100.0, "flat_usd": 150.0, "halt_usd": 200.0}
KEEN: dict[str, object] = {"rule": "band_and_timer", "band_coin": 0.1, "every_s": 0.0}


def alarms_of(maker: Engine) -> list[tuple[str, str]]:
    return [(alarm.reason, alarm.text) for alarm in maker.state.protection.alarms]


def rests(maker: Engine) -> bool:
    return bool(maker.state.table.grid[1::2].any())


def holding(**check: object) -> tuple[Engine, World]:
    """A maker long twenty calls that are not hedged, its loss stop set so that a tenth of the index would halt it."""
    made = policy("primitive", loss_stop=TIGHT, protection={"mmp_quantity_coin": 1e3}, index_check=check)
    maker, world = opened(made, "25APR25")
    maker.step(our_fill(maker.state, 1, CALL, 1, lots=200))
    maker.step(world.index(2))
    maker.step(top(2, world.index_usd - 0.5, world.index_usd + 0.5))
    return maker, world


def test_a_bad_tick_pulls_quotes_and_moves_no_mark_and_no_stop() -> None:
    maker, world = holding()
    state, worth, risk = maker.state, maker.state.pnl.equity_usd, maker.state.risk
    assert rests(maker)
    for second in np.arange(3.0, 20.0, 0.5).tolist():
        maker.step(top(second, 79_999.5, 80_000.5))
        maker.step(index(second, 56_000.0))
    assert not rests(maker)
    assert state.protection.why_pulled == "a jump of the index that nothing else confirms"
    assert state.values.index_usd == state.market.forwards.index_usd == 80_000.0
    assert state.pnl.equity_usd == pytest.approx(worth, abs=1.0), "seventeen seconds of theta"
    assert state.loss_stop.stage is Stage.NORMAL
    assert state.risk.stress_loss_usd == pytest.approx(risk.stress_loss_usd, rel=1e-5)
    maker.step(world.index(20))
    assert not rests(maker), "not at once"
    world.index_usd += 50.0
    maker.step(world.index(22.1))
    assert rests(maker)
    held, back = alarms_of(maker)
    assert held == (Reason.INDEX_HELD, "an index of 56,000.00 was 80,000.00 1.0 s ago, and nothing else says so")
    assert back == (Reason.INDEX_HELD, "a tick of 80,000.00 is within 2.0% again")


def test_unchecked_those_ticks_would_have_halted_it() -> None:
    maker, _ = holding(least_rate=10.0, apart_rate=10.0)
    for second in (3.0, 8.0, 14.0):
        maker.step(index(second, 56_000.0 + 50 * second))
    assert maker.state.loss_stop.stage is Stage.HALT


def test_an_index_that_stays_wrong_for_ten_minutes_fires_nothing_and_comes_back_by_itself() -> None:
    """The perpetual and futures trade on, and drift; the feed stands three or thirty per cent off, creeping."""
    for factor in (0.97, 0.7):
        maker, world = holding()
        state, orders = maker.state, 0
        for second in map(float, range(3, 603)):
            world.index_usd += 2.0
            maker.step(top(second, world.index_usd - 0.5, world.index_usd + 0.5))
            if second % 20 == 0:
                price = world.forward_usd("BTC-25APR25", second)
                maker.step(top(second, price - 5, price + 5, "BTC-25APR25"))
            orders += len(maker.step(index(second, factor * 80_000.0 - second % 7)).orders)
            assert not rests(maker)
        assert (orders, state.loss_stop.changes, state.market.forwards.index_usd) == (0, [], 80_000.0)
        slot = state.market.universe.slot_of[REFERENCE.instrument("BTC-25APR25").contract.expiry_ns or 0]
        basis = float(state.market.forwards.basis[slot])
        for second in (603.0, 605.1):
            maker.step(top(second, world.index_usd - 0.5, world.index_usd + 0.5))
            maker.step(world.index(second))
        world.index_usd += 50.0
        maker.step(world.index(606))
        assert rests(maker)
        assert (state.index_check.is_doubted, state.loss_stop.changes) == (False, [])
        assert state.market.forwards.basis[slot] == pytest.approx(basis, abs=1e-3), "it learnt nothing meanwhile"
        said = [entry.text for entry in state.recorder.log if entry.kind == "monitor"]
        assert "index in doubt over a minute: 31 s, the threshold is 30" in said


def test_a_second_source_that_dies_holds_the_engine_for_a_minute_and_no_longer() -> None:
    maker, world = holding()
    for second in map(float, range(3, 200)):
        if second <= 100:
            maker.step(top(second, 79_999.5, 80_000.5))
        world.index_usd = 68_000.0 + second
        maker.step(world.index(second))
        is_believed = maker.state.market.forwards.index_usd != 80_000.0
        assert is_believed is (second >= 160), second
    assert maker.state.loss_stop.stage is Stage.HALT, "without any second source waiting is all there is"


def test_a_person_ends_a_doubt_and_the_book_goes_on_from_there() -> None:
    maker, world = holding()
    for second in range(3, 60):
        maker.step(top(second, 79_999.5, 80_000.5))
        maker.step(index(second, 76_000.0))
    maker.step(Rearm(exch_ts_ns=at(60), local_ts_ns=at(60), who="a trader", why="the perpetual is broken"))
    assert maker.state.market.forwards.index_usd == 76_000.0
    assert not maker.state.index_check.is_doubted
    for seconds in (60.5, 62.5):
        world.index_usd = 76_000.0 + 50.0 * (seconds - 60.0)
        maker.step(world.index(seconds))
    assert (Reason.INDEX_HELD, "believed at 76,000.00: a person says so") in alarms_of(maker)
    assert maker.state.loss_stop.changes[0].after is Stage.WIDEN, "what was lost counts again"


def crash(maker: Engine, world: World, second: float) -> None:
    """The market is fifteen per cent lower, and the index says so first."""
    world.index_usd *= 0.85
    maker.step(world.index(second))
    assert maker.state.market.forwards.index_usd == 80_000.0
    assert not rests(maker)


def believes(maker: Engine, second: float) -> bool:
    return maker.state.market.forwards.index_usd == 68_000.0 and maker.state.market.forwards.index_ns == at(second)


def test_a_crash_is_believed_with_the_perpetuals_next_price_and_the_stop_fires() -> None:
    maker, world = holding()
    crash(maker, world, 3)
    maker.step(top(3.05, 67_989.5, 67_990.5))
    assert believes(maker, 3.05)
    assert maker.state.values.perp_usd == pytest.approx(67_990, rel=1e-3), "a premium over the new index"
    for second in (5.1, 15.2):
        world.index_usd += 50.0
        maker.step(world.index(second))
    stages = [change.after for change in maker.state.loss_stop.changes]
    assert stages == [Stage.WIDEN, Stage.HALT], "a single mark fires no more than the first"
    assert {text for _, text in alarms_of(maker)[1:]} == {
        "the index moved 16.25% within 10 s",
        "believed at 68,000.00: the perpetual says 67,990.00",
    }


def test_a_crash_is_believed_by_a_dated_future_by_prints_and_by_parity() -> None:
    def of_future(world: World) -> AnyEvent:
        price = world.forward_usd("BTC-25APR25", 4)
        return top(4, price - 5, price + 5, "BTC-25APR25")

    def of_print(world: World) -> AnyEvent:
        return world.trade(4, "BTC-4APR25-75000-P", vol=world.vol_at("BTC-4APR25-75000-P", 4) + 0.1)

    def of_chain(world: World) -> AnyEvent:
        return chain(4, [world.quote(4, name) for name in options("25APR25")])

    for said in (of_future, of_print, of_chain):
        maker, world = opened(policy("primitive"))
        maker.step(world.index(1))
        crash(maker, world, 3)
        maker.step(said(world))
        assert believes(maker, 4), said.__name__


def test_a_print_of_a_month_ahead_tells_too_little_and_a_source_that_stayed_confirms_nothing() -> None:
    maker, world = opened(policy("primitive"))
    maker.step(world.index(1))
    stayed = chain(4, [world.quote(4, name) for name in options("25APR25")])
    crash(maker, world, 3)
    maker.step(world.trade(3.5, "BTC-25APR25-80000-C"))
    assert maker.state.index_check.held is not None
    maker.step(stayed)
    assert maker.state.index_check.held is not None


def test_a_frozen_index_pulls_quotes_until_it_moves() -> None:
    maker, world = holding()
    for second in range(3, 60):
        maker.step(top(second, 78_399.5, 78_400.5))
        maker.step(world.index(second))
        assert not rests(maker)
    assert maker.state.protection.why_pulled == "index and perpetual do not agree"
    world.index_usd = 78_420.0
    maker.step(world.index(60))
    maker.step(world.index(62.1))
    world.index_usd += 30.0
    maker.step(world.index(62.5))
    assert rests(maker)


def test_contracts_over_the_counter_see_a_tick_when_it_is_believed() -> None:
    maker, world = holding()
    crash(maker, world, 3)
    assert maker.state.tick is None
    maker.step(top(3.05, 67_999.5, 68_000.5))
    tick = maker.state.tick
    assert tick is not None
    assert (tick.price_usd, tick.exch_ts_ns, tick.local_ts_ns) == (68_000.0, at(3), at(3.05))
    maker.step(top(3.1, 67_999.5, 68_000.5))
    assert maker.state.tick is None


def bad_ticks(seed: int, from_ns: int, hours: float, count: int = 8) -> list[tuple[int, float]]:
    """Moments and factors of thirty per cent either way, from a seed."""
    rng = np.random.default_rng(seed)
    span_ns = round(hours * 3_600 * NS_PER_SECOND)
    moments = np.sort(rng.integers(span_ns // 10, 9 * span_ns // 10, count)) + from_ns
    return list(zip(moments.tolist(), rng.choice([0.7, 1.3], count).tolist(), strict=True))


def with_bad_ticks(events: Iterable[AnyEvent], bad: list[tuple[int, float]]) -> Iterator[AnyEvent]:
    """The events, and behind the first of each moment a tick that is off by a factor."""
    waiting, price = list(bad), math.nan
    for event in events:
        yield event
        if isinstance(event, IndexTick):
            price = event.price_usd
        now_ns = event.local_ts_ns
        if waiting and now_ns >= waiting[0][0]:
            price_usd = waiting.pop(0)[1] * price
            yield IndexTick(exch_ts_ns=now_ns, local_ts_ns=now_ns, underlying="BTC", price_usd=price_usd)


def test_after_bad_ticks_everything_is_as_without_them() -> None:
    """The same events, fills among them, to a maker that does not hedge; nobody answers what it does meanwhile."""
    made = policy("primitive", quoting={"size_coin": 5.0}, loss_stop=TIGHT | {"halt_usd": 1e9})
    heard, _, plain = simulated(made, 0.25)
    bad = bad_ticks(1, SIMULATED_FROM_NS, 0.25, count=20)
    _, maker = replayed(made, with_bad_ticks(heard, bad))
    ours, theirs = maker.state, plain.state
    assert len([event for event in heard if isinstance(event, Fill)]) > 5
    assert (ours.index_check.doubted, theirs.index_check.doubted) == (len(bad), 0)
    assert ours.events == theirs.events + len(bad)
    assert ours.ledger.digest_bytes() == theirs.ledger.digest_bytes()
    assert vars(ours.market.perpetual) == vars(theirs.market.perpetual)
    for name in ("basis", "variance", "seen_ns", "refused"):
        np.testing.assert_array_equal(getattr(ours.market.forwards, name), getattr(theirs.market.forwards, name))
    slots = ours.market.universe.slots
    np.testing.assert_array_equal(ours.market.surface.levels(slots), theirs.market.surface.levels(slots))
    np.testing.assert_array_equal(ours.market.covariance.matrix(), theirs.market.covariance.matrix())
    np.testing.assert_array_equal(ours.values.fair_coin, theirs.values.fair_coin)
    assert ours.pnl.equity_usd == pytest.approx(theirs.pnl.equity_usd, abs=1e-6)
    assert ours.loss_stop.peak_usd == pytest.approx(theirs.loss_stop.peak_usd, abs=1e-6)
    assert ours.loss_stop.stage is theirs.loss_stop.stage
    assert ours.index_check.bound(ours.now_ns) == theirs.index_check.bound(theirs.now_ns)


def through_bad_ticks(seed: int, hours: float, count: int) -> None:
    """A maker that hedges whatever it holds, in a market that answers it: nothing goes out on a tick in doubt."""
    quiet = MarketParameters(index_every_s=5, slice_every_s=60, chain_every_s=600)
    made = policy("advanced", hedging=KEEN, quoting={"size_coin": 3.0})
    venue = SimulatedVenue(REFERENCE, seed=seed, hours=hours, start_ns=SIMULATED_FROM_NS, parameters=quiet)
    maker, listed, orders, bad = engine(made, trade_from_ns=SIMULATED_FROM_NS), 0, 0, 0
    for event in with_bad_ticks(venue.events(), bad_ticks(seed, SIMULATED_FROM_NS, hours, count)):
        before_usd = maker.state.market.forwards.index_usd
        effects = maker.step(event)
        universe, state = maker.state.market.universe, maker.state
        for row in range(listed, universe.count):
            venue.list_instrument(row, universe.instruments[row])
        listed = universe.count
        is_bad = isinstance(event, IndexTick) and abs(math.log(event.price_usd / before_usd)) > 0.2
        if is_bad:
            bad += 1
            assert not rests(maker)
            assert state.market.forwards.index_usd == before_usd
        if state.index_check.held is not None:
            assert not effects.orders
        for order in effects.orders:
            orders += 1
            assert order.intent.limit_ticks * 0.5 == pytest.approx(state.market.forwards.index_usd, rel=0.02)
        if not effects.is_empty:
            venue.submit(effects)
    assert bad == count
    assert orders > 2
    assert not maker.state.loss_stop.changes
    fills = maker.state.recorder.tables.frames()["fills"]
    assert len(fills) > 5
    index_usd, price = fills["index_usd"].to_numpy(), fills["price"].to_numpy()
    off_coin = np.abs(price - venue.fair_coin(fills["instrument"].to_list(), fills["ts_ns"].to_numpy()))
    assert off_coin.max() < 0.005, "a bad tick moves an option at the money by fifteen per cent of a coin"
    assert np.abs(np.diff(np.log(index_usd))).max() < 0.05


@pytest.mark.parametrize("seed", [3, 4])
def test_in_a_market_that_answers_bad_ticks_hedge_stop_and_quote_nothing(seed: int) -> None:
    through_bad_ticks(seed, 0.5, 8)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5, 10))
def test_a_day_of_bad_ticks(seed: int) -> None:
    through_bad_ticks(seed, 24.0, 200)


def test_a_stop_that_flattens_goes_on_while_the_perpetual_stands_apart() -> None:
    stop: dict[str, object] = TIGHT | {"halt_usd": 1e6}
    made = policy("primitive", loss_stop=stop, hedging={"every_s": 10.0}, protection={"mmp_quantity_coin": 1e3})
    maker, world = opened(made, "25APR25")
    maker.step(our_fill(maker.state, 1, CALL, 1, lots=200))
    world.index_usd *= 0.995
    for second in range(2, 40):
        maker.step(world.index(second))
        maker.step(top(second, world.index_usd - 0.5, world.index_usd + 0.5))
    assert maker.state.risk.stage is Stage.FLAT
    assert maker.state.risk.delta_coin > 1.0
    for order_id in list(maker.state.orders.working):
        maker.step(OrderCancelled(exch_ts_ns=at(40), local_ts_ns=at(40), order_id=order_id, reason="ioc"))
    for second in range(41, 60):
        world.index_usd += 20.0
        maker.step(top(second, 0.98 * world.index_usd - 0.5, 0.98 * world.index_usd + 0.5))
        maker.step(world.index(second + 0.5))
    assert maker.state.index_check.is_apart
    assert not rests(maker)
    assert [order.intent.purpose for order in maker.state.orders.working.values()] == [Purpose.FLATTEN]
