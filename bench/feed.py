"""Deribit's feed: a ticker from bytes to its type against bare msgspec, and messages received and decoded on loopback.

Bare is what msgspec alone costs: one decoder made for this message, that asks no channel and lets unknown fields pass.
On loopback the sender is a thread that has its frames ready and only hands them to the system, the same for all: what
is compared is the receiving.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import importlib
import importlib.util
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from bench.measure import Bar, Contender, Work, local
from flatbook.venues.deribit.codec import Codec
from flatbook.venues.deribit.codec_messages import Ticker
from flatbook.venues.deribit.rpc import encode_notification

MESSAGES = 10_000
BARE = "bare msgspec, one decoder for this one channel"
WEBSOCKETS = "the websockets package, then the same decoding"
OURS = "flatbook: picows and the codec"

TICKER: dict[str, Any] = {
    "timestamp": 1_626_993_722_933,
    "state": "open",
    "instrument_name": "BTC-31DEC21-34000-P",
    "index_price": 32_201.67,
    "mark_price": 0.2335098,
    "last_price": 0.229,
    "settlement_price": 0.24,
    "min_price": 0.165,
    "max_price": 0.329,
    "open_interest": 4.6,
    "estimated_delivery_price": 32_201.67,
    "stats": {"volume": 12.5, "price_change": -1.25, "low": 0.221, "high": 0.241},
    "best_bid_price": 0.2325,
    "best_bid_amount": 0.8,
    "best_ask_price": 0.236,
    "best_ask_amount": 4.8,
    "underlying_price": 32_744.81,
    "underlying_index": "BTC-31DEC21",
    "interest_rate": 0.0,
    "mark_iv": 80.02,
    "bid_iv": 79.63,
    "ask_iv": 80.98,
    "greeks": {"delta": -0.42256, "gamma": 0.00002, "vega": 85.22269, "theta": -21.12703, "rho": -94.98694},
}
RAW = encode_notification("ticker.BTC-31DEC21-34000-P.raw", TICKER)


_FRAMES = (b"\x81\x7e" + len(RAW).to_bytes(2, "big") + RAW) * MESSAGES


class _BareParams(msgspec.Struct):
    channel: str
    data: Ticker


class _BareTold(msgspec.Struct):
    params: _BareParams
    method: str
    jsonrpc: str


def works() -> list[Work]:
    """The codec, and the codec behind a socket."""
    codec, bare = Codec(), msgspec.json.Decoder(_BareTold)
    return [
        Work(
            "a Deribit ticker from bytes to its type",
            [
                local("flatbook: any channel, unknown fields counted", lambda: codec.decode(RAW)),
                local(BARE, lambda: bare.decode(RAW)),
            ],
            1,
            "M/s",
            [Bar(BARE, 1 / 1.2)],
        ),
        Work(
            f"{MESSAGES:,} tickers received on loopback and decoded",
            [
                _contender(OURS, "picows", _by_picows),
                _contender(WEBSOCKETS, "websockets", _by_websockets),
            ],
            MESSAGES,
            "M/s",
            [Bar(WEBSOCKETS, 3.0)],
        ),
    ]


def _contender(name: str, module: str, receive: Callable[[str], Any]) -> Contender:
    if importlib.util.find_spec(module) is None:
        return Contender(name, None, f"{module} is not installed")
    return Contender(name, lambda: _turn(receive))


def _turn(receive: Callable[[str], Any]) -> float:
    """Seconds for all messages, from the first that was asked for to the last that was decoded."""
    gc.collect()
    return asyncio.run(_meet(receive))


async def _meet(receive: Callable[[str], Any]) -> float:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sending = threading.Thread(target=_send_all, args=(listener,))
        sending.start()
        seconds: float = await receive(f"ws://127.0.0.1:{listener.getsockname()[1]}/")
        await asyncio.to_thread(sending.join)
    return seconds


def _send_all(listener: socket.socket) -> None:
    """Shakes hands, waits to be spoken to, and sends all messages, framed before: RFC 6455, sections 4.2.2 and 5.2."""
    connection, _ = listener.accept()
    with connection:
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += connection.recv(4_096)
        lines = asked.decode().splitlines()
        key = next(line.split(": ")[1] for line in lines if line.lower().startswith("sec-websocket-key"))
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        connection.recv(4_096)
        connection.sendall(_FRAMES)
        connection.recv(4_096)  # until the other side hangs up


async def _by_picows(url: str) -> float:
    picows = importlib.import_module("picows")
    done = asyncio.get_running_loop().create_future()
    transport, _ = await picows.ws_connect(lambda: _receiver(picows.WSListener, done), url)
    begin = time.perf_counter()
    transport.send(picows.WSMsgType.TEXT, b"go")
    end: float = await done
    transport.disconnect()
    return end - begin


def _receiver(listener: Any, done: asyncio.Future[float]) -> Any:
    codec = Codec()

    class Receiver(listener):  # type: ignore[misc]
        heard = 0

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            codec.decode(frame.get_payload_as_bytes())
            self.heard += 1
            if self.heard == MESSAGES:
                done.set_result(time.perf_counter())

    return Receiver()


async def _by_websockets(url: str) -> float:
    client, codec = importlib.import_module("websockets.asyncio.client"), Codec()
    async with client.connect(url, compression=None, ping_interval=None) as connection:
        begin = time.perf_counter()
        await connection.send("go")
        for _ in range(MESSAGES):
            codec.decode(await connection.recv(decode=False))
        return time.perf_counter() - begin
