"""The journal in a file of SQLite: in Python, one file beside the run's others, and nothing to set up.

Its write-ahead log keeps a commit whole: what was committed outlives a killed process, and a transaction that was torn
is gone as if it had not been (synchronous=NORMAL: power loss may cost the last commits, never the journal). A file
whose end is missing is read as far as it goes, and written anew before it is gone on with.
"""

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from typing import Any

from flatbook.store.atomic import new_file
from flatbook.store.journal.database import DatabaseFailedError
from flatbook.store.journal.rows import CheckpointRow, HeaderRow, InboxRow

JOURNAL_FILE = "journal.sqlite"
TORN_SUFFIX = ".torn"

_SCHEMA = (
    "CREATE TABLE header (id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, content TEXT NOT NULL,"
    " checksum INTEGER NOT NULL)",
    "CREATE TABLE inbox (seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL,"
    " checksum INTEGER NOT NULL)",
    "CREATE TABLE checkpoint (number INTEGER PRIMARY KEY, event_seq INTEGER NOT NULL, ts_ns INTEGER NOT NULL,"
    " inbox_seq INTEGER NOT NULL, digest BLOB NOT NULL, checksum INTEGER NOT NULL)",
)
_PAGE_BYTES, _PAGES = Struct(">16xH"), Struct(">28xI")
_LOGS = ("-wal", "-shm")


class SqliteDatabase:
    """`Database` in a file. Make one with `create` or `open`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, is_cut: bool = False) -> None:
        self.path, self.place = path, str(path)
        self.is_cut = is_cut
        self._connection = connection

    @classmethod
    def create(cls, path: Path, header: HeaderRow) -> "SqliteDatabase":
        """A new file with empty tables."""
        database = cls(path, _writable(path))
        database._make(header)
        return database

    @classmethod
    def open(cls, path: Path, *, is_writing: bool) -> "SqliteDatabase":
        """The file at `path`; one that is cut is opened for reading until `keep` has written it anew.

        Errors      DatabaseFailedError where it is no database
        """
        if _is_cut(path):
            connection = _connect(path, "ro")
            # Else SQLite refuses the whole of a file that has fewer pages than its first one says.
            connection.execute("PRAGMA writable_schema=ON")
            return cls(path, connection, is_cut=True)
        return cls(path, _writable(path, "rw") if is_writing else _connect(path, "ro"))

    def header(self) -> HeaderRow | None:
        """As in `Database`."""
        fields = f"{_whole('format')}, {_text('content')}, checksum"
        return next(map(HeaderRow._make, self._rows(f"SELECT {fields} FROM header")), None)

    def inbox(self) -> Iterator[InboxRow]:
        """As in `Database`."""
        # SQLite's columns take any type, and a changed row may be of another one, or none.
        fields = f"seq, {_whole('ts_ns')}, {_text('kind')}, {_blob('payload')}, checksum"
        return map(InboxRow._make, self._rows(f"SELECT {fields} FROM inbox ORDER BY seq"))

    def checkpoints(self) -> Iterator[CheckpointRow]:
        """As in `Database`."""
        fields = f"number, {_whole('event_seq')}, {_whole('ts_ns')}, {_whole('inbox_seq')}, {_blob('digest')}, checksum"
        return map(CheckpointRow._make, self._rows(f"SELECT {fields} FROM checkpoint ORDER BY number"))

    def write(self, inbox: Sequence[InboxRow], checkpoints: Sequence[CheckpointRow]) -> None:
        """As in `Database`."""
        with self._transaction():
            self._insert(inbox, checkpoints)

    def keep(self, inbox: int, checkpoints: int) -> None:
        """As in `Database`; a file that was cut is copied first, with what SQLite keeps beside it."""
        if self.is_cut:
            self._write_anew(inbox, checkpoints)
            return
        with self._transaction():
            self._connection.execute("DELETE FROM inbox WHERE seq > ?", (inbox,))
            self._connection.execute("DELETE FROM checkpoint WHERE number > ?", (checkpoints,))

    def close(self) -> None:
        """Folds the write-ahead log into the file and lets it go."""
        self._connection.close()

    def _make(self, header: HeaderRow) -> None:
        with self._transaction():
            for statement in _SCHEMA:
                self._connection.execute(statement)
            self._connection.execute("INSERT INTO header VALUES (1, ?, ?, ?)", header)

    def _insert(self, inbox: Iterable[InboxRow], checkpoints: Iterable[CheckpointRow]) -> None:
        self._connection.executemany("INSERT INTO inbox VALUES (?, ?, ?, ?, ?)", inbox)
        self._connection.executemany("INSERT INTO checkpoint VALUES (?, ?, ?, ?, ?, ?)", checkpoints)

    def _write_anew(self, inbox: int, checkpoints: int) -> None:
        header = self.header()
        assert header is not None
        with new_file(self.path) as scratch:
            made = SqliteDatabase.create(scratch, header)
            with made._transaction():
                made._insert(_first(inbox, self.inbox()), _first(checkpoints, self.checkpoints()))
            made.close()
            self.close()
            for suffix in ("", *_LOGS):
                beside = Path(f"{self.path}{suffix}")
                if beside.exists():
                    shutil.copyfile(beside, f"{self.path}{TORN_SUFFIX}{suffix}")
            for suffix in _LOGS:
                # A log of the old file would be taken for the new one's.
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self._connection, self.is_cut = _writable(self.path, "rw"), False

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(query)
        except sqlite3.DatabaseError as error:
            raise DatabaseFailedError(str(error)) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise DatabaseFailedError(str(error)) from None


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # isolation_level None: transactions are ours to begin and end.
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None)


def _writable(path: Path, mode: str = "rwc") -> sqlite3.Connection:
    connection = _connect(path, mode)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DatabaseFailedError(str(error)) from None
    return connection


def _is_cut(path: Path) -> bool:
    """Whether the file has fewer pages than its first one says.

    One whose writer ended while the log was being folded in looks the same, and has them in the log.
    """
    with path.open("rb") as file:
        head = file.read(32)
    if len(head) < _PAGES.size:
        return False
    page_bytes: int = _PAGE_BYTES.unpack_from(head)[0]
    pages: int = _PAGES.unpack_from(head)[0]
    return path.stat().st_size < pages * (65_536 if page_bytes == 1 else page_bytes)


def _first(count: int, rows: Iterator[Any]) -> Iterator[Any]:
    # Never asks for one more: it may be one that cannot be read.
    return (next(rows) for _ in range(count))


def _whole(column: str) -> str:
    return f"COALESCE(CAST({column} AS INTEGER), 0)"


def _text(column: str) -> str:
    return f"COALESCE(CAST({column} AS TEXT), '')"


def _blob(column: str) -> str:
    return f"COALESCE(CAST({column} AS BLOB), x'')"
