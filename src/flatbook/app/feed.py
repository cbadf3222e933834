"""A venue's feed as an iterator: whoever asks for the next event waits for it, in his own thread.

The socket's loop runs while nothing waits to be taken, and for a moment between two batches. So the engine and the
socket share one thread without a hand-over, and whatever the engine is too slow for waits in the socket.
"""

import asyncio
import os
import secrets
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Protocol, TypeVar

import msgspec

from flatbook.app.steady import SteadyClock
from flatbook.domain.errors import ConfigurationError, VenueUnreachableError
from flatbook.domain.events import AnyEvent, Clock, MarketEvent
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_SECOND
from flatbook.venues.deribit.client import Client, outcome_error
from flatbook.venues.deribit.client_actions import Phase, Terms, Told
from flatbook.venues.deribit.client_channels import is_private
from flatbook.venues.deribit.client_protocol import Protocol as LineProtocol
from flatbook.venues.deribit.client_requests import Asked
from flatbook.venues.deribit.codec import result_of
from flatbook.venues.deribit.codec_events import MarketFeed
from flatbook.venues.deribit.codec_messages import InstrumentState
from flatbook.venues.deribit.codec_requests import Credentials

KEY, SECRET = "DERIBIT_API_KEY", "DERIBIT_API_SECRET"
CONNECT_S = 15.0
QUIET_S = 1.0
"""When nothing is heard for so long, the clock is."""

KINDS = ("option", "future")
"""Of instruments that are listened to."""

_LISTED, _GONE = ("created", "started"), ("closed", "terminated")
_TEND_S = 1.0
_LOOKS = 8
"""Turns of the socket's loop between two batches, at most: a flood is taken in parts."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedTerms:
    """What is listened to: everything of these coins at `url`.

    interval        of the channels: 100ms, agg2, or raw, which needs a key
    chain_every_s   how often tickers of options are told, together
    on_venue_clock  local times are put on the venue's clock, by the distance measured at the beginning, and no event is
                    known before it happens: for a venue that does not live in our time, or whose time runs faster
    """

    url: str
    currencies: tuple[str, ...] = ("BTC",)
    interval: str = "100ms"
    chain_every_s: float = 1.0
    on_venue_clock: bool = False


class OwnSide(Protocol):
    """Makes events of what the venue says to us alone; each is given the local time that its events are to have."""

    def told(self, told: Told, local_ts_ns: int) -> Iterable[AnyEvent]:
        """A private channel spoke."""
        ...

    def settled(self, asked: Asked, local_ts_ns: int) -> Iterable[AnyEvent]:
        """A request that nobody awaits has its outcome, or it is unknown."""
        ...


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


def open_client(
    url: str, told: Callable[[Told], None], settled: Callable[[Asked], None], credentials: Credentials | None = None
) -> Client:
    """A client of the venue at `url`, with a key or the environment's, on this machine's clock and chance.

    Somebody who sets the machine's clock back while it runs is not felt; a machine that slept begins its line anew.
    """
    chance = secrets.SystemRandom()
    credentials = credentials or credentials_of(dict(os.environ))
    protocol = LineProtocol(Terms(), credentials, chance.random, lambda: secrets.token_hex(8))
    return Client(protocol, url, SteadyClock(), told, settled)


class LiveFeed:
    """The market as it is told, from `open` to `stop`. `own` makes events of what is told to us alone, in their order.

    last_local_ns   the last event's time on our clock
    arrived_ns      when the message of the last event had come at the latest, by `time.perf_counter_ns`
    Invariant       local times rise from message to message, so that the events of two are never at one time
    """

    def __init__(
        self,
        terms: FeedTerms,
        reference: ReferenceData,
        own: OwnSide | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.terms, self.own = terms, own
        self.client = open_client(terms.url, self._hear, self._hear, credentials)
        self.last_local_ns = self.arrived_ns = 0
        self._market = MarketFeed(reference, round(terms.chain_every_s * NS_PER_SECOND))
        self._loop = asyncio.new_event_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self._heard: deque[tuple[Told | Asked, int, int]] = deque()
        self._is_begun = self._is_waiting = self._is_stopped = False
        self._shift_ns = 0
        self._looked_ns = perf_counter_ns()

    @property
    def set_aside(self) -> dict[str, int]:
        """What was heard and no event was made of, by reason."""
        return dict(self._market.set_aside)

    @property
    def now_ns(self) -> int:
        """The clock of the events, now."""
        return max(self._awake_ns() + self._shift_ns, self.last_local_ns)

    def open(self) -> None:
        """Connects, and listens to all that is listed.

        Errors      VenueUnreachableError, and the feed is closed
        """
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._tasks.append(self._loop.create_task(self.client.run()))
            self._finish(self.client.is_live(CONNECT_S))
            names = self._finish(self._listed())
            if self.terms.on_venue_clock:
                self._shift_ns = self.client.protocol.clock.offset_ns or 0
            self._is_begun = True
            self.client.subscribe([*self._of_coins(), *map(self._ticker, names)])
            self._tasks.append(self._loop.create_task(self._tend()))
            on_failure.pop_all()

    def events(self) -> Iterator[AnyEvent]:
        """Every event from here on, until `stop`: the market's, our own, and the clock where nothing is heard.

        Errors      VenueUnreachableError where the venue refuses the key
        """
        quiet_at = self._loop.time() + QUIET_S
        while not self._is_stopped:
            self._look()
            if not self._heard:
                self._wait(quiet_at)
            events = self._next() if self._heard else []
            if not events and self._loop.time() >= quiet_at:
                events = self._quiet()
            for event in events:
                yield event
                quiet_at = self._loop.time() + QUIET_S
            if self._tasks[0].done():
                self._tasks[0].result()

    def ask(self, method: str, params: dict[str, Any], timeout_s: float = 15.0) -> Asked:
        """Asks, and waits for the outcome; what is heard meanwhile is told after it.

        Errors      VenueUnreachableError where there is none in time
        """
        return self._finish(self.client.ask(method, params, timeout_s))

    def stop(self) -> None:
        """No event after this one; from a signal's handler, too."""
        self._is_stopped = True
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)

    def close(self) -> None:
        """Hangs up. What was asked and not answered is not waited for."""
        if self._loop.is_closed():
            return
        self._turn()  # a `stop` that came last would end the next wait
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._turn()  # the socket's own farewell
        self._loop.close()

    def _finish(self, doing: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(doing)

    def _of_coins(self) -> list[str]:
        names = ["platform_state"]
        for currency in self.terms.currencies:
            names.append(f"deribit_price_index.{currency.lower()}_usd")
            names += [f"trades.{kind}.{currency}.{self.terms.interval}" for kind in KINDS]
            names.append(f"instrument.state.any.{currency}")
        return names

    def _ticker(self, name: str) -> str:
        return f"ticker.{name}.{self.terms.interval}"

    async def _listed(self) -> list[str]:
        """The instruments that are listed now, by name."""
        names: list[str] = []
        for currency in self.terms.currencies:
            for kind in KINDS:
                params = {"currency": currency, "kind": kind, "expired": False}
                asked = await self.client.ask("public/get_instruments", params)
                why = outcome_error(asked)
                if asked.answer is None or why:
                    raise VenueUnreachableError(f"{self.terms.url}: instruments of {currency}: {why}")
                names += [each.instrument_name for each in result_of(asked.answer, list[_Name])]
        return names

    async def _tend(self) -> None:
        """After each break of the line: what was listed or has expired meanwhile, nobody told us."""
        protocol = self.client.protocol
        connects = protocol.connects
        while True:
            await asyncio.sleep(_TEND_S)
            if protocol.connects == connects or protocol.phase is not Phase.LIVE:
                continue
            now = protocol.connects
            try:
                listed = {self._ticker(name) for name in await self._listed()}
            except VenueUnreachableError:
                continue  # broken again
            gone = [name for name in protocol.channels.wanted if name.startswith("ticker.") and name not in listed]
            self.client.unsubscribe(gone)
            self.client.subscribe(listed)
            connects = now

    def _hear(self, heard: Told | Asked) -> None:
        """Called by the client, while the loop runs."""
        if not self._is_begun:
            return
        self._heard.append((heard, self._awake_ns(), perf_counter_ns() if self._is_waiting else self._looked_ns))
        if self._is_waiting:
            self._loop.stop()

    def _turn(self) -> None:
        """One turn of the loop: what is in the socket is read, nothing is waited for."""
        self._loop.call_soon(self._loop.stop)
        self._loop.run_forever()

    def _look(self) -> None:
        """Reads what came while the engine was busy; it had come since the last look, and counts from there."""
        for _ in range(_LOOKS):
            before = len(self._heard)
            self._turn()
            if len(self._heard) == before:
                break
        self._looked_ns = perf_counter_ns()

    def _wait(self, until: float) -> None:
        """Lets the loop run until something is heard or it is `until` by the loop's clock."""
        if self._is_stopped:
            return
        timer = self._loop.call_at(until, self._loop.stop)
        self._is_waiting = True
        self._loop.run_forever()
        self._is_waiting = False
        timer.cancel()
        self._looked_ns = perf_counter_ns()

    def _next(self) -> list[AnyEvent]:
        """The next message's events."""
        heard, received_ns, self.arrived_ns = self._heard.popleft()
        if isinstance(heard, Asked):
            local_ts_ns = self._rise(self._awake_ns(), 0)
            return [] if self.own is None else list(self.own.settled(heard, local_ts_ns))
        local_ts_ns = self._rise(received_ns, _exch_ns(heard))
        if self.own is not None and is_private(heard.message.channel):
            return list(self.own.told(heard, local_ts_ns))
        self._follow_listing(heard)
        # The chain is told of what came before this message, a moment earlier.
        events: list[AnyEvent] = [*self._market.chains(local_ts_ns)]
        if events:
            self.last_local_ns = local_ts_ns = local_ts_ns + 1
        return [*events, *self._market.take(heard.message, local_ts_ns)]

    def _rise(self, received_ns: int, exch_ts_ns: int) -> int:
        if self.terms.on_venue_clock:
            self._shift_ns = max(self._shift_ns, exch_ts_ns - received_ns)
        self.last_local_ns = max(received_ns + self._shift_ns, self.last_local_ns + 1)
        return self.last_local_ns

    def _awake_ns(self) -> int:
        """Now; without what was slept where the venue has a time of its own: it is on this machine, and slept too."""
        now_ns = self.client.now_ns()
        return now_ns - self.client.slept_ns if self.terms.on_venue_clock else now_ns

    def _quiet(self) -> list[AnyEvent]:
        """Nothing was heard: rows of chains that wait are told, else the time is."""
        self.arrived_ns = perf_counter_ns()
        local_ts_ns = self._rise(self._awake_ns(), 0)
        chains: list[MarketEvent] = self._market.chains(local_ts_ns)
        return [*chains] or [Clock(exch_ts_ns=local_ts_ns, local_ts_ns=local_ts_ns)]

    def _follow_listing(self, heard: Told) -> None:
        told = heard.message.data
        if isinstance(told, InstrumentState) and told.state in _LISTED:
            self.client.subscribe([self._ticker(told.instrument_name)])
        elif isinstance(told, InstrumentState) and told.state in _GONE:
            self.client.unsubscribe([self._ticker(told.instrument_name)])


def _exch_ns(heard: Told) -> int:
    """The venue's time of a message; 0 where it says none."""
    data = heard.message.data
    last = data[-1] if isinstance(data, list) and data else data
    return int(getattr(last, "timestamp", 0) or 0) * 1_000_000
