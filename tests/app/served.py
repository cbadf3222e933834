"""The exchange behind real sockets on this machine: in a thread of the test's process, or in one of its own."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from flatbook.app.exchange import ExchangeRequest, open_exchange
from flatbook.service.exchange.api import Api
from flatbook.service.exchange.server import HOST, Service, VenueClock


@contextmanager
def served(request: ExchangeRequest, speed: float = 1.0) -> Iterator[tuple[str, Api]]:
    """Its address while it runs, and the service behind it."""
    pytest.importorskip("websockets", reason="websockets is not installed: no sockets to speak over")
    api = open_exchange(request)
    listener = socket.create_server((HOST, 0))
    config = uvicorn.Config(Service(api, VenueClock(api.exchange.now_ns, speed).now_ns).app, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"ws://{HOST}:{listener.getsockname()[1]}", api
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def nobody_there() -> str:
    """An address of this machine at which nobody listens."""
    with socket.create_server((HOST, 0)) as closed:
        port = closed.getsockname()[1]
    return f"ws://{HOST}:{port}"


@contextmanager
def exchange_process(pace: str, *words: str) -> Iterator[str]:
    """`flatbook exchange` in a process of its own, as a user starts it; its websocket's address while it runs."""
    pytest.importorskip("websockets", reason="websockets is not installed: no sockets to speak over")
    command = [sys.executable, "-c", "from flatbook.cli import main; main()"]
    command += ["exchange", "--port", "0", "--pace", pace, "--json", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            text = ""
            while not text.endswith("}\n"):
                line = server.stdout.readline()
                assert line, "the exchange did not start"
                text += line
            yield json.loads(text)["websocket"]
        finally:
            server.kill()


def compile_kernels() -> None:
    """Kernels as the verbs have them before anybody waits at the other end: compiled, for all who load them later.

    In a process of its own: one that is warm takes no other argument types, and kernels have tests of their own.
    """
    program = (
        "import flatbook.app.live, flatbook.app.paper; from flatbook.cli.progress import warm_kernels; warm_kernels()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=900)
