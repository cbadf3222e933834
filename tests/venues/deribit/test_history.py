"""The history of a venue, asked of our own exchange by its own answers, without a socket."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from flatbook.app.history import HistoryRequest, import_history
from flatbook.domain.errors import BadInputError, VenueUnreachableError
from flatbook.domain.events import IndexTick, TradePrint
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_SECOND
from flatbook.store.session import open_session
from flatbook.venues.deribit import history as module
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.history import History, history_url
from tests.service.exchange.desk import CALL, PERPETUAL, START_NS, Caller, Desk

MS = 1_000_000
Handler = Callable[[httpx.Request], httpx.Response]


def traded(moments: int, each: int = 1) -> Desk:
    """An exchange on which at every second so many trades were done, of a perpetual and an option."""
    desk = Desk()
    alice = Caller(desk, "alice")
    for number in range(moments):
        for name, bid, ask in ((PERPETUAL, 159_990, 160_010), (CALL, 490, 510)):
            desk.quote(name, bid, ask, 10 * each)
            for _ in range(each):
                price = desk.exchange.listings[name].price(ask)
                alice("private/buy", instrument_name=name, amount=10 if name == PERPETUAL else 0.1, price=price)
        desk.pass_time(1.0)
        desk.exchange.index_usd["BTC"] = 80_000.0 + number
    return desk


def of(desk: Desk, between: Callable[[Handler], Handler] = lambda inner: inner) -> tuple[History, list[float]]:
    def answer(request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        status, told = desk.api.request(request.method, target, request.content, "", desk.now_ns)
        return httpx.Response(status, content=told)

    waited: list[float] = []
    return History("http://127.0.0.1:1", waited.append, httpx.MockTransport(between(answer))), waited


def everything(history: History, kind: str = "future") -> list[str]:
    last_ms = START_NS // MS + 1_000_000
    return [trade.trade_id for trade in history.trades("BTC", kind, START_NS // MS, last_ms)]


def test_every_trade_comes_once_over_pages_that_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = traded(6, each=3)
    history, _ = of(desk)
    whole = everything(history)
    assert len(whole) == len(set(whole)) == 18
    monkeypatch.setattr(module, "_MOST_ROWS", 4)
    assert everything(history) == whole
    monkeypatch.setattr(module, "_MOST_ROWS", 3)
    with pytest.raises(BadInputError, match="more than 3 trades of BTC future in the millisecond"):
        everything(history)


def test_a_page_that_fails_is_asked_for_again_and_a_refusal_is_not() -> None:
    too_many = {"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many_requests"}}
    fails = iter([None, b"<html>502</html>", json.dumps(too_many).encode()])

    def at_first(inner: Handler) -> Handler:
        def handle(request: httpx.Request) -> httpx.Response:
            failure = next(fails, b"")
            if failure is None:
                raise httpx.ConnectError("refused", request=request)
            return httpx.Response(502, content=failure) if failure else inner(request)

        return handle

    history, waited = of(traded(2), at_first)
    assert len(everything(history)) == 2
    assert waited == [1.0, 2.0, 4.0]

    def never(_: Handler) -> Handler:
        def handle(request: httpx.Request) -> httpx.Response:
            raise httpx.ReadTimeout("slow", request=request)

        return handle

    silent, waited = of(Desk(), never)
    with pytest.raises(VenueUnreachableError, match="failed 6 times: ReadTimeout slow"):
        everything(silent)
    assert len(waited) == 5
    refused, waited = of(Desk())
    with pytest.raises(BadInputError, match="get_last_trades_by_currency_and_time is refused: -32602"):
        list(refused.trades("NONE", "option", 0, 1))
    assert not waited


def request(out: Path, **changed: Any) -> HistoryRequest:
    span = {"from_ns": START_NS, "to_ns": START_NS + 100 * NS_PER_SECOND}
    return HistoryRequest(url="", currencies=("BTC",), out=out, licence="ours", **(span | changed))


def test_a_history_is_a_session_like_any_other(tmp_path: Path) -> None:
    desk = traded(5)
    out = tmp_path / "session"
    meta = import_history(request(out), of(desk)[0], lambda line: None)
    reference: ReferenceData = load_reference()
    session = open_session(out)
    events = list(session.market_events(0, 2**62, reference))
    prints = [event for event in events if isinstance(event, TradePrint)]
    assert [print_.trade_id for print_ in prints] == sorted((print_.trade_id for print_ in prints), key=int)
    assert {print_.instrument for print_ in prints} == {PERPETUAL, CALL}
    assert meta.counts["trades"] == len(prints) == 10
    index = {event.local_ts_ns: event.price_usd for event in events if isinstance(event, IndexTick)}
    known = 0.0
    for event in events:
        known = index.get(event.local_ts_ns, known) if isinstance(event, IndexTick) else known
        if isinstance(event, TradePrint):
            assert event.index_usd == known, "the index that a trade carries is known when it comes"
    assert meta.importer == "Deribit's trade history"
    with pytest.raises(BadInputError, match="already exists"):
        import_history(request(out), of(desk)[0], lambda line: None)
    with pytest.raises(BadInputError, match="is not before"):
        import_history(request(tmp_path / "none", to_ns=START_NS), of(desk)[0], lambda line: None)
    with pytest.raises(BadInputError, match="nothing was heard"):
        import_history(request(tmp_path / "none", from_ns=1, to_ns=2), of(desk)[0], lambda line: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["session"], "nothing is half-written"


def test_funding_is_by_the_hour_and_of_the_coins_own_perpetual(tmp_path: Path) -> None:
    hour_ms = 3_600_000

    def funded(inner: Handler) -> Handler:
        def handle(request: httpx.Request) -> httpx.Response:
            if "funding" not in request.url.path:
                return inner(request)
            assert request.url.params["instrument_name"] == "BTC-PERPETUAL"
            first, last = (int(request.url.params[name]) for name in ("start_timestamp", "end_timestamp"))
            hours = range(-(-first // hour_ms) * hour_ms, last + 1, hour_ms)
            rows = [
                {"timestamp": at, "interest_1h": 1e-5, "interest_8h": 8e-5, "index_price": 1.0, "prev_index_price": 1.0}
                for at in reversed(hours)
            ]
            return httpx.Response(200, content=json.dumps({"jsonrpc": "2.0", "result": rows}))

        return handle

    days = 40
    history, _ = of(Desk(), funded)
    hours = list(history.funding("BTC-PERPETUAL", START_NS // MS, START_NS // MS + days * 24 * hour_ms))
    assert len({hour.timestamp for hour in hours}) == len(hours) == days * 24
    meta = import_history(request(tmp_path / "s", to_ns=START_NS + 3 * 3600 * NS_PER_SECOND), history, lambda _: None)
    assert meta.counts["funding"] == 3


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://x", "is no address of an API"),
        ("http://history.deribit.com", "is not encrypted"),
        ("https://", "no address"),
    ],
)
def test_addresses_that_are_none_are_refused(url: str, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        history_url(url)
