"""Snapshots of a run as it goes, and taking one up: the engine and its venue as they were after the same event.

They are kept of runs over a recorded market, and of those on an account, whose events the spool has. A drawn market is
made again from its seed, and one with order books from its start, by passing through it.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from flatbook.app.markets import OpenMarket
from flatbook.engine.loop import Engine
from flatbook.engine.setup import Setup
from flatbook.engine.state import State
from flatbook.engine.venue import Venue
from flatbook.sim.exchange import RecordedVenue
from flatbook.store.journal import Checkpoint, Journal, RunHeader
from flatbook.store.program import program_digest
from flatbook.store.snapshots import Known, Origin, SnapshotHeader, Snapshots

SNAPSHOT_EVERY_S = 5.0
"""Time between two snapshots: as long as it took is as long as its replay takes after a crash, at most."""


def _recorded(venue: Venue) -> RecordedVenue | None:
    # A replayed book is as large as its recording, and is passed through again in seconds.
    return venue if isinstance(venue, RecordedVenue) and not venue.has_book else None


class Keeper:
    """Takes a run's snapshots, one every `every_s` of `clock`, where the journal has just been committed.

    When they are taken changes nothing of the run. `kept` is what is kept of its venue, None for nothing: then there is
    no snapshot.
    """

    def __init__(
        self,
        run: Path,
        header: RunHeader,
        clock: Callable[[], float] = time.monotonic,
        *,
        every_s: float = SNAPSHOT_EVERY_S,
        kept: Callable[[Venue], Any] = _recorded,
    ) -> None:
        self._snapshots = _snapshots(run, header)
        self._clock, self._every_s, self._venues = clock, every_s, kept
        self._kept_s, self._kept = clock(), 0

    def keep(self, engine: Engine, venue: Venue, journal: Journal, *, at_end: bool = False) -> None:
        """Takes one where it is time for it, and the journal reaches to this event and no further."""
        state, last = engine.state, journal.last_checkpoint()
        if state.events == self._kept or not (at_end or self._clock() - self._kept_s >= self._every_s):
            return
        if last is None or last.event_seq != state.events:
            return
        kept = self._venues(venue)
        if kept is not None:
            self._snapshots.write(state.events, state.now_ns, (state, kept), _known(state.setup))
            self._kept, self._kept_s = state.events, self._clock()


def take_up(
    run: Path, journal: Journal, market: OpenMarket, engine: Engine, until_ns: int | None = None
) -> tuple[OpenMarket, tuple[str, ...]]:
    """Brings an engine at its start to the run's newest snapshot, and gives the market that goes on from there.

    It is one by `until_ns`, where that is given. The texts say which were there and were not used.
    """
    fresh = _recorded(market.venue)
    if fresh is None:
        return market, ()
    kept, said = newest(run, journal, engine, until_ns)
    if kept is None:
        return market, said
    venue = cast("RecordedVenue", kept)
    venue.take_up(fresh)
    return replace(market, venue=venue), said


def newest(
    run: Path, journal: Journal, engine: Engine, until_ns: int | None = None, is_whole: Callable[[Any], bool] = bool
) -> tuple[Any, tuple[str, ...]]:
    """Brings an engine at its start to the run's newest snapshot, and gives what was kept of its venue; None where
    there is none. The texts say which were there and were not used.

    A snapshot is used where it is of this program and policy, what it had sent is what the journal has for its event,
    and what was kept of its venue `is_whole`.
    """
    snapshots = _snapshots(run, journal.header)
    held = {checkpoint.event_seq: checkpoint for checkpoint in journal.checkpoints()}

    def is_usable(header: SnapshotHeader) -> bool:
        return header.event_seq in held and (until_ns is None or header.ts_ns <= until_ns)

    found = snapshots.latest(_known(engine.state.setup), is_usable)
    if found is None:
        return None, tuple(snapshots.passed_over)
    state, kept = cast("tuple[State, Any]", found.content)
    if not (_agree(state, held[found.header.event_seq]) and is_whole(kept)):
        text = f"{run}: its snapshot after event {state.events} is not what the journal has: not used"
        return None, (*snapshots.passed_over, text)
    engine.state = state
    return kept, tuple(snapshots.passed_over)


def _agree(state: State, checkpoint: Checkpoint) -> bool:
    now = state.events, state.now_ns, state.outputs.digest()
    return now == (checkpoint.event_seq, checkpoint.ts_ns, checkpoint.digest)


def _snapshots(run: Path, header: RunHeader) -> Snapshots:
    asked = f"{header.config_json}\n{header.policy_text}\n{header.session_digest}"
    return Snapshots(run, Origin(program_digest(), hashlib.sha256(asked.encode()).hexdigest(), header.run_id))


def _known(setup: Setup) -> Known:
    return Known(setup.reference, {"setup": setup, "reference": setup.reference})
