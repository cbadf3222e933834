"""Tables of whole chains, BTC and ETH, one run of the collector after the other, with decimal vols and no sizes.

`timestamp` is when a run started. Prices and forwards come from one call at that time; vols and the index from one
call an instrument afterwards, up to some minutes younger.
"""

from pathlib import Path

import polars as pl

from flatbook.store.chains.beside import tables_beside
from flatbook.store.chains.numbers import UNREADABLE, read_numbers, unless_zero, utc_text_to_ns
from flatbook.store.chains.quotes import Quotes, quote_rows

NAME = "Deribit chain table"
NEEDS = frozenset(
    {"timestamp", "instrument_name", "bid_price", "ask_price", "underlying", "implied_volatility", "index_price"}
)
_NUMBERS = ("bid_price", "ask_price", "mark_price", "underlying", "implied_volatility", "index_price")
_PERPETUALS = frozenset({"obs_datetime", "instrument_name", "perp_futures_mark_price"})
_FUTURES = frozenset({"timestamp", "futures_instrument_name", "term_mark_price_final"})

_NOTES = (
    "A snapshot's time is the start of the collector's run: prices and forwards are of then, vols and the index up to "
    "some minutes younger.",
    "Vols are decimal; bid and ask have none, and no sizes.",
)
_CANDLES = "The mark of a perpetual or future is the nearer of open and close of its 1-minute candle, from {}."


def read(path: Path) -> Quotes:
    """The table, with the perpetual's and futures' candles of tables beside it."""
    beside, names = _beside(path)
    return Quotes(read_table(path), _NOTES, beside=beside, beside_note=_CANDLES.format(" and ".join(names)))


def read_table(path: Path) -> pl.DataFrame:
    """The table's rows alone, a run named by its start."""
    return quote_rows(
        read_numbers(path, ("timestamp", "instrument_name"), _NUMBERS),
        run=pl.col("timestamp"),
        ts_ns=utc_text_to_ns("timestamp"),
        instrument=pl.col("instrument_name"),
        bid=unless_zero("bid_price"),
        ask=unless_zero("ask_price"),
        mark=pl.col("mark_price"),
        mark_iv=unless_zero("implied_volatility"),
        forward_usd=unless_zero("underlying"),
        index_usd=unless_zero("index_price"),
        reason=UNREADABLE,
    )


def _beside(path: Path) -> tuple[pl.DataFrame | None, list[str]]:
    tables = {}
    for table in tables_beside(path, _PERPETUALS):
        tables[table.name] = _candles(table, "obs_datetime", "instrument_name", "perp_futures_mark_price")
    for table in tables_beside(path, _FUTURES):
        tables[table.name] = _candles(table, "timestamp", "futures_instrument_name", "term_mark_price_final")
    return (pl.concat(tables.values()), list(tables)) if tables else (None, [])


def _candles(path: Path, time: str, name: str, price: str) -> pl.DataFrame:
    return quote_rows(
        read_numbers(path, (time, name), (price,)),
        run=pl.col(time),
        ts_ns=utc_text_to_ns(time),
        instrument=pl.col(name),
        mark=unless_zero(price),
        reason=UNREADABLE,
    )
