"""Our side of a venue, driven by hand."""

import pytest

from flatbook.domain.events import Fill, OrderAccepted, OrderCancelled, OrderRejected
from flatbook.domain.intents import TimeInForce
from flatbook.engine.effects import Effects
from flatbook.sim import FillModel
from flatbook.sim.gateway import Gateway, Taker, quote_id

from .builders import CALL, PERPETUAL, REFERENCE, at, index, order, quote, terms


@pytest.fixture
def gateway() -> Gateway:
    made = Gateway(REFERENCE, terms(FillModel.OPTIMISTIC), seed=0)
    made.list_instrument(0, REFERENCE.instrument(CALL))
    return made


def quoted(gateway: Gateway) -> Gateway:
    """With an index of 80,000 and a quote of five lots a side that stands from 10 ms on."""
    gateway.tick("BTC", 80_000.0, at(0))
    gateway.submit(Effects(at(0), quote(0, (40, 5), (45, 5))))
    return gateway


def test_nothing_stands_before_the_first_index(gateway: Gateway) -> None:
    gateway.submit(Effects(at(0), quote(0, (40, 5), (45, 5))))
    assert gateway.standing(CALL, 1, at(1)).size_lots == 0
    gateway.tick("BTC", 80_000.0, at(1))
    assert gateway.standing(CALL, 1, at(1)).size_lots == 5


def test_nothing_stands_on_what_was_never_listed(gateway: Gateway) -> None:
    assert quoted(gateway).standing("BTC-4APR25-90000-C", 1, at(1)).size_lots == 0


def test_a_taker_who_does_not_reach_us_does_not_trade(gateway: Gateway) -> None:
    ours = quoted(gateway).standing(CALL, -1, at(1))
    taker = Taker(1, 3, 0.0043, 80_000.0, at(1))
    assert gateway.meet(taker, ours, -1) == 0
    assert gateway.meet(taker, ours, 0) == 3
    assert gateway.standing(CALL, -1, at(1)).size_lots == 2


def test_meeting_a_taker_is_answered_by_a_fill(gateway: Gateway) -> None:
    ours = quoted(gateway).standing(CALL, -1, at(1))
    gateway.meet(Taker(1, 9, 0.0043, 80_000.0, at(1)), ours, 2)
    assert not list(gateway.deliver_before(at(1.005)))
    (fill,) = gateway.deliver_before(at(1.006))
    assert isinstance(fill, Fill)
    assert (fill.order_id, fill.side, fill.price_ticks, fill.size_lots) == (quote_id(CALL), -1, 45, 5)
    tally = gateway.fill_tally()[FillModel.OPTIMISTIC]
    assert (tally.fills, tally.lots) == (1, 5)
    assert tally.edge_usd == pytest.approx(5 * 0.1 * 0.0002 * 80_000)


def test_orders_are_taken_on_their_arrival_and_answered_later(gateway: Gateway) -> None:
    gateway.tick("BTC", 80_000.0, at(0))
    gateway.submit(Effects(at(0), orders=(order("h0", 1, 81_000.0, 10),)))
    assert not list(gateway.deliver_before(at(0.010)))
    gateway.tick("BTC", 80_500.0, at(0.010))
    accepted, fill = gateway.deliver_before(at(1))
    assert isinstance(accepted, OrderAccepted)
    assert isinstance(fill, Fill)
    assert (fill.exch_ts_ns, fill.local_ts_ns) == (at(0.010), at(0.015))
    assert fill.price_ticks * 0.5 > 80_500.0
    assert gateway.perpetuals == [PERPETUAL]
    assert gateway.perpetual_prices_usd([PERPETUAL, "ETH-PERPETUAL"]) == {PERPETUAL: 80_500.0}


def test_when_the_market_ends_what_was_heard_last_is_still_delivered_and_nothing_new_is_taken(gateway: Gateway) -> None:
    gateway.tick("BTC", 80_000.0, at(0))
    gateway.publish(index(0.5))
    heard = []
    for event in gateway.close():
        heard.append(event)
        gateway.submit(Effects(event.local_ts_ns, orders=(order(f"h{len(heard)}", 1, 81_000.0, 10),)))
    assert heard == [index(0.5)]


def test_a_refused_quote_is_named_in_its_answer(gateway: Gateway) -> None:
    gateway.tick("BTC", 80_000.0, at(0))
    gateway.submit(Effects(at(0), quote(0, (52, 5), (60, 5))))
    gateway.refresh(at(1))
    (answer,) = gateway.deliver_before(at(2))
    assert isinstance(answer, OrderRejected)
    assert (answer.order_id, answer.exch_ts_ns) == (quote_id(CALL), at(0.010))


def test_a_cancel_takes_as_long_as_an_order_and_pulls_it_unless_it_traded(gateway: Gateway) -> None:
    quoted(gateway)
    resting = order("h0", 1, 79_000.0, 10, time_in_force=TimeInForce.GTC)
    gateway.submit(Effects(at(1), orders=(resting,)))
    (accepted,) = gateway.deliver_before(at(1.1))
    gateway.submit(Effects(at(2), cancels=("h0",)))
    assert not list(gateway.deliver_before(at(2.005)))
    (pulled,) = gateway.deliver_before(at(2.1))
    gateway.submit(Effects(at(3), orders=(order("h1", 1, 79_000.0, 10, time_in_force=TimeInForce.GTC),)))
    list(gateway.deliver_before(at(3.1)))
    gateway.tick("BTC", 78_000.0, at(3.2))
    gateway.submit(Effects(at(3.2), cancels=("h1",)))
    answers = list(gateway.deliver_before(at(4)))
    assert isinstance(accepted, OrderAccepted)
    assert isinstance(pulled, OrderCancelled)
    assert pulled.order_id == "h0"
    assert [type(answer) for answer in answers] == [Fill]
