"""Tardis' options_chain: each row the whole state of one instrument, by the recorder's clock, in microseconds UTC.

Vols are percent, prices in the instrument's quote currency (coin for inverse options), 0 or empty where there is no
quote; `underlying_price` is the expiry's forward. There is no index.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.store.chains.numbers import UNREADABLE, from_percent, unless_zero, where_quoted, with_numbers
from flatbook.store.chains.quotes import Updates, quote_rows
from flatbook.store.source_table import header, read_batches

NAME = "Tardis options_chain"
VENUE = "deribit"
IDENTITY = frozenset({"exchange", "symbol", "timestamp", "local_timestamp"})
NEEDS = IDENTITY | {"bid_price", "ask_price", "bid_iv", "ask_iv", "mark_iv", "underlying_price"}
_PRICES = ("bid_price", "ask_price", "mark_price", "bid_amount", "ask_amount")
_NUMBERS = (*_PRICES, "bid_iv", "ask_iv", "mark_iv", "underlying_price")
_CLOCK = "local_timestamp"
_EARLIEST_US, _LATEST_US = 10**14, 10**17
"""Stamps outside (the years 1973 and 5138) are not in microseconds."""

_NOTES = (
    "Each row is the new state of one instrument: a snapshot is the last row of each at or before its time.",
    "Times are when the recorder learned of a row. Vols are percent and become decimals; there is no index.",
)


def read(path: Path) -> Updates:
    """The file's rows, read anew for each question: a day of all options has tens of millions.

    Errors      (while it is read) BadInputError where times are not in microseconds, or fall
    """
    have = set(header(path))
    return Updates(lambda: _batches(path, [name for name in _NUMBERS if name in have]), _NOTES)


def _batches(path: Path, numbers: list[str]) -> Iterator[pl.DataFrame]:
    last = 0
    for text in read_batches(path, ("exchange", "symbol", _CLOCK, *numbers)):
        raw = with_numbers(text.with_columns(pl.col(_CLOCK).cast(pl.Int64, strict=False)), _NUMBERS)
        clock = check_microseconds(path, raw, _CLOCK)[_CLOCK]
        if clock.is_empty():
            continue
        if clock[0] < last or not clock.is_sorted():
            raise BadInputError(f"{path}: {_CLOCK} falls after {last}; sort the file by it, as Tardis delivers it")
        last = clock[-1]
        yield _quotes(raw)


def _quotes(raw: pl.DataFrame) -> pl.DataFrame:
    elsewhere = pl.when(pl.col("exchange") != VENUE).then(pl.lit("row of another venue"))
    return quote_rows(
        raw,
        ts_ns=pl.col(_CLOCK) * 1_000,
        instrument=pl.when(pl.col("exchange") == VENUE).then("symbol"),
        bid=unless_zero("bid_price"),
        ask=unless_zero("ask_price"),
        mark=pl.col("mark_price"),
        bid_size=unless_zero("bid_amount"),
        ask_size=unless_zero("ask_amount"),
        bid_iv=where_quoted(from_percent("bid_iv"), "bid_price"),
        ask_iv=where_quoted(from_percent("ask_iv"), "ask_price"),
        mark_iv=from_percent("mark_iv"),
        forward_usd=unless_zero("underlying_price"),
        reason=pl.coalesce(elsewhere, UNREADABLE),
    )


def check_microseconds(path: Path, frame: pl.DataFrame, *clocks: str) -> pl.DataFrame:
    """`frame`, its columns `clocks` being what Tardis writes.

    Errors      BadInputError where one is not
    """
    for name in clocks:
        clock = frame[name]
        within = clock.dtype == pl.Int64 and clock.is_between(_EARLIEST_US, _LATEST_US).fill_null(value=False).all()
        if not within:
            raise BadInputError(f"{path}: {name} is not in microseconds; take the file as Tardis delivers it")
    return frame
