"""A maker's table of calls: every few minutes all calls of all expiries, with clocks an hour ahead of UTC.

Known by its capitalised columns. Its times fit its marks only less one hour. `Put_Price`, `Market_Price`, `mid_iv`,
`Time_To_Maturity` (in rounded days) and `Risk_Free_Rate` are the source's own numbers and not read.
"""

from pathlib import Path

import polars as pl

from flatbook.domain.units import NS_PER_HOUR
from flatbook.store.chains.numbers import (
    UNREADABLE,
    from_percent,
    read_numbers,
    times_ns,
    unless_zero,
    where_quoted,
)
from flatbook.store.chains.quotes import Quotes, quote_rows

NAME = "table of calls"
_TEXTS = ("timestamp", "Coin_Name", "Expiry_Date", "Option_Type")
_NUMBERS = (
    *("Coin_Price", "Strike_Price", "mark_price", "best_bid_price", "best_ask_price"),
    *("bid_iv", "ask_iv", "mark_iv"),
)
NEEDS = frozenset({*_TEXTS, *_NUMBERS})

_NOTES = (
    "Times are UTC+1 in the file and one hour less here. Vols are percent and become decimals.",
    "Calls only: forwards are the venue's, which it had for each expiry. Derived columns are not read.",
)


def read(path: Path) -> Quotes:
    """The table, a run for each of its times."""
    raw = read_numbers(path, _TEXTS, _NUMBERS)
    rows = quote_rows(
        raw.with_columns(ts_ns=times_ns(path, "timestamp", raw["timestamp"])),
        run=pl.col("timestamp"),
        ts_ns=pl.col("ts_ns") - NS_PER_HOUR,
        instrument=_name(),
        bid=unless_zero("best_bid_price"),
        ask=unless_zero("best_ask_price"),
        mark=pl.col("mark_price"),
        bid_iv=where_quoted(from_percent("bid_iv"), "best_bid_price"),
        ask_iv=where_quoted(from_percent("ask_iv"), "best_ask_price"),
        mark_iv=from_percent("mark_iv"),
        forward_usd=unless_zero("Coin_Price"),
        reason=UNREADABLE,
    )
    return Quotes(rows, _NOTES)


def _name() -> pl.Expr:
    """The instrument by Deribit's name, from its parts; null where one is missing."""
    day = pl.col("Expiry_Date").str.to_date("%Y-%m-%d", strict=False).dt.strftime("%-d%b%y").str.to_uppercase()
    right = pl.col("Option_Type").replace_strict({"Call": "C", "Put": "P"}, default=None, return_dtype=pl.String)
    whole = pl.col("Strike_Price").cast(pl.Int64, strict=False)
    strike = pl.when(whole == pl.col("Strike_Price")).then(whole)
    return pl.concat_str(pl.col("Coin_Name"), day, strike, right, separator="-")
