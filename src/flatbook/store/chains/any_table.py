"""Any table with instrument names, a time, and bid, ask or mark prices or vols under usual names.

Its units show by size, column by column and never row by row: a column of vols with a median above 3 is in percent,
times are as `times_ns` reads them. Prices are in the settlement currency.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.store.chains.numbers import UNREADABLE, as_numbers, times_ns, unless_zero
from flatbook.store.chains.quotes import Quotes, quote_rows
from flatbook.store.source_table import divided, read_rows

NAME = "table of quotes"
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "instrument": ("instrument_name", "instrument", "symbol", "contract", "name", "ticker"),
    "ts_ns": (
        *("local_ts_ns", "ts_ns", "exch_ts_ns", "timestamp", "local_timestamp", "ts", "time", "datetime", "date_time"),
        *("date", "captured_at", "snapshot_time", "collection_time", "capture_time", "time_utc", "timestamp_utc"),
    ),
    "run": ("snapshot", "snapshot_id", "snapshot_file", "source_file", "run", "run_id"),
    "bid": ("bid", "bid_price", "best_bid_price", "best_bid"),
    "ask": ("ask", "ask_price", "best_ask_price", "best_ask", "offer"),
    "mark": ("mark", "mark_price"),
    "bid_size": ("bid_size", "bid_amount", "best_bid_amount", "bid_qty", "bid_quantity"),
    "ask_size": ("ask_size", "ask_amount", "best_ask_amount", "ask_qty", "ask_quantity"),
    "bid_iv": ("bid_iv", "bid_vol", "iv_bid", "bid_implied_volatility"),
    "ask_iv": ("ask_iv", "ask_vol", "iv_ask", "ask_implied_volatility"),
    "mark_iv": ("mark_iv", "mark_vol", "iv", "implied_volatility", "mark_implied_volatility"),
    "forward_usd": ("forward_usd", "forward", "forward_price", "underlying_price", "futures_price"),
    "index_usd": ("index_usd", "index_price", "spot", "spot_price", "estimated_delivery_price"),
}
"""What a quantity is called, the surest name first. Not among them: `vol` (often volume), `underlying` (often a name),
`index` (often a row's number)."""

_QUOTED = ("bid", "ask", "mark", "bid_iv", "ask_iv", "mark_iv")
_VOLS = ("bid_iv", "ask_iv", "mark_iv")
_TEXTS = ("instrument", "ts_ns", "run")
_LARGEST_DECIMAL = 3.0
"""A median vol of 300 % has not been seen, nor one of 3 %."""


def recognised(columns: Iterable[str]) -> dict[str, str]:
    """The column of each quantity that we read; empty where a name, a time, or all prices and vols are missing."""
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_"), column)
    found = {
        quantity: next(by_name[alias] for alias in aliases if alias in by_name)
        for quantity, aliases in _ALIASES.items()
        if any(alias in by_name for alias in aliases)
    }
    return found if {"instrument", "ts_ns"} <= found.keys() and found.keys() & set(_QUOTED) else {}


def read(path: Path, columns: Iterable[str]) -> Quotes:
    """The table whose header is `columns`.

    Errors      BadInputError where times are of no year there were options in, or inverse calls are above their coin
    """
    found = recognised(columns)
    raw = read_rows(path, dict.fromkeys(found.values()), as_text=True)
    named = raw.select(pl.col(column).alias(quantity) for quantity, column in found.items())
    timed = named.with_columns(ts_ns=times_ns(path, found["ts_ns"], named["ts_ns"]))
    numbers = as_numbers(timed, [quantity for quantity in found if quantity not in _TEXTS])
    percent = [name for name in _VOLS if name in found and _is_percent(numbers[name])]
    values = {
        quantity: divided(unless_zero(quantity), 100) if quantity in percent else unless_zero(quantity)
        for quantity in found
        if quantity not in (*_TEXTS, "mark")
    }
    rows = quote_rows(
        numbers,
        ts_ns=pl.col("ts_ns"),
        instrument=pl.col("instrument").cast(pl.String).str.strip_chars(),
        reason=UNREADABLE,
        **({"run": pl.col("run")} if "run" in found else {}),
        **({"mark": pl.col("mark")} if "mark" in found else {}),
        **values,
    )
    _refuse_usd_prices(path, rows)
    return Quotes(rows, _notes(found, percent))


def _notes(found: Mapping[str, str], percent: list[str]) -> tuple[str, ...]:
    read_as = ", ".join(f"{column} as {quantity}" for quantity, column in found.items() if column != quantity)
    decimal = [name for name in _VOLS if name in found and name not in percent]
    vols = [f"{', '.join(percent)}: percent"] * bool(percent) + [f"{', '.join(decimal)}: decimal"] * bool(decimal)
    units = f"Vols by the median of their column: {'; '.join(vols)}." if vols else "There are no vols."
    return (*([f"Read {read_as}."] if read_as else []), f"{units} Prices are in the settlement currency.")


def _is_percent(vols: pl.Series) -> bool:
    stated = vols.filter(vols > 0).drop_nans().median()
    return isinstance(stated, float) and stated > _LARGEST_DECIMAL


def _refuse_usd_prices(path: Path, rows: pl.DataFrame) -> None:
    """An inverse call is worth at most one coin, so a median above 1 is in USD."""
    calls = rows.filter(pl.col("instrument").str.contains(r"^[A-Z0-9]+-.*-C$"))
    for name in ("bid", "ask", "mark"):
        middle = calls[name].drop_nans().median()
        if isinstance(middle, float) and middle > 1:
            raise BadInputError(
                f"{path}: the median {name} of coin-settled calls is {middle:g}, and none is worth more than its coin; "
                "give prices in coin"
            )
