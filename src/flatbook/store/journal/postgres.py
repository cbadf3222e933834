"""The journal in PostgreSQL: every run of a desk in one database, which others watch, keep and copy.

Rows are those of the file, under the run's id. A run has one writer: an advisory lock that ends with its connection,
so that a second one is refused from any machine. A commit is whole, and outlives a killed process; as with the file,
one is not waited for until it is on the server's disk (synchronous_commit=off: a server that falls may lose the last,
never the journal).
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from flatbook.store.journal.database import DatabaseFailedError, InUseError
from flatbook.store.journal.rows import CheckpointRow, HeaderRow, InboxRow

_TABLES = sa.MetaData()
_RUN = sa.Table(
    "flatbook_run",
    _TABLES,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("format", sa.BigInteger, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("checksum", sa.BigInteger, nullable=False),
)
_INBOX = sa.Table(
    "flatbook_inbox",
    _TABLES,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("ts_ns", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("checksum", sa.BigInteger, nullable=False),
)
_CHECKPOINT = sa.Table(
    "flatbook_checkpoint",
    _TABLES,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("event_seq", sa.BigInteger, nullable=False),
    sa.Column("ts_ns", sa.BigInteger, nullable=False),
    sa.Column("inbox_seq", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("checksum", sa.BigInteger, nullable=False),
)
_ROWS_AT_ONCE = 1_000
_CONNECT_S = 10
_WAIT_FOR_LOCK_S = 2.0

Row = TypeVar("Row", bound=NamedTuple)


class PostgresDatabase:
    """`Database` on a server, for one run. Make one with `create`, `open` or `read`."""

    is_cut = False

    def __init__(self, url: str, place: str, run_id: str) -> None:
        self.place, self._run_id = f"{place}, run {run_id}", run_id
        # One moment for all that a transaction reads: a reader beside the writer sees both tables alike.
        self._connection = _connected(url, "REPEATABLE READ")

    @classmethod
    def create(cls, url: str, place: str, run_id: str, header: HeaderRow) -> "PostgresDatabase | None":
        """A run's rows begun, and the tables where they are not there; None where there is a run of that id."""
        database = cls._locked(url, place, run_id)
        with database._closing_on_failure(), database._transaction():
            # Two that make a table at once would fail, whatever "if not exists" says.
            database._connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_lock_key(""))))
            for table in _TABLES.sorted_tables:
                database._connection.execute(CreateTable(table, if_not_exists=True))
            if database._connection.execute(database._mine(_RUN)).first() is None:
                database._connection.execute(_RUN.insert(), {"run_id": run_id, **header._asdict()})
                return database
        database.close()
        return None

    @classmethod
    def open(cls, url: str, place: str, run_id: str) -> "PostgresDatabase":
        """A run's rows, to be gone on with.

        Errors      DatabaseFailedError; InUseError
        """
        return cls._locked(url, place, run_id)

    @classmethod
    def read(cls, url: str, place: str, run_id: str) -> "PostgresDatabase":
        """A run's rows, to look at.

        Errors      DatabaseFailedError
        """
        return cls(url, place, run_id)

    @classmethod
    def _locked(cls, url: str, place: str, run_id: str) -> "PostgresDatabase":
        database = cls(url, place, run_id)
        with database._closing_on_failure():
            database._hold()
        return database

    @staticmethod
    @contextmanager
    def hold_name(url: str, name: str) -> Iterator[None]:
        """Holds a name on the server for the block, against every process of every machine: the lock ends with its
        connection.

        Errors      DatabaseFailedError; InUseError
        """
        connection = _connected(url, "AUTOCOMMIT")
        try:
            _take_lock(connection, name)
            yield
        finally:
            connection.close()

    def header(self) -> HeaderRow | None:
        """As in `Database`."""
        return next(self._rows(_RUN, HeaderRow, _RUN.c.run_id), None)

    def inbox(self) -> Iterator[InboxRow]:
        """As in `Database`."""
        return self._rows(_INBOX, InboxRow, _INBOX.c.seq)

    def checkpoints(self) -> Iterator[CheckpointRow]:
        """As in `Database`."""
        return self._rows(_CHECKPOINT, CheckpointRow, _CHECKPOINT.c.number)

    def write(self, inbox: Sequence[InboxRow], checkpoints: Sequence[CheckpointRow]) -> None:
        """As in `Database`."""
        with self._transaction():
            for table, rows in ((_INBOX, inbox), (_CHECKPOINT, checkpoints)):
                if rows:
                    values = [{"run_id": self._run_id, **row._asdict()} for row in rows]
                    self._connection.execute(table.insert(), values)

    def keep(self, inbox: int, checkpoints: int) -> None:
        """As in `Database`."""
        with self._transaction():
            for table, place, last in ((_INBOX, _INBOX.c.seq, inbox), (_CHECKPOINT, _CHECKPOINT.c.number, checkpoints)):
                self._connection.execute(table.delete().where(table.c.run_id == self._run_id, place > last))

    def close(self) -> None:
        """Ends the connection, and the lock with it."""
        self._connection.close()

    def _mine(self, table: sa.Table) -> "sa.Select[Any]":
        return sa.select(*(column for column in table.c if column.name != "run_id")).where(
            table.c.run_id == self._run_id
        )

    def _rows(self, table: sa.Table, row: type[Row], order: "sa.Column[Any]") -> Iterator[Row]:
        make: Callable[..., Row] = row._make
        with _spoken():
            query = self._mine(table).order_by(order)
            streamed = query.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE)
            with self._connection.execute(streamed) as result:
                yield from map(make, result)

    def _hold(self) -> None:
        with self._transaction():
            self._connection.execute(sa.text("SET SESSION synchronous_commit = off"))
        _take_lock(self._connection, self._run_id)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _spoken():
            if self._connection.in_transaction():
                self._connection.rollback()  # of reading
            with self._connection.begin():
                yield

    @contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseFailedError, InUseError):
            self.close()
            raise


@contextmanager
def _spoken() -> Iterator[None]:
    """The server's failures by the first line that it says."""
    try:
        yield
    except SQLAlchemyError as error:
        said = str(error.orig if isinstance(error, DBAPIError) else error)
        raise DatabaseFailedError(said.strip().split("\n")[0]) from None


def _connected(url: str, isolation: IsolationLevel) -> sa.Connection:
    with _spoken():
        driver = sa.make_url(url).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(driver, poolclass=sa.NullPool, connect_args={"connect_timeout": _CONNECT_S})
        return engine.connect().execution_options(isolation_level=isolation)


def _take_lock(connection: sa.Connection, name: str) -> None:
    """Takes the lock of a name; the server may need a moment to see that a killed holder's connection is gone."""
    deadline = time.monotonic() + _WAIT_FOR_LOCK_S
    while True:
        with _spoken():
            taken = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_lock_key(name))))
            connection.commit()
        if taken:
            return
        if time.monotonic() > deadline:
            raise InUseError
        time.sleep(0.05)


def _lock_key(run_id: str) -> int:
    digest = hashlib.sha256(f"flatbook {run_id}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)
