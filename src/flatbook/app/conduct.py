"""Conducting a run: events through the engine, the journal ahead of the effects, the pace kept, the watchers told.

A run continued from a journal is the same run from its start: it is replayed at full speed, every answer and every
digest compared with what the journal holds, and goes on writing where the journal ends.
"""

from collections.abc import Callable, Iterator

from flatbook.domain.errors import ReplayDivergedError
from flatbook.domain.events import AnyEvent, Fill, OrderAccepted, OrderCancelled, OrderRejected
from flatbook.domain.units import format_utc
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.engine.venue import Venue
from flatbook.store.journal import Checkpoint, Journal

CHECKPOINT_EVERY = 256
"""Events between two checkpoints where nothing of ours happens; our own events and orders get theirs at once."""

_OWN = (Fill, OrderAccepted, OrderCancelled, OrderRejected)


def conduct(
    engine: Engine, venue: Venue, journal: Journal, after_event: Callable[[AnyEvent], bool] = lambda _event: True
) -> None:
    """Runs until the market ends or `after_event` says no.

    Errors      ReplayDivergedError where a continued run does not come to what its journal holds
    """
    scribe = _Scribe(journal)
    universe = engine.state.market.universe
    listed = 0
    for event in venue.events():
        effects = engine.step(event)
        while listed < universe.count:
            venue.list_instrument(listed, universe.instruments[listed])
            listed += 1
        scribe.write(engine, event, effects)
        if not effects.is_empty:
            venue.submit(effects)
        if not after_event(event):
            break
    scribe.finish(engine)


class _Scribe:
    """Writes the journal, or compares with it until its end is reached."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._inbox: Iterator[tuple[int, AnyEvent]] = journal.inbox()
        self._checkpoints: Iterator[Checkpoint] = journal.checkpoints()
        self._replay_rows = journal.next_seq - 1
        self._rows = 0
        self._next_checkpoint = next(self._checkpoints, None)

    def write(self, engine: Engine, event: AnyEvent, effects: Effects) -> None:
        state = engine.state
        is_own = isinstance(event, _OWN)
        if is_own:
            self._take_answer(event)
        if is_own or effects.orders or state.events % CHECKPOINT_EVERY == 0:
            self._take_checkpoint(engine)

    def finish(self, engine: Engine) -> None:
        """A last checkpoint, so that the journal reaches as far as the run did."""
        last = self._journal.last_checkpoint()
        if engine.state.events and (last is None or last.event_seq < engine.state.events):
            self._take_checkpoint(engine)

    def _take_answer(self, event: AnyEvent) -> None:
        self._rows += 1
        if self._rows > self._replay_rows:
            self._journal.append(self._rows, event)
            return
        seq, held = next(self._inbox)
        if held != event:
            raise ReplayDivergedError(
                f"{self._journal.path}: inbox row {seq} holds {held}, the replay came to {event}; "
                "the session, the policy or the program is not the one that wrote it"
            )

    def _take_checkpoint(self, engine: Engine) -> None:
        state = engine.state
        held = self._next_checkpoint
        while held is not None and held.event_seq < state.events:
            held = self._next_checkpoint = next(self._checkpoints, None)
        if held is None:
            last = self._journal.last_checkpoint()
            if last is None or last.event_seq < state.events:
                self._journal.checkpoint(state.events, state.now_ns, state.outputs.digest())
                self._journal.commit()
        elif held.event_seq == state.events:
            if held.digest != state.outputs.digest():
                raise ReplayDivergedError(
                    f"{self._journal.path}: after event {held.event_seq} at {format_utc(held.ts_ns)} the replay's "
                    "output differs from the journal's; the session, the policy or the program has changed"
                )
            self._next_checkpoint = next(self._checkpoints, None)
