"""Deribit over a websocket: the socket and the clock under `client_protocol`, and nothing else.

The frames are picows': a message costs it a copy, where the `websockets` package makes it wait for a task's turn.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any
from typing import Protocol as Shape
from urllib.parse import SplitResult, urlsplit

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from flatbook.domain.errors import BadInputError, VenueUnreachableError
from flatbook.domain.units import NS_PER_SECOND
from flatbook.venues.deribit.client_actions import Action, Close, Open, Phase, Send, Settled, Stop, Told
from flatbook.venues.deribit.client_protocol import Protocol
from flatbook.venues.deribit.client_requests import Asked, Outcome

PATH = "/ws/api/v2"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_log = logging.getLogger(__name__)


def socket_url(url: str) -> str:
    """The address of the venue's websocket, its path added where there is none.

    Errors      BadInputError for what is none, and for an unencrypted one that is not on this machine
    """
    parts = checked_address(url, "ws", "websocket address", f"wss://www.deribit.com{PATH}")
    return parts._replace(path=parts.path if parts.path not in ("", "/") else PATH).geturl()


def checked_address(url: str, scheme: str, what: str, example: str) -> SplitResult:
    """The parts of an address by a scheme, `ws` or `http`, or its encrypted twin.

    Errors      BadInputError for what is none, for one with a password in it, which is not shown, and for an
                unencrypted one that is not on this machine
    """
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise BadInputError(f"an address must name no user and no password, for it is written down; write {example}")
    if parts.scheme not in (scheme, f"{scheme}s") or not parts.hostname:
        raise BadInputError(f"{url!r} is no {what}; write it as {example}")
    if parts.scheme == scheme and parts.hostname not in _LOOPBACK:
        raise BadInputError(f"{url!r} is not encrypted; {scheme}:// is for this machine only, use {scheme}s://")
    return parts


class Clock(Shape):
    """Nanoseconds UTC that nobody sets, and how long the machine slept since that was last asked."""

    def now_ns(self) -> int:
        """The time, with what was slept as far as that was asked for."""
        ...

    def slept_ns(self) -> int:
        """0 where it did not."""
        ...


class Client:
    """Runs a protocol.

    `told` is called with what channels say, in order, `settled` with outcomes of requests that nobody awaits. Neither
    may raise: the socket's library would take it for a fault of the line.
    """

    def __init__(
        self,
        protocol: Protocol,
        url: str,
        clock: Clock,
        told: Callable[[Told], None],
        settled: Callable[[Asked], None] = lambda asked: None,
    ) -> None:
        self.protocol, self.url, self._clock = protocol, socket_url(url), clock
        self.unreadable = self.slept_ns = 0
        self._told, self._settled = told, settled
        self._listener: _Listener | None = None
        self._opening: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._waiting: dict[int, asyncio.Future[Asked]] = {}
        self._stopped = self._trouble = ""

    def now_ns(self) -> int:
        """The time. Where the machine slept the line is given up before anything else is done: whatever it still holds
        is of before, and what was on its way is not known."""
        slept_ns = self._clock.slept_ns()
        now_ns = self._clock.now_ns()
        if slept_ns:
            self.slept_ns += slept_ns
            self.do(self.protocol.interrupted(f"the machine slept for {slept_ns / NS_PER_SECOND:.0f} s", now_ns))
            self._changed.set()
        return now_ns

    async def run(self) -> None:
        """Keeps the connection up until it is cancelled.

        Errors      VenueUnreachableError where the venue refuses the key
        """
        self.do(self.protocol.start(self.now_ns()))
        try:
            while not self._stopped:
                now_ns = self.now_ns()
                wait_s = max(self.protocol.wake_ns(now_ns) - now_ns, 0) / NS_PER_SECOND
                try:
                    await asyncio.wait_for(self._changed.wait(), wait_s)
                except TimeoutError:
                    self.do(self.protocol.advance(self.now_ns()))
                self._changed.clear()
        finally:
            self._drop()
        raise VenueUnreachableError(f"{self.url}: {self._stopped}")

    async def ask(self, method: str, params: dict[str, Any], timeout_s: float = 15.0) -> Asked:
        """Asks, and waits for the outcome; one that is unknown is an outcome.

        Errors      VenueUnreachableError where there is none in time
        """
        asked, actions = self.protocol.ask(self.now_ns(), method, params)
        future = self._waiting[asked.id] = asyncio.get_running_loop().create_future()
        self.do(actions)
        self._changed.set()
        try:
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            raise VenueUnreachableError(f"{self.url}: {method} was not answered within {timeout_s:g} s") from None
        finally:
            self._waiting.pop(asked.id, None)

    async def is_live(self, timeout_s: float) -> None:
        """Waits until the connection stands.

        Errors      VenueUnreachableError where it does not in time
        """
        end_ns = self.now_ns() + round(timeout_s * NS_PER_SECOND)
        while self.protocol.phase is not Phase.LIVE:
            if self.now_ns() >= end_ns or self._stopped:
                why = f"no connection within {timeout_s:g} s" + (f" ({self._trouble})" if self._trouble else "")
                raise VenueUnreachableError(f"{self.url}: {self._stopped or why}")
            await asyncio.sleep(0.01)

    def post(self, method: str, params: dict[str, Any]) -> Asked:
        """Asks without waiting: `settled` is told the outcome."""
        asked, actions = self.protocol.ask(self.now_ns(), method, params)
        self.do(actions)
        self._changed.set()
        return asked

    def subscribe(self, names: Iterable[str]) -> None:
        """Listens to channels from now on."""
        self.do(self.protocol.subscribe(self.now_ns(), names))

    def unsubscribe(self, names: Iterable[str]) -> None:
        """Listens to channels no more."""
        self.do(self.protocol.unsubscribe(self.now_ns(), names))

    def do(self, actions: list[Action]) -> None:
        """Does what the protocol wants done."""
        for action in actions:
            match action:
                case Told():
                    self._told(action)
                case Send(raw):
                    if self._listener is not None:
                        self._listener.send(raw)
                case Settled(asked):
                    future = self._waiting.get(asked.id)
                    if future is None:
                        self._settled(asked)
                    elif not future.done():
                        future.set_result(asked)
                case Open():
                    self._opening = asyncio.get_running_loop().create_task(self._open())
                case Close(reason):
                    _log.warning("%s: connection closed: %s", self.url, reason)
                    self._drop()
                case Stop(reason):
                    self._stopped = reason
                    self._changed.set()

    def connected(self, listener: "_Listener") -> None:
        """A socket is open."""
        now_ns = self.now_ns()
        self._listener = listener
        self.do(self.protocol.opened(now_ns))
        self._changed.set()

    def message(self, listener: "_Listener", raw: bytes) -> None:
        """A message came. One that cannot be read is counted: its channel's next word replaces it."""
        now_ns = self.now_ns()
        if listener is not self._listener:
            return
        try:
            actions = self.protocol.received(now_ns, raw)
        except BadInputError as error:
            self.unreadable += 1
            _log.warning("%s", error)
            return
        self.do(actions)

    def disconnected(self, listener: "_Listener") -> None:
        """A socket is gone."""
        if listener is self._listener:
            self._listener = None
            self.do(self.protocol.closed(self.now_ns()))
            self._changed.set()

    async def _open(self) -> None:
        try:
            await ws_connect(lambda: _Listener(self), self.url)
        except (OSError, TimeoutError, WSError) as error:
            self._trouble = str(error)
            _log.info("%s: %s", self.url, error)
            self.do(self.protocol.closed(self.now_ns()))
            self._changed.set()

    def _drop(self) -> None:
        listener, self._listener = self._listener, None
        if self._opening is not None and not self._opening.done() and listener is None:
            self._opening.cancel()
        if listener is not None:
            listener.disconnect()


def outcome_error(asked: Asked) -> str:
    """Why a request was not done; "" where it was."""
    if asked.outcome in (Outcome.DONE, Outcome.RECONCILED):
        return ""
    return asked.error.describe() if asked.error is not None else asked.outcome.value


class _Listener(WSListener):
    """Hands whole messages to a client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._transport: WSTransport | None = None
        self._parts: list[bytes] = []

    def send(self, raw: bytes) -> None:
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, raw)

    def disconnect(self) -> None:
        if self._transport is not None:
            self._transport.disconnect()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._client.connected(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            transport.disconnect()
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY) and frame.fin:
            self._client.message(self, frame.get_payload_as_bytes())
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                self._client.message(self, whole)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._client.disconnected(self)
