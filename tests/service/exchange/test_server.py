"""The service over its sockets: HTTP and websocket of one application, and clients that others wrote."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from flatbook.app.exchange import ExchangeRequest, open_exchange
from flatbook.domain.errors import BadInputError
from flatbook.service.exchange.server import HOST, Service, VenueClock
from tests.service.exchange.desk import PERPETUAL, Desk


class Socket:
    """A websocket to an application, without a library of frames."""

    def __init__(self, app: Starlette) -> None:
        scope = {"type": "websocket", "path": "/ws/api/v2", "headers": [(b"host", HOST.encode())], "query_string": b""}
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[Any] = asyncio.Queue()
        self._in.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.ensure_future(app(scope, self._in.get, self._out.put))

    async def call(self, method: str, **params: Any) -> Any:
        """The answer to a call."""
        text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        self._in.put_nowait({"type": "websocket.receive", "text": text})
        return await self.next()

    async def next(self) -> Any:
        """The next message; None when the venue hangs up."""
        message = await asyncio.wait_for(self._out.get(), 5)
        if message["type"] == "websocket.accept":
            return await self.next()
        return json.loads(message["text"]) if message["type"] == "websocket.send" else None

    async def leave(self) -> None:
        """Hangs up."""
        self._in.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(self._task, 5)


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Desk, Starlette, httpx.AsyncClient]]:
    desk = Desk()
    desk.quote(PERPETUAL, 159_990, 160_010, 100)
    app = Service(desk.api, VenueClock(desk.now_ns).now_ns).app
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as http:
        yield desk, app, http


def test_http_and_websocket_are_one_venue() -> None:
    async def meet() -> None:
        async with opened() as (desk, app, http):
            assert (await http.get("/healthz")).json() == {"status": "ok"}
            found = await http.get("/api/v2/public/ticker", params={"instrument_name": PERPETUAL})
            assert found.json()["result"]["best_ask_price"] == 80_005.0
            assert (await http.get("/api/v2/public/nothing")).status_code == 400
            assert (await http.get("/healthz", headers={"host": "elsewhere.example"})).status_code == 400
            line = Socket(app)
            secret = {"client_id": "alice", "client_secret": "secret"}
            granted = await line.call("public/auth", grant_type="client_credentials", **secret)
            await line.call("private/enable_cancel_on_disconnect")
            await line.call("private/subscribe", channels=[f"book.{PERPETUAL}.raw"])
            assert (await line.next())["params"]["data"]["type"] == "snapshot"
            header = {"Authorization": f"Bearer {granted['result']['access_token']}"}
            order = {"instrument_name": PERPETUAL, "amount": "100", "price": "79999.5", "post_only": "true"}
            placed = await http.get("/api/v2/private/buy", params=order, headers=header)
            assert placed.json()["result"]["order"]["amount"] == 100.0
            change = (await line.next())["params"]["data"]
            assert change["bids"] == [["new", 79_999.5, 100.0]]
            await line.leave()
            assert not desk.exchange.accounts["alice"].orders

    asyncio.run(meet())


def test_who_asks_too_much_is_hung_up_on() -> None:
    async def ask() -> list[Any]:
        async with opened() as (_, app, _):
            line = Socket(app)
            secret = {"client_id": "alice", "client_secret": "secret"}
            await line.call("public/auth", grant_type="client_credentials", **secret)
            return [await line.call("private/cancel_all") for _ in range(21)] + [await line.next()]

    *answers, last = asyncio.run(ask())
    assert [answer.get("error", {}).get("code") for answer in answers] == [None] * 20 + [10028]
    assert last is None


def test_the_venues_clock_runs_at_its_pace() -> None:
    seconds = iter([100.0, 100.0, 101.5])
    clock = VenueClock(1_000, 10.0, monotonic=lambda: next(seconds))
    assert [clock.now_ns(), clock.now_ns()] == [1_000, 1_000 + 15_000_000_000]


def test_two_clients_of_one_name_are_refused() -> None:
    with pytest.raises(BadInputError, match="each name once"):
        open_exchange(ExchangeRequest(clients=(("a", "x"), ("a", "y"))))


@pytest.fixture
def address() -> Iterator[str]:
    """A served simulated market, for clients that need a real socket; its own for each, for requests cost credits."""
    request = ExchangeRequest(hours=1.0, clients=(("alice", "secret"), ("bob", "secret")))
    api = open_exchange(request)
    listener = socket.create_server((HOST, 0))
    config = uvicorn.Config(Service(api, VenueClock(api.exchange.now_ns).now_ns).app, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"{HOST}:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(5)


def _ccxt(address: str, package: str) -> Any:
    module = pytest.importorskip(
        package, reason=f"{package} is not installed: the proof by others' clients is left out"
    )
    client = module.deribit({"apiKey": "alice", "secret": "secret", "rateLimit": 1})
    client.urls["api"] = {"rest": f"http://{address}", "ws": f"ws://{address}/ws/api/v2"}
    return client


@pytest.mark.slow
def test_ccxts_client_trades_over_http(address: str) -> None:
    client = _ccxt(address, "ccxt")
    errors = pytest.importorskip("ccxt.base.errors")

    markets = client.load_markets()
    symbol = "BTC/USD:BTC"
    assert {markets[symbol]["swap"], markets["BTC/USDC"]["spot"]} == {True}
    options = [name for name, market in markets.items() if market["option"]]
    assert len(options) > 400
    assert client.fetch_order_book(symbol, 5)["bids"]
    assert 0 < abs(client.fetch_greeks(options[0])["delta"]) <= 1
    price = client.fetch_ticker(symbol)["bid"]
    order = client.create_order(symbol, "limit", "buy", 100, round(price * 0.99))
    edited = client.edit_order(order["id"], symbol, "limit", "buy", 200, round(price * 0.99))
    assert (edited["id"], edited["amount"]) == (order["id"], 200.0)
    assert [each["id"] for each in client.fetch_open_orders(symbol)] == [order["id"]]
    assert client.cancel_order(order["id"], symbol)["status"] == "canceled"
    assert client.create_order(symbol, "market", "buy", 1_000)["status"] == "closed"
    (position,) = client.fetch_positions([symbol])
    assert (position["side"], position["contracts"]) == ("long", 1_000.0)
    assert sum(trade["amount"] for trade in client.fetch_my_trades(symbol)) == 1_000.0
    assert 9.9 < client.fetch_balance()["BTC"]["total"] < 10.1
    with pytest.raises(errors.InsufficientFunds):
        client.create_order(symbol, "limit", "buy", 1e8, round(price * 0.99))
    with pytest.raises(errors.OrderNotFound):
        client.cancel_order("999999999", symbol)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_deribit_wrappers_client_trades_over_http(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another client that others wrote: it asks in JSON-RPC, with a slash before each method, and signs its key in."""
    module = pytest.importorskip(
        "deribit_wrapper", reason="deribit_wrapper is not installed: the proof by others' clients is left out"
    )
    monkeypatch.setattr(module.base.DeribitBase, "_DeribitBase__ENVS", {"test": f"http://{address}"})
    client = module.DeribitClient(
        env="test", client_id="bob", client_secret="secret", auth_method="signature", simulated=False
    )
    name = "BTC-PERPETUAL"
    assert set(client.get_instruments()["kind"]) == {"option", "future", "spot"}
    assert client.get_contract_size(name) == 10.0
    book = client.get_ticker(name)
    margins = client.instrument_margins(name, 1_000, book["mark_price"])
    assert margins["buy"] == margins["sell"] == pytest.approx(1_000 / book["mark_price"] / 25, rel=0.6)
    placed = client.order(name, 100, limit=round(book["best_bid_price"] * 0.99), label="quiet")["order"]
    assert list(client.get_open_orders()["order_id"]) == [placed["order_id"]]
    assert client.cancel_orders(label="quiet", currency="BTC") == {"BTC": {"result": 1}}
    assert list(client.get_orders([placed["order_id"]])["order_state"]) == ["cancelled"]
    bought = client.market_order(name, 500, label="taken")["order"]
    assert bought["order_state"] == "filled"
    assert sum(client.get_trade_by_order([bought["order_id"]])["amount"]) == 500.0
    (size,) = client.get_positions("BTC")["size"]
    assert size == 500.0
    assert client.close_position(name)["order"]["order_state"] == "filled"
    assert client.get_positions("BTC").empty
    assert 9.9 < client.get_account_summary("BTC")["balance"].item() < 10.1
    client.close()


@pytest.mark.slow
def test_ccxts_client_follows_over_websocket(address: str) -> None:
    client = _ccxt(address, "ccxt.pro")
    symbol = "BTC/USD:BTC"

    async def follow() -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
        try:
            for _ in range(5):
                book = await asyncio.wait_for(client.watch_order_book(symbol), 10)
            watching = asyncio.ensure_future(client.watch_orders(symbol))
            await asyncio.sleep(0.5)
            await client.create_order(symbol, "limit", "buy", 100, round(book["bids"][0][0] * 0.99))
            orders = await asyncio.wait_for(watching, 10)
            balance = await asyncio.wait_for(client.watch_balance(), 10)
            return book, orders, balance
        finally:
            await client.close()

    book, orders, balance = asyncio.run(follow())
    assert book["bids"][0][0] < book["asks"][0][0]
    assert [order["status"] for order in orders] == ["open"]
    # Over its websocket this client files each currency's balances under the currency.
    assert balance["BTC"]["BTC"]["total"] > 9.9
