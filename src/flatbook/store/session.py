"""A recorded market: a directory of Parquet tables, read as market events in local-time order.

    session.toml         where it comes from, its licence, span, clocks and units, what was set aside
    instruments.parquet  every instrument and when it was first seen
    index.parquet  quotes.parquet  trades.parquet  chain.parquet  funding.parquet      any of them; see `tables`

Columns are read and checked in bulk; an event is made when it is asked for.
"""

import hashlib
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import (
    ChainQuotes,
    FundingRate,
    IndexTick,
    MarketEvent,
    QuoteRow,
    TopOfBook,
    TradePrint,
)
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import parse_utc
from flatbook.store.tables import BOOKS, CHAIN, FUNDING, INDEX, INSTRUMENTS, QUOTES, TABLES, TRADES, read_table
from flatbook.store.tradable import tradable_chain, tradable_quotes, tradable_trades

META_FILE = "session.toml"
_ROWS_AT_ONCE = 8_192


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """First and last moment of a session, ISO-8601 UTC, the last one just past the last row."""

    start: str
    end: str


class BookContract(msgspec.Struct, frozen=True):
    """A recorded book's contract: its venue and name there, tick and lot as decimals in text.

    `usd_a_contract` is what one contract of an inverse perpetual is worth; without it sizes are in coins.
    """

    venue: str
    symbol: str
    tick: str
    lot: str
    usd_a_contract: int | None = None


class SessionMeta(msgspec.Struct, frozen=True):
    """What `session.toml` says. Notes are for people: clocks, units, joins; counts by table and by reason."""

    source: str
    licence: str
    span: Span
    importer: str = ""
    clocks: dict[str, str] = {}
    units: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    set_aside: dict[str, int] = {}
    inputs: dict[str, str] = {}
    books: dict[str, BookContract] = {}


@dataclass(frozen=True, slots=True)
class _Tables:
    """The rows of a session that can become events, in local-time order each."""

    index: pl.DataFrame
    quotes: pl.DataFrame
    funding: pl.DataFrame
    trades: pl.DataFrame
    chain: pl.DataFrame


class Session:
    """A session directory opened for reading.

    `set_aside` counts, by reason, the rows that no event was made of; it is complete once `market_events` was called.
    """

    def __init__(self, path: Path, meta: SessionMeta) -> None:
        self.path = path
        self.meta = meta
        self.from_ns = parse_utc(meta.span.start)
        self.to_ns = parse_utc(meta.span.end)
        self.set_aside: Counter[str] = Counter()
        self._read: tuple[ReferenceData, _Tables] | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the tables' names and bytes: what a journal names this market by."""
        total = hashlib.sha256()
        for name in sorted(TABLES):
            file = self.path / TABLES[name].file_name
            if file.exists():
                with file.open("rb") as stream:
                    part = hashlib.file_digest(stream, "sha256")
                total.update(f"{file.name}:{part.hexdigest()}\n".encode())
        return total.hexdigest()

    @cached_property
    def instruments(self) -> pl.DataFrame:
        """The instruments table, by first appearance."""
        return read_table(self.path, INSTRUMENTS)

    @property
    def has_books_alone(self) -> bool:
        """Whether it holds order books and no index."""
        return bool(self.meta.books) and not (self.path / INDEX.file_name).exists()

    def book_rows(self, instrument: str) -> pl.DataFrame:
        """The recorded book and prints of `instrument`, in the order in which we heard of them.

        Errors      BadInputError where the session has no book of it, or the table cannot be used
        """
        if instrument not in self.meta.books:
            known = ", ".join(self.meta.books) or "none"
            raise BadInputError(f"{self.path} has no order book of {instrument!r}; it has {known}")
        return read_table(self.path, BOOKS).filter(pl.col("instrument") == instrument)

    def market_events(self, from_ns: int, to_ns: int, reference: ReferenceData) -> Iterator[MarketEvent]:
        """Events with `from_ns` <= `local_ts_ns` < `to_ns`, by local time, ties in the order of `domain.events`.

        Errors      BadInputError, before the first event, where a table cannot be used, or where there are order books
                    alone
        """
        if self.has_books_alone:
            raise BadInputError(f"{self.path} holds order books alone, and no index to price by; give one with it")
        tables = self._load(reference)
        streams: list[tuple[pl.DataFrame, Callable[[pl.DataFrame], Iterator[MarketEvent]]]] = [
            (tables.index, _index_ticks),
            (tables.quotes, _tops_of_book),
            (tables.funding, _funding_rates),
            (tables.trades, _trade_prints),
            (tables.chain, _chain_quotes),
        ]
        return _merge([(_window(frame, from_ns, to_ns), make) for frame, make in streams])

    def require_perpetual(self, coin: str, perpetual: str, reference: ReferenceData) -> None:
        """Does nothing where the session has the coin's index and best prices of its perpetual.

        Errors      BadInputError where it lacks either
        """
        tables = self._load(reference)
        for what, names in ((coin, tables.index["underlying"]), (perpetual, tables.quotes["instrument"])):
            if what not in names:
                kind = f"no index of {coin}" if what == coin else f"no best prices of {perpetual}"
                raise BadInputError(
                    f"{self.path}: {kind}, and the policy hedges with it; import them, or leave {coin} out of "
                    "hedging.correlated"
                )

    def _load(self, reference: ReferenceData) -> _Tables:
        if self._read is None or self._read[0] is not reference:
            self.set_aside.clear()
            tables = _Tables(
                index=read_table(self.path, INDEX),
                quotes=tradable_quotes(read_table(self.path, QUOTES), reference, self.set_aside),
                funding=read_table(self.path, FUNDING),
                trades=tradable_trades(read_table(self.path, TRADES), reference, self.set_aside),
                chain=_snapshots(tradable_chain(read_table(self.path, CHAIN), reference, self.set_aside)),
            )
            self._read = (reference, tables)
        return self._read[1]


def open_session(path: Path | str) -> Session:
    """The session in directory `path`; its tables are read when events are first asked for.

    Errors      BadInputError where there is no session, or its session.toml does not describe one
    """
    directory = Path(path)
    file = directory / META_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise BadInputError(
            f"{directory} is not a session directory: it has no {META_FILE}; make one with `flatbook data import`"
        ) from None
    except UnicodeDecodeError as error:
        raise BadInputError(f"{file}: not UTF-8 text at byte {error.start}; import the session again") from None
    try:
        meta = msgspec.convert(tomllib.loads(text), SessionMeta)
        return Session(directory, meta)
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{file}: {error}; mend the line, or import the session again") from None
    except (msgspec.ValidationError, BadInputError) as error:
        raise BadInputError(f"{file}: {error}") from None


def _snapshots(chain: pl.DataFrame) -> pl.DataFrame:
    """One row a snapshot: its clocks, and every other column as a list. The venue's clock is its latest row's."""
    columns = [name for name in CHAIN.names if name not in ("local_ts_ns", "underlying", "exch_ts_ns")]
    return chain.group_by("local_ts_ns", "underlying", maintain_order=True).agg(
        pl.col("exch_ts_ns").max(), *(pl.col(name) for name in columns)
    )


def _window(frame: pl.DataFrame, from_ns: int, to_ns: int) -> pl.DataFrame:
    clock = frame["local_ts_ns"]
    first, last = (int(clock.search_sorted(ts_ns, "left")) for ts_ns in (from_ns, to_ns))
    return frame[first:last]


def _merge(
    streams: list[tuple[pl.DataFrame, Callable[[pl.DataFrame], Iterator[MarketEvent]]]],
) -> Iterator[MarketEvent]:
    """The streams in one, by local time; at equal times the earlier stream goes first, and a file keeps its order."""
    clocks = [frame["local_ts_ns"].to_numpy() for frame, _ in streams]
    source = np.repeat(np.arange(len(streams), dtype=np.uint8), [len(clock) for clock in clocks])
    order = np.argsort(np.concatenate(clocks), kind="stable")
    makers = [make(frame) for frame, make in streams]
    # Bytes iterate as small integers, without a numpy scalar each.
    return (next(makers[code]) for code in source[order].tobytes())


def _rows(frame: pl.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Rows as tuples of Python values, converted a slice at a time."""
    for part in frame.select(columns).iter_slices(_ROWS_AT_ONCE):
        yield from zip(*(column.to_list() for column in part), strict=True)


def _index_ticks(frame: pl.DataFrame) -> Iterator[IndexTick]:
    for exch, local, underlying, price in _rows(frame, *INDEX.names):
        yield IndexTick(exch_ts_ns=exch, local_ts_ns=local, underlying=underlying, price_usd=price)


def _tops_of_book(frame: pl.DataFrame) -> Iterator[TopOfBook]:
    for exch, local, instrument, bid, ask, bid_amount, ask_amount, mark in _rows(frame, *QUOTES.names):
        yield TopOfBook(
            exch_ts_ns=exch,
            local_ts_ns=local,
            instrument=instrument,
            bid=bid,
            ask=ask,
            bid_amount=bid_amount,
            ask_amount=ask_amount,
            mark_price=mark,
        )


def _funding_rates(frame: pl.DataFrame) -> Iterator[FundingRate]:
    for exch, local, instrument, rate, hours in _rows(frame, *FUNDING.names):
        yield FundingRate(exch_ts_ns=exch, local_ts_ns=local, instrument=instrument, rate=rate, hours=hours)


def _trade_prints(frame: pl.DataFrame) -> Iterator[TradePrint]:
    columns = (
        *("exch_ts_ns", "local_ts_ns", "instrument", "trade_id", "taker_side", "price", "size_lots"),
        *("mark_price", "iv", "index_usd", "off_book"),
    )
    for exch, local, instrument, trade_id, side, price, lots, mark, iv, index, off_book in _rows(frame, *columns):
        yield TradePrint(
            exch_ts_ns=exch,
            local_ts_ns=local,
            instrument=instrument,
            trade_id=trade_id,
            taker_side=side,
            price=price,
            size_lots=lots,
            mark_price=mark,
            iv=iv,
            index_usd=index,
            off_book=off_book,
        )


def _chain_quotes(frame: pl.DataFrame) -> Iterator[ChainQuotes]:
    columns = ("instrument", "bid", "ask", "bid_iv", "ask_iv", "mark_iv", "forward_usd")
    for exch, local, underlying, *fields in frame.select(
        "exch_ts_ns", "local_ts_ns", "underlying", *columns
    ).iter_rows():
        rows = tuple(map(QuoteRow, *fields))
        yield ChainQuotes(exch_ts_ns=exch, local_ts_ns=local, underlying=underlying, rows=rows)
