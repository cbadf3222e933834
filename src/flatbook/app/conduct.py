"""Conducting a run: events through the engine, the journal ahead of the effects, the pace kept, the watchers told.

A run continued from a journal is the same run from its start: it is replayed at full speed, every answer and every
digest compared with what the journal holds, and goes on writing where the journal ends.
"""

from collections import deque
from collections.abc import Callable, Iterable

from flatbook.app.keeping import Keeper
from flatbook.app.told import TOLD, Told
from flatbook.domain.errors import ReplayDivergedError
from flatbook.domain.events import (
    AnyEvent,
    Clock,
    Fill,
    FundingPaid,
    OperatorEvent,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    PackageFill,
    ProtectionTriggered,
    QuotesAcknowledged,
    RequestForQuote,
    RfqClosed,
)
from flatbook.domain.units import format_utc
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.engine.state import State
from flatbook.engine.venue import Venue
from flatbook.store.journal import Checkpoint, Journal

CHECKPOINT_EVERY = 256
"""Events between two checkpoints where nothing of ours happens; our own events and orders get theirs at once."""

_OWN = (
    *(Fill, FundingPaid, OrderAccepted, OrderCancelled, OrderRejected, RequestForQuote, PackageFill, RfqClosed),
    *(Clock, *TOLD),
)

_ABOUT_QUOTES = (QuotesAcknowledged, ProtectionTriggered)
"""Answers that move no money: they wait for the next checkpoint."""


def conduct(
    engine: Engine,
    venue: Venue,
    journal: Journal,
    after_event: Callable[[AnyEvent], bool] = lambda _event: True,
    until_ns: int | None = None,
    told: Iterable[OperatorEvent] = (),
    keeper: Keeper | None = None,
) -> tuple[OperatorEvent, ...]:
    """Runs until the market ends, `after_event` says no, or the next event is later than `until_ns`.

    `told` is what a person tells the run beside what its journal holds of that; returned is what came too late. With a
    `keeper` snapshots are taken. An engine and venue out of one go on from its event.

    Errors      ReplayDivergedError where a continued run does not come to what its journal holds, all of it
    """
    scribe = _Scribe(journal, engine.state)
    waiting = Told(scribe.held(), told, scribe.passed)
    universe = engine.state.market.universe
    listed = universe.count if engine.state.events else 0

    def take(event: AnyEvent) -> bool:
        nonlocal listed
        effects = engine.step(event)
        while listed < universe.count:
            venue.list_instrument(listed, universe.instruments[listed])
            listed += 1
        scribe.write(engine, event, effects)
        if not effects.is_empty:
            venue.submit(effects)
        return after_event(event)

    for event in venue.events():
        if until_ns is not None and event.local_ts_ns > until_ns:
            keeper = None  # the venue has given an event that the engine has not
            break
        if not take(event) or not all(map(take, waiting.due(event.local_ts_ns))):
            break
        if keeper is not None:
            keeper.keep(engine, venue, journal)
    else:
        scribe.require_nothing_left(engine)
    scribe.finish(engine)
    if keeper is not None and not waiting.is_due(engine.state.now_ns):
        keeper.keep(engine, venue, journal, at_end=True)
    return waiting.left


class _Scribe:
    """Writes the journal, or compares with it until its end is reached."""

    def __init__(self, journal: Journal, state: State) -> None:
        """From the state's event on, which the journal has a checkpoint of, or from the start."""
        self._journal = journal
        self._stage = state.loss_stop.stage
        # Read whole: a cursor left open would outlive the journal where a replay ends early.
        self._inbox: deque[tuple[int, AnyEvent]] = deque(journal.inbox())
        self._checkpoints: deque[Checkpoint] = deque(journal.checkpoints())
        self._rows = 0
        while self._checkpoints and self._checkpoints[0].event_seq <= state.events:
            self._rows = self._checkpoints.popleft().inbox_seq
        self.passed = tuple(self._inbox.popleft()[1] for _ in range(self._rows))

    def held(self) -> tuple[AnyEvent, ...]:
        """What the journal holds and was not come to yet."""
        return tuple(event for _, event in self._inbox)

    def write(self, engine: Engine, event: AnyEvent, effects: Effects) -> None:
        state = engine.state
        is_own = isinstance(event, _OWN)
        if is_own or isinstance(event, _ABOUT_QUOTES):
            self._take_answer(event)
        is_held = bool(self._checkpoints) and self._checkpoints[0].event_seq == state.events
        goes_out = bool(effects.orders or effects.cancels or effects.rfqs)
        # A halt is in the journal at once, though nothing rests that it would pull: a person re-arms what it says.
        has_turned, self._stage = state.loss_stop.stage is not self._stage, state.loss_stop.stage
        if is_own or goes_out or has_turned or state.events % CHECKPOINT_EVERY == 0 or is_held:
            self._take_checkpoint(engine)

    def require_nothing_left(self, engine: Engine) -> None:
        """The market has ended: whatever the journal still holds, this replay does not come to.

        Errors      ReplayDivergedError where it holds more
        """
        last, events = self._journal.last_checkpoint(), engine.state.events
        if self._inbox or (last is not None and last.event_seq > events):
            raise ReplayDivergedError(
                f"{self._journal.place}: the replay ended after {events} events with {self._rows} inbox rows, the "
                f"journal reaches {last.event_seq if last else 0} and {self._journal.next_seq - 1}; "
                "the policy or the program has changed"
            )

    def finish(self, engine: Engine) -> None:
        """A last checkpoint, so that the journal reaches as far as the run did."""
        last = self._journal.last_checkpoint()
        if engine.state.events and (last is None or last.event_seq < engine.state.events):
            self._take_checkpoint(engine)

    def _take_answer(self, event: AnyEvent) -> None:
        self._rows += 1
        if not self._inbox and not self._checkpoints:
            self._journal.append(self._rows, event)
            return
        # An answer is committed with its checkpoint, so one that is missing below a later checkpoint was never there.
        held = self._inbox.popleft()[1] if self._inbox else "nothing"
        if held != event:
            raise ReplayDivergedError(
                f"{self._journal.place}: inbox row {self._rows} holds {held}, the replay came to {event}; "
                "the policy or the program is not the one that wrote it"
            )

    def _take_checkpoint(self, engine: Engine) -> None:
        state, journal = engine.state, self._journal
        digest = state.outputs.digest()
        if self._checkpoints and self._checkpoints[0].event_seq == state.events:
            held = self._checkpoints.popleft()
            if held.digest != digest:
                raise ReplayDivergedError(
                    f"{journal.place}: after event {held.event_seq} at {format_utc(held.ts_ns)} the replay's output "
                    "differs from the journal's; the policy or the program has changed"
                )
            return
        last = journal.last_checkpoint()
        if last is None or last.event_seq < state.events:
            journal.checkpoint(state.events, state.now_ns, digest)
            journal.commit()
