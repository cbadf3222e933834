"""The ledger's holdings by venue are worth what the ledger says, by its own exact arithmetic."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import Fill
from flatbook.domain.instruments import ContractName, Kind
from flatbook.domain.reference import ContractSpec, Fees, Instrument, ReferenceData, TickSteps
from flatbook.ledger import Ledger, amounts
from flatbook.risk.venues.holdings import books_of
from flatbook.venues.deribit import load_reference
from tests.market.snapshots import snapshot
from tests.valuation.books import listed, markets

INVERSE, LINEAR = "BTC-PERPETUAL", "BTC_USDC-PERPETUAL"
MARKETS = markets(snapshot(linear_usd={INVERSE: 80_040.0, LINEAR: 80_010.0}))
REFERENCE = load_reference()
TRADE = st.tuples(
    st.sampled_from(["okx", "deribit"]),
    st.sampled_from(["making", "hedging"]),
    st.sampled_from([INVERSE, LINEAR]),
    st.sampled_from([1, -1]),
    st.integers(70_000, 90_000),
    st.integers(1, 5_000),
)


def fill(number: int, venue: str, name: str, side: int, price: int, lots: int) -> Fill:
    """A trade at a whole dollar."""
    ticks = REFERENCE.instrument(name).price_ticks(float(price))
    return Fill(
        exch_ts_ns=number,
        local_ts_ns=number,
        venue=venue,
        trade_id=str(number),
        order_id="h",
        instrument=name,
        side=side,
        price_ticks=ticks,
        size_lots=lots,
        fee_units=7,
        is_maker=False,
    )


@settings(max_examples=60)
@given(trades=st.lists(TRADE, max_size=12))
def test_books_by_venue_are_worth_what_the_ledger_says(trades: list[tuple[str, str, str, int, int, int]]) -> None:
    ledger = Ledger(REFERENCE, ["making", "hedging"])
    ledger.deposit("okx", "BTC", 3 * 10**8, 0)
    ledger.deposit("deribit", "USDC", 10**11, 0)
    for number, (venue, strategy, name, side, price, lots) in enumerate(trades):
        ledger.book_fill(fill(number, venue, name, side, price, lots), strategy)
    books = books_of(ledger, REFERENCE)
    worth = sum(float(book.worth_usd(MARKETS).sum()) + book.balances_usd(MARKETS) for book in books.values())
    exact = Fraction(0)
    for currency, usd in (("BTC", Fraction(MARKETS.of("BTC").index_usd) / 10**8), ("USDC", Fraction(1, 10**6))):
        units = Fraction(ledger.cash_units(currency) - ledger.open_basis_units(currency))
        for name, price in ((INVERSE, 80_040), (LINEAR, 80_010)):
            instrument = REFERENCE.instrument(name)
            if instrument.contract.settle == currency:
                units += ledger.net_lots(name) * amounts.lot_value_units(instrument, Fraction(price))
        exact += units * usd
    assert worth == pytest.approx(float(exact), abs=1e-5)
    held = {(p.venue, p.strategy, p.instrument.name): p.size for book in books.values() for p in book.positions}
    for key, position in ledger.positions().items():
        lots = round(
            held.get((key.venue, key.strategy, key.instrument), 0.0) / listed(key.instrument, 1.0).instrument.lot_size
        )
        assert lots == position.size_lots


def test_a_contract_over_the_counter_is_refused() -> None:
    none = Decimal(0)
    spec = ContractSpec(TickSteps(Decimal("0.0001")), Decimal("0.1"), Fees(none, none, none), 0, "ours")
    deal = Instrument("deal", ContractName(Kind.OTC, "BTC", "USD", "BTC", 10**18), spec)
    reference = ReferenceData({})
    reference.register(deal)
    ledger = Ledger(reference, ["making"])
    ledger.book_fill(replace(fill(1, "clients", INVERSE, 1, 80_000, 1), instrument="deal"), "making")
    with pytest.raises(BadInputError, match="deal: is a contract over the counter"):
        books_of(ledger, reference)
