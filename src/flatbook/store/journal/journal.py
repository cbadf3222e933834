"""An open journal: buffered and written ahead, checked row by row when it is opened."""

import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import AnyEvent
from flatbook.domain.units import format_utc
from flatbook.store.journal.database import Database, DatabaseFailedError
from flatbook.store.journal.examine import examine
from flatbook.store.journal.rows import FORMAT_VERSION, Chain, Checkpoint, CheckpointRow, HeaderRow, InboxRow, RunHeader
from flatbook.store.journal.sqlite import SqliteDatabase
from flatbook.store.lock import RunLock


class Journal:
    """An open journal. `create`, `open` (to go on writing) and `read` (beside a running writer) make one of a file of
    SQLite; `place` makes those of PostgreSQL.

    place           where it is, for messages
    recovered       what was dropped from its end when it was opened, and why; None where it was whole
    """

    def __init__(self, database: Database, header: RunHeader, lock: RunLock | None) -> None:
        self.place = database.place
        self.header = header
        self.recovered: str | None = None
        self._database, self._lock = database, lock
        self._encode = msgspec.msgpack.Encoder().encode
        self._chain = Chain()
        self._inbox_buffer: list[InboxRow] = []
        self._checkpoint_buffer: list[CheckpointRow] = []
        self._last_checkpoint: Checkpoint | None = None

    @classmethod
    def create(cls, path: Path, header: RunHeader) -> "Journal":
        """A new journal in a file of SQLite at `path`.

        Errors      BadInputError where one is there already, or another process holds the directory
        """
        lock = RunLock(path.parent)
        if path.exists():
            lock.release()
            raise BadInputError(f"{path} already exists; resume the run it belongs to, or name another directory")
        return cls(SqliteDatabase.create(path, stored(header)), header, lock)

    @classmethod
    def open(cls, path: Path) -> "Journal":
        """The journal in the file at `path`, to be continued; every row is checked, and a torn last record dropped.

        Errors      BadInputError where there is none, it is damaged, or another process writes it
        """
        _require(path)
        lock = RunLock(path.parent)
        try:
            return cls.taken_up(_opened(path, is_writing=True), lock)
        except BadInputError:
            lock.release()
            raise

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """The journal in the file at `path` to look at, whether or not its run is still going; nothing is changed.

        Errors      BadInputError where there is none, or it is damaged
        """
        _require(path)
        return cls.taken_up(_opened(path, is_writing=False), None)

    @classmethod
    def taken_up(cls, database: Database, lock: RunLock | None) -> "Journal":
        """A journal that was there before, checked; to be written with the lock of its run's directory.

        Errors      BadInputError where it is damaged; the database is closed then
        """
        try:
            journal = cls(database, _read_header(database), lock)
            journal._examine()
        except BadInputError:
            database.close()
            raise
        return journal

    def _examine(self) -> None:
        found = examine(self._database)
        until = "its start"
        if found.last is not None:
            until = f"event {found.last.event_seq} at {format_utc(found.last.ts_ns)}"
        if found.fault is not None and not found.is_torn:
            raise _damaged(self.place, f"{found.fault}, and is not the last; it is whole until {until}")
        self._chain, self._last_checkpoint = found.chain, found.last
        if found.fault is not None:
            self.recovered = f"{self.place}: its last record was torn ({found.fault}): dropped; it goes on from {until}"
        if self._lock is not None and (found.fault is not None or self._database.is_cut):
            self._drop_behind(found.chain)

    def _drop_behind(self, chain: Chain) -> None:
        try:
            self._database.keep(chain.next_seq - 1, chain.next_number - 1)
        except DatabaseFailedError as error:
            raise _damaged(self.place, f"its torn end cannot be dropped ({error})") from None

    @property
    def next_seq(self) -> int:
        """The place in the inbox that the next row has."""
        return self._chain.next_seq

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
                f"{self.place}: inbox row {seq} cannot follow row {self.next_seq - 1}; append row {self.next_seq}"
            )
        kind = str(type(event).__struct_config__.tag)
        self._inbox_buffer.append(self._chain.inbox_row(event.local_ts_ns, kind, self._encode(event)))

    def checkpoint(self, event_seq: int, ts_ns: int, digest: bytes) -> None:
        """Buffers the digest of all that has gone out until after event `event_seq` of the run.

        Errors      BadInputError where `event_seq` is not beyond the last checkpoint's
        """
        last = self._last_checkpoint
        if last is not None and event_seq <= last.event_seq:
            raise BadInputError(f"{self.place}: checkpoint {event_seq} is not after checkpoint {last.event_seq}")
        row = self._chain.checkpoint_row(event_seq, ts_ns, digest)
        self._checkpoint_buffer.append(row)
        self._last_checkpoint = row.checkpoint

    def commit(self) -> None:
        """Makes all that is buffered last, in one transaction: all of it or none.

        Errors      BadInputError where it cannot be written
        """
        if not self._inbox_buffer and not self._checkpoint_buffer:
            return
        try:
            self._database.write(self._inbox_buffer, self._checkpoint_buffer)
        except DatabaseFailedError as error:
            raise BadInputError(f"{self.place}: cannot be written ({error}); resume the run when it can be") from None
        self._inbox_buffer.clear()
        self._checkpoint_buffer.clear()

    def inbox(self) -> Iterator[tuple[int, AnyEvent]]:
        """The committed events with their rows' numbers, in order, as far as the journal is whole."""
        decode = msgspec.msgpack.Decoder(AnyEvent).decode
        rows = islice(self._database.inbox(), self.next_seq - 1)
        return ((row.seq, decode(row.payload)) for row in rows)

    def checkpoints(self) -> Iterator[Checkpoint]:
        """The committed checkpoints, in order, as far as the journal is whole."""
        rows = islice(self._database.checkpoints(), self._chain.next_number - 1)
        return (row.checkpoint for row in rows)

    def last_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint, committed or still buffered; None before the first."""
        return self._last_checkpoint

    def close(self) -> None:
        """Commits, and lets the database and the directory go."""
        if self._lock is not None:
            self.commit()
        self._database.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stored(header: RunHeader) -> HeaderRow:
    """A header as a database keeps it."""
    content = msgspec.json.encode(header)
    return HeaderRow(FORMAT_VERSION, content.decode(), zlib.crc32(content))


def _require(path: Path) -> None:
    if not path.is_file():
        raise BadInputError(f"{path}: no journal there; name the directory of a run")


def _opened(path: Path, *, is_writing: bool) -> SqliteDatabase:
    try:
        return SqliteDatabase.open(path, is_writing=is_writing)
    except DatabaseFailedError as error:
        raise _damaged(str(path), str(error)) from None


def _read_header(database: Database) -> RunHeader:
    try:
        found = database.header()
    except DatabaseFailedError as error:
        raise _damaged(database.place, str(error)) from None
    if found is None or found.format < 1:
        raise _damaged(database.place, "it has no header")
    if found.format != FORMAT_VERSION:
        raise BadInputError(
            f"{database.place}: journal format {found.format}, this flatbook reads {FORMAT_VERSION}; finish it "
            "with the release that began it, or run again"
        )
    if found.checksum != zlib.crc32(found.content.encode()):
        raise _damaged(database.place, "the header fails its checksum")
    return msgspec.json.decode(found.content, type=RunHeader)


def _damaged(place: str, what: str) -> BadInputError:
    return BadInputError(f"{place}: damaged: {what}; restore it from a copy, or run again")
