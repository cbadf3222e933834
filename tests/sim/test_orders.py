"""Single orders at the venue: taken, cut, rested or refused, with the reason."""

from decimal import Decimal

import pytest

from flatbook.domain.events import Fill, OrderAccepted, OrderCancelled, OrderEvent, OrderRejected
from flatbook.domain.intents import TimeInForce
from flatbook.engine.effects import Order
from flatbook.sim.clocks import Clocks
from flatbook.sim.option_market import OptionMarket, OptionTerms
from flatbook.sim.orders import Cashier, OrderDesk
from flatbook.sim.perpetual import PerpetualMarket, PerpetualTerms

from .builders import CALL, PERPETUAL, REFERENCE, order

FUTURE = "BTC-27JUN25"
NOW = Clocks(1_000, 6_000)
INDEX = 80_000.0


@pytest.fixture
def desk() -> OrderDesk:
    return OrderDesk(REFERENCE, PerpetualMarket(PerpetualTerms()), Cashier("test"))


def arrive(desk: OrderDesk, *orders: Order, index_usd: float | None = INDEX) -> list[OrderEvent]:
    return [answer for sent in orders for answer in desk.arrive(sent, NOW, lambda underlying: index_usd)]


@pytest.mark.parametrize("side", [1, -1])
def test_a_hedge_fills_with_spread_impact_and_taker_fee(desk: OrderDesk, side: int) -> None:
    accepted, fill = arrive(desk, order("h0", side, INDEX * (1 + side * 0.01), 10_000))
    assert accepted == OrderAccepted(exch_ts_ns=1_000, local_ts_ns=6_000, order_id="h0")
    assert isinstance(fill, Fill)
    price = fill.price_ticks * 0.5
    assert 0 < side * (price / INDEX - 1) < 0.001
    assert (fill.order_id, fill.side, fill.size_lots, fill.is_maker) == ("h0", side, 10_000, False)
    fee_coin = Decimal(100_000) / Decimal(price) * Decimal("0.0005")
    assert 0 <= fill.fee_units - fee_coin * 10**8 < 1, "taker fee, rounded up to the satoshi"
    assert (fill.exch_ts_ns, fill.local_ts_ns) == (1_000, 6_000)


def test_immediate_or_cancel_loses_what_the_limit_does_not_allow(desk: OrderDesk) -> None:
    accepted, fill, cancelled = arrive(desk, order("h0", 1, 80_040.0, 10**7))
    assert isinstance(accepted, OrderAccepted)
    assert isinstance(fill, Fill)
    assert isinstance(cancelled, OrderCancelled)
    assert 0 < fill.size_lots < 10**7
    assert fill.price_ticks <= 80_040 * 2
    assert f"{10**7 - fill.size_lots} lots beyond the limit" in cancelled.reason


def test_immediate_or_cancel_that_finds_nothing_is_rejected(desk: OrderDesk) -> None:
    (rejected,) = arrive(desk, order("h0", 1, 80_000.0, 10))
    assert isinstance(rejected, OrderRejected)
    assert rejected.reason == "nothing to take at 80000: best is 80004.00 before impact"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (order("h0", 1, 80_100.0, 10, name="BTC-NOTHING"), "'BTC-NOTHING' is not a Deribit name"),
        (order("h0", 1, 80_100.0, 10, name=FUTURE), "no price of BTC-27JUN25 yet"),
        (order("h0", 1, 0.05, 10, name=CALL, time_in_force=TimeInForce.GTC), "orders that end at once"),
        (order("h0", 1, 0.05, 10, name=CALL), "nothing to take at 0.05: nobody shows a price"),
        (order("h0", 1, 80_100.0, 0), "size of 0 lots"),
        (order("h0", 1, 80_100.0, -5), "size of -5 lots"),
        (order("h0", 0, 80_100.0, 10), "side 0"),
        (order("h0", 1, 0.0, 10), "limit of 0 ticks"),
    ],
)
def test_what_cannot_be_an_order_is_rejected_with_its_reason(desk: OrderDesk, sent: Order, reason: str) -> None:
    (rejected,) = arrive(desk, sent)
    assert isinstance(rejected, OrderRejected)
    assert rejected.order_id == "h0"
    assert reason in rejected.reason


def test_spot_trades_at_the_index_and_its_impact_and_pays_no_fee(desk: OrderDesk) -> None:
    _, fill = arrive(desk, order("h0", -1, 79_900.0, 10_000, name="BTC_USDC"))
    assert isinstance(fill, Fill)
    assert (fill.size_lots, fill.fee_units) == (10_000, 0)
    assert 79_900 < fill.price_ticks < 80_000


def test_an_order_id_serves_once(desk: OrderDesk) -> None:
    first = arrive(desk, order("h0", 1, 80_400.0, 10))
    (again,) = arrive(desk, order("h0", 1, 80_400.0, 10))
    assert isinstance(first[1], Fill)
    assert isinstance(again, OrderRejected)
    assert "'h0' was used before" in again.reason


def test_without_an_index_there_is_no_price(desk: OrderDesk) -> None:
    (rejected,) = arrive(desk, order("h0", 1, 80_400.0, 10), index_usd=None)
    assert isinstance(rejected, OrderRejected)
    assert rejected.reason == "no index of BTC yet"


@pytest.mark.parametrize("side", [1, -1])
def test_an_order_rests_at_its_limit_and_fills_there_as_a_maker(desk: OrderDesk, side: int) -> None:
    limit = INDEX * (1 - side * 0.005)
    (accepted,) = arrive(desk, order("h0", side, limit, 10, time_in_force=TimeInForce.GTC))
    assert isinstance(accepted, OrderAccepted)
    assert desk.has_resting
    assert not list(desk.tick("BTC", limit, lambda: NOW)), "the mid is there, the other side's best is not"
    assert not list(desk.tick("ETH", limit * (1 - side * 0.01), lambda: NOW))
    (fill,) = desk.tick("BTC", limit * (1 - side * 0.01), lambda: NOW)
    assert isinstance(fill, Fill)
    assert (fill.order_id, fill.price_ticks, fill.size_lots) == ("h0", round(limit * 2), 10)
    assert (fill.is_maker, fill.fee_units) == (True, 0)
    assert not desk.has_resting


def test_what_a_resting_order_does_not_take_at_once_rests(desk: OrderDesk) -> None:
    answers = arrive(desk, order("h0", 1, 80_040.0, 10**6, time_in_force=TimeInForce.GTC))
    assert [type(answer) for answer in answers] == [OrderAccepted, Fill]
    taken = answers[1]
    (rest,) = desk.tick("BTC", 79_000.0, lambda: NOW)
    assert isinstance(taken, Fill)
    assert isinstance(rest, Fill)
    assert taken.size_lots + rest.size_lots == 10**6


def test_what_rests_is_pulled_on_request_and_what_does_not_gets_no_answer(desk: OrderDesk) -> None:
    arrive(desk, order("h0", 1, 79_000.0, 10, time_in_force=TimeInForce.GTC))
    assert list(desk.cancel("h1", lambda: NOW)) == []
    (cancelled,) = desk.cancel("h0", lambda: NOW)
    assert isinstance(cancelled, OrderCancelled)
    assert (cancelled.order_id, cancelled.reason) == ("h0", "pulled by us")
    assert list(desk.cancel("h0", lambda: NOW)) == []
    assert list(desk.tick("BTC", 78_000.0, lambda: NOW)) == []


def test_trade_ids_are_unique(desk: OrderDesk) -> None:
    answers = arrive(desk, *(order(f"h{number}", 1, 80_400.0, 10) for number in range(5)))
    ids = [answer.trade_id for answer in answers if isinstance(answer, Fill)]
    assert ids == ["test-1", "test-2", "test-3", "test-4", "test-5"]
    assert desk.traded == {PERPETUAL}


def test_a_future_trades_around_its_own_price_and_is_no_perpetual() -> None:
    market = PerpetualMarket(PerpetualTerms())
    market.premium_of[FUTURE] = 0.02
    desk = OrderDesk(REFERENCE, market, Cashier("test"))
    _, fill = arrive(desk, order("h0", 1, 82_000.0, 1_000, name=FUTURE))
    assert isinstance(fill, Fill)
    tick = REFERENCE.instrument(FUTURE).tick_size
    assert 0 < fill.price_ticks * tick / (1.02 * INDEX) - 1 < 2e-4
    assert desk.traded == set(), "funding and daily settlement are of perpetuals"


@pytest.mark.parametrize(("side", "touch", "limit"), [(1, 520, 0.052), (-1, 480, 0.048)])
def test_an_option_is_taken_at_the_touch_as_deep_as_it_is(side: int, touch: int, limit: float) -> None:
    """Of ten coins at the best price, eight are taken, then the two that are left and none, then more with time."""
    shown = {1: 520, -1: 480}
    options = OptionMarket(OptionTerms(depth_coin=10.0, refill_s=60.0), lambda option, taker, now_ns: shown[taker])
    desk = OrderDesk(REFERENCE, PerpetualMarket(PerpetualTerms()), Cashier("test"), options)

    def taken(order_id: str, seconds: float, price: float = limit) -> list[OrderEvent]:
        clocks = Clocks(round(seconds * 1e9), round(seconds * 1e9))
        sent = order(order_id, side, price, 80, name=CALL)
        return list(desk.arrive(sent, clocks, lambda underlying: INDEX))

    (missed,) = taken("h0", 0.0, limit - side * 0.0005)
    assert isinstance(missed, OrderRejected)
    _, first = taken("h1", 0.0)
    _, second, cut = taken("h2", 0.0)
    (dry,) = taken("h3", 0.0)
    _, later, _ = taken("h4", 60.0)
    assert isinstance(first, Fill)
    assert isinstance(second, Fill)
    assert isinstance(later, Fill)
    assert isinstance(cut, OrderCancelled)
    assert isinstance(dry, OrderRejected)
    assert [first.size_lots, second.size_lots, later.size_lots] == [80, 20, 63]
    assert {fill.price_ticks for fill in (first, second, later)} == {touch}
    fee_coin = min(Decimal("0.0003"), Decimal("0.125") * Decimal(touch) / 10_000) * 8
    assert first.fee_units == fee_coin * 10**8
    assert not first.is_maker
