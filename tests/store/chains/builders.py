"""Chain files of a few rows, one writer a format; every row is the format's default with its changes."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from flatbook.domain.units import parse_utc

NAN = float("nan")
CALL, PUT = "BTC-27MAR26-90000-C", "BTC-27MAR26-90000-P"
T0 = "2026-01-14T04:00:00+00:00"
T0_NS = parse_utc(T0)
T0_MS = T0_NS // 1_000_000
MINUTE_MS = 60_000

Change = Mapping[str, Any]

BULK: dict[str, Any] = {
    "timestamp": T0,
    "instrument_name": CALL,
    "underlying": 96_000.0,
    "bid_price": 0.1,
    "ask_price": 0.11,
    "mark_price": 0.105,
    "implied_volatility": 0.5,
    "index_price": 95_000.0,
}
TICKER: dict[str, Any] = {
    "instrument_name": CALL,
    "timestamp": T0_MS,
    "best_bid_price": 0.1,
    "best_bid_amount": 12.5,
    "best_ask_price": 0.11,
    "best_ask_amount": 3.0,
    "mark_price": 0.105,
    "bid_iv": 48.0,
    "ask_iv": 58.2,
    "mark_iv": 52.0,
    "underlying_price": 96_000.0,
    "index_price": 95_000.0,
}
TARDIS: dict[str, Any] = {
    "exchange": "deribit",
    "symbol": CALL,
    "timestamp": T0_MS * 1_000,
    "local_timestamp": T0_MS * 1_000,
    "bid_price": 0.1,
    "bid_amount": 12.5,
    "bid_iv": 48.0,
    "ask_price": 0.11,
    "ask_amount": 3.0,
    "ask_iv": 58.2,
    "mark_price": 0.105,
    "mark_iv": 52.0,
    "underlying_price": 96_000.0,
}


def table(default: Change, *changes: Change) -> pl.DataFrame:
    """Rows, each the default with its changes."""
    return pl.DataFrame([{**default, **change} for change in changes], infer_schema_length=None)


def write_csv(path: Path, frame: pl.DataFrame) -> Path:
    """`frame` as CSV, packed where the name ends so."""
    text = frame.write_csv().encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def write_parquet(path: Path, frame: pl.DataFrame) -> Path:
    """`frame` as Parquet."""
    frame.write_parquet(path)
    return path


def write_json(path: Path, value: object) -> Path:
    """`value` as JSON, packed where the name ends so."""
    text = json.dumps(value).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path
