"""A maker on a real account, from its key to its report: what it begins with, how it goes on, how it ends.

Before the first quote the venue has said what the account holds, and the books begin there. After that the books are
compared with every statement that the venue gives; a difference that stays ends the run.
"""

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

import flatbook
from flatbook.app.compose import margin_rules
from flatbook.app.conduct import conduct
from flatbook.app.feed import FeedTerms
from flatbook.app.finish import Finished, finish, write
from flatbook.app.interrupt import interruptible
from flatbook.app.live_venue import LiveTerms, LiveVenue, booked
from flatbook.app.markets import OpenMarket
from flatbook.app.naming import stamped_name
from flatbook.app.request import RunRequest
from flatbook.domain.errors import BadInputError, ConfigurationError, FlatbookError, LimitBreachedError
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import DECIMALS, NS_PER_SECOND
from flatbook.engine.loop import Engine
from flatbook.engine.opening import refuse_what_no_run_holds
from flatbook.engine.policy import Policy
from flatbook.engine.setup import Setup
from flatbook.policies import parse_policy
from flatbook.report.facts import LogEntry
from flatbook.store.journal import Journal, RunHeader, create_journal, open_journal, read_journal
from flatbook.store.run_directory import RunDirectory, create_run_directory, open_run_directory
from flatbook.store.spool import SPOOL_FILE, Spool
from flatbook.valuation.portfolio import BookPosition, Portfolio
from flatbook.venues.deribit import cheaper_side_discount, load_reference
from flatbook.venues.deribit.codec_requests import Credentials
from flatbook.venues.deribit.maker_account import settlement_before
from flatbook.venues.deribit.maker_terms import Known, MakerTerms, protection_of
from flatbook.venues.deribit.statement import Difference, Statement, compare

VENUE = "deribit"
_ROUNDED_UNITS = 100
"""A cent or ten of a coin's smallest units: no fill is so small."""


class Holding(msgspec.Struct, frozen=True):
    """A position that the account begins with: lots, long positive, booked at `price_ticks`."""

    instrument: str
    lots: int
    price_ticks: int


class LiveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A live run, without its key: everything that its journal needs to be read again.

    capital_units   what the books deposit, so that with the holdings they say what the venue said
    on_venue_clock  of `app.feed.FeedTerms`
    warm_up_s       how long the market is heard before the books begin
    key             digest of the key's id: whose account it is
    traded          ids of trades just before it began: what the account held then has them
    """

    policy: str
    policy_text: str
    url: str
    underlying: str = "BTC"
    on_venue_clock: bool = False
    warm_up_s: float = 0.0
    key: str = ""
    run: str = ""
    from_ns: int = 0
    capital_units: int = 0
    holdings: tuple[Holding, ...] = ()
    traded: tuple[str, ...] = ()


@dataclass(frozen=True)
class LiveRun:
    """A live run under way or done."""

    request: LiveRequest
    venue: LiveVenue
    engine: Engine
    journal: Journal
    directory: RunDirectory


def check_policy(request: LiveRequest) -> Policy:
    """The policy, where a live run can keep it.

    Errors      ConfigurationError
    """
    policy = parse_policy(request.policy_text, request.policy)
    if not policy.protection.mmp_at_venue:
        raise ConfigurationError(
            f"{request.policy}: protection.mmp_at_venue is false, and mass quotes need the venue's protection; set it"
        )
    if policy.rfq.answers:
        raise ConfigurationError(f"{request.policy}: rfq.answers is set, and a live run answers no requests; leave it")
    return policy


def terms_of(request: LiveRequest, credentials: Credentials) -> LiveTerms:
    """How a request trades."""
    policy = check_policy(request)
    protection, quote_coin = policy.protection, policy.quoting.size_coin
    index = f"{request.underlying.lower()}_usd"
    window_s, rest_s = _whole_s(protection.mmp_window_s), _whole_s(protection.mmp_rest_s)
    asked = protection_of(index, window_s, rest_s, protection.mmp_quantity_coin, quote_coin)
    feed = FeedTerms(url=request.url, currencies=(request.underlying,), on_venue_clock=request.on_venue_clock)
    maker = MakerTerms(underlying=request.underlying, run=request.run, protection=asked)
    return LiveTerms(feed, credentials, maker, request.warm_up_s)


def new_live_run(request: LiveRequest, credentials: Credentials, runs: Path) -> LiveRun:
    """Connects, takes the account over, and makes the run's directory.

    Errors      BadInputError, ConfigurationError; VenueUnreachableError
    """
    policy = check_policy(request)
    run_id = stamped_name(runs, f"live-{policy.name}")
    begun_s = time.time_ns() // NS_PER_SECOND
    request = msgspec.structs.replace(request, run=f"{begun_s:x}", key=_digest(credentials))
    reference = load_reference()
    venue = LiveVenue(terms_of(request, credentials), reference)
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
        journal = on_failure.enter_context(create_journal(directory.path, header))
        venue.keep(Spool.create(directory.path / SPOOL_FILE))
        on_failure.pop_all()
    return LiveRun(request, venue, engine, journal, directory)


def request_of(path: Path) -> LiveRequest:
    """What the run in a directory was asked for.

    Errors      BadInputError where there is none, or its journal is damaged
    """
    with read_journal(open_run_directory(path).path) as journal:
        return msgspec.json.decode(journal.header.config_json, type=LiveRequest)


def resumed_live_run(path: Path, credentials: Credentials) -> LiveRun:
    """The run in a directory, to be rebuilt from what it kept and then reconciled with the venue.

    Errors      BadInputError where another process has it, what it kept is damaged, or the key is another's
    """
    directory = open_run_directory(path)
    with ExitStack() as on_failure:
        journal = on_failure.enter_context(open_journal(directory.path))
        request = msgspec.json.decode(journal.header.config_json, type=LiveRequest)
        if request.key != _digest(credentials):
            raise BadInputError(f"{path}: the run trades with another key, maybe on another account; set that one")
        reference = load_reference()
        engine = Engine(setup_of(request, check_policy(request), reference))
        venue = LiveVenue(terms_of(request, credentials), reference)
        spool = Spool.open(directory.path / SPOOL_FILE)
        venue.take_up(spool, lambda: _known(engine, spool, request))
        on_failure.pop_all()
    return LiveRun(request, venue, engine, journal, directory)


def carry_out_live(run: LiveRun, watch: Callable[[], None] = lambda: None) -> Finished:
    """Trades until it is interrupted, takes everything away, and writes the report.

    Errors      LimitBreachedError where the books and the venue differ twice by the same; VenueUnreachableError
    """
    started, audit = time.monotonic(), _Audit(run.engine)
    run.venue.audited = audit.take

    def after_event(_event: object) -> bool:
        watch()
        if audit.stays:
            run.venue.stop()
        return True

    try:
        with closing(run.venue), interruptible(run.venue.stop), run.journal as journal:
            conduct(run.engine, run.venue, journal, after_event)
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
    market = OpenMarket(run.venue, VENUE, request.from_ns, run.engine.state.now_ns)
    asked = RunRequest(
        policy=request.policy,
        policy_text=request.policy_text,
        underlying=request.underlying,
        session=request.url,
        seed=0,
    )
    finished = finish(run.engine, asked, market, run.directory.path.name, flatbook.__version__, wall_s)
    write(finished, run.directory)
    return finished


def begun(request: LiveRequest, statement: Statement, reference: ReferenceData, now_ns: int) -> LiveRequest:
    """The request with what the account holds, so booked that cash less open cost is the statement's."""
    holdings = []
    units = statement.carried_units.get(request.underlying, 0)
    for position in statement.positions:
        instrument = reference.instrument(position.instrument_name)
        lots, ticks = statement.lots[instrument.name], round(position.mark_price / instrument.tick_size)
        units += instrument.value_units(ticks, lots)
        holdings.append(Holding(instrument.name, lots, ticks))
    return msgspec.structs.replace(request, from_ns=now_ns, capital_units=units, holdings=tuple(holdings))


def setup_of(request: LiveRequest, policy: Policy, reference: ReferenceData) -> Setup:
    """The engine's setup of a run that has begun.

    Errors      BadInputError where the account holds what no run does
    """
    positions = []
    for held in request.holdings:
        instrument = reference.instrument(held.instrument)
        price = held.price_ticks * instrument.tick_size
        size = held.lots * instrument.lot_size
        positions.append(BookPosition(instrument, size, price, source=f"the account at {request.url}"))
    setup = Setup(
        underlying=request.underlying,
        venue=VENUE,
        reference=reference,
        policy=policy,
        trade_from_ns=request.from_ns,
        capital_units=request.capital_units,
        book=Portfolio(positions) if positions else None,
        margin=margin_rules(policy, VENUE, request.from_ns),
        cheaper_side_discount=cheaper_side_discount(),
        funding_is_told=True,
    )
    if setup.book is not None:
        refuse_what_no_run_holds(setup.book, setup)
    return setup


def _known(engine: Engine, spool: Spool, request: LiveRequest) -> Known:
    state = engine.state
    books = booked(spool.events())
    rows = np.flatnonzero(state.table.grid[1::2].any(axis=0) | state.table.loose.any(axis=0))
    instruments = state.market.universe.instruments
    return Known(
        trade_ids=books.trade_ids | set(request.traded),
        until_ns=books.until_ns or request.from_ns,
        paid_ns=books.paid_ns or request.from_ns,
        settled_ns=settlement_before(books.settled_ns or request.from_ns),
        orders={each.order_id: (each.intent.instrument, each.open_lots) for each in state.orders.working.values()},
        quoted=frozenset(instruments[row].name for row in rows.tolist()),
        quote_number=state.table.sent,
    )


def _digest(credentials: Credentials) -> str:
    return hashlib.sha256(credentials.client_id.encode()).hexdigest()[:16]


def _whole_s(seconds: float) -> int:
    """Up to whole seconds, which the venue counts in."""
    return -int(-seconds // 1)
