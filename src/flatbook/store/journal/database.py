"""What the journal asks of a database: rows in, rows out, all of a commit or none."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from flatbook.store.journal.rows import CheckpointRow, HeaderRow, InboxRow


class DatabaseFailedError(Exception):
    """The database cannot do what it was asked; the text is the database's own."""


class InUseError(Exception):
    """Another process writes this run."""


class Database(Protocol):
    """One run's tables.

    place       where they are, for messages: no secret is in it
    is_cut      whether the end of the file is missing, so that rows that cannot be read were the last
    """

    place: str
    is_cut: bool

    def header(self) -> HeaderRow | None:
        """The header; None where there is none.

        Errors      DatabaseFailedError
        """
        ...

    def inbox(self) -> Iterator[InboxRow]:
        """The inbox by place; of the moment of the checkpoints, where both are read at once.

        Errors      DatabaseFailedError
        """
        ...

    def checkpoints(self) -> Iterator[CheckpointRow]:
        """The checkpoints by number.

        Errors      DatabaseFailedError
        """
        ...

    def write(self, inbox: Sequence[InboxRow], checkpoints: Sequence[CheckpointRow]) -> None:
        """Adds rows in one transaction.

        Errors      DatabaseFailedError
        """
        ...

    def keep(self, inbox: int, checkpoints: int) -> None:
        """Drops all but the first so many rows of each, in one transaction.

        Errors      DatabaseFailedError
        """
        ...

    def close(self) -> None:
        """Lets the database go."""
        ...
