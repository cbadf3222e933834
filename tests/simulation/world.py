"""A maker's program and the exchange it trades on, both sans I/O, in one process and simulated time, from one seed."""

import random
from itertools import count

from flatbook.domain.events import MarketEvent
from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.engine.loop import Engine
from flatbook.engine.setup import Setup
from flatbook.policies import read_policy
from flatbook.service.exchange.api import Api
from flatbook.service.exchange.auth import Auth, Client
from flatbook.sim.calendar import ExpiryPlan
from flatbook.sim.chain import ListingRules
from flatbook.sim.drawn import MarketParameters
from flatbook.sim.venue.crowd import Crowd
from flatbook.sim.venue.cycle import Cycle
from flatbook.sim.venue.exchange import Exchange
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.client_actions import Action, Close, Open, Phase, Send, Terms, Told
from flatbook.venues.deribit.client_protocol import Protocol
from flatbook.venues.deribit.codec_events import MarketFeed
from flatbook.venues.deribit.codec_requests import Credentials
from tests.sim.venue.builders import STANDARD_MARGIN
from tests.simulation.faults import Fault, Kind
from tests.simulation.link import LATENCY_NS, Broken, Link, Opened

START_NS = parse_utc("2026-01-05T07:58:30")
"""A minute and a half before an expiry."""

TICK_NS = NS_PER_SECOND // 10
"""How often the venue tells what intervals gathered."""

TERMS = Terms(request_timeout_s=2.0, connect_timeout_s=2.0, heartbeat_s=10, most_silence_s=15.0, longest_wait_s=4.0)
"""A client that is quick to lose patience, so that little time need be simulated."""

_MARKET = MarketParameters(
    listing=ListingRules(ExpiryPlan(dailies=1, weeklies=1, months=0, quarters=0), 1.0, 1.5, inner_strikes=4)
)
_STEPS = 3_600


class World:
    """Everybody, at the venue's time `now_ns`; our clock is `skew_ns` ahead of it."""

    def __init__(self, seed: int) -> None:
        self.seed, self.now_ns, self.skew_ns, self._asks_ns = seed, START_NS, 0, 0
        reference = load_reference()
        self.exchange = Exchange(reference, STANDARD_MARGIN, START_NS)
        cycle = Cycle(self.exchange)
        crowd = Crowd(self.exchange, cycle, reference, seed=seed, steps=_STEPS, market=_MARKET)
        self.exchange.open_account("alice", {"BTC": 100.0})
        self.api = Api(self.exchange, cycle, crowd, Auth([Client("alice", "secret", "alice")], f"{seed}".encode()))
        self.api.advance(START_NS)
        self.link = Link(self.api, lambda method: True)
        self.program = Program(seed, list(self.exchange.listings))
        self._do(self.program.protocol.start(self.local_ns))

    @property
    def local_ns(self) -> int:
        """Our clock."""
        return self.now_ns + self.skew_ns

    def run(self, seconds: float) -> None:
        """Lets time pass at both ends."""
        end_ns = self.now_ns + round(seconds * NS_PER_SECOND)
        protocol = self.program.protocol
        while self.now_ns < end_ns:
            wake_ns = protocol.wake_ns(self.local_ns) - self.skew_ns
            tick_ns = (self.now_ns // TICK_NS + 1) * TICK_NS
            self.now_ns = max(min(end_ns, wake_ns, tick_ns, self.link.next_ns()), self.now_ns)
            self.api.advance(self.now_ns)
            self.link.reach_venue(self.now_ns)
            for arrived in self.link.reach_us(self.now_ns):
                match arrived:
                    case Opened():
                        self._do(protocol.opened(self.local_ns))
                    case Broken():
                        self._do(protocol.closed(self.local_ns))
                    case bytes():
                        self._do(protocol.received(self.local_ns, arrived))
            if self.now_ns >= self._asks_ns:
                self._asks_ns = self.now_ns + NS_PER_SECOND
                self._do(protocol.ask(self.local_ns, "private/get_positions", {})[1])
            if protocol.wake_ns(self.local_ns) <= self.local_ns:
                self._do(protocol.advance(self.local_ns))

    def befall(self, faults: list[Fault]) -> None:
        """Lets time pass until all of a burst's faults have happened."""
        for fault in faults:
            self.run(max(fault.at_ns - self.now_ns, 0) / NS_PER_SECOND)
            self._befall(fault)

    def settle(self, seconds: float) -> None:
        """Lets things come to rest: no more faults, time for what is still under way, then nothing on the line."""
        self.link.calm()
        self.run(seconds)
        # Everybody speaks at the full second.
        self.run((self.now_ns // NS_PER_SECOND + 1.5) - self.now_ns / NS_PER_SECOND)
        while self.link.next_ns() <= self.now_ns + 2 * LATENCY_NS:
            self.run(0.02)

    def _befall(self, fault: Fault) -> None:
        match fault.kind:
            case Kind.CLOCK_FORWARD | Kind.CLOCK_BACK:
                step_ns = round((0.1 + 20 * fault.size) * NS_PER_SECOND)
                self.skew_ns += step_ns if fault.kind is Kind.CLOCK_FORWARD else -step_ns
                self.link.done[fault.kind] += 1
            case Kind.TOKEN_EXPIRED:
                if self.link.session is not None and self.link.session.account is not None:
                    self.link.session.until_ns = self.now_ns
                    self.link.done[fault.kind] += 1
            case _:
                self.link.befall(fault, self.now_ns)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Open():
                    self.link.open(self.now_ns)
                case Close():
                    self.link.close(self.now_ns)
                case Send(raw):
                    self.link.send(raw, self.now_ns)
                case Told():
                    self.program.told(action)


class Program:
    """Our side: what a process holds, and loses when it is killed."""

    def __init__(self, seed: int, names: list[str]) -> None:
        chance, nonces = random.Random(f"client {seed}"), count()
        reference = load_reference()
        self.protocol = Protocol(TERMS, Credentials("alice", "secret"), chance.random, lambda: f"{next(nonces)}")
        self.feed = MarketFeed(reference)
        policy = read_policy("advanced")[0]
        self.engine = Engine(
            Setup(
                underlying="BTC",
                venue="deribit",
                reference=reference,
                policy=policy,
                trade_from_ns=START_NS + 3 * NS_PER_SECOND,
                capital_units=100 * 10**8,
            )
        )
        self.heard: list[MarketEvent] = []
        self._last_ns = 0
        options = [name for name in names if name.endswith(("-C", "-P"))]
        self.books = [f"book.{name}.raw" for name in ("BTC-PERPETUAL", *options)]
        tickers = [f"ticker.{name}.100ms" for name in ("BTC-PERPETUAL", *options)]
        trades = ["trades.option.BTC.raw", "trades.future.BTC.raw"]
        self.protocol.subscribe(0, ["deribit_price_index.btc_usd", *trades, *tickers, *self.books])

    def told(self, told: Told) -> None:
        """What a channel said goes through the feed to the engine."""
        local_ns = max(told.received_ns, self._last_ns + 1)
        chains = self.feed.chains(local_ns)
        for event in [*chains, *self.feed.take(told.message, local_ns + 1 if chains else local_ns)]:
            self._last_ns = event.local_ts_ns
            self.heard.append(event)
            self.engine.step(event)

    @property
    def is_live(self) -> bool:
        """Whether the connection stands."""
        return self.protocol.phase is Phase.LIVE
