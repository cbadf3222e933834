"""The journal of a run: what came in, and a rolling digest of what went out. Append-only; the truth of the run.

    header       what the run is: configuration, version, policy, seed, and the session it reads, by digest
    inbox        events that the session does not hold (fills, acknowledgements; for a live run every event)
    checkpoint   after which event, when, and the digest of all that went out until then

Written ahead: `append` and `checkpoint` buffer, `commit` makes them last, and the caller commits before the effects
leave. What was committed outlives a killed process (SQLite's write-ahead log, synchronous=NORMAL: power loss may cost
the last commits, never the journal). SQLite drops a transaction that was torn; a row that changed since it was
written is refused by its checksum, which is chained from row to row, so that none can be taken out either.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import AnyEvent
from flatbook.domain.units import format_utc
from flatbook.store.lock import RunLock

JOURNAL_FILE = "journal.sqlite"
FORMAT_VERSION = 1

_SCHEMA = (
    "CREATE TABLE header (id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, content TEXT NOT NULL,"
    " checksum INTEGER NOT NULL)",
    "CREATE TABLE inbox (seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL,"
    " checksum INTEGER NOT NULL)",
    "CREATE TABLE checkpoint (event_seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, digest BLOB NOT NULL,"
    " checksum INTEGER NOT NULL)",
)
_FIRST_SEQ = 1


class RunHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is. `config_json` is the effective configuration, `policy_text` the policy file as it was read."""

    run_id: str
    version: str
    config_json: str
    policy_text: str
    seed: int
    session_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """After event `event_seq`, at `ts_ns`, all that had gone out had this digest."""

    event_seq: int
    ts_ns: int
    digest: bytes


class _Chain:
    """Checksums of a table's rows, each started from the one before."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, number: int, ts_ns: int, content: bytes) -> int:
        prefix = number.to_bytes(8, "little", signed=True) + ts_ns.to_bytes(8, "little", signed=True)
        self._last = zlib.crc32(content, zlib.crc32(prefix, self._last))
        return self._last


class Journal:
    """An open journal. Make one with `create`, `open` (to go on writing) or `read` (beside a running writer)."""

    def __init__(self, path: Path, database: sqlite3.Connection, header: RunHeader, lock: RunLock | None) -> None:
        self.path = path
        self.header = header
        self.next_seq = _FIRST_SEQ
        self._database = database
        self._lock = lock
        self._encode = msgspec.msgpack.Encoder().encode
        self._inbox_buffer: list[tuple[int, int, str, bytes, int]] = []
        self._checkpoint_buffer: list[tuple[int, int, bytes, int]] = []
        self._inbox_chain, self._checkpoint_chain = _Chain(), _Chain()
        self._last_checkpoint: Checkpoint | None = None

    @classmethod
    def create(cls, path: Path, header: RunHeader) -> "Journal":
        """A new journal at `path`.

        Errors      BadInputError where one is there already, or another process holds the directory
        """
        lock = RunLock(path.parent)
        if path.exists():
            lock.release()
            raise BadInputError(f"{path} already exists; resume the run it belongs to, or name another directory")
        database = _connect(path, "rwc")
        content = msgspec.json.encode(header)
        with _transaction(database):
            for statement in _SCHEMA:
                database.execute(statement)
            row = (FORMAT_VERSION, content.decode(), zlib.crc32(content))
            database.execute("INSERT INTO header VALUES (1, ?, ?, ?)", row)
        return cls(path, database, header, lock)

    @classmethod
    def open(cls, path: Path) -> "Journal":
        """The journal at `path`, to be continued; every row is checked.

        Errors      BadInputError where there is none, it is damaged, or another process writes it
        """
        _require(path)
        lock = RunLock(path.parent)
        try:
            return cls._checked(path, "rw", lock)
        except BadInputError:
            lock.release()
            raise

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """The journal at `path` to look at, whether or not its run is still going; every row is checked.

        Errors      BadInputError where there is none, or it is damaged
        """
        _require(path)
        return cls._checked(path, "ro", None)

    @classmethod
    def _checked(cls, path: Path, mode: str, lock: RunLock | None) -> "Journal":
        database = _connect(path, mode)
        try:
            journal = cls(path, database, _read_header(path, database), lock)
            for seq, _ in journal._inbox_rows(journal._inbox_chain):
                journal.next_seq = seq + 1
            for checkpoint in journal._checkpoint_rows(journal._checkpoint_chain):
                journal._last_checkpoint = checkpoint
        except BadInputError:
            database.close()
            raise
        return journal

    @property
    def stale_pid(self) -> int | None:
        """The process that wrote this journal before and ended without closing it; None where it was closed."""
        return self._lock.stale_pid if self._lock is not None else None

    def append(self, seq: int, event: AnyEvent) -> None:
        """Buffers an event as row `seq` of the inbox; the rows count from 1 without a gap.

        Errors      BadInputError where `seq` is not `next_seq`
        """
        if seq != self.next_seq:
            raise BadInputError(
                f"{self.path}: inbox row {seq} cannot follow row {self.next_seq - 1}; append row {self.next_seq}"
            )
        payload = self._encode(event)
        kind = str(type(event).__struct_config__.tag)
        checksum = self._inbox_chain.next(seq, event.local_ts_ns, kind.encode() + payload)
        self._inbox_buffer.append((seq, event.local_ts_ns, kind, payload, checksum))
        self.next_seq = seq + 1

    def checkpoint(self, event_seq: int, ts_ns: int, digest: bytes) -> None:
        """Buffers the digest of all that has gone out until after event `event_seq` of the run.

        Errors      BadInputError where `event_seq` is not beyond the last checkpoint's
        """
        last = self._last_checkpoint
        if last is not None and event_seq <= last.event_seq:
            raise BadInputError(f"{self.path}: checkpoint {event_seq} is not after checkpoint {last.event_seq}")
        checksum = self._checkpoint_chain.next(event_seq, ts_ns, digest)
        self._checkpoint_buffer.append((event_seq, ts_ns, digest, checksum))
        self._last_checkpoint = Checkpoint(event_seq, ts_ns, digest)

    def commit(self) -> None:
        """Makes all that is buffered last, in one transaction: all of it or none."""
        if not self._inbox_buffer and not self._checkpoint_buffer:
            return
        with _transaction(self._database):
            if self._inbox_buffer:
                self._database.executemany("INSERT INTO inbox VALUES (?, ?, ?, ?, ?)", self._inbox_buffer)
            if self._checkpoint_buffer:
                self._database.executemany("INSERT INTO checkpoint VALUES (?, ?, ?, ?)", self._checkpoint_buffer)
        self._inbox_buffer.clear()
        self._checkpoint_buffer.clear()

    def inbox(self) -> Iterator[tuple[int, AnyEvent]]:
        """The committed events with their rows' numbers, in order.

        Errors      BadInputError at the first row that is damaged or missing
        """
        decode = msgspec.msgpack.Decoder(AnyEvent).decode
        return ((seq, decode(payload)) for seq, payload in self._inbox_rows(_Chain()))

    def checkpoints(self) -> Iterator[Checkpoint]:
        """The committed checkpoints, in order.

        Errors      BadInputError at the first that is damaged
        """
        return self._checkpoint_rows(_Chain())

    def last_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint, committed or still buffered; None before the first."""
        return self._last_checkpoint

    def close(self) -> None:
        """Commits, folds the write-ahead log into the file and lets the directory go."""
        if self._lock is not None:
            self.commit()
        self._database.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _inbox_rows(self, chain: _Chain) -> Iterator[tuple[int, bytes]]:
        expected = _FIRST_SEQ
        # SQLite's columns take any type: the casts keep a changed row from being of another one.
        fields = "seq, CAST(ts_ns AS INTEGER), CAST(kind AS TEXT), CAST(payload AS BLOB), checksum"
        query = f"SELECT {fields} FROM inbox ORDER BY seq"
        for seq, ts_ns, kind, payload, checksum in _rows(self.path, self._database, query):
            if seq != expected:
                raise _damaged(self.path, f"inbox row {expected} is missing")
            if checksum != chain.next(seq, ts_ns, kind.encode() + payload):
                raise _damaged(self.path, f"inbox row {seq} ({kind} at {format_utc(ts_ns)}) fails its checksum")
            expected += 1
            yield seq, payload

    def _checkpoint_rows(self, chain: _Chain) -> Iterator[Checkpoint]:
        fields = "event_seq, CAST(ts_ns AS INTEGER), CAST(digest AS BLOB), checksum"
        query = f"SELECT {fields} FROM checkpoint ORDER BY event_seq"
        for event_seq, ts_ns, digest, checksum in _rows(self.path, self._database, query):
            if checksum != chain.next(event_seq, ts_ns, digest):
                raise _damaged(self.path, f"the checkpoint after event {event_seq} fails its checksum")
            yield Checkpoint(event_seq, ts_ns, digest)


def _require(path: Path) -> None:
    if not path.is_file():
        raise BadInputError(f"{path}: no journal there; name the directory of a run")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # isolation_level None: transactions are ours to begin and end.
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    if mode != "ro":
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.DatabaseError as error:
            database.close()
            raise _damaged(path, str(error)) from None
    return database


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except sqlite3.Error:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _rows(path: Path, database: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    try:
        yield from database.execute(query)
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from None


def _read_header(path: Path, database: sqlite3.Connection) -> RunHeader:
    found = next(_rows(path, database, "SELECT format, content, checksum FROM header"), None)
    if found is None:
        raise _damaged(path, "it has no header")
    version, content, checksum = found
    if version != FORMAT_VERSION:
        raise BadInputError(
            f"{path}: journal format {version}, this flatbook reads {FORMAT_VERSION}; use the other release"
        )
    if checksum != zlib.crc32(content.encode()):
        raise _damaged(path, "the header fails its checksum")
    return msgspec.json.decode(content, type=RunHeader)


def _damaged(path: Path, what: str) -> BadInputError:
    return BadInputError(f"{path}: damaged: {what}; restore it from a copy, or run again")
