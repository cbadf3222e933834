import msgspec
import numpy as np
import pytest

from flatbook.domain.errors import BadInputError, ImpossibleTransitionError
from flatbook.domain.events import (
    DailySettlement,
    Delivery,
    FundingRate,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
)
from flatbook.domain.intents import OrderIntent, Purpose, TimeInForce
from flatbook.domain.units import parse_utc
from flatbook.engine.loop import Engine
from flatbook.engine.setup import HEDGING, MAKING
from flatbook.engine.state import State
from flatbook.execution.lifecycle import OrderState
from flatbook.ledger.positions import PositionKey
from tests.market.builders import at, index

from .builders import opened, our_fill, policy, row_of

CALL, PUT = "BTC-25APR25-80000-C", "BTC-4APR25-80000-P"
EXPIRY_NS = parse_utc("2025-04-04T08:00")


def send_hedge(state: State, side: int, lots: int) -> str:
    intent = OrderIntent(
        instrument="BTC-PERPETUAL", side=side, limit_ticks=160_000, size_lots=lots, time_in_force=TimeInForce.IOC,
        purpose=Purpose.HEDGE, reason="test",
    )  # fmt: skip
    return state.orders.send(intent, state.now_ns).order_id


def hedge(maker: Engine, seconds: float, side: int, lots: int, price: float, fee_coin: str = "0") -> None:
    order_id = send_hedge(maker.state, side, lots)
    maker.step(
        our_fill(
            maker.state, seconds, "BTC-PERPETUAL", side, lots=lots, price=price, order_id=order_id, fee_coin=fee_coin
        )
    )


def in_step(state: State) -> None:
    """The risk columns hold what the ledger does."""
    ledger, universe = state.ledger, state.market.universe
    for row in range(universe.count):
        lots = ledger.net_lots(universe.instruments[row].name)
        assert state.inventory.size_coin[row] == lots * universe.lot_coin[row]
    assert state.inventory.carried_coin == ledger.carried_units("BTC") / 1e8
    assert state.inventory.perp_usd == ledger.net_lots("BTC-PERPETUAL") * 10.0
    assert sum(state.pnl.by_name().values()) == pytest.approx(state.pnl.equity_usd, abs=1e-7)
    assert state.pnl.equity_usd == pytest.approx(state.equity_usd(), abs=1e-7)
    ledger.invariant()


def test_a_fill_of_ours_is_booked_under_making_and_earns_its_edge_over_fair() -> None:
    maker, _ = opened()
    state = maker.state
    fill = our_fill(state, 1, CALL, 1, fee_coin="0.0003")
    maker.step(fill)
    fair = float(state.values.fair_coin[row_of(state, CALL)])
    position = state.ledger.positions()[PositionKey("sim", MAKING, CALL)]
    assert position.size_lots == 10
    edge = (fair - fill.price_ticks * 0.0001) * 80_000
    parts = state.pnl.by_name()
    assert parts["spread"] == pytest.approx(edge, abs=0.01)  # fair value has aged by the second since it was read
    assert parts["fees"] == pytest.approx(-0.0003 * 80_000)
    assert state.inventory.fresh_coin[row_of(state, CALL)] == 1.0
    in_step(state)


def test_a_trade_told_twice_is_booked_once() -> None:
    maker, _ = opened()
    fill = our_fill(maker.state, 1, CALL, -1)
    maker.step(fill)
    before = (maker.state.ledger.digest_bytes(), maker.state.pnl.by_name(), maker.state.recorder.tables.fills.frame())
    maker.step(msgspec.structs.replace(fill, local_ts_ns=at(2)))
    assert maker.state.ledger.digest_bytes() == before[0]
    assert maker.state.pnl.by_name() == pytest.approx(before[1], abs=0.01)  # but for a second's theta
    assert maker.state.recorder.tables.fills.frame().height == before[2].height == 1
    in_step(maker.state)


def test_a_filled_quote_rests_for_the_rest_and_is_renewed() -> None:
    maker, _ = opened(policy(quoting={"size_coin": 2.0}))
    state, row = maker.state, row_of(maker.state, CALL)
    assert state.table.grid[1, row] == 20
    fill = our_fill(state, 1, CALL, 1, lots=15)
    effects = maker.step(fill)
    assert effects.quotes is not None
    assert row in effects.quotes.row.tolist()
    assert state.table.grid[1, row] == 20


def test_a_hedge_is_booked_under_hedging_and_costs_what_it_paid_over_the_mark() -> None:
    maker, _ = opened()
    hedge(maker, 1, 1, 800, 80_040.0, "0.00005")
    state = maker.state
    assert state.ledger.positions()[PositionKey("sim", HEDGING, "BTC-PERPETUAL")].size_lots == 800
    parts = state.pnl.by_name()
    assert parts["hedge_cost"] == pytest.approx(8_000 * (80_000 / 80_040 - 1), abs=1e-3)
    assert parts["fees"] == pytest.approx(-4.0)
    assert state.risk.delta_coin == pytest.approx(0.1, rel=1e-3)
    row = state.recorder.tables.hedges.frame().row(0, named=True)
    assert row["cost_usd"] == pytest.approx(-parts["hedge_cost"], abs=1e-6)
    assert (row["size_usd"], row["fee_usd"]) == (8_000.0, pytest.approx(4.0))
    in_step(state)


def test_an_order_that_ends_without_a_fill_works_no_more() -> None:
    maker, _ = opened()
    order_id = send_hedge(maker.state, 1, 100)
    maker.step(OrderAccepted(exch_ts_ns=at(1), local_ts_ns=at(1), order_id=order_id))
    assert maker.state.orders.working[order_id].state is OrderState.LIVE
    maker.step(OrderCancelled(exch_ts_ns=at(2), local_ts_ns=at(2), order_id=order_id, reason="ioc"))
    assert maker.state.orders.working == {}


def test_a_hedge_that_fills_after_its_cancel_is_booked() -> None:
    maker, _ = opened()
    order_id = send_hedge(maker.state, 1, 100)
    maker.step(OrderCancelled(exch_ts_ns=at(1), local_ts_ns=at(1), order_id=order_id, reason="ioc"))
    maker.step(our_fill(maker.state, 2, "BTC-PERPETUAL", 1, lots=40, order_id=order_id))
    assert maker.state.ledger.net_lots("BTC-PERPETUAL") == 40
    in_step(maker.state)


def test_an_answer_to_an_order_that_was_never_sent_raises() -> None:
    maker, _ = opened()
    with pytest.raises(ImpossibleTransitionError, match="h99"):
        maker.step(OrderAccepted(exch_ts_ns=at(1), local_ts_ns=at(1), order_id="h99"))


@pytest.mark.parametrize("answer", [OrderRejected, OrderCancelled])
def test_a_quote_that_the_venue_refused_or_pulled_is_quoted_again(
    answer: type[OrderRejected] | type[OrderCancelled],
) -> None:
    maker, _ = opened()
    row = row_of(maker.state, CALL)
    before = maker.state.table.grid[:, row].copy()
    effects = maker.step(answer(exch_ts_ns=at(1), local_ts_ns=at(1), order_id=f"quote:{CALL}", reason="price"))
    assert effects.is_empty
    assert not maker.state.table.grid[:, row].any()
    assert maker.state.recorder.log[-1].text == f"quote:{CALL}: price"
    later = maker.step(index(31, 80_000.0))
    assert later.quotes is not None
    assert later.quotes.row.tolist() == [row]
    np.testing.assert_array_equal(maker.state.table.grid[:, row], before)


@pytest.mark.parametrize(("side", "sign"), [(1, -1), (-1, 1)])
def test_funding_is_paid_by_longs_and_received_by_shorts(side: int, sign: int) -> None:
    maker, _ = opened()
    hedge(maker, 1, side, 800, 80_000.0)
    event = FundingRate(exch_ts_ns=at(2), local_ts_ns=at(2), instrument="BTC-PERPETUAL", rate=1e-4, hours=8.0)
    maker.step(event)
    assert maker.state.pnl.by_name()["funding"] == pytest.approx(sign * 8_000 * 1e-4, abs=1e-3)
    assert maker.state.market.perpetual.funding_rate_8h == pytest.approx(1e-4)
    in_step(maker.state)


def test_funding_of_another_perpetual_is_not_ours() -> None:
    maker, _ = opened()
    hedge(maker, 1, 1, 800, 80_000.0)
    event = FundingRate(exch_ts_ns=at(2), local_ts_ns=at(2), instrument="ETH-PERPETUAL", rate=1e-2, hours=8.0)
    maker.step(event)
    assert maker.state.pnl.by_name()["funding"] == 0.0
    assert np.isnan(maker.state.market.perpetual.funding_rate_8h)


def test_a_daily_settlement_turns_gains_to_cash_and_changes_no_worth() -> None:
    maker, world = opened()
    hedge(maker, 1, 1, 80_000, 80_000.0)
    world.index_usd = 81_000.0
    maker.step(world.index(2))
    cash, equity = maker.state.ledger.cash_units("BTC"), maker.state.pnl.equity_usd
    event = DailySettlement(exch_ts_ns=at(3), local_ts_ns=at(3), instrument="BTC-PERPETUAL", price_usd=81_000.0)
    maker.step(event)
    gained = 800_000 * (1 / 80_000 - 1 / 81_000)
    assert (maker.state.ledger.cash_units("BTC") - cash) / 1e8 == pytest.approx(gained, abs=1e-8)
    assert maker.state.pnl.equity_usd == pytest.approx(equity, abs=1e-2)
    in_step(maker.state)


@pytest.mark.parametrize("price", [75_000.0, 80_000.0, 82_500.0])
def test_a_delivery_pays_the_intrinsic_value_at_its_price(price: float) -> None:
    maker, world = opened()
    state = maker.state
    maker.step(our_fill(state, 1, PUT, 1, price=0.02))
    maker.step(our_fill(state, 1.5, CALL, -1))
    cash = state.ledger.cash_units("BTC")
    seconds = (EXPIRY_NS - at(0)) / 1e9
    world.index_usd = 80_100.0
    maker.step(world.index(seconds))
    maker.step(
        Delivery(exch_ts_ns=EXPIRY_NS, local_ts_ns=EXPIRY_NS, underlying="BTC", expiry_ns=EXPIRY_NS, price_usd=price)
    )
    row = row_of(state, PUT)
    paid = max(80_000.0 / price - 1, 0.0)
    fee = min(0.00015, 0.125 * paid)
    assert (state.ledger.cash_units("BTC") - cash) / 1e8 == pytest.approx(paid - fee, abs=2e-8)
    assert state.inventory.size_coin[row] == state.inventory.fresh_coin[row] == 0.0
    assert not state.table.grid[:, row].any()
    assert state.ledger.net_lots(CALL) == -10
    settled = state.pnl.by_name()["settlement"]
    assert settled == pytest.approx((paid - max(80_000 / 80_100 - 1, 0.0)) * 80_100, abs=0.02)
    in_step(state)


def test_a_delivery_of_another_underlying_is_not_ours() -> None:
    maker, _ = opened()
    maker.step(our_fill(maker.state, 1, PUT, 1))
    event = Delivery(exch_ts_ns=at(2), local_ts_ns=at(2), underlying="ETH", expiry_ns=EXPIRY_NS, price_usd=2_000.0)
    maker.step(event)
    assert maker.state.ledger.net_lots(PUT) == 10
    in_step(maker.state)


def test_a_fill_of_what_we_never_quoted_is_refused_before_anything_is_booked() -> None:
    maker, _ = opened()
    before = maker.state.ledger.digest_bytes()
    stray = msgspec.structs.replace(our_fill(maker.state, 1, CALL, 1), instrument="ETH-27DEC30-4000-C")
    with pytest.raises(BadInputError, match=r"ETH-27DEC30-4000-C.*nothing is booked"):
        maker.step(stray)
    assert maker.state.ledger.digest_bytes() == before
