"""A venue where nobody trades but whom a test lets, and clients of it."""

import json
from typing import Any

from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.service.exchange.api import Api
from flatbook.service.exchange.auth import Auth, Client
from flatbook.service.exchange.session import Session
from flatbook.sim.venue.cycle import Cycle
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Mark
from flatbook.venues.deribit import load_reference
from tests.sim.venue.builders import STANDARD_MARGIN

START_NS = parse_utc("2026-01-05T10:00")
PERPETUAL, CALL, SPOT = "BTC-PERPETUAL", "BTC-30JAN26-80000-C", "BTC_USDC"


class Quiet:
    """Time passes and nothing happens."""

    def __init__(self, exchange: Exchange) -> None:
        self.volatility = [(START_NS, 55.123)]
        self.has_ended = False
        self._exchange = exchange

    def run_until(self, now_ns: int) -> None:
        """Nothing but time."""
        self._exchange.now_ns = max(now_ns, self._exchange.now_ns)


class Desk:
    """The service with two clients; each step of its clock is a second."""

    def __init__(self) -> None:
        exchange = Exchange(load_reference(), STANDARD_MARGIN, START_NS)
        marks = {
            PERPETUAL: Mark(80_000.0, 80_000.0),
            CALL: Mark(0.05, 80_000.0, 0.48, delta=0.5, gamma=1e-5, vega=80.0, theta=-60.0),
            SPOT: Mark(80_000.0, 80_000.0),
        }
        exchange.index_usd["BTC"] = 80_000.0
        for name, mark in marks.items():
            exchange.list_instrument(name).mark = mark
        for name in ("alice", "bob"):
            exchange.open_account(name, {"BTC": 10.0, "USDC": 100_000.0})
        clients = [Client(name, "secret", name) for name in ("alice", "bob")]
        self.exchange = exchange
        self.api = Api(exchange, Cycle(exchange), Quiet(exchange), Auth(clients, b"key"))
        self.now_ns = START_NS

    def pass_time(self, seconds: float) -> None:
        """Lets time pass."""
        self.now_ns += round(seconds * NS_PER_SECOND)
        self.api.advance(self.now_ns)

    def quote(self, name: str, bid: int, ask: int, lots: int) -> None:
        """Somebody quotes."""
        for side, ticks in ((1, bid), (-1, ask)):
            self.exchange.house_order("makers", name, side, ticks, lots, rests=True)
        self.api.advance(self.now_ns)


class Caller:
    """A websocket client."""

    def __init__(self, desk: Desk, account: str = "") -> None:
        self.session: Session = desk.api.connect()
        self._desk = desk
        self._number = 0
        if account:
            self("public/auth", grant_type="client_credentials", client_id=account, client_secret="secret")

    def __call__(self, method: str, **params: Any) -> Any:
        """The result of a call."""
        answer = self.answer(method, **params)
        assert "result" in answer, answer
        return answer["result"]

    def error(self, method: str, **params: Any) -> int:
        """The code of a call that cannot be done."""
        code: int = self.answer(method, **params)["error"]["code"]
        return code

    def answer(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a call; what was told before it is left in the outbox."""
        self._number += 1
        raw = json.dumps({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        self._desk.api.receive(self.session, raw, self._desk.now_ns)
        for at, told in enumerate(self.session.outbox):
            answer: dict[str, Any] = json.loads(told)
            if answer.get("id") == self._number:
                del self.session.outbox[at]
                return answer
        raise AssertionError(f"{method} was not answered")

    def told(self) -> list[dict[str, Any]]:
        """What was told since last asked: channel and data."""
        waiting, self.session.outbox = self.session.outbox, []
        return [message["params"] for message in map(json.loads, waiting)]
