"""A maker on a real account, from its key to its report: what it begins with, how it goes on, how it ends.

Before the first quote the venue has said what the account holds, and the books begin there. After that the books are
compared with every statement that the venue gives; a difference that stays ends the run.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

import flatbook
from flatbook.app.conduct import conduct
from flatbook.app.finish import Finished, finish, write
from flatbook.app.interrupt import interruptible
from flatbook.app.keeping import Keeper, newest
from flatbook.app.latency import LatencyWatch
from flatbook.app.live_claim import Claim
from flatbook.app.live_request import VENUE, LiveRequest, begun, check_policy, digest_of, setup_of, terms_of
from flatbook.app.live_venue import LiveVenue
from flatbook.app.markets import NEVER_NS, OpenMarket
from flatbook.app.naming import stamped_name
from flatbook.app.request import RunRequest
from flatbook.app.run import Live
from flatbook.domain.errors import BadInputError, FlatbookError, LimitBreachedError
from flatbook.domain.units import DECIMALS, NS_PER_SECOND
from flatbook.engine.loop import Engine
from flatbook.report.facts import LogEntry
from flatbook.store.journal import Journal, RunHeader, create_journal, open_journal, read_journal
from flatbook.store.run_directory import RunDirectory, create_run_directory, open_run_directory
from flatbook.store.spool import SPOOL_FILE, Spool, SpoolMark
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.codec_requests import Credentials
from flatbook.venues.deribit.maker_account import settlement_before
from flatbook.venues.deribit.maker_terms import Known
from flatbook.venues.deribit.statement import Difference, Statement, compare

_ROUNDED_UNITS = 100
"""A cent or ten of a coin's smallest units: no fill is so small."""

SNAPSHOT_EVERY_S = 60.0
"""Nothing is heard while one is taken; what came since the last is replayed in a second or two."""


@dataclass(frozen=True)
class LiveRun:
    """A live run under way or done; `app.run.UnderWay` for those who watch it."""

    request: LiveRequest
    venue: LiveVenue
    engine: Engine
    journal: Journal
    directory: RunDirectory
    market: OpenMarket
    live: Live
    said: tuple[str, ...] = ()

    @property
    def run_id(self) -> str:
        """Its directory's name."""
        return self.directory.path.name

    @property
    def label(self) -> str:
        """Where it trades."""
        return f"live, {self.request.url}"


def new_live_run(
    request: LiveRequest, credentials: Credentials, runs: Path, claim: Claim, journal_url: str | None = None
) -> LiveRun:
    """Connects, takes the account over, and makes the run's directory; its journal is in it, or at `journal_url`.

    Errors      BadInputError, ConfigurationError; VenueUnreachableError
    """
    policy = check_policy(request)
    run_id = stamped_name(runs, f"live-{policy.name}", is_shared=journal_url is not None)
    begun_s = time.time_ns() // NS_PER_SECOND
    request = msgspec.structs.replace(request, run=f"{begun_s:x}", key=digest_of(credentials))
    reference = load_reference()
    venue = LiveVenue(terms_of(request, credentials), reference, claim)
    with ExitStack() as on_failure:
        on_failure.callback(venue.close)
        statement = venue.open()
        request = begun(request, statement, reference, venue.feed.now_ns)
        request = msgspec.structs.replace(request, traded=tuple(sorted(venue.maker.news.seen)))
        engine = Engine(setup_of(request, policy, reference))
        directory = create_run_directory(runs, run_id)
        shown = {key: value for key, value in msgspec.to_builtins(request).items() if key != "policy_text"}
        directory.write_config({"live": shown, "policy": policy.model_dump()})
        header = RunHeader(
            run_id=run_id,
            version=flatbook.__version__,
            config_json=msgspec.json.encode(request).decode(),
            policy_text=request.policy_text,
            seed=0,
        )
        journal = on_failure.enter_context(create_journal(directory.path, header, journal_url))
        venue.keep(Spool.create(directory.path / SPOOL_FILE))
        on_failure.pop_all()
    return _run(request, venue, engine, journal, directory)


def _run(
    request: LiveRequest,
    venue: LiveVenue,
    engine: Engine,
    journal: Journal,
    directory: RunDirectory,
    said: tuple[str, ...] = (),
) -> LiveRun:
    market = OpenMarket(venue, VENUE, request.from_ns, NEVER_NS)
    live = Live(venue.stop, LatencyWatch(lambda: venue.arrived_ns))
    return LiveRun(request, venue, engine, journal, directory, market, live, said)


def request_of(path: Path, journal_url: str | None = None) -> LiveRequest:
    """What the run in a directory was asked for.

    Errors      BadInputError where there is none, or its journal is damaged
    """
    with read_journal(open_run_directory(path).path, journal_url) as journal:
        return msgspec.json.decode(journal.header.config_json, type=LiveRequest)


def resumed_live_run(path: Path, credentials: Credentials, claim: Claim, journal_url: str | None = None) -> LiveRun:
    """The run in a directory, to be rebuilt from what it kept and then reconciled with the venue.

    Errors      BadInputError where another process has it, what it kept is damaged, or the key is another's
    """
    directory = open_run_directory(path)
    with ExitStack() as on_failure:
        journal = on_failure.enter_context(open_journal(directory.path, journal_url))
        request = msgspec.json.decode(journal.header.config_json, type=LiveRequest)
        if request.key != digest_of(credentials):
            raise BadInputError(f"{path}: the run trades with another key, maybe on another account; set that one")
        reference = load_reference()
        engine = Engine(setup_of(request, check_policy(request), reference))
        venue = LiveVenue(terms_of(request, credentials), reference, claim)
        spool = Spool.open(directory.path / SPOOL_FILE)
        venue.take_up(spool, lambda: _known(engine, venue, request))
        kept, said = newest(directory.path, journal, engine, is_whole=lambda kept: spool.holds(SpoolMark(*kept[0])))
        if kept is not None:
            state = engine.state
            venue.take_up_from(kept, state.market.universe.instruments, state.now_ns)
        on_failure.pop_all()
    return _run(request, venue, engine, journal, directory, said)


def carry_out_live(
    run: LiveRun, watch: Callable[[], None] = lambda: None, snapshot_every_s: float = SNAPSHOT_EVERY_S
) -> Finished:
    """Trades until it is interrupted, takes everything away, and writes the report.

    Errors      LimitBreachedError where the books and the venue differ twice by the same; VenueUnreachableError
    """
    started, audit = time.monotonic(), _Audit(run.engine)
    run.venue.audited = audit.take
    keeper = Keeper(
        run.directory.path, run.journal.header, every_s=snapshot_every_s, kept=lambda _venue: run.venue.kept()
    )

    def after_event(_event: object) -> bool:
        watch()
        if audit.stays:
            run.venue.stop()
        return True

    try:
        with closing(run.venue), interruptible(run.live.stop), run.journal as journal:
            conduct(run.engine, run.live.watch.timed(run.venue), journal, after_event, keeper=keeper)
    except FlatbookError:
        # However it ended a person wants to see it; what ended it is told, whatever becomes of the report.
        with suppress(FlatbookError):
            _report(run, time.monotonic() - started)
        raise
    finished = _report(run, time.monotonic() - started)
    if audit.stays:
        raise LimitBreachedError(
            f"{run.directory.path}: {'; '.join(map(str, audit.stays))}; compare the account by hand"
        )
    return replace(finished, is_cut_short=False)


class _Audit:
    """Statements beside the books. One difference may be of a moment; the same twice is not."""

    def __init__(self, engine: Engine) -> None:
        self.stays: list[Difference] = []
        self._engine = engine
        self._last: list[Difference] = []

    def take(self, statement: Statement) -> None:
        """One more statement."""
        state = self._engine.state
        if not state.is_opened:
            return
        found = compare(state.ledger, VENUE, statement)
        self.stays = self.stays or [each for each in found if each in self._last and not is_rounding(each)]
        for each in found:
            if each not in self._last:
                state.recorder.log.append(LogEntry(ts_ns=state.now_ns, kind="statement", text=str(each)))
        self._last = found


def is_rounding(difference: Difference) -> bool:
    """Whether it is of cash and so small: the venue rounds each part of a session's profit by itself."""
    return difference.what in DECIMALS and abs(difference.ours - difference.theirs) <= _ROUNDED_UNITS


def _report(run: LiveRun, wall_s: float) -> Finished:
    request = run.request
    asked = RunRequest(
        policy=request.policy,
        policy_text=request.policy_text,
        underlying=request.underlying,
        session=request.url,
        seed=0,
    )
    finished = finish(run.engine, asked, run.market, run.run_id, flatbook.__version__, wall_s, run.live.watch.facts())
    write(finished, run.directory)
    return finished


def _known(engine: Engine, venue: LiveVenue, request: LiveRequest) -> Known:
    state, books = engine.state, venue.booked
    rows = np.flatnonzero(state.table.grid[1::2].any(axis=0) | state.table.loose.any(axis=0))
    instruments = state.market.universe.instruments
    return Known(
        trade_ids=frozenset(books.trade_ids.union(request.traded)),
        until_ns=books.until_ns or request.from_ns,
        paid_ns=books.paid_ns or request.from_ns,
        settled_ns=settlement_before(books.settled_ns or request.from_ns),
        orders={each.order_id: (each.intent.instrument, each.open_lots) for each in state.orders.working.values()},
        quoted=frozenset(instruments[row].name for row in rows.tolist()),
        quote_number=state.table.sent,
    )
