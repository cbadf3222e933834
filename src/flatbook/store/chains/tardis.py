"""Tardis' options_chain: each row the whole state of one instrument, by the recorder's clock, in microseconds UTC.

Vols are percent, prices in the instrument's quote currency (coin for inverse options), 0 or empty where there is no
quote; `underlying_price` is the expiry's forward. There is no index.
"""

from collections import Counter
from pathlib import Path

import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.store.chains.numbers import from_percent, read_numbers, unless_zero, where_quoted
from flatbook.store.chains.quotes import Quotes, quote_rows

NAME = "Tardis options_chain"
VENUE = "deribit"
IDENTITY = frozenset({"exchange", "symbol", "timestamp", "local_timestamp"})
NEEDS = IDENTITY | {"bid_price", "ask_price", "bid_iv", "ask_iv", "mark_iv", "underlying_price"}
_PRICES = ("bid_price", "ask_price", "mark_price", "bid_amount", "ask_amount")
_NUMBERS = (*_PRICES, "bid_iv", "ask_iv", "mark_iv", "underlying_price")
_EARLIEST_US, _LATEST_US = 10**14, 10**17
"""Stamps outside (the years 1973 and 5138) are not in microseconds."""

_NOTES = (
    "Each row is the new state of one instrument: a snapshot is the last row of each at or before its time.",
    "Times are when the recorder learned of a row. Vols are percent and become decimals; there is no index.",
)


def read(path: Path) -> Quotes:
    """The file's rows of the venue that we know.

    Errors      BadInputError where its times are not in microseconds
    """
    raw = read_numbers(path, ("exchange", "symbol", "local_timestamp"), _NUMBERS)
    clock = pl.col("local_timestamp").cast(pl.Int64, strict=False)
    ours = check_microseconds(path, raw.with_columns(clock), "local_timestamp").filter(pl.col("exchange") == VENUE)
    rows = quote_rows(
        ours,
        ts_ns=pl.col("local_timestamp") * 1_000,
        instrument=pl.col("symbol"),
        bid=unless_zero("bid_price"),
        ask=unless_zero("ask_price"),
        mark=pl.col("mark_price"),
        bid_size=unless_zero("bid_amount"),
        ask_size=unless_zero("ask_amount"),
        bid_iv=where_quoted(from_percent("bid_iv"), "bid_price"),
        ask_iv=where_quoted(from_percent("ask_iv"), "ask_price"),
        mark_iv=from_percent("mark_iv"),
        forward_usd=unless_zero("underlying_price"),
        unreadable=pl.col("unreadable"),
    )
    others = Counter({"row of another venue": raw.height - ours.height})
    return Quotes(rows, _NOTES, +others, is_updates=True)


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
