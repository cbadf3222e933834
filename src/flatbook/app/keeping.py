"""Snapshots of a run as it goes, and taking one up: the engine and its venue as they were after the same event.

They are kept of runs over a recorded market. A drawn one is made again from its seed, by passing through it.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

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


class Keeper:
    """Takes a run's snapshots, one every `SNAPSHOT_EVERY_S` of `clock`, where the journal has just been committed.

    When they are taken changes nothing of the run.
    """

    def __init__(self, run: Path, header: RunHeader, clock: Callable[[], float] = time.monotonic) -> None:
        self._snapshots = _snapshots(run, header)
        self._clock, self._kept_s, self._kept = clock, clock(), 0

    def keep(self, engine: Engine, venue: Venue, journal: Journal, *, at_end: bool = False) -> None:
        """Takes one where it is time for it, and the journal reaches to this event and no further."""
        state, last = engine.state, journal.last_checkpoint()
        if state.events == self._kept or not (at_end or self._clock() - self._kept_s >= SNAPSHOT_EVERY_S):
            return
        if last is not None and last.event_seq == state.events and isinstance(venue, RecordedVenue):
            self._snapshots.write(state.events, state.now_ns, (state, venue), _known(state.setup))
            self._kept, self._kept_s = state.events, self._clock()


def take_up(
    run: Path, journal: Journal, market: OpenMarket, engine: Engine, until_ns: int | None = None
) -> tuple[OpenMarket, tuple[str, ...]]:
    """Brings an engine at its start to the run's newest snapshot, and gives the market that goes on from there.

    A snapshot is used where it is of this program and policy, and what it had sent is what the journal has for its
    event; by `until_ns`, where that is given. The texts say which were there and were not.
    """
    if not isinstance(market.venue, RecordedVenue):
        return market, ()
    snapshots = _snapshots(run, journal.header)
    held = {checkpoint.event_seq: checkpoint for checkpoint in journal.checkpoints()}

    def is_usable(header: SnapshotHeader) -> bool:
        return header.event_seq in held and (until_ns is None or header.ts_ns <= until_ns)

    found = snapshots.latest(_known(engine.state.setup), is_usable)
    if found is None:
        return market, tuple(snapshots.passed_over)
    state, venue = cast("tuple[State, RecordedVenue]", found.content)
    if not _agree(state, held[found.header.event_seq]):
        text = f"{run}: its snapshot after event {state.events} is not what the journal has: not used"
        return market, (*snapshots.passed_over, text)
    venue.take_up(market.venue)
    engine.state = state
    return replace(market, venue=venue), tuple(snapshots.passed_over)


def _agree(state: State, checkpoint: Checkpoint) -> bool:
    now = state.events, state.now_ns, state.outputs.digest()
    return now == (checkpoint.event_seq, checkpoint.ts_ns, checkpoint.digest)


def _snapshots(run: Path, header: RunHeader) -> Snapshots:
    asked = f"{header.config_json}\n{header.policy_text}\n{header.session_digest}"
    return Snapshots(run, Origin(program_digest(), hashlib.sha256(asked.encode()).hexdigest(), header.run_id))


def _known(setup: Setup) -> Known:
    return Known(setup.reference, {"setup": setup, "reference": setup.reference})
