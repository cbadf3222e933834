"""A book from its file to its value: read, a market found for it, marked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flatbook.app.book_markets import BookMarkets, markets_of_chain, markets_of_session
from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import format_utc
from flatbook.kernels.chain import SPOT
from flatbook.market.snapshot import DOLLARS, Markets
from flatbook.report.book_value import Document, value_document
from flatbook.store.book_file import BookFile, read_book
from flatbook.valuation.portfolio import BookPosition, Portfolio
from flatbook.venues.deribit import load_reference


@dataclass(frozen=True)
class MarketChoice:
    """Where a market is to come from: a chain file or a session, and the moment; None for its last."""

    chain: Path | None = None
    session: Path | None = None
    at_ns: int | None = None

    def __post_init__(self) -> None:
        if (self.chain is None) == (self.session is None):
            raise BadInputError("a market is needed: give either --chain FILE or --session DIR")


@dataclass(frozen=True)
class BookInMarkets:
    """A book as read, and the markets of all it holds."""

    book: BookFile
    found: BookMarkets

    @property
    def portfolio(self) -> Portfolio:
        """The book."""
        return self.book.portfolio

    @property
    def markets(self) -> Markets:
        """Its markets."""
        return self.found.markets

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of both."""
        return (*self.book.notes, *self.found.notes)


def open_book(path: Path, choice: MarketChoice) -> BookInMarkets:
    """The book in `path` and the markets it needs.

    Errors      BadInputError where either cannot be used, or the book holds something that has expired
    """
    reference = load_reference()
    book = read_book(path, reference)
    underlyings = _needed(book.portfolio)
    found = find_markets(choice, underlyings, reference)
    refuse_expired(book.portfolio.positions, found.markets)
    return BookInMarkets(book, found)


def find_markets(choice: MarketChoice, underlyings: Iterable[str], reference: ReferenceData) -> BookMarkets:
    """The markets of `underlyings` where the choice says.

    Errors      BadInputError where there are none
    """
    if choice.chain is not None:
        return markets_of_chain(choice.chain, underlyings, choice.at_ns)
    assert choice.session is not None
    return markets_of_session(choice.session, underlyings, choice.at_ns, reference)


def prior_note(choice: MarketChoice, opened: BookInMarkets, what: str) -> list[str]:
    """That `what` follows from the model's prior, where a chain, which is one moment, is all that was given."""
    if choice.chain is None:
        return []
    vols = {f"{100.0 * math.sqrt(beliefs.covariance[SPOT, SPOT]):.0f} %" for beliefs in opened.found.beliefs.values()}
    return [f"a chain is one moment: {what} by the model's prior Σ, of spot vol {' and '.join(sorted(vols))} a year"]


def value_of(opened: BookInMarkets) -> Document:
    """The book's value and sensitivities, with all totals.

    Errors      BadInputError for a position that its market does not price
    """
    portfolio, markets = opened.portfolio, opened.markets
    return value_document(portfolio, portfolio.mark(markets), markets, opened.found.source, opened.notes)


def _needed(portfolio: Portfolio) -> list[str]:
    coins = {balance.currency for balance in portfolio.balances} - set(DOLLARS)
    return sorted({*portfolio.underlyings, *coins})


def refuse_expired(positions: Iterable[BookPosition], markets: Markets) -> None:
    """Refuses what has expired by the time of its market, with its row.

    Errors      BadInputError
    """
    for position in positions:
        expiry_ns = position.instrument.contract.expiry_ns
        market = markets.of(position.underlying)
        if expiry_ns is not None and expiry_ns <= market.ts_ns:
            raise BadInputError(
                f"{position.source}: {position.instrument.name} expired at {format_utc(expiry_ns)}, and the market is "
                f"of {format_utc(market.ts_ns)}; take it out, or ask for an earlier market"
            )
