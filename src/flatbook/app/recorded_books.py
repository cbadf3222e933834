"""A session of recorded order books as a market to hedge in: which contract, at which index, and what it cannot say."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import IndexTick, MarketEvent, TopOfBook
from flatbook.domain.instruments import Kind, parse_name
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.sim.books.feed import BookFeed, BookListing
from flatbook.sim.books.index import index_ticks
from flatbook.sim.books.tape import BookTape, BookTerms, book_tape
from flatbook.sim.flat_chain import flat_chain
from flatbook.store.session import Session
from flatbook.venues import binance

MOST_ORDERS = 65_536
"""Orders of ours that a replay has room for: one a second for eighteen hours."""


@dataclass(frozen=True)
class RecordedBooks:
    """The recorded book of an underlying's inverse perpetual.

    instrument      the perpetual as reference data has it: the tick, lot and fees of its own venue
    index_book      the name of the book whose middle is the index
    from_ns, to_ns  from when on its book shows two sides, until before when we heard of it; our clock
    """

    session: Session
    underlying: str
    venue: str
    instrument: Instrument
    tape: BookTape
    index_book: str
    from_ns: int
    to_ns: int

    def feed(self, terms: BookTerms) -> BookFeed:
        """A replay of the perpetual's book at its beginning, with room for our orders."""
        return BookFeed(self.tape, terms, BookListing.of(self.instrument, self.venue), orders=MOST_ORDERS)

    def priced_events(self, vol: float, expiries_ns: Iterable[int], until_ns: int) -> Iterator[MarketEvent]:
        """The index, and with its first tick a chain at one vol, of the usual expiries and `expiries_ns`."""
        ticks = self._index_ticks(until_ns)
        first = next(ticks, None)
        if first is None:
            raise BadInputError(f"{self.session.path}: the book of {self.index_book} never shows two sides; no index")
        yield first
        yield flat_chain(first, vol, expiries_ns)
        yield from ticks

    def _index_ticks(self, until_ns: int) -> Iterator[IndexTick]:
        contract = self.session.meta.books[self.index_book]
        tape = book_tape(self.session.book_rows(self.index_book))
        listing = BookListing(
            contract.venue, self.index_book, self.underlying, float(contract.tick), float(contract.lot), False
        )
        return index_ticks(BookFeed(tape, BookTerms(), listing, orders=1), self.underlying, until_ns)


def recorded_books(
    session: Session, underlying: str, reference: ReferenceData, *, is_away: bool = False
) -> RecordedBooks:
    """The books of a session that concern `underlying`. From now on its perpetual's name means the recorded one; where
    it `is_away` from a venue whose perpetual has that name already, with its own venue's before it.

    Errors      BadInputError where the session has no book of an inverse perpetual on it, or fees are not known
    """
    books, wanted = session.meta.books, f"{underlying}-PERPETUAL"
    contract = books.get(wanted)
    if contract is None or contract.usd_a_contract is None or contract.venue != binance.NAME:
        known = ", ".join(f"{name} ({book.venue})" for name, book in books.items()) or "none"
        raise BadInputError(
            f"{session.path}: no order book of {wanted} at {binance.NAME} to hedge {underlying} with; it has {known}"
        )
    lot_usd = contract.usd_a_contract * Decimal(contract.lot)
    known_as = f"{contract.venue}:{wanted}" if is_away else wanted
    instrument = binance.coin_margined_perpetual(wanted, known_as, contract.tick, lot_usd)
    reference.register(instrument)
    tape = book_tape(session.book_rows(wanted))
    spots = (name for name in books if parse_name(name).kind is Kind.SPOT and parse_name(name).base == underlying)
    feed, until_ns = BookFeed(tape, BookTerms(), BookListing.of(instrument, contract.venue), orders=1), _end_ns(tape)
    tops = (event for event in feed.events(until_ns) if isinstance(event, TopOfBook) and event.bid < event.ask)
    opened = next(tops, None)
    if opened is None:
        raise BadInputError(f"{session.path}: the book of {wanted} never shows two sides; nothing can be hedged in it")
    return RecordedBooks(
        session, underlying, contract.venue, instrument, tape, next(spots, wanted), opened.local_ts_ns, until_ns
    )


def _end_ns(tape: BookTape) -> int:
    return int(tape.local_ts_ns.max()) + 1
