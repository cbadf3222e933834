"""A maker and our exchange in steps of the exchange's time: a venue of the engine's, over whatever carries the bytes.

Between two steps everything that is said is answered, so that what a maker sees does not depend on how fast anything
is, and a run over a socket is the run in process.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Protocol as Shape

import msgspec

from flatbook.app.live_request import LiveRequest, begun, setup_of
from flatbook.domain.events import AnyEvent, Fill
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import NS_PER_SECOND
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.policies import parse_policy
from flatbook.service.exchange.api import Api
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.client_actions import Action, Close, Open, Phase, Send, Settled, Stop, Terms, Told
from flatbook.venues.deribit.client_protocol import Protocol
from flatbook.venues.deribit.codec import result_of
from flatbook.venues.deribit.codec_events import MarketFeed
from flatbook.venues.deribit.codec_messages import InstrumentState
from flatbook.venues.deribit.codec_requests import Credentials, encode_request
from flatbook.venues.deribit.maker import Maker
from flatbook.venues.deribit.maker_terms import MakerTerms, Standing, protection_of

ALICE = Credentials("alice", "secret")
STEP_ID = 2**52
"""Of the request that lets time pass; the client's own count from one."""


class Wire(Shape):
    """Carries bytes, and the venue's time."""

    def open(self) -> None:
        """Opens a line."""
        ...

    def exchange(self, sent: list[bytes], until_ms: int) -> list[bytes]:
        """Brings these to the venue, lets its time pass, and gives all that it said."""
        ...


class InProcess:
    """The venue's service called as a function."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.session = api.connect()

    def open(self) -> None:
        """A new connection."""
        self.session = self.api.connect()

    def exchange(self, sent: list[bytes], until_ms: int) -> list[bytes]:
        """As of `Wire`."""
        for raw in (*sent, step(until_ms)):
            self.api.receive(self.session, raw, self.api.exchange.now_ns)
        told, self.session.outbox = self.session.outbox, []
        return [raw for raw in told if not is_step(raw)]


def step(until_ms: int) -> bytes:
    """The request that lets time pass."""
    return encode_request(STEP_ID, "public/advance", {"timestamp": until_ms})


def is_step(raw: bytes) -> bool:
    """Whether this answers it."""
    return f'"id":{STEP_ID}'.encode() in raw[:80]


def by_hand(wire: Wire, now_ms: int, method: str, **params: object) -> None:
    """Somebody does something on the account himself, over a line of his own."""
    wire.open()
    key = {"grant_type": "client_credentials", "client_id": ALICE.client_id, "client_secret": ALICE.secret}
    asked = [encode_request(1, "public/auth", key), encode_request(2, method, dict(params))]
    told = wire.exchange(asked, now_ms)
    assert not [raw for raw in told if b'"error"' in raw[:200]], told


def trade(
    wire: Wire, policy_text: str, start_ns: int, seconds: int, most_coin: float = 30.0, step_s: int = 1
) -> tuple[Engine, "SteppedVenue"]:
    """A maker's run on the account as it is, from its first word to its orderly end; protected beyond `most_coin`."""
    reference = load_reference()
    terms = MakerTerms(underlying="BTC", run="t", protection=protection_of("btc_usd", 5, 5, most_coin, 2.0))
    venue = SteppedVenue(wire, ALICE, terms, reference, start_ns, step_s)
    venue.open()
    assert venue.maker.statement is not None
    request = LiveRequest(policy="keen", policy_text=policy_text, url="ws://127.0.0.1")
    request = begun(request, venue.maker.statement, reference, venue.now_ns)
    engine = Engine(setup_of(request, parse_policy(policy_text, "keen"), reference))
    venue.until_ns = venue.now_ns + seconds * NS_PER_SECOND
    universe, listed = engine.state.market.universe, 0
    for event in itertools.chain(venue.events(), venue.end()):
        venue.told[type(event)] += 1
        if isinstance(event, Fill):
            venue.fills.append(event)
        effects = engine.step(event)
        while listed < universe.count:
            venue.list_instrument(listed, universe.instruments[listed])
            listed += 1
        if not effects.is_empty:
            venue.submit(effects)
    return engine, venue


class _Name(msgspec.Struct):
    instrument_name: str


class SteppedVenue:
    """`engine.venue.Venue` of a maker on our exchange, from `start_ns`; a step is `step_s` seconds."""

    def __init__(
        self,
        wire: Wire,
        credentials: Credentials,
        terms: MakerTerms,
        reference: ReferenceData,
        start_ns: int,
        step_s: int = 1,
    ) -> None:
        numbers = itertools.count()
        self.now_ns, self._step_ns = start_ns, step_s * NS_PER_SECOND
        self.told: Counter[type] = Counter()
        self.fills: list[Fill] = []
        self.protocol = Protocol(Terms(), credentials, lambda: 0.5, lambda: f"n{next(numbers)}")
        self.maker = Maker(self.protocol, terms, reference)
        self._wire, self._terms = wire, terms
        self._feed = MarketFeed(reference)
        self._out: list[bytes] = []
        self._events: list[AnyEvent] = []
        self.until_ns = start_ns

    def open(self) -> None:
        """Connects, reconciles, and listens to the market."""
        self._do(self.maker.start(self.now_ns))
        while self.maker.standing is not Standing.READY:
            self._step()
        names = [f"deribit_price_index.{self._terms.index_name}", "instrument.state.any.BTC"]
        names += [f"trades.{kind}.BTC.100ms" for kind in ("option", "future")]
        names += [f"ticker.{name}.100ms" for kind in ("option", "future") for name in self._listed(kind)]
        self._do(self.protocol.subscribe(self.now_ns, names))
        self._talk()

    def events(self) -> Iterator[AnyEvent]:
        """As in `engine.venue.Venue`, until the time is up."""
        while self.now_ns < self.until_ns:
            self._step()
            yield from self._taken()

    def end(self) -> Iterator[AnyEvent]:
        """What is left to hear once everything is taken away, and the account was looked at."""
        self._do(self.maker.end(self.now_ns))
        while self.maker.standing is not Standing.OVER:
            self._talk()
            yield from self._taken()
            self._step()

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        """As in `engine.venue.Venue`."""
        self.maker.list_instrument(row, instrument)

    def submit(self, effects: Effects) -> None:
        """As in `engine.venue.Venue`."""
        self._do(self.maker.submit(self.now_ns, effects))

    def _taken(self) -> Iterator[AnyEvent]:
        while self._events or self._out:
            events, self._events = self._events, []
            yield from events
            self._talk()

    def _step(self) -> None:
        self.now_ns += self._step_ns
        self._hear()
        self._do(self.protocol.advance(self.now_ns))
        self._do(self.maker.advance(self.now_ns))
        self._talk()

    def _talk(self) -> None:
        while self._out:
            self._hear()

    def _hear(self) -> None:
        sent, self._out = self._out, []
        for raw in self._wire.exchange(sent, self.now_ns // 1_000_000):
            self._do(self.protocol.received(self.now_ns, raw))
            self._do(self.maker.advance(self.now_ns))
            self._events += self.maker.take_events()
        self._events += self._feed.chains(self.now_ns)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(raw):
                    self._out.append(raw)
                case Open():
                    self._wire.open()
                    self._do(self.protocol.opened(self.now_ns))
                case Told():
                    self._told(action)
                case Settled(asked):
                    self._do(self.maker.settled(asked, self.now_ns))
                case Close() | Stop():
                    raise AssertionError(action)
        self._events += self.maker.take_events()

    def _told(self, told: Told) -> None:
        self._events += self._feed.take(told.message, self.now_ns)
        state = told.message.data
        if isinstance(state, InstrumentState) and state.state == "created":
            self._do(self.protocol.subscribe(self.now_ns, [f"ticker.{state.instrument_name}.100ms"]))
        self._do(self.maker.heard(told))

    def _listed(self, kind: str) -> list[str]:
        params = {"currency": "BTC", "kind": kind, "expired": False}
        asked, actions = self.protocol.ask(self.now_ns, "public/get_instruments", params)
        self._do(actions)
        while asked.answer is None:
            assert self.protocol.phase is Phase.LIVE
            self._step()
        return [each.instrument_name for each in result_of(asked.answer, list[_Name])]
