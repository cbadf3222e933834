"""The tables of a session directory: which columns each has, what they may hold, and how one is read.

A reader trusts nothing: a row that cannot be true is refused with its file, row, value and remedy. Row numbers count
from 0 without a header. Floats are NaN where the source gave nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from polars.datatypes import DataType, DataTypeClass

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import format_utc

ColumnType = DataType | DataTypeClass


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type, whether a value may be missing, and the range a value must be in."""

    dtype: ColumnType
    optional: bool = False
    within: Callable[[pl.Expr], pl.Expr] | None = None
    range_text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table of a session: file `<name>.parquet`, its columns, and the clock its rows must follow."""

    name: str
    columns: dict[str, Column]
    clock: str | None = "local_ts_ns"
    key: tuple[str, ...] = field(default=())

    @property
    def file_name(self) -> str:
        """The file's name inside a session directory."""
        return f"{self.name}.parquet"

    @property
    def names(self) -> list[str]:
        """Column names in their order."""
        return list(self.columns)

    @property
    def schema(self) -> dict[str, ColumnType]:
        """Column types by name."""
        return {name: column.dtype for name, column in self.columns.items()}


def _positive(dtype: ColumnType = pl.Float64, *, optional: bool = False) -> Column:
    """A number above zero; optional: or NaN, "the source gave none"."""
    text = "above zero, or NaN where there is none" if optional else "above zero"
    return Column(dtype, optional, lambda value: (value > 0) & value.is_finite(), text)


_CLOCKS = {"exch_ts_ns": _positive(pl.Int64), "local_ts_ns": _positive(pl.Int64)}
_TEXT = Column(pl.String)
_FINITE = Column(pl.Float64, within=lambda value: value.is_finite(), range_text="a number")

INSTRUMENTS = Table(
    "instruments",
    {
        "instrument": _TEXT,
        "first_seen_ns": _positive(pl.Int64),
        "kind": _TEXT,
        "expiry_ns": Column(pl.Int64, optional=True),
        "strike": Column(pl.String, optional=True),
        "right": Column(pl.String, optional=True),
    },
    clock="first_seen_ns",
    key=("instrument",),
)
"""Every instrument, with the local time of its first row: known from then on and not before."""

INDEX = Table("index", {**_CLOCKS, "underlying": _TEXT, "price_usd": _positive()})

TRADES = Table(
    "trades",
    {
        **_CLOCKS,
        "instrument": _TEXT,
        "trade_id": _TEXT,
        "taker_side": Column(pl.Int8, within=lambda side: side.is_in([-1, 1]), range_text="+1 (bought) or -1 (sold)"),
        "price": _positive(),
        "amount": _positive(),
        "mark_price": _positive(optional=True),
        "iv": _positive(optional=True),
        "index_usd": _positive(optional=True),
        "off_book": Column(pl.Boolean),
    },
    key=("instrument", "trade_id"),
)
"""`amount` is in coins, or USD for inverse futures; `iv` is a decimal."""

CHAIN = Table(
    "chain",
    {
        **_CLOCKS,
        "underlying": _TEXT,
        "instrument": _TEXT,
        "bid": _positive(optional=True),
        "ask": _positive(optional=True),
        "bid_iv": _positive(optional=True),
        "ask_iv": _positive(optional=True),
        "mark_iv": _positive(optional=True),
        "forward_usd": _positive(optional=True),
    },
    key=("underlying", "local_ts_ns", "instrument"),
)
"""Rows of one `underlying` and `local_ts_ns` are one snapshot. Vols are decimals."""

FUNDING = Table(
    "funding",
    {**_CLOCKS, "instrument": _TEXT, "rate": _FINITE, "hours": _positive()},
    key=("instrument", "local_ts_ns"),
)

QUOTES = Table(
    "quotes",
    {
        **_CLOCKS,
        "instrument": _TEXT,
        "bid": _positive(optional=True),
        "ask": _positive(optional=True),
        "bid_amount": _positive(optional=True),
        "ask_amount": _positive(optional=True),
        "mark_price": _positive(optional=True),
    },
    key=("instrument", "local_ts_ns"),
)
"""Top of book, one row an update, of perpetuals, dated futures and spot; `amount` as in the trades table."""

BOOKS = Table(
    "books",
    {
        **_CLOCKS,
        "instrument": _TEXT,
        "what": Column(pl.Int8, within=lambda what: what.is_between(0, 5), range_text="a code from 0 to 5"),
        "price_ticks": _positive(pl.Int64),
        "size_lots": Column(pl.Int64, within=lambda lots: lots >= 0, range_text="0 or more"),
    },
)
"""Order books and prints in the order in which we heard of them: `what` 0 a bid level, 1 an ask level (`size_lots` its
new size), 2 a buyer's print, 3 a seller's, 4 the end of all bids down to `price_ticks`, 5 of all asks up to it. Ticks
and lots are those of the contract in session.toml."""

TABLES = {table.name: table for table in (INSTRUMENTS, INDEX, QUOTES, TRADES, CHAIN, FUNDING, BOOKS)}


def read_table(directory: Path, table: Table) -> pl.DataFrame:
    """The rows of `table` in `directory`, every value checked; no rows where the file is absent.

    Errors      BadInputError for the first fault, naming file, row, value and remedy
    """
    path = directory / table.file_name
    if not path.exists():
        return pl.DataFrame(schema=table.schema)
    frame = read_columns(path, table)
    for fault in faults(frame, table):
        raise BadInputError(f"{path}: {fault.describe()}")
    return frame


def read_columns(path: Path, table: Table) -> pl.DataFrame:
    """The columns of `table` in the Parquet file `path`, in their types, nulls of optional floats as NaN.

    Errors      BadInputError for a file that is not whole, a column missing or of another type, or a null in a
                column that must be there
    """
    frame = read_parquet(path)
    missing = [name for name in table.columns if name not in frame.columns]
    if missing:
        raise BadInputError(
            f"{path}: column {missing[0]!r} is missing (it has {', '.join(frame.columns)}); add it, or import again"
        )
    try:
        frame = frame.select(pl.col(name).cast(dtype) for name, dtype in table.schema.items())
    except pl.exceptions.PolarsError as error:
        raise BadInputError(f"{path}: a column is of another type: {_first_line(error)}; import again") from None
    for name, column in table.columns.items():
        if not column.optional and frame[name].null_count():
            row = frame[name].is_null().arg_max()
            raise BadInputError(f"{path}: row {row}: {name} is empty; fill it in, or leave the row out")
    return frame.with_columns(pl.col(pl.Float64).fill_null(float("nan")))


def read_parquet(path: Path) -> pl.DataFrame:
    """The Parquet file `path`.

    Errors      BadInputError where it cannot be read as one
    """
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInputError(
            f"{path}: not a whole Parquet file ({_first_line(error)}); fetch or import it again"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@dataclass(frozen=True, slots=True)
class Fault:
    """Rows of a table that cannot be true: the first of them, how many, and what to do."""

    column: str
    row: int
    value: str
    count: int
    remedy: str

    def describe(self) -> str:
        """The fault as the end of an error line."""
        others = f" ({self.count - 1:,} more rows alike)" if self.count > 1 else ""
        return f"row {self.row}: {self.column} {self.value}{others}; {self.remedy}"


def faults(frame: pl.DataFrame, table: Table) -> Iterator[Fault]:
    """What in `frame` cannot be true: values out of their range, a clock that runs backwards."""
    for name, column in table.columns.items():
        if column.within is not None:
            yield from _out_of_range(frame, name, column)
    if table.clock is not None:
        yield from _backward_clock(frame, table.clock)


def _out_of_range(frame: pl.DataFrame, name: str, column: Column) -> Iterator[Fault]:
    assert column.within is not None
    bad = ~column.within(pl.col(name))
    if column.optional:
        bad &= ~pl.col(name).is_nan()
    rows = frame.select(bad.fill_null(False)).to_series()
    count = int(rows.sum())
    if count:
        row = int(rows.arg_max() or 0)
        yield Fault(name, row, f"is {frame[name][row]}", count, f"it must be {column.range_text}")


def _backward_clock(frame: pl.DataFrame, clock: str) -> Iterator[Fault]:
    backwards = frame[clock].diff() < 0
    count = int(backwards.sum())
    if count:
        row = int(backwards.arg_max() or 0)
        value = f"{format_utc(frame[clock][row])} is before the row above it, {format_utc(frame[clock][row - 1])}"
        yield Fault(clock, row, value, count, f"sort the file by {clock}, or import again")
