"""Small tables and downloads, row by row, for tests that need to know every value."""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from flatbook.domain.units import parse_utc
from flatbook.store.session import META_FILE
from flatbook.store.tables import TABLES, Table

NAN = float("nan")
CALL, PUT = "BTC-11APR25-80000-C", "BTC-11APR25-80000-P"
T0 = parse_utc("2025-04-01T12:00")

_DEFAULTS: dict[str, dict[str, Any]] = {
    "index": {"underlying": "BTC", "price_usd": 84_000.0},
    "trades": {
        "instrument": CALL,
        "trade_id": "1",
        "taker_side": 1,
        "price": 0.05,
        "amount": 0.1,
        "mark_price": 0.0501,
        "iv": 0.5,
        "index_usd": 84_000.0,
        "off_book": False,
    },
    "chain": {
        "underlying": "BTC",
        "instrument": CALL,
        "bid": 0.05,
        "ask": 0.06,
        "bid_iv": 0.5,
        "ask_iv": 0.55,
        "mark_iv": NAN,
        "forward_usd": NAN,
    },
    "funding": {"instrument": "BTC-PERPETUAL", "rate": 0.0001, "hours": 8.0},
    "quotes": {
        "instrument": "BTC-PERPETUAL",
        "bid": 84_001.0,
        "ask": 84_002.0,
        "bid_amount": 10_000.0,
        "ask_amount": NAN,
        "mark_price": 84_001.25,
    },
}


def rows(table: Table, *changes: Mapping[str, Any]) -> pl.DataFrame:
    """Rows of `table`, each the default with its changes; `at` is seconds after `T0` on both clocks."""
    made = []
    for change in changes:
        at_ns = T0 + round(change.get("at", 0) * 1e9)
        row = {"exch_ts_ns": at_ns, "local_ts_ns": at_ns} | _DEFAULTS[table.name] | dict(change)
        made.append({name: row[name] for name in table.columns})
    return pl.DataFrame(made, schema=table.schema)


def write_session(directory: Path, **tables: Sequence[Mapping[str, Any]]) -> Path:
    """A session directory with the given rows by table name."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, changes in tables.items():
        rows(TABLES[name], *changes).write_parquet(directory / f"{name}.parquet")
    directory.joinpath(META_FILE).write_text(
        'source = "made by hand"\nlicence = "none"\n[span]\nstart = "2025-04-01T12:00"\nend = "2025-04-01T13:00"\n'
    )
    return directory


def screener_trades(*changes: Mapping[str, Any]) -> pl.DataFrame:
    """Rows of a screener's trade export; `at` is the minute after 12:00 as text."""
    default = {
        "Side": "BUY",
        "Instrument": CALL,
        "Price (BTC)": 0.05,
        "Price (USD)": 4_200.0,
        "Mark Price (BTC)": 0.0501,
        "IV (%)": 50.0,
        "Size": 0.1,
        "Underlying Price": 84_000.0,
        "Entry Date": "2025-04-01 12:00",
        "BlockTrade IDs": "",
        "Combo ID": "",
        "Trade ID": None,
    }
    return pl.DataFrame([default | dict(change) for change in changes], schema_overrides={"Trade ID": pl.Int64})


def screener_chain(*changes: Mapping[str, Any]) -> pl.DataFrame:
    """Rows of a screener's chain snapshot; prices in USD, vols in percent."""
    default = {
        "commit_time_utc": "2025-04-01T12:05:10Z",
        "capture_time_utc_est": "2025-04-01T12:00:00Z",
        "symbol": CALL,
        "bid_price_usd": 4_200.0,
        "ask_price_usd": 4_242.0,
        "bid_iv": 50.0,
        "ask_iv": 52.0,
    }
    return pl.DataFrame([default | dict(change) for change in changes])


def spot_bars(*bars: tuple[int, float]) -> str:
    """Five-minute bars as CSV text, from (open time in the file's unit, close)."""
    lines = ["open_time,open,high,low,close,volume,close_time"]
    for open_time, close in bars:
        length = 300_000_000 if open_time > 10**14 else 300_000
        lines.append(f"{open_time},1,1,1,{close},1,{open_time + length - 1}")
    return "\n".join(lines) + "\n"


def write_gzip(path: Path, text: str) -> Path:
    """`text` compressed at `path`, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))
    return path


def write_export(folder: Path, trades: pl.DataFrame | None = None, chain: pl.DataFrame | None = None) -> Path:
    """A screener export's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if trades is not None:
        trades.write_parquet(folder / "trades.parquet")
    if chain is not None:
        chain.write_parquet(folder / "chain.parquet")
    return folder
