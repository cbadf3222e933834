"""What an importer has gathered, and how it becomes a session directory."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import parse_name
from flatbook.domain.units import format_utc
from flatbook.store.atomic import new_directory
from flatbook.store.session import META_FILE, BookContract, SessionMeta, Span
from flatbook.store.tables import BOOKS, CHAIN, FUNDING, INDEX, INSTRUMENTS, QUOTES, TRADES, Table, faults
from flatbook.store.toml_text import to_toml

_NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Recording:
    """Tables of a session in the making. Rows may come in any order of files; `write` puts them in local-time order."""

    importer: str
    index: pl.DataFrame = field(default_factory=lambda: empty(INDEX))
    quotes: pl.DataFrame = field(default_factory=lambda: empty(QUOTES))
    trades: pl.DataFrame = field(default_factory=lambda: empty(TRADES))
    chain: pl.DataFrame = field(default_factory=lambda: empty(CHAIN))
    funding: pl.DataFrame = field(default_factory=lambda: empty(FUNDING))
    books: pl.DataFrame = field(default_factory=lambda: empty(BOOKS))
    contracts: dict[str, BookContract] = field(default_factory=dict)
    clocks: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    set_aside: Counter[str] = field(default_factory=Counter)
    inputs: list[Path] = field(default_factory=list)


def empty(table: Table) -> pl.DataFrame:
    """No rows of `table`."""
    return pl.DataFrame(schema=table.schema)


def write(recording: Recording, out: Path, licence: str) -> SessionMeta:
    """Writes the session directory `out`, whole or not at all, and gives what its session.toml says.

    Errors      BadInputError where there is no row to write, or `out` already holds something
    """
    tables = {
        table: frame.select(table.names).sort(table.clock or "local_ts_ns", maintain_order=True)
        for table, frame in _tables(recording).items()
    }
    for table, frame in tables.items():
        for fault in faults(frame, table):
            raise BadInputError(f"{recording.importer}: the {table.name} table would be unusable: {fault.describe()}")
    meta = _describe(recording, tables, licence)
    with new_directory(out) as scratch:
        for table, frame in tables.items():
            if frame.height:
                frame.write_parquet(scratch / table.file_name, compression="zstd", statistics=False)
        scratch.joinpath(META_FILE).write_text(to_toml(_as_table(meta)), encoding="utf-8")
    return meta


def _tables(recording: Recording) -> dict[Table, pl.DataFrame]:
    events = {
        INDEX: recording.index,
        QUOTES: recording.quotes,
        TRADES: recording.trades,
        CHAIN: recording.chain,
        FUNDING: recording.funding,
        BOOKS: recording.books,
    }
    return {INSTRUMENTS: instruments_table(list(events.values())), **events}


def instruments_table(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """The instruments table of tables' rows, or of what is left of them with `instrument` and `local_ts_ns`."""
    named = [frame.select("instrument", "local_ts_ns") for frame in frames if "instrument" in frame.columns]
    seen = pl.concat(named).group_by("instrument").agg(first_seen_ns=pl.col("local_ts_ns").min())
    seen = seen.sort("first_seen_ns", "instrument")
    contracts = [parse_name(name) for name in seen["instrument"]]
    return seen.with_columns(
        pl.Series("kind", [contract.kind.value for contract in contracts], pl.String),
        pl.Series("expiry_ns", [contract.expiry_ns for contract in contracts], pl.Int64),
        pl.Series("strike", [None if c.strike is None else format(c.strike, "f") for c in contracts], pl.String),
        pl.Series("right", [None if c.right is None else c.right.value for c in contracts], pl.String),
    )


def _describe(recording: Recording, tables: dict[Table, pl.DataFrame], licence: str) -> SessionMeta:
    clocks = [frame["local_ts_ns"] for table, frame in tables.items() if table is not INSTRUMENTS and frame.height]
    if not clocks:
        raise BadInputError(f"{recording.importer}: no usable row is left ({reasons(recording.set_aside)})")
    first = min(int(clock[0]) for clock in clocks)
    last = max(int(clock[-1]) for clock in clocks)
    counts = {table.name: frame.height for table, frame in tables.items()} | recording.counts
    inputs = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in recording.inputs}
    return SessionMeta(
        source=f"{recording.importer} in {recording.inputs[0].parent.resolve().name}",
        licence=licence,
        span=Span(start=format_utc(first), end=format_utc((last // _NS_PER_MS + 1) * _NS_PER_MS)),
        importer=recording.importer,
        clocks=recording.clocks,
        units=recording.units,
        notes=tuple(recording.notes),
        counts=counts,
        set_aside=dict(sorted(recording.set_aside.items())),
        inputs=inputs,
        books=recording.contracts,
    )


def reasons(set_aside: Counter[str]) -> str:
    """What was set aside, for the end of an error line."""
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(set_aside.items())) or "the files hold none"


def _as_table(meta: SessionMeta) -> dict[str, Any]:
    table: dict[str, Any] = msgspec.to_builtins(meta)
    return table
