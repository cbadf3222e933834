"""Answers that are late, lost or refused, and trades that come before their order has a name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any

import pytest

from flatbook.domain.errors import (
    BadInputError,
    ConfigurationError,
    FlatbookError,
    LimitBreachedError,
    UnknownInstrumentError,
    VenueUnreachableError,
)
from flatbook.domain.events import Fill, OrderAccepted, OrderCancelled, OrderRejected
from flatbook.domain.units import NS_PER_SECOND
from flatbook.venues.ccxt import client
from flatbook.venues.ccxt.accounts import account_named
from flatbook.venues.ccxt.library import Credentials, open_exchange
from flatbook.venues.ccxt.orders import Known
from flatbook.venues.ccxt.refusals import our_error, verdict
from tests.venues.ccxt.answers import ANSWERS
from tests.venues.ccxt.transport import Answers, Bench, Refusal

errors = pytest.importorskip("ccxt.base.errors", reason="ccxt is not installed: other venues are left out")
USDM = ANSWERS["binance_usdm"]
NAME = "binance_usdm:BTC_USDT-PERPETUAL"
PLACE, FIND, TRADES = "POST /fapi/v1/order", "GET /fapi/v1/order", "GET /fapi/v1/userTrades"
NO_SUCH_ORDER = Refusal(400, {"code": -2013, "msg": "Order does not exist."})


def on_bench(answers: Answers, go: Callable[[Bench], Awaitable[None]]) -> Bench:
    """A client at Binance's USD-M futures, with some of its answers changed."""

    async def run() -> Bench:
        bench = Bench("binance_usdm", deepcopy(USDM) | answers)
        try:
            await bench.client.open()
            await go(bench)
        finally:
            await bench.client.close()
        return bench

    return asyncio.run(run())


def kinds(bench: Bench) -> list[type[Any]]:
    """What was told, by kind."""
    return [type(event) for event in bench.told]


def test_an_order_whose_answer_is_lost_is_found_again_by_our_id_and_sent_once() -> None:
    async def go(bench: Bench) -> None:
        intent = bench.intent(NAME, 1, "80010.1", "0.005")
        assert await bench.client.place("h0", intent) is Known.UNKNOWN
        assert bench.told == []
        assert await bench.client.reconcile() == []
        with pytest.raises(BadInputError, match="sent before"):
            await bench.client.place("h0", intent)

    bench = on_bench({PLACE: errors.RequestTimeout("binanceusdm POST")}, go)
    assert kinds(bench) == [OrderAccepted, Fill]
    assert bench.wire.sent(FIND)["origClientOrderId"] == "r1h0"
    assert [key for key, _ in bench.wire.asked].count(PLACE) == 1


def test_an_order_that_never_arrived_is_unknown_until_it_is_too_old_to_arrive() -> None:
    async def go(bench: Bench) -> None:
        await bench.client.place("h0", bench.intent(NAME, 1, "80010.1", "0.005"))
        assert await bench.client.reconcile() == ["h0"]
        bench.now_ns += 30 * NS_PER_SECOND
        assert await bench.client.reconcile() == []

    bench = on_bench({PLACE: errors.ExchangeNotAvailable("binanceusdm POST"), FIND: NO_SUCH_ORDER}, go)
    (event,) = bench.told
    assert isinstance(event, OrderRejected)
    assert (event.order_id, event.reason) == ("h0", "never arrived")


def test_a_refusal_is_told_with_the_venues_reason_and_asks_nothing_more() -> None:
    async def go(bench: Bench) -> None:
        assert await bench.client.place("h0", bench.intent(NAME, 1, "80010.1", "0.005")) is Known.ENDED

    bench = on_bench({PLACE: Refusal(400, {"code": -2019, "msg": "Margin is insufficient."})}, go)
    (event,) = bench.told
    assert isinstance(event, OrderRejected)
    assert "InsufficientFunds" in event.reason
    assert "Margin is insufficient" in event.reason
    assert FIND not in [key for key, _ in bench.wire.asked]


def test_what_the_venue_did_not_finish_in_time_is_unknown() -> None:
    """-1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown." """

    async def go(bench: Bench) -> None:
        assert await bench.client.place("h0", bench.intent(NAME, 1, "80010.1", "0.005")) is Known.UNKNOWN

    on_bench({PLACE: Refusal(408, {"code": -1007, "msg": "Send status unknown; execution status unknown."})}, go)


def test_a_trade_that_overtakes_its_orders_answer_is_that_orders_and_a_strangers_is_nobodys() -> None:
    """By stream a fill may come first, and Binance's names the venue's id alone."""

    def traded(bench: Bench, order: str, trade: str) -> dict[str, Any]:
        symbol = bench.client.listing.named(NAME).symbol
        fee = {"currency": "USDT", "cost": 0.1}
        row = {"symbol": symbol, "id": trade, "order": order, "side": "buy", "price": 80_000.1, "amount": 0.002}
        return {**row, "fee": fee, "takerOrMaker": "maker", "timestamp": 1767600000100, "info": {}}

    async def go(bench: Bench) -> None:
        bench.client.take_trades([traded(bench, "99", "1")])
        assert [event.order_id for event in bench.told if isinstance(event, Fill)] == ["99"]
        await bench.client.place("h0", bench.intent(NAME, 1, "80010.1", "0.005"))
        bench.client.take_trades([traded(bench, "4611", "2"), traded(bench, "98", "3")])
        assert kinds(bench) == [Fill]
        bench.wire.answers[FIND] = USDM[FIND] | {"executedQty": "0.002", "status": "CANCELED"}
        await bench.client.reconcile()

    bench = on_bench({PLACE: errors.RequestTimeout("lost")}, go)
    assert kinds(bench)[1:] == [OrderAccepted, Fill, OrderCancelled, Fill]
    assert [event.order_id for event in bench.told if isinstance(event, Fill)] == ["99", "h0", "98"]


def test_the_same_trade_by_stream_and_by_look_up_is_told_once() -> None:
    async def go(bench: Bench) -> None:
        await bench.client.place("h0", bench.intent(NAME, 1, "80010.1", "0.005"))
        bench.client.take_trades(await bench.exchange.fetch_my_trades("BTC/USDT:USDT"))
        bench.client.take_orders([await bench.exchange.fetch_order("4611", "BTC/USDT:USDT")])

    assert kinds(on_bench({}, go)) == [OrderAccepted, Fill]


def test_a_cancel_tells_the_end_after_the_fill_that_crossed_it() -> None:
    resting = USDM[PLACE] | {"executedQty": "0.000", "status": "NEW", "timeInForce": "GTC"}

    async def go(bench: Bench) -> None:
        intent = bench.intent(NAME, 1, "80010.1", "0.009")
        assert await bench.client.place("h0", intent) in (Known.LIVE, Known.ENDING)
        crossed = resting | {"executedQty": "0.005", "status": "CANCELED"}
        bench.wire.answers |= {"DELETE /fapi/v1/order": crossed, FIND: crossed}
        assert await bench.client.cancel("h0") is Known.ENDED

    assert kinds(on_bench({PLACE: resting, FIND: resting}, go)) == [OrderAccepted, Fill, OrderCancelled]


def test_a_stream_that_breaks_is_listened_to_anew_and_what_was_missed_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.001)

    async def go(bench: Bench) -> None:
        words: list[Any] = [errors.NetworkError("gone"), errors.RateLimitExceeded("slowly"), {}]

        async def watch_bids_asks(symbols: list[str]) -> Any:
            if not words:
                await asyncio.sleep(60.0)
            word = words.pop(0)
            if isinstance(word, Exception):
                raise word
            return word

        async def silence(symbol: str) -> None:
            await asyncio.sleep(60.0)

        bench.exchange.watch_bids_asks = watch_bids_asks
        for name in ("watch_trades", "watch_orders", "watch_my_trades"):
            setattr(bench.exchange, name, silence)
        await bench.client.place("h0", bench.intent(NAME, 1, "80010.1", "0.005"))
        following = asyncio.ensure_future(bench.client.follow([NAME]))
        for _ in range(200):
            await asyncio.sleep(0.005)
            if Fill in kinds(bench):
                break
        assert not words
        words.append(errors.PermissionDenied("no right to read"))
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        with pytest.raises(ConfigurationError, match="PermissionDenied: no right to read"):
            await bench.client.follow([NAME])

    bench = on_bench({PLACE: errors.RequestTimeout("lost")}, go)
    assert kinds(bench) == [OrderAccepted, Fill]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"commissionAsset": "BNB"}, "paid its fee in BNB, which the ledger does not know"),
        ({"qty": "0.0051"}, "no multiple of"),
        ({"price": "80005.01"}, "no multiple of"),
    ],
)
def test_a_trade_that_cannot_be_booked_exactly_keeps_its_order_open_and_says_why(
    change: dict[str, str], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def go(bench: Bench) -> None:
        await bench.client.place("h0", bench.intent(NAME, 1, "80010.1", "0.005"))

    bench = on_bench({TRADES: [USDM[TRADES][0] | change]}, go)
    assert kinds(bench) == [OrderAccepted]
    assert [asked.order_id for asked in bench.client.orders.open] == ["h0"]
    assert bench.client.unreadable == 1
    assert told in caplog.text


@pytest.mark.parametrize(
    ("raised", "ours", "is_unknown"),
    [
        (errors.RequestTimeout, VenueUnreachableError, True),
        (errors.OnMaintenance, VenueUnreachableError, True),
        (errors.NullResponse, VenueUnreachableError, True),
        (errors.ExchangeError, VenueUnreachableError, True),
        (errors.RateLimitExceeded, VenueUnreachableError, False),
        (errors.InvalidNonce, ConfigurationError, False),
        (errors.PermissionDenied, ConfigurationError, False),
        (errors.InsufficientFunds, LimitBreachedError, False),
        (errors.DuplicateOrderId, BadInputError, True),
        (errors.OrderImmediatelyFillable, BadInputError, False),
        (errors.BadSymbol, BadInputError, False),
        (errors.MarketClosed, BadInputError, False),
    ],
)
def test_the_librarys_exceptions_are_ours(raised: type[Exception], ours: type[FlatbookError], is_unknown: bool) -> None:
    error = raised("okx GET https://www.okx.com/x?signature=abc went\nwrong")
    assert verdict(error) == (ours, is_unknown)
    text = str(our_error(error, "okx"))
    assert text == f"okx: {raised.__name__}: okx GET https://www.okx.com/x"


def test_every_exception_of_the_library_has_its_verdict() -> None:
    """A new version's new class falls to its ancestor: none is without one."""
    found = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.BaseError)]
    assert len(found) > 35
    for one in found:
        assert issubclass(verdict(one("x")).error, FlatbookError)


def test_without_the_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("importlib.import_module", absent)
    with pytest.raises(ConfigurationError, match="pip install 'flatbook\\[ccxt\\]'"):
        open_exchange(account_named("okx"), None)


def test_venues_contracts_and_keys() -> None:
    with pytest.raises(BadInputError, match="venue 'kraken' is not known; use one of binance_spot"):
        account_named("kraken")
    assert "secret-key" not in repr(Credentials("secret-key", "secret-key", "secret-key"))

    async def go(bench: Bench) -> None:
        with pytest.raises(UnknownInstrumentError, match="'BTC-PERPETUAL' is not listed by binance_usdm"):
            await bench.client.top("BTC-PERPETUAL")

    on_bench({}, go)
