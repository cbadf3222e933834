"""The market a request names, as a venue the engine can be run through."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from flatbook.app.recorded_books import RecordedBooks
from flatbook.app.request import RunRequest
from flatbook.domain.errors import BadInputError
from flatbook.domain.events import Clock, MarketEvent
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import NS_PER_HOUR, format_utc, parse_utc
from flatbook.engine.setup import AwayVenue
from flatbook.engine.venue import Venue
from flatbook.market.analytics.funding import BINANCE
from flatbook.market.market import MarketModel
from flatbook.market.perpetual import PerpetualModel
from flatbook.sim.books.desk import BookDesk
from flatbook.sim.exchange import RecordedVenue
from flatbook.sim.fills import FillModel, FillRules, FillTally
from flatbook.sim.gateway import VenueTerms
from flatbook.sim.market import SimulatedVenue
from flatbook.sim.venue.mmp import MmpConfig
from flatbook.store.session import Session, open_session
from flatbook.venues.deribit import cheaper_side_discount

SIMULATION_START_NS = parse_utc("2026-01-05T00:00")
"""A Monday midnight: simulated calendars begin alike whenever they are run."""


NO_PROTECTION = MmpConfig()

NEVER_NS = 2**63 - 1
"""The end of a market that has none."""


class TalliedVenue(Venue, Protocol):
    """A venue that can say what each model of fills made of its takers; nothing where no model fills."""

    def fill_tally(self) -> Mapping[FillModel, FillTally]:
        """By model."""
        ...


@dataclass(frozen=True)
class OpenMarket:
    """A venue, the span that is traded, and of a session its digest and how many rows it sets aside, by reason.

    is_making       whether options are quoted there, so that we can
    notes           what of the market is assumed, in words
    model           what is believed of it before anything is seen
    away            where else the book may be hedged
    """

    venue: TalliedVenue
    venue_name: str
    from_ns: int
    to_ns: int
    session_digest: str | None = None
    set_aside: Mapping[str, int] = field(default_factory=dict)
    is_making: bool = True
    notes: tuple[str, ...] = ()
    model: MarketModel = field(default_factory=MarketModel)
    away: AwayVenue | None = None


def open_market(
    request: RunRequest,
    reference: ReferenceData,
    protection: MmpConfig = NO_PROTECTION,
    *,
    answers_requests: bool = False,
    heard: Iterable[MarketEvent | Clock] | None = None,
    clocks: Iterable[Clock] = (),
    book: BookDesk | None = None,
    others: Sequence[Instrument] = (),
) -> OpenMarket:
    """Opens the session, or draws the world; `protection` is what the venue is asked for.

    `answers_requests` says to the venue that we answer requests for quotes, and then they come. `heard` is a market
    that happens now; `clocks` are the clock's events of one that was heard, to be taken among those of its recording.
    `book` is another venue's, which our orders for it meet.
    `others` are perpetuals of other coins that may hedge.

    Errors      BadInputError where the session cannot be used, or holds nothing of the span asked for
    """
    fills = FillRules(request.fill_model)
    if request.session_path is None:
        terms = VenueTerms(
            name="simulated",
            fills=fills,
            protection=protection,
            sends_requests=answers_requests,
            cheaper_side_discount=cheaper_side_discount(),
        )
        start_ns = SIMULATION_START_NS
        simulated = SimulatedVenue(
            reference,
            seed=request.seed,
            hours=request.hours,
            start_ns=start_ns,
            terms=terms,
            other_coins=[one.contract.base for one in others],
            book=book,
        )
        return OpenMarket(simulated, terms.name, start_ns, start_ns + round(request.hours * NS_PER_HOUR))
    is_heard_live = request.heard_at is not None
    terms = VenueTerms(name="paper" if is_heard_live else "recorded", fills=fills, protection=protection)
    if heard is not None:
        paper = RecordedVenue(heard, reference, terms, request.seed, is_heard_live=True)
        return OpenMarket(paper, terms.name, request.from_ns or 0, request.to_ns or NEVER_NS)
    session = open_session(request.session_path)
    from_ns, to_ns = _span(request, session)
    for one in others:
        session.require_perpetual(one.contract.base, one.name, reference)
    begins_ns = 0 if is_heard_live else from_ns - request.warm_up_ns
    events: Iterable[MarketEvent | Clock] = session.market_events(begins_ns, to_ns, reference)
    if clocks:
        events = heapq.merge(events, clocks, key=lambda event: event.local_ts_ns)
    venue = RecordedVenue(events, reference, terms, request.seed, is_heard_live=is_heard_live, book=book)
    return OpenMarket(venue, terms.name, from_ns, to_ns, session.digest, dict(sorted(session.set_aside.items())))


def open_books(
    request: RunRequest, reference: ReferenceData, books: RecordedBooks, expiries_ns: Iterable[int]
) -> OpenMarket:
    """A market of recorded order books alone: an index, a perpetual to hedge with, and options of one vol that nobody
    quotes, of the usual expiries and of `expiries_ns`. It is traded while the perpetual's book is known.

    Errors      BadInputError where the session holds nothing of the span asked for, or the index's book no price
    """
    session, name = books.session, books.instrument.name
    asked_from_ns, asked_to_ns = _span(request, session)
    from_ns, to_ns = max(asked_from_ns, books.from_ns), min(asked_to_ns, books.to_ns)
    if from_ns >= to_ns:
        span = f"{format_utc(books.from_ns)} to {format_utc(books.to_ns)}"
        raise BadInputError(f"{request.session}: the book of {name} is known from {span}, not in what is asked for")
    events = books.priced_events(request.flat_vol, expiries_ns, to_ns - 1)
    desk = BookDesk(books.feed(request.book_terms), to_ns - 1)
    venue = RecordedVenue(events, reference, VenueTerms(name=books.venue), request.seed, book=desk)
    notes = (
        f"options: none are quoted in {request.session}; none is made, and the book is valued at a flat vol of "
        f"{request.flat_vol:.0%} (--vol)",
        f"index: the middle of {books.index_book}'s own book, for no spot was recorded"
        if books.index_book == name
        else f"index: the middle of {books.index_book}'s book, a dollar coin taken for a dollar",
        f"{name}: hedged with in its order book at {books.venue}, which our orders do not move; no funding was "
        "recorded, none is paid",
    )
    model = MarketModel(perpetual=PerpetualModel(rule=BINANCE))
    return OpenMarket(
        venue, books.venue, from_ns, to_ns, session.digest, is_making=False, notes=notes,
        model=model,
    )  # fmt: skip


def _span(request: RunRequest, session: Session) -> tuple[int, int]:
    """What of the session is traded: from, and until before."""
    from_ns = request.from_ns if request.from_ns is not None else session.from_ns
    to_ns = request.to_ns if request.to_ns is not None else session.to_ns + 1
    if request.heard_at is None and (from_ns >= session.to_ns or to_ns <= session.from_ns):
        span = f"{format_utc(session.from_ns)} to {format_utc(session.to_ns)}"
        raise BadInputError(f"{request.session}: holds {span}, nothing of what --from and --to ask for")
    return from_ns, to_ns
