"""ccxt's exchange objects with their transport replaced: what they ask for is kept, what they get is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flatbook.domain.intents import OrderIntent, Purpose, TimeInForce
from flatbook.domain.units import parse_utc
from flatbook.venues.ccxt.accounts import account_named
from flatbook.venues.ccxt.client import HedgeClient, Told
from flatbook.venues.ccxt.library import Credentials, open_exchange

pytest.importorskip("ccxt.pro", reason="ccxt is not installed: other venues are left out")

NOW_NS = parse_utc("2026-01-05T08:00")
_TIMES = {
    "GET /api/v3/time": {"serverTime": 1767600000000},
    "GET /fapi/v1/time": {"serverTime": 1767600000000},
    "GET /dapi/v1/time": {"serverTime": 1767600000000},
    "GET /api/v5/public/time": {"code": "0", "msg": "", "data": [{"ts": "1767600000000"}]},
    "GET /v5/market/time": {
        "retCode": 0,
        "retMsg": "OK",
        "result": {"timeSecond": "1767600000"},
        "time": 1767600000000,
    },
}

Answers = dict[str, Any]


class Refusal:
    """An answer that is an error, with its HTTP status."""

    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body = status, body


class Wire:
    """What is answered by method, path and perhaps part of the query; an exception is raised in place of an answer."""

    def __init__(self, answers: Answers) -> None:
        self.answers: Answers = {**_TIMES, **answers}
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def fetch(self, exchange: Any, url: str, method: str, headers: Any, body: str | None) -> Any:
        """In place of the library's `fetch`, with its own reading of errors."""
        parts = urlsplit(url)
        sent = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if body:
            sent |= json.loads(body.strip("[]")) if "{" in body else {n: v[0] for n, v in parse_qs(body).items()}
        key = f"{method} {parts.path}"
        self.asked.append((key, sent))
        answer = self._answer(key, sent)
        if isinstance(answer, Exception):
            raise answer
        status, found = (answer.status, answer.body) if isinstance(answer, Refusal) else (200, answer)
        text = json.dumps(found)
        exchange.handle_errors(status, "", url, method, {}, text, found, headers, body)
        exchange.handle_http_status_code(status, "", url, method, text)
        return json.loads(text)

    def _answer(self, key: str, sent: dict[str, str]) -> Any:
        for name, answer in self.answers.items():
            path, _, query = name.partition("?")
            wanted = {part: values[0] for part, values in parse_qs(query).items()}
            if path == key and wanted.items() <= sent.items():
                return answer
        raise AssertionError(f"{key} with {sent} has no answer")

    def sent(self, key: str) -> dict[str, str]:
        """What was last asked of a path."""
        return [sent for name, sent in self.asked if name == key][-1]


class Bench:
    """A client whose venue is a `Wire`; what it tells is kept."""

    def __init__(self, name: str, answers: Answers, number: Callable[..., Any] = float) -> None:
        self.account, self.wire = account_named(name), Wire(answers)
        self.exchange = open_exchange(self.account, Credentials("key", "c2VjcmV0", "pass"))
        self.exchange.number, self.exchange.enableRateLimit = number, False

        async def fetch(url: str, method: str = "GET", headers: Any = None, body: str | None = None) -> Any:
            return await self.wire.fetch(self.exchange, url, method, headers, body)

        self.exchange.fetch = fetch
        self.now_ns = NOW_NS
        self.told: list[Told] = []
        self.client = HedgeClient(self.account, self.exchange, "r1", lambda: self.now_ns, self.told.append)

    def intent(self, name: str, side: int, price: str, amount: str, life: TimeInForce = TimeInForce.IOC) -> OrderIntent:
        """An order as the engine wants one; `amount` in coins, or USD of inverse contracts."""
        spec = self.client.listing.named(name).instrument.spec
        return OrderIntent(
            instrument=name,
            side=side,
            limit_ticks=int(Decimal(price) / spec.ticks.finest),
            size_lots=int(Decimal(amount) / spec.lot),
            time_in_force=life,
            purpose=Purpose.HEDGE,
            reason="test",
        )
