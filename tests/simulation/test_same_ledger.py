"""A maker over a socket, against the exchange as a process of its own, ends with the ledger of the run in process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from typing import Any, NamedTuple

import pytest

from flatbook.app.exchange import ExchangeRequest, open_exchange
from flatbook.domain.events import DailySettlement, Delivery, Fill, FundingPaid
from flatbook.domain.units import format_utc, parse_utc
from flatbook.engine.booking import QUOTE_PREFIX
from flatbook.sim.venue.account import Account
from flatbook.venues.deribit.statement import compare
from tests.conftest import KEEN
from tests.venues.deribit.stepped import InProcess, Wire, by_hand, is_step, step, trade

_BTC, _HOURS, _SEED = 100.0, 30.0, 3


class Socket:
    """A websocket, waited for."""

    def __init__(self, url: str) -> None:
        self._client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
        self._url = url
        self._open = ExitStack()
        self._line: Any = None

    def open(self) -> None:
        """A new connection, which ends the one before."""
        self.close()
        self._line = self._open.enter_context(self._client.connect(self._url, max_size=None, compression=None))

    def close(self) -> None:
        """Hangs up."""
        self._open.close()

    def exchange(self, sent: list[bytes], until_ms: int) -> list[bytes]:
        """As of `Wire`."""
        for raw in (*sent, step(until_ms)):
            self._line.send(raw.decode())
        told = []
        while not is_step(raw := self._line.recv(timeout=60).encode()):
            told.append(raw)
        return told


class Day(NamedTuple):
    """What is run: from when, for how long, in which steps."""

    start_ns: int
    seconds: int
    step_s: int

    @property
    def request(self) -> ExchangeRequest:
        """The exchange of it: what expires within days alone, as seldom an index as a step."""
        return ExchangeRequest(
            seed=_SEED, hours=_HOURS, start_ns=self.start_ns, clients=(("alice", "secret"),),
            deposits=(("BTC", _BTC), ("USDC", 100_000.0)), is_stepped=True, index_every_s=self.step_s, is_near=True,
        )  # fmt: skip


class Ended(NamedTuple):
    """How a run ended: its books by what they hold, every trade in its order, events by sort, digests of it all."""

    balances: dict[str, int]
    lots: dict[str, int]
    funding_units: int
    fills: list[Fill]
    told: dict[str, int]
    ledger: bytes
    state: str

    @property
    def hedges(self) -> int:
        """Trades that are of no quote."""
        return sum(not fill.order_id.startswith(QUOTE_PREFIX) for fill in self.fills)


@contextmanager
def _served(day: Day) -> Iterator[str]:
    """`flatbook exchange` whose time is stepped."""
    program = "from flatbook.cli import main; main()"
    verb = [sys.executable, "-c", program, "exchange", "--pace", "step", "--port", "0", "--near", "--json"]
    words = {
        "--seed": f"{_SEED}",
        "--start": format_utc(day.start_ns),
        "--hours": f"{_HOURS:g}",
        "--index-every": f"{day.step_s}",
        "--client": "alice:secret",
        "--btc": f"{_BTC:g}",
    }
    said = [word for pair in words.items() for word in pair]
    with subprocess.Popen([*verb, *said], stdout=subprocess.PIPE, env=dict(os.environ), text=True) as process:
        try:
            assert process.stdout is not None
            yield next(line for line in process.stdout if "ws://" in line).split('"')[3]
        finally:
            process.send_signal(signal.SIGINT)


def _run(wire: Wire, day: Day) -> Ended:
    """A run whose ledger is the account's."""
    start_ms = day.start_ns // 1_000_000
    by_hand(wire, start_ms, "private/sell", instrument_name="BTC-PERPETUAL", amount=90_000, type="market")
    engine, venue = trade(wire, KEEN, day.start_ns, day.seconds, step_s=day.step_s)
    ledger = engine.state.ledger
    assert venue.maker.statement is not None
    assert compare(ledger, "deribit", venue.maker.statement) == []
    assert ledger.open_lots()
    return Ended(
        balances={currency: ledger.balance("deribit", currency) for currency in ledger.balances()},
        lots=dict(ledger.open_lots()),
        funding_units=ledger.totals("BTC").funding_units,
        fills=venue.fills,
        told={kind.__name__: count for kind, count in venue.told.items()},
        ledger=ledger.digest_bytes(),
        state=engine.state.sha256(),
    )


def _is_of(account: Account, ended: Ended) -> None:
    """The exchange's own books of the account are the run's: lots, cash, funding, and the trades that it still has."""
    theirs = account.ledger
    accrued = sum(account.session_funding.values())
    assert ended.lots == dict(theirs.open_lots())
    assert ended.funding_units == theirs.totals("BTC").funding_units - accrued
    # What was traded by hand, before the run, has neither label nor quote set; what is older than a day is forgotten.
    kept = {
        f"{done.printed.trade_id}": (done.printed.instrument, done.side, done.printed.price_ticks, done.fee_units)
        for done in account.executions
        if done.order.request.label or done.order.request.quote_set
    }
    first = min(map(int, kept))
    assert kept == {
        fill.trade_id: (fill.instrument, fill.side, fill.price_ticks, fill.fee_units)
        for fill in ended.fills
        if int(fill.trade_id) >= first
    }


def _in_process(day: Day) -> Ended:
    api = open_exchange(day.request)
    ended = _run(InProcess(api), day)
    _is_of(api.exchange.accounts["alice"], ended)
    return ended


def _over_a_socket(day: Day) -> Ended:
    with _served(day) as url:
        socket = Socket(url)
        try:
            return _run(socket, day)
        finally:
            socket.close()


@pytest.mark.slow
def test_a_settlement_and_a_delivery_over_a_socket_leave_the_ledger_of_the_run_in_process() -> None:
    day = Day(parse_utc("2026-01-06T07:50"), seconds=20 * 60, step_s=10)
    ended = _over_a_socket(day)
    assert ended == _in_process(day)
    assert ended.told[Delivery.__name__] == 1
    assert ended.told[DailySettlement.__name__] >= 1
    assert len(ended.fills) > ended.hedges > 10


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_day_over_a_socket_leaves_the_ledger_of_the_run_in_process() -> None:
    """A day and an hour, over two settlements and deliveries, in steps of ten seconds; the two runs at once.

    41,201 prints, 6,835 fills, 2,884 of them hedges. It takes some six minutes of a processor in process; over the
    socket two and a half for the maker and four to five for the exchange.
    """
    day = Day(parse_utc("2026-01-06T07:30"), seconds=25 * 3_600, step_s=10)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        other = pool.submit(_in_process, day)
        ended = _over_a_socket(day)
        in_process = other.result()
    counts = {"fills": len(ended.fills), "hedges": ended.hedges, "funding_units": ended.funding_units}
    print(counts | ended.balances | ended.told)  # noqa: T201 - what the documents tell
    assert ended.fills == in_process.fills, "trade for trade"
    assert ended == in_process
    assert ended.told[Delivery.__name__] == 2
    assert ended.told[FundingPaid.__name__] >= 1
    assert ended.funding_units != 0
    assert len(ended.fills) > ended.hedges > 1_000
