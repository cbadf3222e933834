"""What the venue says of an account beside the books."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.events import Fill
from flatbook.ledger import Ledger
from flatbook.ledger.amounts import lot_value_units
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.codec_account import OwnPosition, OwnSummary
from flatbook.venues.deribit.statement import Difference, compare, cost_units, statement_of

_REFERENCE = load_reference()
_PERPETUAL = _REFERENCE.instrument("BTC-PERPETUAL")
_CALL = _REFERENCE.instrument("BTC-30JAN26-80000-C")


def _fill(number: int, name: str, lots: int, price_ticks: int) -> Fill:
    return Fill(
        exch_ts_ns=number, local_ts_ns=number, venue="deribit", trade_id=f"{number}", order_id="h", instrument=name,
        side=1 if lots > 0 else -1, price_ticks=price_ticks, size_lots=abs(lots), fee_units=7, is_maker=True,
    )  # fmt: skip


trades = st.lists(
    st.tuples(st.integers(-5_000, 5_000).filter(bool), st.integers(100_000, 200_000)), min_size=1, max_size=12
)


@given(trades, st.floats(50_000, 100_000).map(lambda price: round(price, 4)))
def test_the_cost_of_a_position_is_read_back_to_the_unit_at_any_mark(
    traded: list[tuple[int, int]], mark: float
) -> None:
    ledger = Ledger(_REFERENCE, ["maker"])
    for number, (lots, ticks) in enumerate(traded):
        ledger.book_fill(_fill(number, _PERPETUAL.name, lots, ticks), "maker")
    lots = ledger.net_lots(_PERPETUAL.name)
    worth = lot_value_units(_PERPETUAL, Fraction(str(mark))) * lots
    # As the venue shows it: rounded to the nearest eighth decimal.
    profit = round(float(worth - ledger.open_basis_units("BTC")) / 1e8, 8)
    position = OwnPosition(_PERPETUAL.name, lots * 10.0, mark, profit)
    assert cost_units(_PERPETUAL, lots, position) == ledger.open_basis_units("BTC")


def test_books_that_agree_have_no_differences_and_others_are_named_in_lots_and_units() -> None:
    ledger = Ledger(_REFERENCE, ["maker"])
    ledger.deposit("deribit", "BTC", 100_000_000, 0)
    ledger.book_fill(_fill(1, _CALL.name, 10, 500), "maker")
    # 1 BTC of calls at 0.05, and a fee of 7 units.
    position = OwnPosition(_CALL.name, 1.0, 0.051, 0.0)
    summary = OwnSummary("BTC", equity=1.0 - 0.05 - 7e-8 + 0.051, options_value=0.051)
    assert compare(ledger, "deribit", statement_of(_REFERENCE, [position], [summary], 0)) == []
    other = OwnPosition(_PERPETUAL.name, -50.0, 80_000.0, 0.0)
    found = compare(ledger, "deribit", statement_of(_REFERENCE, [other], [summary], 0))
    # 50 USD owed at 80,000 are 0.000625 coin, long the dollar: the open cost of the short.
    assert found == [
        Difference(_CALL.name, 10, 0),
        Difference(_PERPETUAL.name, 0, -5),
        Difference("BTC", 94_999_993, 94_999_993 - 62_500),
    ]
    assert f"{found[1]}" == "BTC-PERPETUAL: the books have 0, the venue -5"


def test_what_a_session_accrued_and_no_entry_told_is_left_out_of_the_statement() -> None:
    """Where funding is kept with the session's profit until the settlement, equity has it and the books do not."""
    summary = OwnSummary("BTC", equity=1.0 + 0.00000321, session_funding=0.00000321)
    assert statement_of(_REFERENCE, [], [summary], 0).carried_units == {"BTC": 100_000_321}
    assert statement_of(_REFERENCE, [], [summary], 0, {"BTC": 321}).carried_units == {"BTC": 100_000_000}
