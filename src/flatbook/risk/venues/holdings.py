"""What the ledger holds at each venue, as books that are margined, netted and marked like any other."""

from __future__ import annotations

import math

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import risk_amount
from flatbook.ledger import Ledger, Position
from flatbook.valuation.portfolio import Balance, BookPosition, Portfolio


def books_of(ledger: Ledger, reference: ReferenceData) -> dict[str, Portfolio]:
    """Open positions by venue and strategy, entered at their average cost, and cash.

    A future's or perpetual's gain since that entry is not in the cash yet, so a book is worth what the ledger says.

    Errors      BadInputError for a contract over the counter, whose terms are in no ledger
    """
    books: dict[str, tuple[list[BookPosition], list[Balance]]] = {venue: ([], []) for venue in ledger.venues}
    for (venue, strategy, name), position in sorted(ledger.positions().items()):
        if not position.size_lots:
            continue
        instrument = reference.instrument(name)
        if instrument.contract.kind is Kind.OTC:
            raise BadInputError(f"{name}: is a contract over the counter; give its terms in the file of a book")
        size = position.size_lots * instrument.lot_size
        price = average_price(instrument, position)
        books[venue][0].append(BookPosition(instrument, size, price, venue, strategy, source=f"ledger:{venue}"))
    for venue, (_, balances) in books.items():
        for currency in sorted(ledger.balances()):
            if units := ledger.balance(venue, currency):
                balances.append(Balance(currency, risk_amount(units, currency), f"ledger:{venue}", venue))
    return {venue: Portfolio(*book) for venue, book in books.items() if any(book)}


def average_price(instrument: Instrument, position: Position) -> float:
    """The price at which what is open cost what it did; NaN where rounding has left it none, as for a lot of dust."""
    cost = risk_amount(position.cost_units, instrument.contract.settle)
    size = position.size_lots * instrument.lot_size
    # An inverse contract cost minus its dollars over the price.
    ratio = (-size, cost) if instrument.is_reciprocal else (cost, size)
    return ratio[0] / ratio[1] if ratio[1] and ratio[0] / ratio[1] > 0.0 else math.nan
