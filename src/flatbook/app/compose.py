"""From a request to the market it names and an engine at its start."""

import math
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import msgspec

from flatbook.app.away_books import hedged_away
from flatbook.app.heard import heard_clocks, replayed_from
from flatbook.app.markets import OpenMarket, open_books, open_market
from flatbook.app.recorded_books import RecordedBooks, recorded_books
from flatbook.app.request import DEFAULT_VOL, RunRequest
from flatbook.domain.errors import BadInputError, ConfigurationError, UnknownInstrumentError
from flatbook.domain.events import Clock, MarketEvent
from flatbook.domain.instruments import DOLLAR
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import exact_units
from flatbook.engine.loop import Engine
from flatbook.engine.opening import refuse_what_no_run_holds
from flatbook.engine.policy import Policy
from flatbook.engine.setup import Setup
from flatbook.market.settling import next_settlement_ns
from flatbook.policies import parse_policy
from flatbook.risk.margin.model import MarginModel
from flatbook.risk.protection_policy import ProtectionPolicy
from flatbook.sim.books.desk import BookDesk
from flatbook.sim.books.tape import BookTerms
from flatbook.sim.venue.mmp import MmpConfig
from flatbook.store.book_file import parse_book
from flatbook.store.journal import Journal
from flatbook.store.session import open_session
from flatbook.valuation.inventory import STRATEGY_NAMES
from flatbook.valuation.portfolio import Portfolio
from flatbook.venues.deribit import cheaper_side_discount, load_reference
from flatbook.venues.margin import edition_at


def compose(
    request: RunRequest, heard: Iterable[MarketEvent | Clock] | None = None, clocks: Iterable[Clock] = ()
) -> tuple[OpenMarket, Engine]:
    """The market that a request names, and an engine at its start; `heard` and `clocks` as of `open_market`.

    Errors      BadInputError where the session cannot be used; ConfigurationError where the policy cannot
    """
    reference = load_reference()
    policy = parse_policy(request.policy_text, request.policy)
    books, others = _books_alone(request, reference), _others(policy, reference)
    book = _book(request, reference)

    def open_one(asked: RunRequest, book: BookDesk | None = None) -> OpenMarket:
        return open_market(
            asked,
            reference,
            _protection(policy.protection),
            answers_requests=policy.rfq.answers,
            heard=heard,
            clocks=clocks,
            book=book,
            others=others,
        )

    if books is not None:
        refuse_other_coins(policy)
        market = open_books(request, reference, books, _expiries_ns(book))
    elif request.hedge_session is not None:
        market = hedged_away(request, _books_away(request, reference), open_one)
    else:
        market = open_one(request)
    collateral_units = exact_units(Decimal(str(request.capital_coin)), request.underlying)
    setup = Setup(
        underlying=request.underlying,
        venue=market.venue_name,
        reference=reference,
        policy=policy,
        trade_from_ns=market.from_ns,
        capital_units=collateral_units - (market.away.capital_units if market.away is not None else 0),
        book=book,
        margin=margin_rules(policy, market.venue_name, market.from_ns),
        cheaper_side_discount=cheaper_side_discount(),
        away=market.away,
        is_making=market.is_making,
        market_model=market.model,
    )
    if book is not None:
        refuse_what_no_run_holds(book, setup)
    return market, Engine(setup)


def refuse_other_coins(policy: Policy) -> None:
    """For a market of one coin.

    Errors      ConfigurationError where the policy would hedge with others
    """
    if coins := policy.hedging.correlated:
        raise ConfigurationError(
            f"hedging.correlated: {', '.join(coins)} hedges where a drawn or recorded market shows it; a venue's feed, "
            "or a session of order books alone, shows one coin: leave it out"
        )


def _others(policy: Policy, reference: ReferenceData) -> list[Instrument]:
    """The perpetuals of other coins that may hedge.

    Errors      ConfigurationError for a coin that has none
    """
    found = []
    for coin in policy.hedging.correlated:
        try:
            found.append(reference.instrument(f"{coin}_{DOLLAR}-PERPETUAL"))
        except UnknownInstrumentError as error:
            raise ConfigurationError(f"hedging.correlated: {coin!r}: {error}; name another coin") from None
    return found


def margin_rules(policy: Policy, venue: str, at_ns: int) -> MarginModel | None:
    """The rules whose margin the policy charges for or bounds, as of then.

    Errors      ConfigurationError for capital that is set aside for nobody
    """
    limits, purses = policy.limits, (*STRATEGY_NAMES, venue)
    for name in limits.capital_usd:
        if name not in purses:
            raise ConfigurationError(f"limits.capital_usd: nothing here is called {name!r}; name {', '.join(purses)}")
    if not (policy.risk_price.capital_rate_per_year or limits.margin_use or limits.capital_usd):
        return None
    return edition_at(policy.risk_price.margin_model, at_ns)[0].model


def _protection(policy: ProtectionPolicy) -> MmpConfig:
    """What the venue is asked for: the policy's window and its rest, in whole seconds."""
    if not policy.mmp_at_venue:
        return MmpConfig()
    return MmpConfig(
        interval_s=math.ceil(policy.mmp_window_s),
        frozen_s=math.ceil(policy.mmp_rest_s),
        quantity_coin=policy.mmp_quantity_coin,
    )


def _books_alone(request: RunRequest, reference: ReferenceData) -> RecordedBooks | None:
    """The session's order books, where it holds nothing else; their perpetual is known to `reference` from then on."""
    session = (
        None if request.session_path is None or request.heard_at is not None else open_session(request.session_path)
    )
    if session is None or not session.has_books_alone:
        if request.book_terms != BookTerms(is_partial=True) and request.hedge_session is None:
            raise BadInputError(
                "--order-ms, --answer-ms and --queue-power are of order books, and none are replayed here"
            )
        if request.flat_vol != DEFAULT_VOL:
            raise BadInputError(
                f"--vol {request.flat_vol:g}: for a session of order books alone; options tell vols here"
            )
        return None
    if request.hedge_session is not None:
        raise BadInputError(f"--hedge-session beside {request.session}: those are order books, hedged in by themselves")
    return recorded_books(session, request.underlying, reference)


def _books_away(request: RunRequest, reference: ReferenceData) -> RecordedBooks:
    assert request.hedge_session is not None
    return recorded_books(open_session(request.hedge_session), request.underlying, reference, is_away=True)


def _expiries_ns(book: Portfolio | None) -> set[int]:
    """When what the run begins with expires, at the next time that anything listed does."""
    expiries = (position.instrument.contract.expiry_ns for position in ([] if book is None else book.positions))
    return {next_settlement_ns(expiry_ns - 1) for expiry_ns in expiries if expiry_ns is not None}


def _book(request: RunRequest, reference: ReferenceData) -> Portfolio | None:
    """What the run begins with; its contracts over the counter are known to `reference` from then on."""
    if request.book is None or request.book_text is None:
        return None
    book = parse_book(request.book_text, Path(request.book), reference).portfolio
    if book.balances:
        raise BadInputError(f"{book.balances[0].source}: a balance, and a run has collateral of its own; leave it out")
    for position in book.positions:
        if position.otc is not None:
            reference.register(position.instrument)
    return book


def compose_again(
    journal: Journal, run: Path, session: str | None = None, hedge_session: str | None = None
) -> tuple[RunRequest, OpenMarket, Engine]:
    """What the journal of the run in directory `run` asks for: its request, the same market, an engine at its start.

    Recorded sessions are known by their digest; `session` and `hedge_session` say where each lies if it moved since.
    A run's own recording has none in the journal, which was begun before it: what it must come to has.

    Errors      BadInputError where the session cannot be used, or is not the one the run was made from
    """
    header = journal.header
    request = RunRequest.from_json(header.config_json)
    session = replayed_from(request, run, session)
    if session is not None:
        if request.session is None:
            raise BadInputError(f"--session {session}: run {header.run_id} is of the simulated market; leave it out")
        request = msgspec.structs.replace(request, session=session)
    if hedge_session is not None:
        if request.hedge_session is None:
            raise BadInputError(f"--hedge-session {hedge_session}: run {header.run_id} was begun without; leave it out")
        request = msgspec.structs.replace(request, hedge_session=hedge_session)
    market, engine = compose(request, clocks=heard_clocks(request, journal))
    now, then = market.session_digest, header.session_digest
    if now != then and request.heard_at is None:
        named = " with ".join(one for one in (request.session, request.hedge_session) if one is not None)
        raise BadInputError(
            f"{named}: not the session that run {header.run_id} was made from, or changed since (digest "
            f"{str(now)[:12]}, then {str(then)[:12]}); name that one by --session, or start another run"
        )
    return request, market, engine
