"""The recorded tape, as if we had been the other side of every print of contracts that expired on it."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from flatbook.domain.events import Delivery, Fill
from flatbook.domain.instruments import format_expiry
from flatbook.ledger import Ledger

from .blotter import REFERENCE

TAPE = Path(__file__).parents[3] / "shared/data/deribit-option-trades/trades_2025-03-29_04-21.parquet"
EXPIRIES_NS = [int(datetime(2025, 4, day, 8, tzinfo=UTC).timestamp()) * 10**9 for day in (1, 2, 3)]


def prints_of(expiry_ns: int) -> pl.DataFrame:
    """Instrument, our signed size in lots, price in ticks, strike and right of every print of an expiry."""
    columns = ["Instrument", "Side", "Size", "Price (BTC)", "Strike Price", "Option Type"]
    tape = pl.read_parquet(TAPE, columns=columns)
    ours = pl.when(pl.col("Side") == "BUY").then(-1).otherwise(1)
    return tape.filter(pl.col("Instrument").str.contains(f"-{format_expiry(expiry_ns)}-", literal=True)).select(
        "Instrument",
        lots=(ours * (pl.col("Size") * 10).round()).cast(pl.Int64),
        ticks=(pl.col("Price (BTC)") * 10_000).round().cast(pl.Int64),
        strike="Strike Price",
        sign=pl.when(pl.col("Option Type") == "Call").then(1.0).otherwise(-1.0),
    )


def our_fill(number: int, name: str, lots: int, ticks: int) -> Fill:
    instrument = REFERENCE.instrument(name)
    return Fill(
        exch_ts_ns=number,
        local_ts_ns=number,
        venue="deribit",
        trade_id=str(number),
        order_id="",
        instrument=name,
        side=1 if lots > 0 else -1,
        price_ticks=ticks,
        size_lots=abs(lots),
        fee_units=instrument.fee_units(ticks, lots, Decimal(83_000), instrument.spec.fees.maker),
        is_maker=True,
    )


@pytest.mark.skipif(not TAPE.exists(), reason="the recorded option tape is not beside the repository")
def test_three_recorded_expiries_end_flat_and_to_the_satoshi_of_their_payoffs() -> None:
    """Cash is the sum of premiums and payoffs over all prints, computed here in columns and floats."""
    ledger = Ledger(REFERENCE, ("maker",))
    number, expected_btc, contracts = 0, 0.0, 0
    for expiry_ns, price_usd in zip(EXPIRIES_NS, (83_250.17, 84_512.99, 82_999.5), strict=True):
        rows = prints_of(expiry_ns)
        assert len(rows) > 1_000
        for name, lots, ticks, *_ in rows.iter_rows():
            number += 1
            ledger.book_fill(our_fill(number, name, lots, ticks), "maker")
        ledger.invariant()
        event = Delivery(
            exch_ts_ns=expiry_ns, local_ts_ns=expiry_ns, underlying="BTC", expiry_ns=expiry_ns, price_usd=price_usd
        )
        delivered = ledger.book_delivery(event, "deribit")
        ledger.invariant()
        assert not ledger.open_lots()
        contracts += rows["Instrument"].n_unique()
        payoff = (pl.col("sign") * (1 - pl.col("strike") / price_usd)).clip(0)
        gained = (pl.col("lots") * 0.1 * (payoff - pl.col("ticks") * 0.0001)).sum()
        expected_btc += rows.select(gained).item()
        assert all(entry.reference == f"BTC-{format_expiry(expiry_ns)}" for entry in delivered)
    flows = ledger.totals("BTC")
    gained_units = flows.premium_units + flows.delivery_units
    assert -1e-2 <= expected_btc * 1e8 - gained_units <= contracts + 1e-2
    assert flows.cash_units == gained_units - flows.fees_paid_units
    realised_units = sum(position.realised_units for position in ledger.positions().values())
    assert realised_units == gained_units
