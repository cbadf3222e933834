"""Reading a journal through: how far it is whole, and what is wrong behind that.

A record is what one commit wrote: a checkpoint and the rows of the inbox since the one before it. What fails in the
last record is torn. A row that is missing before others that are there, or that fails in an earlier record, is damage.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import TypeVar

from flatbook.store.journal.database import Database, DatabaseFailedError
from flatbook.store.journal.rows import Chain, Checkpoint, CheckpointRow, InboxRow

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Examined:
    """How far a journal is whole: its chain and last checkpoint up to there.

    fault       what is wrong behind that; None where all of it is whole
    is_torn     whether that is the last record alone, or the end of a file that was cut
    """

    chain: Chain
    last: Checkpoint | None
    fault: str | None = None
    is_torn: bool = False


class _FaultError(Exception):
    """A row that is not what it was; `can_be_torn` where it may have been being written when the writer ended."""

    def __init__(self, text: str, *, can_be_torn: bool = True) -> None:
        super().__init__(text)
        self.can_be_torn = can_be_torn


def examine(database: Database) -> Examined:
    """Checks every row of a journal."""
    chain, last = Chain(), None
    whole = copy(chain)
    inbox, checkpoints = database.inbox(), database.checkpoints()
    try:
        while (row := _next(checkpoints, f"checkpoint {chain.next_number}")) is not None:
            _take_record(chain, row, inbox)
            whole, last = copy(chain), row.checkpoint
        while _take_inbox_row(chain, inbox):
            pass
    except _FaultError as fault:
        is_torn = database.is_cut or (fault.can_be_torn and not _has_more(checkpoints))
        return Examined(whole, last, str(fault), is_torn)
    return Examined(chain, last)


def _take_record(chain: Chain, row: CheckpointRow, inbox: Iterator[InboxRow]) -> None:
    if row.number != chain.next_number:
        raise _FaultError(f"checkpoint {chain.next_number} is missing", can_be_torn=False)
    while chain.next_seq <= row.inbox_seq:
        if not _take_inbox_row(chain, inbox):
            raise _FaultError(f"inbox row {chain.next_seq} is missing")
    if row != chain.checkpoint_row(row.event_seq, row.ts_ns, row.digest):
        raise _FaultError(f"checkpoint {row.number} fails its checksum")


def _take_inbox_row(chain: Chain, inbox: Iterator[InboxRow]) -> bool:
    """Takes the inbox's next row; False at its end."""
    expected = chain.next_seq
    row = _next(inbox, f"inbox row {expected}")
    if row is None:
        return False
    if row.seq != expected:
        raise _FaultError(f"inbox row {expected} is missing", can_be_torn=False)
    if row != chain.inbox_row(row.ts_ns, row.kind, row.payload):
        raise _FaultError(f"inbox row {expected} fails its checksum")
    return True


def _next(rows: Iterator[Row], what: str) -> Row | None:
    try:
        return next(rows, None)
    except DatabaseFailedError as error:
        raise _FaultError(f"{what} cannot be read ({error})", can_be_torn=False) from None


def _has_more(checkpoints: Iterator[CheckpointRow]) -> bool:
    try:
        return next(checkpoints, None) is not None
    except DatabaseFailedError:
        return True
