"""A real venue for the engine: the market's feed and our maker in one iterator, every event spooled before it is told.

Our own events come in their place among the market's. What is spooled comes first: a run that was killed is rebuilt
from it, to the same state, and then goes on from what the venue says happened since.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from flatbook.app.feed import FeedTerms, LiveFeed
from flatbook.app.live_booked import Booked
from flatbook.app.live_claim import Claim
from flatbook.app.live_key import account_number, refuse_scope
from flatbook.domain.errors import VenueUnreachableError
from flatbook.domain.events import AnyEvent, Clock, ProtectionTriggered
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import NS_PER_SECOND
from flatbook.engine.effects import Effects
from flatbook.sim.fills import FillModel, FillTally
from flatbook.store.spool import Spool, SpoolMark
from flatbook.venues.deribit.client_actions import Action, Told
from flatbook.venues.deribit.client_requests import Asked
from flatbook.venues.deribit.codec_requests import Credentials
from flatbook.venues.deribit.maker import Maker
from flatbook.venues.deribit.maker_terms import Known, MakerTerms, Standing
from flatbook.venues.deribit.statement import Statement

_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class LiveTerms:
    """Where to trade, with whose key, and as what maker; for `warm_up_s` the market is heard before anything else."""

    feed: FeedTerms
    credentials: Credentials
    maker: MakerTerms
    warm_up_s: float = 0.0


class _Line:
    """What the venue says to us alone, as the feed asks for it: the maker's events, on the feed's clock."""

    def __init__(self, owner: "LiveVenue") -> None:
        self._owner = owner

    def told(self, told: Told, local_ts_ns: int) -> Iterable[AnyEvent]:
        """As in `app.feed.OwnSide`."""
        self._owner.do(self._owner.maker.heard(told))
        return self._owner.own_events(local_ts_ns)

    def settled(self, asked: Asked, local_ts_ns: int) -> Iterable[AnyEvent]:
        """As in `app.feed.OwnSide`."""
        maker, feed = self._owner.maker, self._owner.feed
        self._owner.do(maker.settled(asked, feed.client.now_ns()))
        return self._owner.own_events(local_ts_ns)


class LiveVenue:
    """`engine.venue.Venue` over a live line. `open` it, or `take_up` where the spool holds a run's events; then run it.

    statement   the venue's last word on the account
    early       what was heard before the run began, and is told first
    booked      what the events so far have booked
    audited     called with each new statement, when the engine has taken every event before it
    Invariant   every event was in the spool, out of this process's hands, before the engine saw it
    """

    def __init__(self, terms: LiveTerms, reference: ReferenceData, claim: Claim) -> None:
        self.terms, self._claim = terms, claim
        self.feed = LiveFeed(terms.feed, reference, _Line(self), terms.credentials)
        self.audited: Callable[[Statement], None] = lambda statement: None
        self.spool: Spool | None = None
        self.maker = Maker(self.feed.client.protocol, terms.maker, reference)
        self._reference = reference
        self.booked = Booked()
        self._rows: list[Instrument] = []
        self._since: SpoolMark | None = None
        self._since_ns = 0
        self._books: Callable[[], Known] | None = None
        self.early: list[AnyEvent] = []
        self._noted: Statement | None = None
        self._to_audit: Statement | None = None
        self._last_ns = self._ending_ns = self._misheard = 0
        self._is_replaying = False
        self._is_past = True

    @property
    def arrived_ns(self) -> int | None:
        """As of `LiveFeed`; None while what is told was heard before the run began, or by the process before this."""
        return None if self._is_past else self.feed.arrived_ns

    @property
    def statement(self) -> Statement | None:
        """As said above."""
        return self.maker.statement

    def open(self) -> Statement:
        """Connects, refuses a key that can do too much, and reconciles: nothing of ours rests; where the books begin.

        Errors      VenueUnreachableError; BadInputError for the key, for an account that another process trades, or
                    where the venue refuses what a maker needs
        """
        self._connect()
        self._warm_up()
        give_up_ns = self._patience_ns()
        for event in self.feed.events():
            self.early += [event, *self._advance()]
            if self.maker.standing is Standing.READY:
                break
            self._refuse_late(give_up_ns, "was not reconciled")
        self._noted = self.maker.statement
        assert self._noted is not None, "a reconciliation ends with one"
        return self._noted

    def keep(self, spool: Spool) -> None:
        """From here on every event goes to the spool."""
        self.spool = spool

    def take_up(self, spool: Spool, books: Callable[[], Known]) -> None:
        """The spool's events come first; then `books` are asked where they stand, and the venue what happened since."""
        self.spool, self._books = spool, books

    def kept(self) -> Any:
        """What a snapshot holds of this venue, between two events: plain values."""
        assert self.spool is not None, "a run has a spool"
        books = self.booked
        return tuple(self.spool.mark()), (frozenset(books.trade_ids), books.until_ns, books.paid_ns, books.settled_ns)

    def take_up_from(self, kept: Any, rows: Iterable[Instrument], ts_ns: int) -> None:
        """Tells only what the spool has since a snapshot, of `ts_ns`; `rows` are the instruments listed by then."""
        mark, (trade_ids, *times_ns) = kept
        self._since, self._since_ns = SpoolMark(*mark), ts_ns
        self.booked = Booked(set(trade_ids), *times_ns)
        for row, instrument in enumerate(rows):
            self.list_instrument(row, instrument)

    def events(self) -> Iterator[AnyEvent]:
        """As in `engine.venue.Venue`, until `stop` and all that follows from it."""
        if self._books is not None:
            yield from self._replayed(self._books)
        early, self.early = self.early, []
        yield from self._spooled(early)
        self._is_past = False
        for event in self.feed.events():
            self._audit(event.local_ts_ns)
            yield from self._spooled([event, *self._advance()])
            if self._ending_ns:
                self.do(self.maker.end(self.feed.client.now_ns()))
                yield from self._spooled(self.own_events(self.feed.last_local_ns))
            if self.maker.standing is Standing.OVER:
                break
            if self._is_late(event):
                raise VenueUnreachableError(
                    f"{self.feed.client.url}: quotes and orders were not confirmed as taken away: look at the account; "
                    "the venue cancels them when the line breaks"
                )
        self._audit(self._last_ns + 1)
        self._audit(self._last_ns + 1)

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        """As in `engine.venue.Venue`."""
        self._rows.append(instrument)
        self.maker.list_instrument(row, instrument)

    def submit(self, effects: Effects) -> None:
        """As in `engine.venue.Venue`. What a replay wants done was done, or is told as gone."""
        if not self._is_replaying:
            self.do(self.maker.submit(self.feed.client.now_ns(), effects))

    def fill_tally(self) -> Mapping[FillModel, FillTally]:
        """No model fills here."""
        return {}

    def stop(self) -> None:
        """Ends in order: everything is taken away, and what traded is told; from a signal's handler, too."""
        self._ending_ns = self._ending_ns or self._patience_ns()

    def close(self) -> None:
        """Hangs up, and lets the spool go."""
        self.feed.close()
        if self.spool is not None:
            self.spool.close()

    def do(self, actions: list[Action]) -> None:
        """Does what the maker wants done."""
        self.feed.client.do(actions)

    def own_events(self, local_ts_ns: int) -> list[AnyEvent]:
        """What happened to us, on the clock of the events."""
        return [self._on_clock(event, local_ts_ns) for event in self.maker.take_events()]

    def _connect(self) -> None:
        feed = self.feed
        feed.open()
        refuse_scope(feed.client.protocol.scopes)
        self._claim(account_number(feed, self.terms.maker.underlying))
        feed.client.subscribe(self.maker.channels)

    def _warm_up(self) -> None:
        """What happens on the account meanwhile is in the statement that the books begin with."""
        until_ns = self.feed.now_ns + round(self.terms.warm_up_s * NS_PER_SECOND)
        for event in self.feed.events() if self.terms.warm_up_s else ():
            self.early.append(event)
            if event.local_ts_ns >= until_ns:
                return

    def _advance(self) -> list[AnyEvent]:
        if self.feed.client.unreadable != self._misheard:
            self._misheard = self.feed.client.unreadable
            self.maker.misheard()
        self.do(self.maker.advance(self.feed.client.now_ns()))
        return self.own_events(self.feed.last_local_ns)

    def _on_clock(self, event: AnyEvent, local_ts_ns: int) -> AnyEvent:
        if isinstance(event, ProtectionTriggered):
            shift_ns = self.feed.now_ns - self.feed.client.now_ns()
            event = msgspec.structs.replace(event, frozen_until_ns=event.frozen_until_ns + shift_ns)
        return msgspec.structs.replace(event, local_ts_ns=local_ts_ns)

    def _replayed(self, books: Callable[[], Known]) -> Iterator[AnyEvent]:
        assert self.spool is not None, "there is a spool to take up"
        self._is_replaying = True
        last_ns = self._since_ns
        for event in self.spool.events(self._since):
            last_ns = event.local_ts_ns
            self.booked.take(event)
            yield event
        self._is_replaying = False
        self.maker = Maker(self.feed.client.protocol, self.terms.maker, self._reference, books())
        for row, instrument in enumerate(self._rows):
            self.maker.list_instrument(row, instrument)
        self.feed.last_local_ns = last_ns
        self._connect()

    def _spooled(self, events: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
        for event in events:
            if self.spool is not None:
                self.spool.append(event)
                self.spool.sync()
            self.booked.take(event)
            yield event

    def _audit(self, now_ns: int) -> None:
        """A statement is looked at when the events of its own message, which are at one time, have been taken."""
        if now_ns == self._last_ns:
            return
        self._last_ns = now_ns
        due, self._to_audit = self._to_audit, None
        if due is not None:
            self.audited(due)
        if self.maker.statement is not self._noted:
            self._to_audit = self._noted = self.maker.statement

    def _patience_ns(self) -> int:
        return self.feed.client.now_ns() + round(_PATIENCE_S * NS_PER_SECOND)

    def _is_late(self, event: AnyEvent) -> bool:
        """Whether the end is not confirmed in time. While much is heard that may be ours, more of it."""
        late_ns = self.feed.client.now_ns() - self._ending_ns
        most_s = 0.0 if isinstance(event, Clock) else 4 * _PATIENCE_S
        return bool(self._ending_ns) and late_ns > most_s * NS_PER_SECOND

    def _refuse_late(self, give_up_ns: int, what: str) -> None:
        if self.feed.client.now_ns() > give_up_ns:
            raise VenueUnreachableError(f"{self.feed.client.url}: {what} within {_PATIENCE_S:g} s: {self.maker.reason}")
