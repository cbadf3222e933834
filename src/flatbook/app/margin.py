"""The margin of a book under a venue's rules, in a market: what `flatbook margin` and its page show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flatbook.app.margin_document import MarginResult, margin_document
from flatbook.app.value_book import BookInMarkets, MarketChoice, open_book, refuse_expired
from flatbook.domain.errors import BadInputError
from flatbook.market.snapshot import Markets
from flatbook.report.book_value import Document
from flatbook.risk.margin.account import MarginAccount
from flatbook.risk.margin.distance import Distance, distances, margin_curve
from flatbook.store.book_file import read_book
from flatbook.valuation.portfolio import BookPosition, Portfolio
from flatbook.venues.deribit import load_reference
from flatbook.venues.margin import edition_at

CURVE_FROM, CURVE_TO, CURVE_POINTS = -0.5, 0.5, 81


@dataclass(frozen=True)
class MarginQuestion:
    """What to margin, and how.

    orders      a file of working orders in a book's form, sizes signed: positive bids
    quoted_coin the greatest quote quantity that market maker protection covers, coins of each underlying
    venue       of the book's positions those at it alone; None takes all as one account
    """

    book: Path
    market: MarketChoice
    model: str
    orders: Path | None = None
    quoted_coin: float = 0.0
    venue: str | None = None


def margin_of(question: MarginQuestion) -> Document:
    """The book's margin, its parts, distances to liquidation, and what the page draws.

    Errors      BadInputError where book, orders, market or model cannot be used
    """
    if not 0.0 <= question.quoted_coin < float("inf"):
        raise BadInputError(f"--mqq {question.quoted_coin:g}: is no quantity; give coins, 0 or more")
    # The model's name before anything slow is read.
    edition_at(question.model, 0)
    opened = open_book(question.book, question.market)
    if not opened.markets.snapshots:
        raise BadInputError(f"{question.book}: holds dollars alone, which need no margin; give a book with positions")
    book, notes = _chosen(opened, question.venue)
    markets = opened.markets
    orders = _orders(question.orders, markets)
    edition, dated = edition_at(question.model, max(market.ts_ns for market in markets.snapshots.values()))
    underlyings = book.underlyings
    account = MarginAccount(book, edition.model, orders, dict.fromkeys(underlyings, question.quoted_coin))
    reaches: dict[str | None, tuple[Distance, ...]] = {None: distances(account, markets)}
    if len(underlyings) > 1:
        reaches |= {name: distances(account, markets, name) for name in underlyings}
    result = MarginResult(
        edition=edition,
        account=account.margin(markets),
        markets=markets,
        reaches=reaches,
        curve=margin_curve(account, markets, np.linspace(CURVE_FROM, CURVE_TO, CURVE_POINTS)),
        source=opened.found.source,
        notes=(*opened.notes, *notes, *([dated] if dated else [])),
    )
    return margin_document(result)


def _chosen(opened: BookInMarkets, venue: str | None) -> tuple[Portfolio, list[str]]:
    book = opened.portfolio
    venues = sorted({position.venue for position in book.positions if position.venue})
    if venue is None:
        several = f"positions at {', '.join(venues)} are one account here; --venue takes one's"
        return book, [several] if len(venues) > 1 else []
    held = [position for position in book.positions if position.venue == venue]
    if not held:
        raise BadInputError(f"--venue {venue}: no position is there; the book has {', '.join(venues) or 'no venues'}")
    beside = [balance for balance in book.balances if balance.venue in (venue, "")]
    unnamed = any(not balance.venue for balance in beside)
    return Portfolio(held, beside), ["balances that name no venue are this account's"] if unnamed else []


def _orders(path: Path | None, markets: Markets) -> Sequence[BookPosition]:
    if path is None:
        return ()
    orders = read_book(path, load_reference()).portfolio.positions
    if not orders:
        raise BadInputError(f"--orders {path}: holds no orders; give rows of instrument and size")
    refuse_expired(orders, markets)
    return orders
