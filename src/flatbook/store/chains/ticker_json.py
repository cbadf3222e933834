"""Deribit's tickers as JSON: a list, a map by name, a reply or messages of its API, or one of these a line.

A ticker is an object that names an instrument and has a mark price and a bid, wherever it stands; what get_order_book,
get_book_summary_by_currency and the ticker channel give are tickers too. Other objects that name an instrument are
counted.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.store.chains.numbers import NS_PER_MS, as_numbers
from flatbook.store.chains.quotes import Quotes, quote_rows
from flatbook.store.chains.tickers import NOTES, NUMBERS, ticker_rows
from flatbook.store.source_table import first_line, read_bytes

NAME = "Deribit tickers (JSON)"
_SUMMARY_NAMES = {
    "best_bid_price": "bid_price",
    "best_ask_price": "ask_price",
    "timestamp": "creation_timestamp",
    "index_price": "estimated_delivery_price",
}
"""What a book summary calls the fields of a ticker."""

_LATEST_MS = 10**13
_ENVELOPES = ("result", "params", "data", "tickers")


def read(path: Path) -> Quotes:
    """The tickers in the file.

    Errors      BadInputError where it is no JSON, or holds no ticker
    """
    messages = list(_about_instruments(_decoded(path)))
    tickers = [message for message in messages if _is_ticker(message)]
    if not tickers:
        raise BadInputError(
            f"{path}: JSON without a ticker (an object with instrument_name, mark_price and best_bid_price); "
            "save the result of public/ticker or public/get_book_summary_by_currency"
        )
    columns = {name: [_cell(ticker, name) for ticker in tickers] for name in NUMBERS}
    raw = pl.DataFrame(
        {
            "instrument_name": [str(ticker["instrument_name"]) for ticker in tickers],
            "ts_ns": [_ms_to_ns(_field(ticker, "timestamp")) for ticker in tickers],
            **columns,
        },
        schema={"instrument_name": pl.String, "ts_ns": pl.Int64, **dict.fromkeys(NUMBERS, pl.String)},
    )
    rows = ticker_rows(as_numbers(raw, NUMBERS), None)
    others = pl.DataFrame({"instrument": [str(each["instrument_name"]) for each in messages if not _is_ticker(each)]})
    return Quotes(pl.concat([rows, quote_rows(others, reason=pl.lit("message that is no ticker"))]), NOTES)


def _decoded(path: Path) -> Any:
    try:
        data = read_bytes(path)
        try:
            return msgspec.json.decode(data)
        except msgspec.DecodeError:
            if b"\n" not in data.strip():
                raise
            return msgspec.json.Decoder().decode_lines(data)
    except (msgspec.DecodeError, OSError, EOFError, RecursionError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: not whole JSON ({first_line(error)}); fetch it again") from None


def _about_instruments(value: Any) -> Iterator[dict[str, Any]]:
    """The objects in a decoded value that name an instrument: in lists, in the API's envelopes, in maps by name."""
    if isinstance(value, list):
        for each in value:
            yield from _about_instruments(each)
    elif isinstance(value, dict):
        inside = [value[name] for name in _ENVELOPES if name in value]
        if "instrument_name" in value:
            yield value
        elif inside:
            yield from _about_instruments(inside)
        else:
            yield from (each for each in value.values() if isinstance(each, dict) and "instrument_name" in each)


def _is_ticker(value: dict[str, Any]) -> bool:
    return {"instrument_name", "mark_price"} <= value.keys() and ("best_bid_price" in value or "bid_price" in value)


def _field(ticker: dict[str, Any], name: str) -> Any:
    value = ticker.get(name)
    return ticker.get(_SUMMARY_NAMES.get(name, name)) if value is None else value


def _cell(ticker: dict[str, Any], name: str) -> str | None:
    """A number as text, as a table would have it; an expired contract's `estimated_delivery_price` is a word."""
    value = _field(ticker, name)
    if value is None or (name == "index_price" and isinstance(value, str)):
        return None
    return repr(value) if isinstance(value, float) else str(value)


def _ms_to_ns(value: Any) -> int | None:
    return value * NS_PER_MS if isinstance(value, int) and 0 < value < _LATEST_MS else None
