"""Recording: a venue's feed, as the market events that a maker would have had, into a session directory."""

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from flatbook.domain.errors import BadInputError, ConfigurationError, VenueUnreachableError
from flatbook.domain.events import MarketEvent
from flatbook.domain.units import NS_PER_SECOND, format_utc
from flatbook.store.recorder import Recorder
from flatbook.store.session import SessionMeta
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.client import Client, outcome_error, socket_url
from flatbook.venues.deribit.client_actions import Terms, Told
from flatbook.venues.deribit.client_protocol import Protocol
from flatbook.venues.deribit.codec import result_of
from flatbook.venues.deribit.codec_events import MarketFeed
from flatbook.venues.deribit.codec_messages import InstrumentState
from flatbook.venues.deribit.codec_requests import Credentials

KEY, SECRET = "DERIBIT_API_KEY", "DERIBIT_API_SECRET"
CONNECT_S = 15.0
_FLUSH_S = 60.0
_KINDS = ("option", "future")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRequest:
    """What is recorded: everything of these coins, until `seconds` have passed; None is until it is stopped.

    With `on_venue_clock` local times are put on the venue's clock, by the distance measured at the beginning: for a
    venue that does not live in our time.
    """

    url: str
    out: Path
    currencies: tuple[str, ...]
    interval: str = "100ms"
    seconds: float | None = None
    chain_every_s: float = 1.0
    on_venue_clock: bool = False
    licence: str = "the venue's terms apply"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording gave: the session's description, and how the line held."""

    meta: SessionMeta
    connects: int
    gaps: int
    unreadable: int
    unknown_fields: dict[str, int]


class _Name(msgspec.Struct):
    instrument_name: str


def credentials_of(environment: dict[str, str]) -> Credentials | None:
    """The key in the environment, where there is one.

    Errors      ConfigurationError where half of it is missing
    """
    key, secret = environment.get(KEY, ""), environment.get(SECRET, "")
    if bool(key) != bool(secret):
        raise ConfigurationError(f"{SECRET if key else KEY} is not set; set both {KEY} and {SECRET}, or neither")
    return Credentials(key, secret) if key else None


def open_client(url: str, told: Callable[[Told], None]) -> Client:
    """A client of the venue at `url`, with the environment's key, on this machine's clock and chance."""
    chance = secrets.SystemRandom()
    credentials = credentials_of(dict(os.environ))
    protocol = Protocol(Terms(), credentials, chance.random, lambda: secrets.token_hex(8))
    return Client(protocol, url, time.time_ns, told)


def record(request: RecordRequest, stopped: asyncio.Event | None = None) -> Recorded:
    """Records until the time is up, or `stopped`, or it is interrupted; then makes the session whole.

    Errors      BadInputError for a directory that cannot be used, or where nothing was heard; VenueUnreachableError
    """
    return asyncio.run(Recording(request).run(stopped))


def check_request(request: RecordRequest) -> None:
    """Errors before anything is opened.

    Errors      BadInputError
    """
    socket_url(request.url)
    if request.interval not in ("raw", "100ms", "agg2"):
        raise BadInputError(f"--interval {request.interval!r}: use raw (needs a key), 100ms or agg2")
    if request.interval == "raw" and credentials_of(dict(os.environ)) is None:
        raise BadInputError(f"--interval raw needs a key: set {KEY} and {SECRET}, or use 100ms")
    if request.seconds is not None and not request.seconds > 0:
        raise BadInputError(f"--for {request.seconds:g}: use more than 0 seconds")


class Recording:
    """One recording: messages become events at a time of their own each, and events become rows.

    Invariant   local times rise from message to message, so that the events of two messages are read back in order
    """

    def __init__(self, request: RecordRequest, heard: Callable[[MarketEvent], None] = lambda event: None) -> None:
        reference = load_reference()
        self._request, self._heard = request, heard
        self._feed = MarketFeed(reference, round(request.chain_every_s * NS_PER_SECOND))
        self._client = open_client(request.url, self._take)
        self._recorder = Recorder(request.out, reference)
        self._shift_ns = 0
        self._is_begun = False
        self._known: set[str] = set()

    async def run(self, stopped: asyncio.Event | None = None) -> Recorded:
        """Records."""
        running = asyncio.create_task(self._client.run())
        stopped = stopped or asyncio.Event()
        try:
            await self._begin(running)
            await self._go_on(running, stopped)
        except asyncio.CancelledError:
            pass  # interrupted: what was heard is kept
        except VenueUnreachableError:
            self._recorder.abandon()
            raise
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return self._finish()

    async def _begin(self, running: "asyncio.Task[None]") -> None:
        await self._client.is_live(CONNECT_S)
        names = ["platform_state"]
        for currency in self._request.currencies:
            names.append(f"deribit_price_index.{currency.lower()}_usd")
            names += [f"trades.{kind}.{currency}.{self._request.interval}" for kind in _KINDS]
            names.append(f"instrument.state.any.{currency}")
            for kind in _KINDS:
                names += [self._ticker(name) for name in await self._listed(currency, kind)]
        offset_ns = self._client.protocol.clock.offset_ns or 0
        if self._request.on_venue_clock:
            self._shift_ns = offset_ns
        self._is_begun = True
        self._client.subscribe(names)

    async def _listed(self, currency: str, kind: str) -> list[str]:
        asked = await self._client.ask("public/get_instruments", {"currency": currency, "kind": kind, "expired": False})
        if asked.answer is None or outcome_error(asked):
            raise VenueUnreachableError(f"{self._request.url}: instruments of {currency}: {outcome_error(asked)}")
        return [each.instrument_name for each in result_of(asked.answer, list[_Name])]

    def _ticker(self, name: str) -> str:
        return f"ticker.{name}.{self._request.interval}"

    async def _go_on(self, running: "asyncio.Task[None]", stopped: asyncio.Event) -> None:
        begun, flushed = time.monotonic(), time.monotonic()
        while not stopped.is_set() and not running.done():
            now = time.monotonic()
            if self._request.seconds is not None and now - begun >= self._request.seconds:
                return
            if now - flushed >= _FLUSH_S:
                self._recorder.flush()
                flushed = now
            await asyncio.sleep(0.05)
        if running.done():
            running.result()

    def _take(self, told: Told) -> None:
        if not self._is_begun:
            return
        local_ts_ns = max(told.received_ns + self._shift_ns, self._recorder.last_local_ns + 1)
        # The chain is told of what came before this message, a moment earlier.
        chains = self._feed.chains(local_ts_ns)
        events = self._feed.take(told.message, local_ts_ns + 1 if chains else local_ts_ns)
        for event in (*chains, *events):
            self._recorder.take(event)
            self._heard(event)
        if isinstance(told.message.data, InstrumentState) and told.message.data.state in ("created", "started"):
            self._client.subscribe([self._ticker(told.message.data.instrument_name)])

    def _finish(self) -> Recorded:
        protocol = self._client.protocol
        self._recorder.set_aside.update(self._feed.set_aside)
        if protocol.connects > 1:
            ended = format_utc(self._recorder.last_local_ns)
            note = f"The line broke {protocol.connects - 1} times before {ended}; what was said meanwhile is missing."
            self._recorder.notes.append(note)
        source = f"Deribit's websocket at {self._client.url}"
        meta = self._recorder.finish(source, self._request.licence)
        gaps = sum(book.gaps for book in protocol.channels.books.values())
        return Recorded(meta, protocol.connects, gaps, self._client.unreadable, dict(protocol.codec.unknown))


def document(recorded: Recorded, out: Path) -> dict[str, Any]:
    """The recording as one JSON document."""
    meta = recorded.meta
    return {
        "session": str(out),
        "span": {"start": meta.span.start, "end": meta.span.end},
        "counts": meta.counts,
        "set_aside": meta.set_aside,
        "connects": recorded.connects,
        "gaps": recorded.gaps,
        "unreadable": recorded.unreadable,
        "unknown_fields": recorded.unknown_fields,
    }
