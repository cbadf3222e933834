"""How cells become numbers: text that is none is told from an empty cell, and percent from decimals by format."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_MINUTE, NS_PER_SECOND, parse_utc
from flatbook.store.source_table import divided, header, read_rows

NS_PER_MS = 1_000_000
_UNITS_NS = ((10**11, NS_PER_SECOND), (10**14, NS_PER_MS), (10**17, 1_000))
"""Nanoseconds of the unit of a stamp that is below so much; above all, it is in nanoseconds."""

_EARLIEST_NS, _LATEST_NS = parse_utc("2010-01-01"), parse_utc("2100-01-01")
_CAPS_PERCENT = (500.0, 999.0)
"""What the venue's solver states where it finds no vol: 500 until 2021, 999 later."""


def read_numbers(path: Path, texts: Iterable[str], numbers: Iterable[str]) -> pl.DataFrame:
    """Columns `texts` and `numbers` of a table, the latter as of `with_numbers`.

    Errors      BadInputError where the file is not whole
    """
    wanted, have = list(numbers), set(header(path))
    return with_numbers(read_rows(path, [*texts, *(name for name in wanted if name in have)], as_text=True), wanted)


def with_numbers(frame: pl.DataFrame, numbers: Iterable[str]) -> pl.DataFrame:
    """`frame` with columns `numbers` as of `as_numbers`, null all down where it lacks one."""
    wanted = list(numbers)
    lacking = [pl.lit(None, pl.Float64).alias(name) for name in wanted if name not in frame.columns]
    return as_numbers(frame.with_columns(lacking), wanted)


UNREADABLE = pl.when("unreadable").then(pl.lit("unreadable number"))
"""The reason of a row that `as_numbers` could not read."""


def as_numbers(frame: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
    """`frame` with `columns` as floats, null where empty or no number.

    A new column `unreadable` says of each row whether one of them is no number, or no finite one.
    """
    names = list(columns)
    bad = [_no_number(frame, name) for name in names]
    return frame.with_columns(
        *(pl.col(name).cast(pl.Float64, strict=False) for name in names), unreadable=pl.any_horizontal(bad)
    )


def _no_number(frame: pl.DataFrame, name: str) -> pl.Expr:
    value = pl.col(name).cast(pl.Float64, strict=False)
    infinite = value.is_infinite().fill_null(value=False)
    if frame[name].dtype != pl.String:
        return infinite
    return infinite | (value.is_null() & (pl.col(name).str.strip_chars() != "").fill_null(value=False))


def unless_zero(column: str) -> pl.Expr:
    """The number, NaN where it is 0: no quote. A negative one stays, to be counted."""
    return pl.when(pl.col(column) == 0).then(float("nan")).otherwise(pl.col(column))


def from_percent(column: str) -> pl.Expr:
    """A vol in percent as a decimal, NaN where it is 0 or the venue's cap."""
    value = pl.when(pl.col(column).is_in(_CAPS_PERCENT)).then(float("nan")).otherwise(unless_zero(column))
    return divided(value, 100)


def where_quoted(vol: pl.Expr, price: str) -> pl.Expr:
    """A vol where its side has a price: without one it is the venue's filler."""
    return pl.when(pl.col(price) > 0).then(vol).otherwise(float("nan"))


def times_ns(path: Path, name: str, clock: pl.Series) -> pl.Series:
    """The column `name` of `path` as nanoseconds UTC: stamps, ISO-8601 text, or numbers; null where it is none.

    Numbers count seconds, milliseconds, microseconds or nanoseconds, all in the unit that the largest is in.

    Errors      BadInputError where that makes a year without crypto options
    """
    if clock.dtype.is_temporal():
        return clock.dt.epoch("ns")
    stamps = clock.cast(pl.Int64, strict=False)
    if clock.dtype.is_float() or stamps.null_count() > clock.null_count():
        stamps = clock.cast(pl.Float64, strict=False)
    if stamps.null_count() > clock.null_count():
        return clock.to_frame().select(utc_text_to_ns(clock.name)).to_series()
    known = stamps.drop_nulls().to_numpy()
    largest = float(known.max(initial=0))
    unit_ns = next((ns for most, ns in _UNITS_NS if largest < most), 1)
    if known.size and not _EARLIEST_NS <= largest * unit_ns <= _LATEST_NS:
        raise BadInputError(
            f"{path}: {name} {largest:g} is no time from 2010 to 2100; give seconds, milliseconds, microseconds or "
            "nanoseconds since 1970, or ISO-8601"
        )
    in_ns = stamps * unit_ns
    return (in_ns.round() if in_ns.dtype.is_float() else in_ns).cast(pl.Int64)


def ms_to_ns(column: str) -> pl.Expr:
    """Milliseconds since 1970 as nanoseconds."""
    return pl.col(column).cast(pl.Int64, strict=False) * NS_PER_MS


def utc_text_to_ns(column: str) -> pl.Expr:
    """ISO-8601 text as nanoseconds UTC, null where it is none; a time without a zone is UTC."""
    return pl.col(column).str.to_datetime(time_zone="UTC", time_unit="ns", strict=False).cast(pl.Int64)


def minute_end(ts_ns: pl.Expr) -> pl.Expr:
    """The end of the minute that `ts_ns` lies in: when a row stamped to the minute is surely there."""
    return (ts_ns // NS_PER_MINUTE + 1) * NS_PER_MINUTE
