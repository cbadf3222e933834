"""The live page: a small server on this machine, read-only, beside the engine's thread.

    GET /            the page             GET /api/view     the view as JSON
    GET /api/stream  views as they change (server-sent events)
    GET /healthz     whether it is up     GET /static/...   styles, scripts, plotly.js: all local

Views are pushed as server-sent events rather than over a websocket: they go one way, the browser reconnects by itself,
and no further dependency is needed. Nothing here changes state, so there is no token; to keep other sites out, only
requests that name this machine are answered (a page elsewhere may point its own name at 127.0.0.1).
"""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import cache
from importlib import resources
from types import TracebackType
from typing import Self

import msgspec
import uvicorn
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import StreamingResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from flatbook.domain.errors import FlatbookError
from flatbook.report.assets import plotly_js
from flatbook.report.assets import static as report_static
from flatbook.service.live import LiveView

HOST = "127.0.0.1"
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

_log = logging.getLogger(__name__)


class Feed:
    """The view as JSON, made at most `per_second` times however many ask."""

    def __init__(self, view: Callable[[], LiveView], *, per_second: float = 4.0) -> None:
        self.interval_s = 1.0 / per_second
        self._view = view
        self._made_at = float("-inf")
        self._json = b""

    def latest(self) -> bytes:
        """The JSON of a view no older than the interval."""
        now = time.monotonic()
        if now - self._made_at >= self.interval_s:
            self._json = self.fresh()
            self._made_at = now
        return self._json

    def fresh(self) -> bytes:
        """The JSON of the view now."""
        return msgspec.json.encode(self._view())


def build_app(feed: Feed, is_stopping: Callable[[], bool]) -> FastAPI:
    """The routes. A stream ends by itself within one interval of `is_stopping`."""
    app = FastAPI(title="flatbook", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])

    @app.get("/")
    async def read_page() -> Response:
        return Response(_static("live.html"), media_type="text/html", headers=HEADERS)

    @app.get("/static/{name}")
    async def read_static(name: str) -> Response:
        return static_response(name)

    @app.get("/api/view")
    async def read_view() -> Response:
        return Response(feed.latest(), media_type="application/json", headers=HEADERS)

    @app.get("/api/stream")
    async def stream_views() -> StreamingResponse:
        return StreamingResponse(_events(feed, is_stopping), media_type="text/event-stream", headers=HEADERS)

    @app.get("/healthz")
    async def check_health() -> dict[str, str]:
        return {"status": "ok"}

    return app


async def _events(feed: Feed, is_stopping: Callable[[], bool]) -> AsyncIterator[bytes]:
    sent = b""
    while not is_stopping():
        if (latest := feed.latest()) != sent:
            sent = latest
            yield b"data: " + latest + b"\n\n"
        await asyncio.sleep(feed.interval_s)
    # The last view, and a word that no more will come: a page that merely lost its server would ask again and again.
    yield b"data: " + feed.fresh() + b"\n\nevent: end\ndata: \n\n"


@cache
def _static(name: str) -> str:
    return resources.files("flatbook.service").joinpath("static", name).read_text(encoding="utf-8")


_STATIC: dict[str, tuple[Callable[[str], str], str]] = {
    "base.css": (report_static, "text/css"),
    "common.js": (report_static, "text/javascript"),
    "live.css": (_static, "text/css"),
    "live.js": (_static, "text/javascript"),
    "plotly.min.js": (lambda _: plotly_js(), "text/javascript"),
}


def static_response(name: str) -> Response:
    """One of the page's own files; nothing else on the disk can be named."""
    if name not in _STATIC:
        raise HTTPException(status_code=404, detail=f"no static file {name!r}")
    read, media_type = _STATIC[name]
    return Response(read(name), media_type=media_type, headers=HEADERS)


class Dashboard:
    """Serves the live page while the context is open, from a thread of its own.

    `port` 0 takes any free one; a taken port is replaced by a free one and `note` says so. `url` is where the page is.
    """

    def __init__(self, port: int, view: Callable[[], LiveView], *, per_second: float = 4.0) -> None:
        self._wanted_port = port
        self._feed = Feed(view, per_second=per_second)
        self.note: str | None = None
        self.url = ""

    def __enter__(self) -> Self:
        listener, self.note = listen(self._wanted_port)
        self.url = f"http://{HOST}:{listener.getsockname()[1]}/"
        if self.note:
            _log.warning(self.note)
        self._server = uvicorn.Server(_server_config(build_app(self._feed, lambda: self._server.should_exit)))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="flatbook-dashboard", daemon=True
        )
        self._thread.start()
        self._wait_until_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self._server.should_exit = True
                raise FlatbookError(f"the live page did not start at {self.url}; run with --headless to go without it")
            time.sleep(0.005)


def _server_config(app: FastAPI) -> uvicorn.Config:
    """Quiet, and nothing of the process's logging or signals is touched."""
    return uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )


def listen(port: int) -> tuple[socket.socket, str | None]:
    """A socket listening on this machine's own address, and what to say when it is not the port asked for."""
    try:
        return _bind(port), None
    except OSError as error:
        listener = _bind(0)
        taken = listener.getsockname()[1]
        return listener, f"port {port} cannot be used ({error.strerror}); the live page is on port {taken}"


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # So that a second run gets the port while the first one's connections are dying; elsewhere it would mean sharing.
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
