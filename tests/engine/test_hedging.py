"""The hedging stage with more than one instrument: what it orders, how it is booked, and how it slows."""

import math

import numpy as np
import pytest

from flatbook.decide.hedge.stability import KyleBelief
from flatbook.domain.events import Delivery, Fill, OrderAccepted, OrderCancelled
from flatbook.domain.instruments import Kind, parse_name
from flatbook.domain.intents import TimeInForce
from flatbook.domain.units import risk_amount
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.engine.setup import HEDGING
from flatbook.engine.state import State
from flatbook.kernels.chain import SPOT
from flatbook.report.tables import HedgeRow
from tests.market.builders import REFERENCE, World, at, top

from .builders import opened, our_fill, policy, replayed, simulated

CALL, FUTURE = "BTC-25APR25-80000-C", "BTC-25APR25"
NEVER: dict[str, object] = {"refresh_s": 1e6}


def hedger(
    lots: int, side: int = 1, aversion: float = 1e-3, impact_per_usd: float | None = None, **fields: object
) -> tuple[Engine, World, Effects]:
    """A maker whose quote of a call traded, and what it hedges with."""
    made = policy(
        "advanced", quoting=NEVER, risk_price={"risk_aversion_per_usd": aversion}, hedging={"every_s": 0.0, **fields}
    )
    maker, world = opened(made, "25APR25", "27JUN25")
    if impact_per_usd is not None:
        maker.state.desk.kyle = KyleBelief(impact_per_usd, 1e12)
    maker.step(top(0.6, 80_399.0, 80_401.5, FUTURE))
    return maker, world, maker.step(our_fill(maker.state, 1, CALL, side, lots=lots))


def slot_of(state: State, name: str) -> int:
    return state.market.universe.slot_of[REFERENCE.instrument(name).contract.expiry_ns or 0]


def answered(maker: Engine, effects: Effects, seconds: float) -> None:
    """The venue fills every order at its limit."""
    for order in effects.orders:
        intent = order.intent
        tick = REFERENCE.instrument(intent.instrument).tick_size
        maker.step(
            our_fill(
                maker.state, seconds, intent.instrument, intent.side, lots=intent.size_lots, order_id=order.order_id,
                price=intent.limit_ticks * tick,
            )
        )  # fmt: skip


def ledger_usd(state: State) -> float:
    """Worth of the books from the ledger alone."""
    coin, usd = (risk_amount(state.ledger.carried_units(currency), currency) for currency in ("BTC", "USDC"))
    for name, lots in state.ledger.open_lots().items():
        instrument = REFERENCE.instrument(name)
        size, kind = lots * instrument.lot_size, instrument.contract.kind
        if kind is Kind.OPTION:
            coin += size * float(state.values.fair_coin[state.market.universe.row_of[name]])
        elif kind is Kind.FUTURE:
            coin -= size / state.market.forwards.forward_usd(slot_of(state, name))
        elif instrument.contract.settle == "USDC":
            usd += size * state.values.linear_usd
        else:
            coin -= size / state.perp_price_usd
    return coin * state.values.index_usd + usd


def test_options_hedge_gamma_and_vega_within_what_others_show() -> None:
    maker, world, effects = hedger(200, aversion=1.0, instruments="options")
    state, before = maker.state, maker.state.book
    bought = {order.intent.instrument: order.intent for order in effects.orders}
    options = [name for name in bought if parse_name(name).kind is Kind.OPTION]
    assert len(options) > 2
    for name in options:
        intent, tick = bought[name], 0.0001
        edge = intent.side * 0.005  # the world's quotes are half a vol point about fair
        touch = world.fair_coin(name, 1.0, world.vol_at(name, 1.0) + edge)
        assert 0 <= intent.side * (intent.limit_ticks * tick - touch) < 0.0012, "the touch, and a step of room"
    answered(maker, effects, 1.1)
    after = state.measure()
    assert abs(after.vega_usd_per_vol_pt) < 0.6 * abs(before.vega_usd_per_vol_pt)
    assert abs(after.gamma_1pct_usd) < abs(before.gamma_1pct_usd)
    assert state.risk_price.cost_usd(after.exposure) < 0.5 * state.risk_price.cost_usd(before.exposure)
    held = {key.instrument: key.strategy for key in state.ledger.positions() if key.strategy == HEDGING}
    assert set(held) == set(bought)
    parts = state.pnl.by_name()
    assert math.fsum(parts.values()) == pytest.approx(ledger_usd(state), abs=1e-4)
    rows = [row for row in state.recorder.tables.hedges.last(99) if row.kind == "option"]
    assert parts["hedge_cost"] == pytest.approx(-sum(row.cost_usd for row in state.recorder.tables.hedges.last(99)))
    assert sum(row.vega_added_usd for row in rows) == pytest.approx(
        after.vega_usd_per_vol_pt - before.vega_usd_per_vol_pt, rel=0.01
    )


def test_a_future_that_is_cheaper_to_trade_hedges_and_is_delivered() -> None:
    maker, world, effects = hedger(300, instruments="futures", half_spread_rate=0.002)
    state = maker.state
    (order,) = effects.orders
    assert (order.intent.instrument, order.intent.side) == (FUTURE, -1)
    delta_before = float(state.book.exposure[SPOT])
    answered(maker, effects, 1.1)
    usd = -10.0 * order.intent.size_lots
    slot = slot_of(state, FUTURE)
    assert state.inventory.future_usd[slot] == usd
    price = order.intent.limit_ticks * REFERENCE.instrument(FUTURE).tick_size
    assert state.measure().exposure[SPOT] == pytest.approx(delta_before + usd * world.index_usd / price, rel=1e-7)
    for second, move in enumerate((1.01, 0.98, 1.02), start=2):
        world.index_usd *= move
        maker.step(world.index(second))
    parts = state.pnl.by_name()
    assert math.fsum(parts.values()) == pytest.approx(ledger_usd(state), abs=1e-4)
    expiry_ns = REFERENCE.instrument(FUTURE).contract.expiry_ns
    assert expiry_ns is not None
    gone = Delivery(exch_ts_ns=at(9), local_ts_ns=at(9), underlying="BTC", expiry_ns=expiry_ns, price_usd=81_000.0)
    maker.step(gone)
    assert state.inventory.future_usd[slot] == 0.0
    assert math.fsum(state.pnl.by_name().values()) == pytest.approx(ledger_usd(state), abs=1e-4)


def test_what_shows_no_price_lately_hedges_nothing() -> None:
    made = policy("advanced", risk_price={"risk_aversion_per_usd": 1.0}, hedging={"instruments": "options"})
    maker, world = opened(made, "25APR25")
    maker.step(top(0.6, 80_399.0, 80_401.5, FUTURE))
    maker.step(world.index(100))
    effects = maker.step(our_fill(maker.state, 101, CALL, 1, lots=200))
    assert [order.intent.instrument for order in effects.orders] == ["BTC-PERPETUAL"]


@pytest.mark.parametrize(("side", "stage"), [(-1, "waiting"), (1, "clips cut")])
def test_hedging_that_would_feed_itself_slows_and_says_so(side: int, stage: str) -> None:
    """Impact thousands of times what it is believed to be by itself: the gain of the loop is of order one."""
    calm, _, at_once = hedger(100, side)
    maker, _, effects = hedger(100, side, impact_per_usd=1e-6)
    assert at_once.orders
    assert calm.state.desk.slowed == 0
    assert np.sign(calm.state.desk.greatest_gain) == -side
    assert 0.0 < abs(calm.state.desk.greatest_gain) < 0.1
    state = maker.state
    assert state.desk.slowed > 0
    assert abs(state.desk.greatest_gain) > 0.6
    (entry,) = [entry for entry in state.recorder.log if entry.kind == "hedging"]
    assert stage in entry.text
    assert "loop gain" in entry.text
    if side < 0:
        assert state.desk.wait_s > 10.0, "until the last clip's impact has faded"
    else:
        lots = [sum(order.intent.size_lots for order in sent.orders) for sent in (effects, at_once)]
        assert lots[0] < lots[1]


def test_a_hedges_slippage_is_told_in_money_and_in_greeks() -> None:
    """Between decision and fill the index rises and another quote trades: the hedge comes too late for both."""
    maker, world, effects = hedger(50)
    state = maker.state
    (order,) = effects.orders
    decided = state.desk.decided[order.order_id]
    maker.step(our_fill(state, 1.2, CALL, 1, lots=10))
    world.index_usd *= 1.001
    maker.step(world.index(1.5))
    maker.step(
        our_fill(
            state, 2, "BTC-PERPETUAL", -1, lots=order.intent.size_lots, order_id=order.order_id, price=80_000.0,
        )
    )  # fmt: skip
    (row,) = state.recorder.tables.hedges.last(9)
    assert isinstance(row, HedgeRow)
    usd = 10.0 * order.intent.size_lots
    assert row.expected_usd == pytest.approx(decided.expected_usd_per_lot * order.intent.size_lots)
    assert row.cost_usd == pytest.approx(usd * (80_080.0 / 80_000.0 - 1), rel=1e-3)
    assert row.waited_s == pytest.approx(1.0)
    bought = decided.book.exposure[SPOT] / 5 / 80_000
    assert row.delta_drift_coin == pytest.approx(bought, rel=0.05)
    assert row.vega_drift_usd == pytest.approx(decided.book.vega_usd_per_vol_pt / 5, rel=0.02)
    assert row.gamma_drift_1pct_usd == pytest.approx(decided.book.gamma_1pct_usd / 5, rel=0.02)
    earned = (decided.book.exposure[SPOT] + 0.5 * bought * 80_000) * math.log(1.001)
    assert row.waited_usd == pytest.approx(earned, rel=0.02)
    assert order.order_id not in state.desk.decided
    assert state.desk.impact.y > 1.0, "a fill far through the mark teaches that orders move the price more"


def test_a_run_hedged_with_options_is_made_again_to_the_same_bytes() -> None:
    made = policy(
        "advanced", risk_price={"risk_aversion_per_usd": 0.3}, hedging={"instruments": "options", "least_usd": 1_000.0}
    )
    heard, did, maker = simulated(made, 0.15)
    hedged = {fill.instrument for fill in heard if isinstance(fill, Fill) and fill.order_id.startswith("h")}
    kinds = {parse_name(name).kind for name in hedged}
    assert Kind.OPTION in kinds
    again, twin = replayed(made, heard)
    assert twin.state.sha256() == maker.state.sha256()
    assert [effects.orders for effects in again] == [effects.orders for effects in did]
    state = maker.state
    assert math.fsum(state.pnl.by_name().values()) == pytest.approx(ledger_usd(state), abs=1e-2)


def test_a_hedge_that_can_wait_rests_at_the_touch_and_is_pulled_and_thought_over() -> None:
    maker, world, effects = hedger(50, route="by_urgency", patience_s=20.0)
    (order,) = effects.orders
    assert order.intent.time_in_force is TimeInForce.GTC
    assert order.intent.limit_ticks * 0.5 == pytest.approx(80_000 * (1 + 0.00005), abs=0.5), "asked for, not taken"
    maker.step(OrderAccepted(exch_ts_ns=at(1.1), local_ts_ns=at(1.1), order_id=order.order_id))
    world.index_usd *= 1.0002
    assert maker.step(world.index(20)).is_empty is False
    world.index_usd *= 1.0002
    pulled = maker.step(world.index(21.5))
    assert (pulled.cancels, pulled.orders) == ((order.order_id,), ())
    world.index_usd *= 1.0002
    assert maker.step(world.index(22)).cancels == (), "once"
    gone = OrderCancelled(exch_ts_ns=at(23), local_ts_ns=at(23), order_id=order.order_id, reason="pulled by us")
    (again,) = maker.step(gone).orders
    assert again.intent.limit_ticks > order.intent.limit_ticks, "at the touch as it is by then"
    assert maker.state.desk.pulled == set()


def test_a_hedge_that_cannot_wait_is_taken() -> None:
    _, _, effects = hedger(50, route="by_urgency", fill_s=1e7)
    assert [order.intent.time_in_force for order in effects.orders] == [TimeInForce.IOC]


def test_a_large_trade_is_worked_in_clips() -> None:
    """Of a book that fills up fast between clips each of n gets an n-th; one that never does wants half at first."""
    (whole,) = hedger(2_000, worked_above_usd=1e9)[2].orders
    usd = 10.0 * whole.intent.size_lots
    shares = {}
    for every_s in (1e-3, 600.0):
        (clip,) = hedger(2_000, worked_above_usd=usd / 3.5, every_s=every_s)[2].orders
        shares[every_s] = 10.0 * clip.intent.size_lots / usd
    assert shares[600.0] == pytest.approx(1 / 4, abs=0.01)
    assert shares[1e-3] == pytest.approx(1 / 2, abs=0.02)


def test_a_run_that_waits_at_the_touch_is_made_again_to_the_same_bytes() -> None:
    waits: dict[str, object] = {"route": "by_urgency", "least_usd": 1_000.0, "patience_s": 1.0}
    made = policy("advanced", risk_price={"risk_aversion_per_usd": 0.1}, hedging=waits)
    heard, _, maker = simulated(made, 0.15)
    waited = [event for event in heard if isinstance(event, Fill) and event.order_id.startswith("h") and event.is_maker]
    assert waited
    assert replayed(made, heard)[1].state.sha256() == maker.state.sha256()
    assert math.fsum(maker.state.pnl.by_name().values()) == pytest.approx(ledger_usd(maker.state), abs=1e-2)
