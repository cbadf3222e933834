"""Our side of the line: what a process holds and loses when it is killed, and what it keeps in its spool."""

import random
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flatbook.app.steady import SteadyClock
from flatbook.domain.events import AnyEvent, DailySettlement, Delivery, Fill, FundingPaid
from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.engine.policy import Policy
from flatbook.engine.setup import Setup
from flatbook.policies import read_policy
from flatbook.store.spool import SPOOL_FILE, Spool
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.client_actions import Action, Close, Open, Send, Settled, Stop, Terms, Told
from flatbook.venues.deribit.client_protocol import Protocol
from flatbook.venues.deribit.codec_events import MarketFeed
from flatbook.venues.deribit.codec_requests import Credentials
from flatbook.venues.deribit.maker import Maker
from flatbook.venues.deribit.maker_account import settlement_before
from flatbook.venues.deribit.maker_terms import Known, MakerTerms, protection_of
from tests.simulation.link import Link

START_NS = parse_utc("2026-01-05T07:59:30")
EXPIRY_NS = parse_utc("2026-01-05T08:00")

CAPITAL_COIN = 100
VENUE = "deribit"
TERMS = Terms(request_timeout_s=2.0, connect_timeout_s=2.0, heartbeat_s=10, most_silence_s=15.0, longest_wait_s=4.0)
"""A client that is quick to lose patience, so that little time need be simulated."""


class Clocks(NamedTuple):
    """The machine's: the wall's, which may be set, and one that cannot."""

    wall_ns: Callable[[], int]
    monotonic_ns: Callable[[], int]


def policy() -> Policy:
    """The policy that is run: it quotes every option, and hedges what is more than a twentieth of a coin at once."""
    shipped = read_policy("advanced")[0]
    eager = {"rule": "band_and_timer", "band_coin": 0.05, "every_s": 1.0}
    return shipped.model_copy(update={"hedging": shipped.hedging.model_copy(update=eager)})


class Program:
    """A maker's process, from its start or, where the spool of one that was killed lies in `folder`, from there on.

    kept        every event that the engine took; each was in the spool before
    """

    def __init__(self, seed: int, link: Link, names: list[str], folder: Path, clocks: Clocks) -> None:
        is_new = not (folder / SPOOL_FILE).exists()
        self.spool = Spool.create(folder / SPOOL_FILE) if is_new else Spool.open(folder / SPOOL_FILE)
        self.kept: list[AnyEvent] = list(self.spool.events())
        chance, nonces, life = random.Random(f"client {seed} {len(self.kept)}"), count(), len(self.kept)
        self._reference = load_reference()
        self._link = link
        self.names = names
        self.protocol = Protocol(TERMS, Credentials("alice", "secret"), chance.random, lambda: f"{life}-{next(nonces)}")
        self.feed = MarketFeed(self._reference)
        self.engine = Engine(_setup())
        known = None if is_new else self._recover()
        protect, quote_coin = policy().protection, policy().quoting.size_coin
        protection = protection_of(
            "btc_usd", round(protect.mmp_window_s), round(protect.mmp_rest_s), protect.mmp_quantity_coin, quote_coin
        )
        terms = MakerTerms(underlying="BTC", run="soak", protection=protection, poll_s=5.0, settling_s=1.0)
        self.maker = Maker(self.protocol, terms, self._reference, known)
        self._listed = 0
        self.now_ns = SteadyClock(self.engine.state.now_ns, *clocks).now_ns
        options = [name for name in names if name.endswith(("-C", "-P"))]
        self.books = [f"book.{name}.raw" for name in ("BTC-PERPETUAL", *options)]
        tickers = [f"ticker.{name}.100ms" for name in ("BTC-PERPETUAL", *options)]
        trades = ["trades.option.BTC.raw", "trades.future.BTC.raw"]
        self.protocol.subscribe(0, ["deribit_price_index.btc_usd", *trades, *tickers, *self.books])

    def knows(self, name: str) -> bool:
        """Whether it is the hedge or an option that was heard of: with anything else a person must help."""
        return name == "BTC-PERPETUAL" or name in self.engine.state.market.universe.row_of

    def start(self, venue_ns: int) -> None:
        """Connects."""
        now_ns = self.now_ns()
        self.do(self.maker.start(now_ns), now_ns, venue_ns)

    @property
    def waits_ns(self) -> int:
        """For how long it need not be woken."""
        now_ns = self.now_ns()
        return self.protocol.wake_ns(now_ns) - now_ns

    def happen(self, what: Callable[[int], list[Action]], venue_ns: int) -> None:
        """Something happens to the protocol, and all that follows."""
        now_ns = self.now_ns()
        self.do(what(now_ns), now_ns, venue_ns)

    def do(self, actions: list[Action], now_ns: int, venue_ns: int) -> None:
        """Does what is wanted done, and what follows from it, until nothing more does."""
        waiting = deque(actions)
        while True:
            while waiting:
                waiting.extend(self._do(waiting.popleft(), now_ns, venue_ns))
            waiting.extend(self.maker.advance(now_ns))
            events = self.maker.take_events()
            for event in events:
                waiting.extend(self.maker.submit(now_ns, self.step(event)))
            if not waiting and not events:
                return

    def step(self, event: AnyEvent) -> Effects:
        """Takes an event to the engine."""
        self.spool.append(event)
        self.spool.sync()
        self.kept.append(event)
        effects = self.engine.step(event)
        universe = self.engine.state.market.universe
        while self._listed < universe.count:
            self.maker.list_instrument(self._listed, universe.instruments[self._listed])
            self._listed += 1
        return effects

    def _do(self, action: Action, now_ns: int, venue_ns: int) -> list[Action]:
        match action:
            case Open():
                self._link.open(venue_ns)
            case Close():
                self._link.close(venue_ns)
            case Send(raw):
                self._link.send(raw, venue_ns)
            case Settled(asked):
                return self.maker.settled(asked, now_ns)
            case Told():
                return [*self.maker.heard(action), *self._market(action, now_ns)]
            case Stop(reason):
                raise AssertionError(f"the venue refuses the key: {reason}")
        return []

    def _market(self, told: Told, now_ns: int) -> list[Action]:
        actions: list[Action] = []
        for event in [*self.feed.chains(now_ns), *self.feed.take(told.message, now_ns)]:
            actions += self.maker.submit(now_ns, self.step(event))
        return actions

    def _recover(self) -> Known:
        """Replays what was kept; where the books stand then."""
        for event in self.kept:
            self.engine.step(event)
        state = self.engine.state
        rows = state.market.universe.instruments
        quoted = np.flatnonzero(state.table.grid[1::2].any(axis=0) | state.table.loose.any(axis=0)).tolist()
        own = [event for event in self.kept if isinstance(event, Fill | FundingPaid)]
        ended = [event.exch_ts_ns for event in self.kept if isinstance(event, DailySettlement | Delivery)]
        return Known(
            trade_ids=frozenset(event.trade_id for event in own if isinstance(event, Fill)),
            until_ns=max((event.exch_ts_ns for event in own), default=START_NS),
            paid_ns=max((event.exch_ts_ns for event in own if isinstance(event, FundingPaid)), default=START_NS),
            settled_ns=settlement_before(max(ended, default=START_NS)),
            orders={each.order_id: (each.intent.instrument, each.open_lots) for each in state.orders.working.values()},
            quoted=frozenset(rows[row].name for row in quoted),
            quote_number=state.table.sent,
        )


def _setup() -> Setup:
    return Setup(
        underlying="BTC",
        venue=VENUE,
        reference=load_reference(),
        policy=policy(),
        trade_from_ns=START_NS + 3 * NS_PER_SECOND,
        capital_units=CAPITAL_COIN * 10**8,
        funding_is_told=True,
    )
