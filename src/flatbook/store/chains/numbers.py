"""How cells become numbers: text that is none is told from an empty cell, and percent from decimals by format."""

from collections.abc import Iterable

import polars as pl

from flatbook.store.source_table import divided

_NS_PER_MS = 1_000_000


def as_numbers(frame: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
    """`frame` with `columns` as floats, null where empty or no number; `unreadable` says of each row whether one is no
    number, or no finite one."""
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
    """A vol in percent as a decimal, NaN where it is 0."""
    return divided(unless_zero(column), 100)


def where_quoted(vol: pl.Expr, price: str) -> pl.Expr:
    """A vol where its side has a price: without one it is the venue's filler."""
    return pl.when(pl.col(price) > 0).then(vol).otherwise(float("nan"))


def ms_to_ns(column: str) -> pl.Expr:
    """Milliseconds since 1970 as nanoseconds."""
    return pl.col(column).cast(pl.Int64, strict=False) * _NS_PER_MS


def utc_text_to_ns(column: str) -> pl.Expr:
    """ISO-8601 text as nanoseconds UTC, null where it is none; a time without a zone is UTC."""
    return pl.col(column).str.to_datetime(time_zone="UTC", time_unit="ns", strict=False).cast(pl.Int64)
