"""The adapter at our own exchange, over its sockets: a hedge is placed, filled, cancelled, lost and found again."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import Fill, OrderAccepted, OrderCancelled, OrderEvent, OrderRejected, TopOfBook, TradePrint
from flatbook.domain.intents import OrderIntent, Purpose, TimeInForce
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_SECOND
from flatbook.ledger import Ledger
from flatbook.service.exchange.server import HOST, Service, VenueClock
from flatbook.venues.ccxt.accounts import account_named
from flatbook.venues.ccxt.client import HedgeClient, Told
from flatbook.venues.ccxt.codec_own import Difference, differences
from flatbook.venues.ccxt.library import Credentials, open_exchange
from flatbook.venues.ccxt.orders import Known
from tests.service.exchange.desk import PERPETUAL, START_NS, Desk

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
errors = pytest.importorskip("ccxt.base.errors", reason="ccxt is not installed: other venues are left out")
NAME = f"deribit:{PERPETUAL}"


@pytest.fixture
def served() -> Iterator[tuple[Desk, str]]:
    """A quiet venue with a two-sided market of 1,000 USD a side, and its address."""
    desk = Desk()
    desk.quote(PERPETUAL, 159_990, 160_010, 100)
    listener = socket.create_server((HOST, 0))
    config = uvicorn.Config(Service(desk.api, VenueClock(desk.now_ns).now_ns).app, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield desk, f"{HOST}:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(5)


class Hedger:
    """A client at the venue, and the books of what it is told."""

    def __init__(self, address: str) -> None:
        self.account = account_named("deribit")
        self.exchange: Any = open_exchange(self.account, Credentials("alice", "secret"))
        self.exchange.urls["api"] = {"rest": f"http://{address}", "ws": f"ws://{address}/ws/api/v2"}
        self.now_ns = START_NS
        self.told: list[Told] = []
        self.client = HedgeClient(self.account, self.exchange, "r1", lambda: self.now_ns, self.told.append)

    def kinds(self) -> list[type[Any]]:
        """Of what was told."""
        return [type(event) for event in self.told]

    def order(self, side: int, price: float, usd: int, life: TimeInForce) -> OrderIntent:
        """A hedge with the perpetual."""
        instrument = self.client.listing.named(NAME).instrument
        return OrderIntent(
            instrument=NAME,
            side=side,
            limit_ticks=instrument.price_ticks(price),
            size_lots=instrument.size_lots(usd),
            time_in_force=life,
            purpose=Purpose.HEDGE,
            reason="test",
        )

    def ledger(self) -> Ledger:
        """What was told, booked."""
        reference = ReferenceData({})
        reference.register(self.client.listing.named(NAME).instrument)
        ledger = Ledger(reference, ["hedging"])
        ledger.deposit("deribit", "BTC", 10 * 10**8, START_NS)
        ledger.deposit("deribit", "USDC", 100_000 * 10**6, START_NS)
        for event in self.told:
            if isinstance(event, Fill):
                ledger.book_fill(event, "hedging")
        ledger.invariant()
        return ledger


def hedge(address: str, go: Callable[[Hedger], Awaitable[None]]) -> Hedger:
    """Runs something at the venue and lets go of it."""

    async def run() -> Hedger:
        hedger = Hedger(address)
        try:
            await hedger.client.open()
            await go(hedger)
        finally:
            await hedger.client.close()
        return hedger

    return asyncio.run(run())


def losing(exchange: Any, *, after: bool) -> Any:
    """The library's `fetch`, the answers to which are lost: after the venue had the request, or before."""
    real = exchange.fetch

    async def fetch(url: str, *rest: Any) -> Any:
        if after:
            await real(url, *rest)
        raise errors.RequestTimeout(url)

    exchange.fetch = fetch
    return real


@pytest.mark.slow
def test_a_hedge_ends_with_the_books_of_the_exchange(served: tuple[Desk, str]) -> None:
    desk, address = served

    async def go(hedger: Hedger) -> None:
        client = hedger.client
        top = await client.top(NAME)
        assert top is not None
        assert (top.bid, top.ask, top.bid_amount) == (79_995.0, 80_005.0, 1_000.0)
        # More than is offered: the rest of an order that may not rest is gone.
        assert await client.place("h0", hedger.order(1, 80_005.0, 1_500, TimeInForce.IOC)) is Known.ENDED
        assert hedger.kinds() == [OrderAccepted, Fill, OrderCancelled]
        assert await client.place("h1", hedger.order(-1, 80_010.0, 300, TimeInForce.GTC)) is Known.LIVE
        assert await client.cancel("h1") is Known.ENDED
        # Sold again to the bid, in two fills of which the venue's answer to the first never came.
        real = losing(hedger.exchange, after=True)
        assert await client.place("h2", hedger.order(-1, 79_995.0, 400, TimeInForce.IOC)) is Known.UNKNOWN
        assert await client.reconcile() == ["h2"]
        hedger.exchange.fetch = real
        assert await client.reconcile() == []
        # And one that never reached the venue.
        losing(hedger.exchange, after=False)
        assert await client.place("h3", hedger.order(-1, 79_995.0, 100, TimeInForce.IOC)) is Known.UNKNOWN
        hedger.exchange.fetch = real
        assert await client.reconcile() == ["h3"]
        hedger.now_ns += 30 * NS_PER_SECOND
        assert await client.reconcile() == []
        await client.place("h4", hedger.order(1, 1_000.0, 10**9, TimeInForce.GTC))
        stated = await client.statement()
        assert stated.lots == {NAME: 60}
        assert differences(hedger.ledger(), hedger.account, stated) == []

    hedger = hedge(address, go)
    ended = {event.order_id: type(event) for event in hedger.told if isinstance(event, OrderEvent)}
    assert ended == {"h0": OrderCancelled, "h1": OrderCancelled, "h2": Fill, "h3": OrderRejected, "h4": OrderRejected}
    fills = [event for event in hedger.told if isinstance(event, Fill)]
    assert [(fill.order_id, fill.side, fill.size_lots) for fill in fills] == [("h0", 1, 100), ("h2", -1, 40)]
    # The exchange's own books of the account, not what its wire says of them.
    theirs = desk.exchange.accounts["alice"].ledger
    assert hedger.ledger().cash_units("BTC") == theirs.cash_units("BTC")
    assert all(fill.fee_units > 0 for fill in fills)


@pytest.mark.slow
def test_the_documented_hedge_trades_the_delta_away_and_its_books_are_the_venues(served: tuple[Desk, str]) -> None:
    desk, address = served
    page = (Path(__file__).resolve().parents[3] / "docs" / "live.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shown: dict[str, Any] = {}
    exec(compile(example, "docs/live.md", "exec"), shown)

    async def run() -> tuple[Ledger, list[Difference]]:
        one = Hedger(address)
        asked = (one.account, one.exchange, NAME, 0.01, lambda: one.now_ns)
        try:
            hedged: tuple[Ledger, list[Difference]] = await shown["hedge"](*asked)
            with pytest.raises(BadInputError, match="go on with the ledger that booked it"):
                await shown["hedge"](*asked)
            return hedged
        finally:
            await one.client.close()

    ledger, apart = asyncio.run(run())
    # 0.01 coins at 79,995 USD, in whole lots of 10 USD.
    assert dict(ledger.open_lots()) == {NAME: -79}
    assert dict(desk.exchange.accounts["alice"].ledger.open_lots()) == {PERPETUAL: -79}
    assert apart == []


@pytest.mark.slow
def test_streams_tell_the_market_and_our_fills_once(served: tuple[Desk, str]) -> None:
    _, address = served

    async def go(hedger: Hedger) -> None:
        client = hedger.client
        following = asyncio.ensure_future(client.follow([NAME]))
        try:
            await until(lambda: TopOfBook in hedger.kinds())
            await client.place("h0", hedger.order(1, 80_005.0, 200, TimeInForce.GTC))
            await client.place("h1", hedger.order(1, 79_000.0, 200, TimeInForce.GTC))
            await until(lambda: {Fill, TradePrint} <= set(hedger.kinds()))
            await client.cancel("h1")
            await asyncio.sleep(0.2)
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
        assert differences(hedger.ledger(), hedger.account, await client.statement()) == []

    hedger = hedge(address, go)
    kinds = hedger.kinds()
    assert (kinds.count(Fill), kinds.count(OrderAccepted), kinds.count(OrderCancelled)) == (1, 2, 1)
    (printed,) = [event for event in hedger.told if isinstance(event, TradePrint)]
    assert (printed.price, printed.size_lots, printed.taker_side) == (80_005.0, 20, 1)


async def until(holds: Callable[[], bool]) -> None:
    """Waits, but not for ever."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within five seconds")
