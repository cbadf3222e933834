"""The client's clock: a machine that slept begins its line anew, and hears nothing of what was said before."""

import asyncio
from typing import cast

import pytest

from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND
from flatbook.venues.deribit.client import Client, _Listener
from flatbook.venues.deribit.client_actions import Phase, Terms, Told
from flatbook.venues.deribit.client_protocol import Protocol
from flatbook.venues.deribit.client_requests import Asked, Outcome

_INDEX = (
    b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"deribit_price_index.btc_usd",'
    b'"data":{"timestamp":1,"price":85000.0,"index_name":"btc_usd"}}}'
)


class Line:
    """A socket that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_open = True

    def send(self, raw: bytes) -> None:
        """As of the client's own."""
        self.sent.append(raw)

    def disconnect(self) -> None:
        """As of the client's own."""
        self.is_open = False


class Nap:
    """A clock, and a sleep that is told once."""

    def __init__(self) -> None:
        self.time_ns, self.sleeps_ns = NS_PER_HOUR, 0

    def now_ns(self) -> int:
        """As of `client.Clock`."""
        return self.time_ns

    def slept_ns(self) -> int:
        """As of `client.Clock`."""
        slept_ns, self.sleeps_ns = self.sleeps_ns, 0
        self.time_ns += slept_ns
        return slept_ns


@pytest.mark.parametrize("first", ["message", "request"])
def test_whatever_is_done_first_after_a_sleep_the_line_is_given_up_before(first: str) -> None:
    told: list[Told] = []
    settled: list[Asked] = []
    nap, line, next_line = Nap(), Line(), Line()
    client = Client(
        Protocol(Terms(), None, lambda: 0.5, lambda: "n"), "ws://127.0.0.1:1", nap, told.append, settled.append
    )
    client.connected(cast(_Listener, line))
    client.message(cast(_Listener, line), _INDEX)
    assert (len(told), client.protocol.phase) == (1, Phase.LIVE)
    before = len(line.sent)
    nap.sleeps_ns = NS_PER_HOUR
    if first == "message":
        client.message(cast(_Listener, line), _INDEX)
    else:
        client.post("private/buy", {"instrument_name": "BTC-PERPETUAL", "amount": 10, "label": "x"})
    assert (len(told), len(line.sent), line.is_open, client.protocol.phase) == (1, before, False, Phase.DOWN)
    assert [asked.outcome for asked in settled] == ([] if first == "message" else [Outcome.UNSENT])
    client.message(cast(_Listener, line), _INDEX)
    assert len(told) == 1, "what the old line still gives is of before"

    async def again() -> None:
        """The wait before a new line is over."""
        nap.time_ns += NS_PER_SECOND
        client.do(client.protocol.advance(client.now_ns()))
        assert client._opening is not None
        client._opening.cancel()

    asyncio.run(again())
    client.connected(cast(_Listener, next_line))
    client.message(cast(_Listener, next_line), _INDEX)
    assert len(told) == 2


def test_what_a_sleep_interrupted_is_not_known_to_be_done() -> None:
    settled: list[Asked] = []
    nap, line = Nap(), Line()
    client = Client(
        Protocol(Terms(), None, lambda: 0.5, lambda: "n"), "ws://127.0.0.1:1", nap, lambda told: None, settled.append
    )
    client.connected(cast(_Listener, line))
    asked = client.post("private/buy", {"instrument_name": "BTC-PERPETUAL", "amount": 10, "label": "x"})
    assert client.protocol.undecided() == [asked]
    nap.sleeps_ns = NS_PER_SECOND
    client.now_ns()
    assert [each.outcome for each in settled] == [Outcome.UNKNOWN]
