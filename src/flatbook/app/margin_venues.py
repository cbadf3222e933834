"""A book over several venues: margin by venue, exposures net and gross, transfers: `flatbook margin --by-venue`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flatbook.app.margin_venues_document import VenuesResult, venues_document
from flatbook.app.value_book import BookInMarkets, MarketChoice, open_book, prior_note
from flatbook.domain.errors import BadInputError
from flatbook.report.book_value import Document
from flatbook.risk.margin.account import MarginAccount
from flatbook.risk.margin.distance import distances
from flatbook.risk.venues.proposal import UseBounds, VenueAccount, propose
from flatbook.risk.venues.split import by_venue, day_risk_usd, nettings
from flatbook.valuation.reverse_stress import DayMoves
from flatbook.venues.margin import MarginEdition, edition_at
from flatbook.venues.transfers import TransferEdition, parse_terms, shipped_terms


@dataclass(frozen=True)
class VenuesQuestion:
    """What to margin by venue, and how.

    model           whose rules a venue has that `venue_models` does not name
    transfer_terms  a file in the form of `terms.toml`; None takes the one that ships
    """

    book: Path
    market: MarketChoice
    model: str
    venue_models: Mapping[str, str]
    bounds: UseBounds
    transfer_terms: Path | None = None


def parse_venue_models(texts: list[str]) -> dict[str, str]:
    """`okx=okx` and so on, by venue.

    Errors      BadInputError for what is no such pair, or a venue given twice
    """
    found: dict[str, str] = {}
    for text in texts:
        venue, equals, model = (part.strip() for part in text.partition("="))
        if not (venue and equals and model):
            raise BadInputError(f"--venue-model {text}: is no venue and model; write it as okx=okx")
        if venue in found:
            raise BadInputError(f"--venue-model {text}: {venue} has a model already; give it one")
        found[venue] = model
    return found


def use_bounds(call_at: float | None, target_use: float | None) -> UseBounds:
    """Bounds as asked for, else those of the house.

    Errors      BadInputError where they are no shares
    """
    house = UseBounds()
    return UseBounds(house.call if call_at is None else call_at, house.target if target_use is None else target_use)


def venues_margin_of(question: VenuesQuestion) -> Document:
    """Margins, exposures and transfers.

    Errors      BadInputError where book, market, models or terms cannot be used; ConfigurationError for the terms' file
    """
    # Names before anything slow is read.
    for model in (question.model, *question.venue_models.values()):
        edition_at(model, 0)
    terms = _terms(question.transfer_terms)
    opened = open_book(question.book, question.market)
    markets = opened.markets
    books = by_venue(opened.portfolio)
    strange = sorted(question.venue_models.keys() - books)
    if strange:
        raise BadInputError(f"--venue-model {strange[0]}: no row names that venue; the book has {', '.join(books)}")
    editions, dated = _editions(question, tuple(books), opened)
    accounts = [VenueAccount(venue, book, editions[venue].model) for venue, book in books.items()]
    moves = {
        name: DayMoves.of(market, opened.found.beliefs[name].covariance, opened.found.beliefs[name].tenor_days)
        for name, market in markets.snapshots.items()
    }
    proposal = propose(accounts, terms.terms, markets, question.bounds)
    return venues_document(
        VenuesResult(
            accounts=tuple(accounts),
            editions=editions,
            proposal=proposal,
            bounds=question.bounds,
            terms=terms,
            nettings=tuple(nettings(books, markets)),
            day_risk_usd={venue: day_risk_usd(book, markets, moves) for venue, book in books.items()},
            reaches={one.venue: distances(MarginAccount(one.book, one.model), markets) for one in accounts},
            as_one={
                edition.name: MarginAccount(opened.portfolio, edition.model).margin(markets)
                for edition in editions.values()
            },
            markets=markets,
            source=opened.found.source,
            notes=(*opened.notes, *dated, *prior_note(question.market, opened, "a day's deviation is")),
        )
    )


def _editions(
    question: VenuesQuestion, venues: tuple[str, ...], opened: BookInMarkets
) -> tuple[dict[str, MarginEdition], list[str]]:
    at_ns = max((market.ts_ns for market in opened.markets.snapshots.values()), default=0)
    found, notes = {}, []
    for venue in venues:
        found[venue], note = edition_at(question.venue_models.get(venue, question.model), at_ns)
        if note is not None and note not in notes:
            notes.append(note)
    return found, notes


def _terms(path: Path | None) -> TransferEdition:
    if path is None:
        return shipped_terms()
    try:
        return parse_terms(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise BadInputError(f"--transfer-terms {path}: cannot be read ({error.strerror}); name a TOML file") from None
