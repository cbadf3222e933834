"""A maker over a socket, against the exchange as a process of its own, ends with the ledger of the run in process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from flatbook.app.exchange import ExchangeRequest, open_exchange
from flatbook.domain.units import NS_PER_HOUR, format_utc, parse_utc
from flatbook.venues.deribit.statement import compare
from tests.conftest import KEEN
from tests.venues.deribit.stepped import InProcess, Wire, by_hand, is_step, step, trade

_BTC, _HOURS = 100.0, 30.0


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
        self._line = self._open.enter_context(self._client.connect(self._url, max_size=None))

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


@contextmanager
def _served(start_ns: int) -> Iterator[str]:
    """`flatbook exchange` whose time is stepped."""
    program = "from flatbook.cli import main; main()"
    verb = [sys.executable, "-c", program, "exchange", "--pace", "step", "--port", "0", "--seed", "3", "--json"]
    words = [
        "--start",
        format_utc(start_ns),
        "--hours",
        f"{_HOURS:g}",
        "--client",
        "alice:secret",
        "--btc",
        f"{_BTC:g}",
    ]
    with subprocess.Popen([*verb, *words], stdout=subprocess.PIPE, env=dict(os.environ), text=True) as process:
        try:
            assert process.stdout is not None
            yield next(line for line in process.stdout if "ws://" in line).split('"')[3]
        finally:
            process.send_signal(signal.SIGINT)


def _run(wire: Wire, start_ns: int, seconds: int) -> tuple[bytes, str]:
    """The ledger and the digest of the whole state, after a run whose ledger is the account's."""
    by_hand(wire, start_ns // 1_000_000, "private/sell", instrument_name="BTC-PERPETUAL", amount=90_000, type="market")
    engine, venue = trade(wire, KEEN, start_ns, seconds)
    assert venue.maker.statement is not None
    assert compare(engine.state.ledger, "deribit", venue.maker.statement) == []
    assert engine.state.ledger.open_lots()
    return engine.state.ledger.digest_bytes(), engine.state.sha256()


def _both(start_ns: int, seconds: int) -> None:
    request = ExchangeRequest(
        seed=3, hours=_HOURS, start_ns=start_ns, clients=(("alice", "secret"),),
        deposits=(("BTC", _BTC), ("USDC", 100_000.0)), is_stepped=True,
    )  # fmt: skip
    in_process = _run(InProcess(open_exchange(request)), start_ns, seconds)
    with _served(start_ns) as url:
        socket = Socket(url)
        try:
            over_socket = _run(socket, start_ns, seconds)
        finally:
            socket.close()
    assert over_socket == in_process


@pytest.mark.slow
def test_a_settlement_and_a_delivery_over_a_socket_leave_the_ledger_of_the_run_in_process() -> None:
    _both(parse_utc("2026-01-06T07:59:40"), seconds=30)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_day_over_a_socket_leaves_the_ledger_of_the_run_in_process() -> None:
    _both(parse_utc("2026-01-06T00:00"), seconds=24 * NS_PER_HOUR // 1_000_000_000)
