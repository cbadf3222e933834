"""Funding in the units that the venue paid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import Fill, FundingPaid
from flatbook.ledger import Ledger, PositionKey
from flatbook.venues.deribit import load_reference

_REFERENCE = load_reference()
_NAME = "BTC-PERPETUAL"
sizes = st.integers(-10_000, 10_000).filter(bool)


def _ledger(lots: dict[str, int]) -> Ledger:
    ledger = Ledger(_REFERENCE, ["maker", "hedger"])
    for strategy, size in lots.items():
        ledger.book_fill(
            Fill(
                exch_ts_ns=1, local_ts_ns=1, venue="deribit", trade_id=strategy, order_id="h", instrument=_NAME,
                side=1 if size > 0 else -1, price_ticks=160_000, size_lots=abs(size), fee_units=0, is_maker=True,
            ),
            strategy,
        )  # fmt: skip
    return ledger


def _paid(number: str, units: int, instrument: str = _NAME) -> FundingPaid:
    return FundingPaid(exch_ts_ns=2, local_ts_ns=2, instrument=instrument, payment_id=number, units=units)


@given(sizes, sizes, st.integers(-(10**9), 10**9))
def test_shares_come_to_what_was_paid_and_a_payment_is_booked_once(maker: int, hedger: int, units: int) -> None:
    ledger = _ledger({"maker": maker, "hedger": hedger})
    cash = ledger.balance("deribit", "BTC")
    for _ in range(2):
        ledger.book_funding_paid(_paid("17", units), "deribit", "hedger")
    assert ledger.balance("deribit", "BTC") - cash == units == ledger.totals("BTC").funding_units
    if maker + hedger:
        share = ledger.positions()[PositionKey("deribit", "maker", _NAME)].funding_units
        assert abs(share - units * maker / (maker + hedger)) <= 1 + abs(units) * 1e-12
    ledger.invariant()


def test_where_all_is_closed_by_now_it_is_the_holders() -> None:
    ledger = _ledger({})
    ledger.book_funding_paid(_paid("1", -250), "deribit", "hedger")
    assert ledger.positions()[PositionKey("deribit", "hedger", _NAME)].funding_units == -250
    with pytest.raises(BadInputError, match="funding belongs to a perpetual"):
        ledger.book_funding_paid(_paid("2", 1, "BTC-30JAN26-80000-C"), "deribit", "hedger")
