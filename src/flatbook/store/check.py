"""What is odd in a recorded session, and what each oddity means for a replay of it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_MINUTE, format_utc
from flatbook.store.book_check import book_oddities
from flatbook.store.session import open_session
from flatbook.store.tables import BOOKS, CHAIN, INDEX, INSTRUMENTS, QUOTES, TABLES, TRADES, faults, read_columns
from flatbook.store.tradable import tradable_chain, tradable_quotes, tradable_trades

TRADE_GAP_NS = 30 * NS_PER_MINUTE
INDEX_GAP_NS = 5 * NS_PER_MINUTE


class Severity(StrEnum):
    """How much a finding matters: the session cannot be replayed, its results need care, or it is good to know."""

    UNUSABLE = "unusable"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One oddity: where, what, how often, and what it means for a replay."""

    severity: Severity
    table: str
    what: str
    count: int
    meaning: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """A session's digest, rows by table, and findings, the gravest first."""

    path: str
    digest: str
    rows: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def is_usable(self) -> bool:
        """Whether the session can be replayed."""
        return all(finding.severity is not Severity.UNUSABLE for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {**asdict(self), "usable": self.is_usable}


def check_session(path: Path, reference: ReferenceData) -> CheckReport:
    """Reads every table of the session in `path` and says what is odd in it.

    Errors      BadInputError where `path` is no session directory; a table's faults are findings
    """
    session = open_session(path)
    findings: list[Finding] = []
    frames = {}
    for name, table in TABLES.items():
        file = path / table.file_name
        if file.exists():
            try:
                frames[name] = read_columns(file, table)
            except BadInputError as error:
                findings.append(Finding(Severity.UNUSABLE, name, str(error), 1, "The table cannot be read at all."))
    findings += _absent(path)
    for name, frame in frames.items():
        broken = list(_broken_rows(name, frame))
        findings += broken or _oddities(name, frame, reference)
    if {TRADES.name, INDEX.name} <= frames.keys():
        findings += _index_behind_trades(frames[TRADES.name], frames[INDEX.name])
    if INSTRUMENTS.name in frames:
        findings += _known_too_early(frames)
    findings += (
        Finding(Severity.NOTE, "session.toml", f"set aside at import: {reason}", count, "No table holds these rows.")
        for reason, count in session.meta.set_aside.items()
    )
    order = list(Severity)
    findings.sort(key=lambda finding: order.index(finding.severity))
    rows = {name: frame.height for name, frame in frames.items()}
    return CheckReport(str(path), session.digest, rows, tuple(findings))


def _absent(path: Path) -> Iterator[Finding]:
    if (path / BOOKS.file_name).exists() and not (path / INDEX.file_name).exists():
        what = "order books alone, without an index or options"
        yield Finding(
            Severity.NOTE, BOOKS.name, what, 1, "`flatbook run` hedges a --book in them, at an index read off them."
        )
        return
    meanings = {
        "index": (Severity.UNUSABLE, "Nothing says where the underlying is: no quote can be priced."),
        "trades": (Severity.WARNING, "Nobody trades: resting quotes are never filled."),
        "chain": (Severity.NOTE, "No quotes of others: the surface is fitted to traded vols alone."),
        "quotes": (Severity.NOTE, "No price of the perpetual: it is valued, and hedged with, at the index."),
        "funding": (Severity.NOTE, "The perpetual carries no funding: its P&L part is nil."),
        "instruments": (Severity.NOTE, "Instruments become known with their first row."),
    }
    for name, (severity, meaning) in meanings.items():
        if not (path / TABLES[name].file_name).exists():
            yield Finding(severity, name, f"{TABLES[name].file_name} is absent", 1, meaning)


def _broken_rows(name: str, frame: pl.DataFrame) -> Iterator[Finding]:
    for fault in faults(frame, TABLES[name]):
        is_clock = fault.column == TABLES[name].clock and "before the row" in fault.value
        meaning = (
            "Events would reach the engine out of order; the reader refuses the file."
            if is_clock
            else "The row cannot be true; the reader refuses the file."
        )
        yield Finding(Severity.UNUSABLE, name, fault.describe(), fault.count, meaning)


def _oddities(name: str, frame: pl.DataFrame, reference: ReferenceData) -> Iterator[Finding]:
    if "exch_ts_ns" in frame.columns:
        yield from _learnt_before(name, frame)
    yield from _duplicates(name, frame)
    if name == TRADES.name:
        set_aside: Counter[str] = Counter()
        tradable_trades(frame, reference, set_aside)
        yield from _set_aside(name, set_aside)
        meaning = "No flow in the hole: quotes rest without fills, and what they would have met is not known."
        yield from _gaps(name, frame["local_ts_ns"], TRADE_GAP_NS, meaning)
    elif name == CHAIN.name:
        set_aside = Counter()
        tradable_chain(frame, reference, set_aside)
        yield from _set_aside(name, set_aside)
    elif name == QUOTES.name:
        set_aside = Counter()
        tradable_quotes(frame, reference, set_aside)
        yield from _set_aside(name, set_aside)
    elif name == BOOKS.name:
        for what, count, meaning in book_oddities(frame):
            yield Finding(Severity.WARNING, name, what, count, meaning)
    elif name == INDEX.name:
        meaning = "The index stands still in the hole: quotes grow stale, then jump when it is over."
        for coin in frame.partition_by("underlying"):
            yield from _gaps(name, coin["local_ts_ns"], INDEX_GAP_NS, meaning)


def _learnt_before(name: str, frame: pl.DataFrame) -> Iterator[Finding]:
    early = frame["exch_ts_ns"] - frame["local_ts_ns"]
    count = int((early > 0).sum())
    if count:
        longest_ms = int(early.to_numpy().max()) / 1e6
        what = f"local_ts_ns is before exch_ts_ns, by up to {longest_ms:,.3f} ms"
        meaning = "The recorder's clock is behind the venue's: latencies measured from it are too small."
        yield Finding(Severity.WARNING, name, what, count, meaning)


def _duplicates(name: str, frame: pl.DataFrame) -> Iterator[Finding]:
    key = TABLES[name].key
    count = frame.height - frame.select(key).n_unique() if key else 0
    if count:
        what = f"rows that repeat another's {', '.join(key)}"
        meaning = {
            "trades": "Their volume counts twice as flow; of our own fills a ledger takes each id once.",
            "chain": "The later row of a snapshot is the one that stands.",
        }.get(name, "The later row is the one that stands.")
        yield Finding(Severity.WARNING, name, what, count, meaning)


def _set_aside(name: str, set_aside: Counter[str]) -> Iterator[Finding]:
    for reason, count in sorted(set_aside.items()):
        yield Finding(Severity.WARNING, name, reason, count, "Set aside and counted when the session is replayed.")


def _gaps(name: str, clock: pl.Series, limit_ns: int, meaning: str) -> Iterator[Finding]:
    steps = clock.diff()
    count = int((steps > limit_ns).sum())
    if count:
        row = int(steps.arg_max() or 0)
        longest = f"{int(steps[row]) / NS_PER_MINUTE:,.0f} min from {format_utc(int(clock[row - 1]))}"
        what = f"silent for more than {limit_ns // NS_PER_MINUTE} min, the longest {longest}"
        yield Finding(Severity.NOTE, name, what, count, meaning)


def _index_behind_trades(trades: pl.DataFrame, index: pl.DataFrame) -> Iterator[Finding]:
    """Trades whose own index was not the last one heard of when they arrived."""
    coin = pl.col("instrument").str.extract(r"^([A-Z0-9]+)")
    carried = trades.select("local_ts_ns", "index_usd", underlying=coin).drop_nans("index_usd").sort("local_ts_ns")
    heard = index.select("local_ts_ns", "underlying", "price_usd").sort("local_ts_ns")
    joined = carried.join_asof(heard, on="local_ts_ns", by="underlying", check_sortedness=False)
    count = int((joined["price_usd"] != joined["index_usd"]).fill_null(True).sum())
    if count:
        what = "trades whose index was not heard of before them"
        meaning = "Quotes could not follow the index first: such trades pick off a quote that a live maker had moved."
        yield Finding(Severity.WARNING, TRADES.name, what, count, meaning)


def _known_too_early(frames: dict[str, pl.DataFrame]) -> Iterator[Finding]:
    tables = (QUOTES.name, TRADES.name, CHAIN.name)
    named = [frames[name].select("instrument", "local_ts_ns") for name in tables if name in frames]
    if not named:
        return
    first = pl.concat(named).group_by("instrument").agg(pl.col("local_ts_ns").min())
    joined = frames[INSTRUMENTS.name].join(first, on="instrument", how="left")
    count = int((joined["first_seen_ns"] < joined["local_ts_ns"]).fill_null(False).sum())
    if count:
        what = "instruments said to be known before their first row"
        meaning = "Right where a listing was recorded; else the replay quotes what nobody could know of."
        yield Finding(Severity.WARNING, INSTRUMENTS.name, what, count, meaning)
