"""The exchange on this machine's own address: Deribit's API over HTTP and websocket, one process, one thread.

    GET, POST  /api/v2/{method}     websocket  /ws/api/v2     GET  /healthz

Starlette and uvicorn serve both on one port, as the live page is served; the frames are the `websockets` library's,
which uvicorn finds by itself. Its own server would read no HTTP body, which JSON-RPC by POST has.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from flatbook.domain.errors import BadInputError
from flatbook.service.exchange.api import API_PATH, Api
from flatbook.service.exchange.session import Session

HOST = "127.0.0.1"
TICK_S = 0.02
"""How often time is let pass when nobody asks for anything."""

_CLOSE_POLICY = 1008
_log = logging.getLogger(__name__)


@dataclass
class VenueClock:
    """The venue's time: from `start_ns` on, `speed` times as fast as the wall's."""

    start_ns: int
    speed: float = 1.0
    monotonic: Callable[[], float] = time.monotonic
    _origin: float | None = field(default=None, init=False)

    def now_ns(self) -> int:
        """The venue's time now; it starts when it is first asked for."""
        if self._origin is None:
            self._origin = self.monotonic()
        return self.start_ns + round((self.monotonic() - self._origin) * self.speed * 1e9)


class Line:
    """One websocket and its session: what is in the outbox is sent in order by one task."""

    def __init__(self, api: Api, socket: WebSocket, now_ns: Callable[[], int]) -> None:
        self.session: Session = api.connect()
        self.wake = asyncio.Event()
        self._api, self._socket, self._now_ns = api, socket, now_ns

    async def read(self) -> None:
        """Takes messages until the other side leaves."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            self._api.receive(self.session, message.get("text") or message.get("bytes") or "", self._now_ns())
            self.wake.set()

    async def write(self) -> None:
        """Sends what there is to send; ends when the session is closing and all is sent."""
        while not self.session.is_closing:
            await self.wake.wait()
            self.wake.clear()
            while self.session.outbox:
                waiting, self.session.outbox = self.session.outbox, []
                for told in waiting:
                    await self._socket.send_text(told.decode())
        await self._socket.close(_CLOSE_POLICY)


class Service:
    """The application over an `Api`, and the task that lets its time pass; `ended` is told when the market is over."""

    def __init__(self, api: Api, now_ns: Callable[[], int], ended: Callable[[], None] = lambda: None) -> None:
        self._api, self._now_ns, self._ended = api, now_ns, ended
        self._lines: set[Line] = set()
        self.app = Starlette(
            routes=[
                Route(API_PATH, self._request, methods=["POST"]),
                Route(API_PATH + "/{method:path}", self._request, methods=["GET", "POST"]),
                Route("/healthz", self._health),
                WebSocketRoute("/ws/api/v2", self._socket),
            ],
            # A page elsewhere may point its own name here; only requests that name this machine are answered.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        ticking = asyncio.create_task(self._tick())
        yield
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking

    async def _tick(self) -> None:
        was_over = False
        while True:
            self._api.advance(self._now_ns())
            self._wake()
            if self._api.has_ended and not was_over:
                was_over = True
                self._ended()
            await asyncio.sleep(TICK_S)

    def _wake(self) -> None:
        for line in self._lines:
            if line.session.outbox or line.session.is_closing:
                line.wake.set()

    async def _request(self, request: Request) -> Response:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        body, header = await request.body(), request.headers.get("authorization", "")
        status, told = self._api.request(request.method, target, body, header, self._now_ns())
        self._wake()
        return Response(told, status, media_type="application/json")

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _socket(self, socket: WebSocket) -> None:
        await socket.accept()
        line = Line(self._api, socket, self._now_ns)
        self._lines.add(line)
        tasks = [asyncio.create_task(line.read()), asyncio.create_task(line.write())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with contextlib.suppress(WebSocketDisconnect):
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            self._lines.discard(line)
            self._api.disconnect(line.session, self._now_ns())
            self._wake()


def serve(service: Service, port: int, started: Callable[[str], None]) -> None:
    """Serves until interrupted; `started` is told the address.

    Errors      BadInputError where the port cannot be used
    """
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise BadInputError(f"--port {port} cannot be used ({error.strerror}); choose another, or 0 for any") from None
    started(f"{HOST}:{listener.getsockname()[1]}")
    config = uvicorn.Config(
        service.app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        ws_ping_interval=None,
        # Nothing leaves this machine: deflating each message takes longer than sending it.
        ws_per_message_deflate=False,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
