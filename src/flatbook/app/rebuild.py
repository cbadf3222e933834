"""A run's report, or its state at a moment, made anew from its journal and the session that it names."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from flatbook.app.compose import compose_again
from flatbook.app.conduct import conduct
from flatbook.app.finish import Finished, finish
from flatbook.app.keeping import take_up
from flatbook.app.run import Observe, Run
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import format_utc
from flatbook.engine.state import State
from flatbook.store.journal import read_journal
from flatbook.store.run_directory import open_run_directory


@contextmanager
def unobserved(_run: Run) -> Iterator[Callable[[], None]]:
    """For runs that nobody watches."""
    yield lambda: None


@dataclass(frozen=True)
class Moment:
    """A run as it stood after the last event by `at_ns`."""

    run_id: str
    at_ns: int
    state: State


def rebuilt(path: Path, session: str | None = None) -> Finished:
    """The run in directory `path` as far as its journal reaches; it may have ended, been cut off, or still be going.

    `session` says where its session lies, if that has moved.

    Errors      BadInputError where the journal is damaged or the session is not what it was; ReplayDivergedError where
                the replay does not come to what the journal holds
    """
    started = time.monotonic()
    with read_journal(open_run_directory(path).path) as journal:
        header, last = journal.header, journal.last_checkpoint()
        request, market, engine = compose_again(journal, path, session)
        market, _ = take_up(path, journal, market, engine)
        if last is not None and engine.state.events < last.event_seq:
            conduct(engine, market.venue, journal, lambda _event: engine.state.events < last.event_seq)
    return finish(engine, request, market, header.run_id, header.version, time.monotonic() - started)


def rebuilt_until(path: Path, at_ns: int | None, session: str | None = None, observe: Observe = unobserved) -> Moment:
    """The same run as it stood at `at_ns`; None for as far as its journal reaches.

    Errors      as of `rebuilt`; BadInputError for a moment outside the run
    """
    directory = open_run_directory(path)
    with read_journal(directory.path) as journal:
        header, last = journal.header, journal.last_checkpoint()
        if last is None:
            raise BadInputError(f"{path}: nothing is journaled yet; wait for its first checkpoint")
        request, market, engine = compose_again(journal, path, session)
        until_ns = last.ts_ns if at_ns is None else at_ns
        if not market.from_ns <= until_ns <= last.ts_ns:
            raise BadInputError(
                f"--at {format_utc(until_ns)}: {path} reaches from {format_utc(market.from_ns)} to "
                f"{format_utc(last.ts_ns)}; ask for a time in it"
            )
        market, _ = take_up(path, journal, market, engine, until_ns)
        watched = Run(request, replace(market, to_ns=until_ns), engine, journal, directory, header.run_id)
        with observe(watched) as watch:

            def has_more(_event: object) -> bool:
                watch()
                return engine.state.events < last.event_seq

            if engine.state.events < last.event_seq:
                conduct(engine, market.venue, journal, has_more, until_ns)
    return Moment(header.run_id, until_ns, engine.state)
