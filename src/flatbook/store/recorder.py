"""A session directory in the making: market events as they come, in parts, and in a spool until a part has them.

    DIR/recording/<table>-000001.parquet …      whole parts, in local-time order
    DIR/recording/events.spool                  what came since: a process that is killed loses what it did not sync
    DIR/<table>.parquet  session.toml           when it is finished: a session like any other, and no parts

A directory that was left in either state is taken up where it stopped. Memory holds one part of each table.
"""

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import ChainQuotes, FundingRate, IndexTick, MarketEvent, TopOfBook, TradePrint
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import format_utc
from flatbook.store.atomic import new_file, write_text
from flatbook.store.importers.recording import instruments_table
from flatbook.store.lock import LOCK_FILE, RunLock
from flatbook.store.session import META_FILE, SessionMeta, Span, open_session
from flatbook.store.spool import SPOOL_FILE, Spool
from flatbook.store.tables import CHAIN, FUNDING, INDEX, INSTRUMENTS, QUOTES, TRADES, Table
from flatbook.store.toml_text import to_toml

IMPORTER = "flatbook data record"
_TABLES = (INDEX, QUOTES, TRADES, CHAIN, FUNDING)
_CLOCKS = {"exch_ts_ns": "the venue's, from milliseconds UTC", "local_ts_ns": "this machine's, UTC"}
_PARTS = "recording"
_NS_PER_MS = 1_000_000


class Recorder:
    """Writes the market to `directory`. Events come in local-time order; `last_local_ns` is the last one's, or 0.

    Errors      BadInputError where the directory holds something else, or another process records there
    """

    def __init__(
        self,
        directory: Path,
        reference: ReferenceData,
        rows_a_part: int = 50_000,
        importer: str = IMPORTER,
        clocks: Mapping[str, str] = _CLOCKS,
    ) -> None:
        self._directory, self._parts = directory, directory / _PARTS
        self._reference, self._rows_a_part = reference, rows_a_part
        self._importer, self._clocks = importer, clocks
        self._rows: dict[Table, list[tuple[Any, ...]]] = {table: [] for table in _TABLES}
        self.set_aside: Counter[str] = Counter()
        self.notes: list[str] = []
        directory.mkdir(parents=True, exist_ok=True)
        self._refuse_strangers()
        self._lock = RunLock(directory)
        self._take_up()
        self._next_part = 1 + max((int(path.stem[-6:]) for path in self._parts.glob("*.parquet")), default=0)
        begun = self._begun()
        ends = [_scan(self._files(table)).select(pl.col("local_ts_ns").max()) for table in begun]
        lasts = {table: int(frame.item()) for table, frame in zip(begun, pl.collect_all(ends), strict=True)}
        self.last_local_ns = max(lasts.values(), default=0)
        self._spool = self._take_spool(lasts)
        self._taken_up_ns = self.last_local_ns

    def take(self, event: MarketEvent) -> None:
        """One more event.

        Errors      BadInputError for one of before the last
        """
        if event.local_ts_ns < self.last_local_ns:
            at, last = format_utc(event.local_ts_ns), format_utc(self.last_local_ns)
            raise BadInputError(f"{self._directory}: an event at {at} after one at {last}; the clock ran backwards")
        if self._taken_up_ns:
            self.notes.append(f"Not recorded from {format_utc(self._taken_up_ns)} to {format_utc(event.local_ts_ns)}.")
            self._taken_up_ns = 0
        if event.local_ts_ns > self.last_local_ns and max(map(len, self._rows.values())) >= self._rows_a_part:
            self.flush()
        self._spool.append(event)
        self._add(event)

    def sync(self) -> None:
        """What was taken outlives this process.

        Errors      BadInputError where it cannot be written, as on a full disk
        """
        self._spool.sync()

    def flush(self) -> None:
        """Makes parts of what was taken. To be called between two moments: one moment's rows are all in one part."""
        for table in _TABLES:
            self._write_part(table)
        self._spool.restart()

    def finish(self, source: str, licence: str) -> SessionMeta:
        """Makes the session whole, and gives what its session.toml says.

        Errors      BadInputError where nothing was recorded
        """
        self.flush()
        self._spool.close()
        begun = self._begun()
        if not begun:
            self._let_go()
            raise BadInputError(f"{self._directory}: nothing was heard, so there is nothing to keep")
        counts, firsts = {}, []
        named = [pl.DataFrame(schema={"instrument": pl.String, "local_ts_ns": pl.Int64})]
        for table in begun:
            rows = _scan(self._files(table))
            with new_file(self._directory / table.file_name) as scratch:
                rows.sink_parquet(scratch, compression="zstd", statistics=False)
            told = rows.select(pl.len(), pl.col("local_ts_ns").min()).collect().row(0)
            counts[table.name] = int(told[0])
            firsts.append(int(told[1]))
            if "instrument" in table.columns:
                seen = rows.group_by("instrument").agg(pl.col("local_ts_ns").min())
                named.append(seen.collect(engine="streaming"))
        instruments = instruments_table(named)
        with new_file(self._directory / INSTRUMENTS.file_name) as scratch:
            instruments.write_parquet(scratch, compression="zstd", statistics=False)
        meta = self._describe(source, licence, min(firsts), {INSTRUMENTS.name: instruments.height, **counts})
        write_text(self._directory / META_FILE, to_toml(msgspec.to_builtins(meta)))
        shutil.rmtree(self._parts)
        self._lock.release()
        (self._directory / LOCK_FILE).unlink()
        return meta

    def abandon(self) -> None:
        """Leaves the directory to be taken up later; one in which nothing is goes."""
        self.flush()
        self._spool.close()
        self._let_go()

    def _let_go(self) -> None:
        self._lock.release()
        if not self._begun():
            shutil.rmtree(self._parts)
            (self._directory / LOCK_FILE).unlink()
            if not any(self._directory.iterdir()):
                self._directory.rmdir()

    def _describe(self, source: str, licence: str, first_ns: int, counts: dict[str, int]) -> SessionMeta:
        end_ns = (self.last_local_ns // _NS_PER_MS + 1) * _NS_PER_MS
        return SessionMeta(
            source=source,
            licence=licence,
            span=Span(start=format_utc(first_ns), end=format_utc(end_ns)),
            importer=self._importer,
            clocks=dict(self._clocks),
            notes=tuple(self.notes),
            counts=counts,
            set_aside=dict(sorted(self.set_aside.items())),
        )

    def _trade(self, event: TradePrint) -> tuple[Any, ...]:
        amount = round(event.size_lots * self._reference.instrument(event.instrument).lot_size, 8)
        return (
            *(event.instrument, event.trade_id, event.taker_side, event.price, amount),
            *(event.mark_price, event.iv, event.index_usd, event.off_book),
        )

    def _add(self, event: MarketEvent) -> None:
        self.last_local_ns = max(event.local_ts_ns, self.last_local_ns)
        table = _table_of(event)
        if table is not None:
            clocks = (event.exch_ts_ns, event.local_ts_ns)
            self._rows[table] += ((*clocks, *row) for row in self._rows_of(event))

    def _rows_of(self, event: MarketEvent) -> Iterable[tuple[Any, ...]]:
        """An event's rows without their clocks."""
        match event:
            case IndexTick():
                return [(event.underlying, event.price_usd)]
            case TopOfBook():
                sides = (event.bid, event.ask, event.bid_amount, event.ask_amount)
                return [(event.instrument, *sides, event.mark_price)]
            case FundingRate():
                return [(event.instrument, event.rate, event.hours)]
            case TradePrint():
                return [self._trade(event)]
            case ChainQuotes():
                return ((event.underlying, *msgspec.structs.astuple(row)) for row in event.rows)
        return []

    def _write_part(self, table: Table) -> None:
        rows = self._rows[table]
        if not rows:
            return
        frame = pl.DataFrame(rows, schema=table.schema, orient="row")
        with new_file(self._parts / f"{table.name}-{self._next_part:06d}.parquet") as scratch:
            frame.write_parquet(scratch, compression="zstd", statistics=False)
        self._next_part += 1
        rows.clear()

    def _take_spool(self, lasts: dict[Table, int]) -> Spool:
        """The spool, its events taken that no part has.

        A table's last moment says which events it lacks, for a moment's rows are all in one part.
        """
        path = self._parts / SPOOL_FILE
        if not path.exists():
            return Spool.create(path)
        spool = Spool.open(path)
        for event in spool.events():
            if not isinstance(event, MarketEvent):
                continue
            table = _table_of(event)
            if table is None or event.local_ts_ns > lasts.get(table, 0):
                self._add(event)
        return spool

    def _refuse_strangers(self) -> None:
        """A directory of anything but a recording of ours is left alone."""
        directory = self._directory
        if (directory / META_FILE).exists():
            found = open_session(directory).meta.importer
            if found != self._importer:
                raise BadInputError(f"{directory} holds a session from {found or 'elsewhere'}; name another directory")
        elif any(directory.iterdir()) and not (directory / _PARTS).is_dir():
            raise BadInputError(f"{directory} already holds something that is no recording; name another directory")

    def _files(self, table: Table) -> list[Path]:
        return sorted(self._parts.glob(f"{table.name}-??????.parquet"))

    def _begun(self) -> list[Table]:
        return [table for table in _TABLES if self._files(table)]

    def _take_up(self) -> None:
        """Brings the directory into its state of parts, from wherever it was left.

        A table beside parts of it was being made of them; one without parts is a finished session's: its first part.
        """
        meta_file = self._directory / META_FILE
        if meta_file.exists():
            meta = open_session(self._directory).meta
            self.set_aside.update(meta.set_aside)
            self.notes += meta.notes
            shutil.rmtree(self._parts, ignore_errors=True)
        self._parts.mkdir(exist_ok=True)
        meta_file.unlink(missing_ok=True)
        (self._directory / INSTRUMENTS.file_name).unlink(missing_ok=True)
        for table in _TABLES:
            whole = self._directory / table.file_name
            if whole.exists() and self._files(table):
                whole.unlink()
            elif whole.exists():
                whole.rename(self._parts / f"{table.name}-{0:06d}.parquet")


def _table_of(event: MarketEvent) -> Table | None:
    """Where an event's rows go; None for one that leaves none."""
    match event:
        case IndexTick():
            return INDEX
        case TopOfBook():
            return QUOTES
        case FundingRate():
            return FUNDING
        case TradePrint():
            return TRADES
        case ChainQuotes():
            return CHAIN
    return None


def _scan(files: list[Path]) -> pl.LazyFrame:
    return pl.scan_parquet(files)
