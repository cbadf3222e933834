"""Tables of Deribit's tickers or order books, one row an instrument, in the venue's own names and units.

Vols are in percent, prices in coin (USD for futures); a price or vol of 0 is no quote. Times are milliseconds UTC, or
what a table has made of them. Instruments are asked one by one, so a capture takes seconds to minutes, and each row has
its own time and forward.
"""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from flatbook.store.chains.beside import tables_beside
from flatbook.store.chains.numbers import UNREADABLE, from_percent, read_numbers, times_ns, unless_zero, where_quoted
from flatbook.store.chains.quotes import Quotes, quote_rows
from flatbook.store.source_table import header

NAME = "Deribit tickers"
_LINEAR = frozenset({"instrument_name", "timestamp", "best_bid_price", "best_ask_price", "mark_price"})
_OPTION = frozenset({"mark_iv", "underlying_price"})
NEEDS = _LINEAR | _OPTION
NUMBERS = (
    *("best_bid_price", "best_ask_price", "mark_price", "best_bid_amount", "best_ask_amount"),
    *("bid_iv", "ask_iv", "mark_iv", "underlying_price", "index_price"),
)
_RUN_COLUMNS = ("source_file", "snapshot_file")
NOTES = (
    "Vols are percent and become decimals; bid and ask vols count where their side has a price.",
    "Instruments were asked one by one: each row has its own forward, and a snapshot's time is that of its last row.",
)


def read(path: Path) -> Quotes:
    """The table, with futures' tickers of a table beside it where both name their captures."""
    run = _run_column(header(path))
    beside = tables_beside(path, _LINEAR | {run}, without=_OPTION) if run else []
    tables = [_table(other, run) for other in beside]
    names = " and ".join(other.name for other in beside)
    note = f"Perpetual and futures come from {names}."
    return Quotes(_table(path, run), NOTES, beside=pl.concat(tables) if tables else None, beside_note=note)


def ticker_rows(raw: pl.DataFrame, run: str | None) -> pl.DataFrame:
    """Tickers in the venue's names, with `ts_ns` and numbers as `as_numbers` gives them, as rows of a chain."""
    return quote_rows(
        raw,
        run=pl.col(run) if run else pl.lit(None),
        ts_ns=pl.col("ts_ns"),
        instrument=pl.col("instrument_name"),
        bid=unless_zero("best_bid_price"),
        ask=unless_zero("best_ask_price"),
        mark=pl.col("mark_price"),
        bid_size=unless_zero("best_bid_amount"),
        ask_size=unless_zero("best_ask_amount"),
        bid_iv=where_quoted(from_percent("bid_iv"), "best_bid_price"),
        ask_iv=where_quoted(from_percent("ask_iv"), "best_ask_price"),
        mark_iv=from_percent("mark_iv"),
        forward_usd=unless_zero("underlying_price"),
        index_usd=unless_zero("index_price"),
        reason=UNREADABLE,
    )


def _table(path: Path, run: str | None) -> pl.DataFrame:
    texts = ("instrument_name", "timestamp", *([run] if run else []))
    raw = read_numbers(path, texts, NUMBERS)
    return ticker_rows(raw.with_columns(ts_ns=times_ns(path, "timestamp", raw["timestamp"])), run)


def _run_column(columns: Iterable[str]) -> str | None:
    """The column that names the capture a row is of."""
    have = set(columns)
    return next((name for name in _RUN_COLUMNS if name in have), None)
