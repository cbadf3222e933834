"""A second session, of order books, as another venue where a run's book may be hedged while both were recorded."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

import msgspec

from flatbook.app.markets import SIMULATION_START_NS, OpenMarket
from flatbook.app.recorded_books import RecordedBooks
from flatbook.app.request import RunRequest
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_HOUR, exact_units, format_utc, risk_amount
from flatbook.engine.setup import AwayVenue
from flatbook.market.analytics.funding import BINANCE
from flatbook.market.perpetual import PerpetualModel
from flatbook.sim.books.desk import BookDesk
from flatbook.store.session import open_session

CAPITAL_SHARE = 10
"""One part in so many of a run's collateral lies at the venue of its books."""


OpensMarket = Callable[[RunRequest, BookDesk], OpenMarket]
"""Opens the market of a request, from which orders for another venue's book go into that."""


class Span(NamedTuple):
    """From, and until before, nanoseconds on our clock."""

    from_ns: int
    to_ns: int

    def __str__(self) -> str:
        return f"{format_utc(self.from_ns)} to {format_utc(self.to_ns)}"


def hedged_away(request: RunRequest, books: RecordedBooks, open_one: OpensMarket) -> OpenMarket:
    """The market that `open_one` opens, for as long as the books are known beside it; orders for them go into them.

    Errors      BadInputError where they were not recorded at one time, or --from and --to ask for more than both hold
    """
    both = _both(request, books)
    hours = (both.to_ns - SIMULATION_START_NS) / NS_PER_HOUR
    asked = {"hours": hours} if request.session is None else both._asdict()
    desk = BookDesk(books.feed(request.book_terms), both.to_ns - 1)
    market = open_one(msgspec.structs.replace(request, **asked), desk)
    capital_units = exact_units(Decimal(str(request.capital_coin)), request.underlying) // CAPITAL_SHARE
    away = AwayVenue(books.venue, books.instrument, PerpetualModel(rule=BINANCE), capital_units)
    capital_coin = risk_amount(capital_units, request.underlying)
    notes = (
        f"traded: {both}, while {books.instrument.name} was recorded beside",
        f"{books.instrument.name}: hedged with in its order book, which our orders do not move; no funding was "
        "recorded, none is paid",
        f"collateral: {capital_coin:g} of {request.capital_coin:g} {request.underlying} lie at {books.venue}, the rest "
        f"at {market.venue_name}; nothing is moved between them, and {books.venue} asks no margin here",
    )
    digests = f"{market.session_digest}:{books.session.digest}"
    return replace(
        market,
        from_ns=both.from_ns,
        to_ns=both.to_ns,
        session_digest=hashlib.sha256(digests.encode()).hexdigest(),
        notes=(*market.notes, *notes),
        away=away,
    )


def _both(request: RunRequest, books: RecordedBooks) -> Span:
    """While the books are known and the market is, as far as it is asked for."""
    known, market, named = Span(books.from_ns, books.to_ns), _market_span(request), request.session or "the simulation"
    both = Span(max(known.from_ns, market.from_ns), min(known.to_ns, market.to_ns))
    if both.from_ns >= both.to_ns:
        raise BadInputError(
            f"--hedge-session {request.hedge_session}: its book of {books.instrument.name} is known from {known}, "
            f"{named} is of {market}: nothing of both; choose sessions of the same time"
        )
    asked = Span(
        both.from_ns if request.from_ns is None else request.from_ns,
        both.to_ns if request.to_ns is None else request.to_ns,
    )
    if asked.from_ns < both.from_ns or asked.to_ns > both.to_ns or asked.from_ns >= asked.to_ns:
        raise BadInputError(
            f"--hedge-session {request.hedge_session}: with {named} it holds {both}; choose --from and --to in that, "
            "or leave them out"
        )
    return asked


def _market_span(request: RunRequest) -> Span:
    if request.session is None:
        return Span(SIMULATION_START_NS, SIMULATION_START_NS + round(request.hours * NS_PER_HOUR))
    session = open_session(request.session)
    return Span(session.from_ns, session.to_ns + 1)
