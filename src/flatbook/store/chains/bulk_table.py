"""Tables of whole chains, BTC and ETH, one run of the collector after the other, with decimal vols and no sizes.

`timestamp` is when a run started. Prices and forwards come from one call at that time; vols and the index from one
call an instrument afterwards, up to some minutes younger.
"""

from pathlib import Path

import polars as pl

from flatbook.store.chains.beside import tables_beside
from flatbook.store.chains.numbers import NS_PER_MS, UNREADABLE, ms_to_ns, read_numbers, times_ns, unless_zero
from flatbook.store.chains.quotes import Quotes, quote_rows

NAME = "Deribit chain table"
NEEDS = frozenset(
    {"timestamp", "instrument_name", "bid_price", "ask_price", "underlying", "implied_volatility", "index_price"}
)
_NUMBERS = ("bid_price", "ask_price", "mark_price", "underlying", "implied_volatility", "index_price")
PERPETUALS = ("snapshot_timestamp_ms", "instrument_name", "candle_price_timestamp_ms", "candle_price_used")
FUTURES = (
    *("snapshot_timestamp_ms", "futures_instrument_name", "term_candle_price_timestamp_ms", "term_candle_price_used"),
)
"""Of candles beside a table: the run's start, the contract, the time and the price of the candle's nearer end."""

_NOTES = (
    "A snapshot's time is the start of the collector's run: prices and forwards are of then, vols and the index up to "
    "some minutes younger.",
    "Vols are decimal; bid and ask have none, and no sizes.",
)
_CANDLES = "The mark of a perpetual or future is the nearer of open and close of its 1-minute candle, from {}."


def read(path: Path) -> Quotes:
    """The table, with the perpetual's and futures' candles of tables beside it."""
    candles = [
        (table, columns) for columns in (PERPETUALS, FUTURES) for table in tables_beside(path, frozenset(columns))
    ]
    beside = pl.concat([_candles(table, *columns) for table, columns in candles]) if candles else None
    note = _CANDLES.format(" and ".join(table.name for table, _ in candles))
    return Quotes(read_table(path), _NOTES, beside, note)


def read_table(path: Path) -> pl.DataFrame:
    """The table's rows alone, a run named by the millisecond of its start."""
    raw = read_numbers(path, ("timestamp", "instrument_name"), _NUMBERS)
    return quote_rows(
        raw.with_columns(ts_ns=times_ns(path, "timestamp", raw["timestamp"])),
        run=pl.col("ts_ns") // NS_PER_MS,
        ts_ns=pl.col("ts_ns"),
        instrument=pl.col("instrument_name"),
        bid=unless_zero("bid_price"),
        ask=unless_zero("ask_price"),
        mark=pl.col("mark_price"),
        mark_iv=unless_zero("implied_volatility"),
        forward_usd=unless_zero("underlying"),
        index_usd=unless_zero("index_price"),
        reason=UNREADABLE,
    )


def _candles(path: Path, run: str, name: str, time: str, price: str) -> pl.DataFrame:
    return quote_rows(
        read_numbers(path, (run, name, time), (price,)),
        run=pl.col(run),
        ts_ns=ms_to_ns(time),
        instrument=pl.col(name),
        mark=unless_zero(price),
        reason=UNREADABLE,
    )
