"""One run from request to report."""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec

import flatbook
from flatbook.app.compose import compose, compose_again
from flatbook.app.conduct import conduct
from flatbook.app.finish import Finished, finish, write
from flatbook.app.heard import made_whole
from flatbook.app.interrupt import interruptible
from flatbook.app.keeping import Keeper, take_up
from flatbook.app.latency import LatencyWatch
from flatbook.app.markets import OpenMarket
from flatbook.app.naming import stamped_name
from flatbook.app.pace import Pacer
from flatbook.app.request import RunRequest
from flatbook.app.told import OPERATOR, drill, rearmed
from flatbook.domain.errors import BadInputError
from flatbook.domain.events import AnyEvent, OperatorEvent, Rearm
from flatbook.engine.loop import Engine
from flatbook.report.facts import LatencyFacts
from flatbook.store.journal import Journal, RunHeader, create_journal, open_journal
from flatbook.store.run_directory import RunDirectory, create_run_directory, open_run_directory


@dataclass(frozen=True)
class Live:
    """Of a run whose market happens while it runs: what ends that market for us, and how long answers took."""

    stop: Callable[[], None]
    watch: LatencyWatch


@dataclass(frozen=True)
class Run:
    """A run under way or done: its request, its engine and its directory; `said` is of snapshots that were not used."""

    request: RunRequest
    market: OpenMarket
    engine: Engine
    journal: Journal
    directory: RunDirectory
    run_id: str
    said: tuple[str, ...] = ()
    live: Live | None = None

    @property
    def label(self) -> str:
        """Which market it is in, for people."""
        request = self.request
        if request.heard_at is not None:
            return f"paper, {request.heard_at}"
        return Path(request.session).name if request.session else f"simulated, seed {request.seed}"


class UnderWay(Protocol):
    """What a person watches of a run: a `Run`, or a live one."""

    @property
    def run_id(self) -> str:
        """Its name."""
        ...

    @property
    def label(self) -> str:
        """As of `Run`."""
        ...

    @property
    def market(self) -> OpenMarket:
        """What it trades in."""
        ...

    @property
    def engine(self) -> Engine:
        """Where it stands."""
        ...

    @property
    def live(self) -> Live | None:
        """As of `Run`."""
        ...


Observe = Callable[[Run], AbstractContextManager[Callable[[], None]]]
"""Opens a view of a run, and yields what is to be called after each of its events."""


def new_run(request: RunRequest, runs: Path, run_id: str | None = None, journal_url: str | None = None) -> Run:
    """Opens the market and makes the run's directory, its configuration and its journal: a file in the directory, or
    in PostgreSQL at `journal_url`.

    Errors      BadInputError where the session cannot be used, no directory can be made in `runs`, or the server of the
                journal refuses
    """
    market, engine = compose(request)
    run_id = run_id or stamped_name(runs, engine.state.setup.policy.name, is_shared=journal_url is not None)
    return begun_run(request, market, engine, make_directory(runs, run_id), journal_url)


def begun_run(
    request: RunRequest,
    market: OpenMarket,
    engine: Engine,
    directory: RunDirectory,
    journal_url: str | None = None,
    live: Live | None = None,
) -> Run:
    """What was composed, in its directory, with its configuration and its journal as of `new_run`."""
    run_id = directory.path.name
    policy = engine.state.setup.policy.model_dump()
    texts = ("policy_text", "book_text")
    asked = {key: value for key, value in json.loads(request.to_json()).items() if key not in texts}
    directory.write_config({"run": {k: v for k, v in asked.items() if v is not None}, "policy": policy})
    header = RunHeader(
        run_id=run_id,
        version=flatbook.__version__,
        config_json=request.to_json(),
        policy_text=request.policy_text,
        seed=request.seed,
        session_digest=market.session_digest,
    )
    return Run(
        request, market, engine, create_journal(directory.path, header, journal_url), directory, run_id, live=live
    )


def resumed_run(
    path: Path, session: str | None = None, journal_url: str | None = None, hedge_session: str | None = None
) -> Run:
    """The run in directory `path`, to be continued from its journal; `session` and `hedge_session` are where those lie,
    if they moved, and `journal_url` how to come to its journal, where the directory does not say enough.

    Errors      BadInputError where another process writes it, its journal is damaged, or its session is not what it was
    """
    directory = open_run_directory(path)
    with ExitStack() as on_failure:
        journal = on_failure.enter_context(open_journal(directory.path, journal_url))
        made_whole(RunRequest.from_json(journal.header.config_json), path)
        request, market, engine = compose_again(journal, path, session, hedge_session)
        market, said = take_up(directory.path, journal, market, engine)
        on_failure.pop_all()
    return Run(request, market, engine, journal, directory, journal.header.run_id, said)


def carry_out(
    run: Run, speed: float | None = None, watch: Callable[[], None] = lambda: None, rearm: str | None = None
) -> Finished:
    """Runs to the end, or to an interrupt, and writes the report either way. An interrupt ends a market that is live.

    `rearm` is why a maker that its loss stop has halted goes on, from where the journal ends.

    `speed` is kept once trading has begun and what the journal held is replayed; `watch` is called after every event.
    """
    pacer, started = Pacer(speed), time.monotonic()
    state, held = run.engine.state, run.journal.last_checkpoint()
    replayed = held.event_seq if held is not None else 0
    keeper = Keeper(run.directory.path, run.journal.header)
    live = run.live
    venue = run.market.venue if live is None else live.watch.timed(run.market.venue)
    with interruptible(_nothing if live is None else live.stop) as interrupted, run.journal as journal:

        def after_event(event: AnyEvent) -> bool:
            watch()
            if state.is_trading and state.events > replayed:
                pacer.wait(event.local_ts_ns, interrupted)
            return live is not None or not interrupted()

        left = conduct(run.engine, venue, journal, after_event, told=_told(run, rearm), keeper=keeper)
        was_interrupted = interrupted()
    if not was_interrupted and any(isinstance(event, Rearm) and event.who == OPERATOR for event in left):
        raise BadInputError(
            f"--rearm: {run.directory.path} has come to its market's end; there is nothing to go on with"
        )
    wall_s = time.monotonic() - started
    latency = _measured(run) if live is None else live.watch.facts()
    finished = finish(run.engine, run.request, run.market, run.run_id, flatbook.__version__, wall_s, latency)
    write(finished, run.directory)
    return replace(finished, is_cut_short=was_interrupted)


def _measured(run: Run) -> LatencyFacts | None:
    """What was measured while the market of a run that is made again happened, as its report has it; None without."""
    if run.request.heard_at is None or not run.directory.report_json.is_file():
        return None
    try:
        said = json.loads(run.directory.report_json.read_text(encoding="utf-8"))["latency"]
        return msgspec.convert(said, LatencyFacts | None)
    except (ValueError, KeyError):
        return None  # a report that is damaged is written anew, and this cannot be measured again


def _told(run: Run, rearm: str | None) -> tuple[OperatorEvent, ...]:
    planned = drill(run.engine.state.setup.policy.loss_stop, run.market.from_ns) if run.request.drill else ()
    last = run.journal.last_checkpoint()
    return planned if rearm is None or last is None else (*planned, rearmed(last.ts_ns + 1, OPERATOR, rearm))


def _nothing() -> None:
    """Of a run that needs no telling to end."""


def make_directory(runs: Path, run_id: str) -> RunDirectory:
    """A run's directory.

    Errors      BadInputError where none can be made in `runs`
    """
    try:
        return create_run_directory(runs, run_id)
    except OSError as error:
        raise BadInputError(
            f"--out {runs}: no run directory can be made there ({error.strerror}); name another"
        ) from None
