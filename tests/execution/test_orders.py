import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import ImpossibleTransitionError
from flatbook.domain.events import Fill, OrderAccepted, OrderCancelled, OrderEvent, OrderRejected
from flatbook.domain.intents import OrderIntent, Purpose, TimeInForce
from flatbook.execution.lifecycle import OrderState
from flatbook.execution.orders import ENDED_KEPT, Orders


def intent(side: int = 1, lots: int = 10) -> OrderIntent:
    return OrderIntent(
        instrument="BTC-PERPETUAL", side=side, limit_ticks=160_000, size_lots=lots, time_in_force=TimeInForce.IOC,
        purpose=Purpose.HEDGE, reason="test",
    )  # fmt: skip


def fill(order_id: str, lots: int) -> Fill:
    return Fill(
        exch_ts_ns=1, local_ts_ns=1, venue="sim", trade_id=f"{order_id}-{lots}", order_id=order_id,
        instrument="BTC-PERPETUAL", side=1, price_ticks=160_000, size_lots=lots, fee_units=0, is_maker=False,
    )  # fmt: skip


def accepted(order_id: str) -> OrderAccepted:
    return OrderAccepted(exch_ts_ns=1, local_ts_ns=1, order_id=order_id)


def cancelled(order_id: str) -> OrderCancelled:
    return OrderCancelled(exch_ts_ns=1, local_ts_ns=1, order_id=order_id, reason="ioc")


def rejected(order_id: str) -> OrderRejected:
    return OrderRejected(exch_ts_ns=1, local_ts_ns=1, order_id=order_id, reason="too late")


def test_orders_are_named_in_the_order_they_are_sent() -> None:
    orders = Orders()
    assert [orders.send(intent(), 5).order_id for _ in range(3)] == ["h0", "h1", "h2"]
    assert orders.sent == 3
    assert {order.state for order in orders.working.values()} == {OrderState.SENT}


def test_an_order_fills_in_parts_and_is_working_no_more() -> None:
    orders = Orders()
    orders.send(intent(lots=10), 5)
    assert orders.take(accepted("h0")).state is OrderState.LIVE
    assert orders.take(fill("h0", 4)).open_lots == 6
    assert orders.take(fill("h0", 6)).state is OrderState.FILLED
    assert orders.working == {}


@pytest.mark.parametrize("answer", [cancelled("h0"), rejected("h0")], ids=["cancelled", "rejected"])
def test_an_order_that_ended_without_a_fill_works_no_more(answer: OrderEvent) -> None:
    orders = Orders()
    orders.send(intent(), 5)
    orders.take(answer)
    assert orders.working == {}


def test_a_fill_that_crossed_its_cancel_on_the_wire_is_taken() -> None:
    orders = Orders()
    orders.send(intent(lots=10), 5)
    orders.take(cancelled("h0"))
    assert orders.take(fill("h0", 4)).state is OrderState.CANCELLED
    assert orders.take(fill("h0", 6)).state is OrderState.FILLED
    assert orders.working == {}


def test_an_acknowledgement_that_its_fill_overtook_is_taken() -> None:
    orders = Orders()
    orders.send(intent(lots=10), 5)
    orders.take(fill("h0", 10))
    assert orders.take(accepted("h0")).state is OrderState.FILLED


def test_more_than_is_open_cannot_fill_and_changes_nothing() -> None:
    orders = Orders()
    orders.send(intent(lots=10), 5)
    orders.take(fill("h0", 4))
    with pytest.raises(ImpossibleTransitionError, match="order h0 has 6 lots open and cannot fill 7"):
        orders.take(fill("h0", 7))
    assert orders.working["h0"].open_lots == 6


def test_what_was_rejected_cannot_fill() -> None:
    orders = Orders()
    orders.send(intent(), 5)
    orders.take(rejected("h0"))
    with pytest.raises(ImpossibleTransitionError, match="order h0 is rejected and cannot be part_filled"):
        orders.take(fill("h0", 4))


def test_an_answer_to_an_order_never_sent_raises() -> None:
    with pytest.raises(ImpossibleTransitionError, match="order h3 is not ours"):
        Orders().take(accepted("h3"))


def test_orders_long_ended_are_forgotten() -> None:
    orders = Orders()
    for n in range(ENDED_KEPT + 1):
        orders.send(intent(), n)
        orders.take(cancelled(f"h{n}"))
    with pytest.raises(ImpossibleTransitionError, match="order h0 is not ours"):
        orders.take(fill("h0", 1))
    assert orders.take(fill("h1", 1)).state is OrderState.CANCELLED


@given(st.integers(1, 50), st.lists(st.sampled_from(["accept", "cancel", "reject", "fill 1", "fill 7"]), max_size=12))
def test_lots_are_conserved_through_any_answers(lots: int, answers: list[str]) -> None:
    orders, filled = Orders(), 0
    order = orders.send(intent(lots=lots), 0)
    for answer in answers:
        word, *size = answer.split()
        events: dict[str, OrderEvent] = {
            "accept": accepted("h0"), "cancel": cancelled("h0"), "reject": rejected("h0"),
            "fill": fill("h0", int((size or ["1"])[0])),
        }  # fmt: skip
        event = events[word]
        before = (order.state, order.open_lots)
        try:
            orders.take(event)
        except ImpossibleTransitionError:
            assert (order.state, order.open_lots) == before
        else:
            filled += event.size_lots if isinstance(event, Fill) else 0
        assert order.open_lots == lots - filled >= 0
        assert ("h0" in orders.working) == (order.state in (OrderState.SENT, OrderState.LIVE))
        assert (order.state is OrderState.FILLED) == (filled == lots)
