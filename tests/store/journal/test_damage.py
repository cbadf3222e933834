"""Wherever a journal is hurt: the last record is dropped and said, the end of a cut file too, the rest is refused."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.store.journal import JOURNAL_FILE, Journal

from .rows import fill, written

_RECORDS = 600
_SMALL = 12


def _opened(path: Path) -> Journal | str:
    """The journal, or why it is refused."""
    try:
        return Journal.open(path)
    except BadInputError as error:
        return str(error)


def _reached(journal: Journal) -> tuple[int, int]:
    """How many rows and checkpoints it holds, which are those that were written first."""
    rows, checkpoints = list(journal.inbox()), list(journal.checkpoints())
    assert [event for _, event in rows] == [fill(seq, f"t{seq}") for seq in range(1, len(rows) + 1)]
    assert [checkpoint.event_seq for checkpoint in checkpoints] == [10 * n for n in range(1, len(checkpoints) + 1)]
    return len(rows), len(checkpoints)


def _change(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a journal of many pages."""
    return written(tmp_path_factory.mktemp("whole"), _RECORDS).read_bytes()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_file_cut_anywhere_goes_on_from_the_last_record_that_is_whole(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("run") / JOURNAL_FILE
    cut = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:cut])
    opened = _opened(path)
    if isinstance(opened, str):
        assert f"{path}: damaged: " in opened
        assert cut < 2 * 4096, "the header was there"
        return
    with opened as journal:
        rows, checkpoints = _reached(journal)
        assert rows == checkpoints < _RECORDS
        assert journal.recovered is not None
        assert f"goes on from {'event' if rows else 'its start'}" in journal.recovered
        assert rows > 0.7 * _RECORDS * cut / len(whole) or cut < 0.4 * len(whole)
        journal.append(journal.next_seq, fill(rows + 1, f"t{rows + 1}"))
        journal.checkpoint(10 * rows + 10, 1, b"d")
    with Journal.open(path) as journal:
        assert journal.recovered is None
        assert _reached(journal) == (rows + 1, rows + 1)
    assert path.with_name(f"{JOURNAL_FILE}.torn").read_bytes() == whole[:cut]


def test_a_cut_file_is_read_without_being_changed(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / JOURNAL_FILE
    path.write_bytes(whole[:-6000])
    with Journal.read(path) as journal:
        assert journal.recovered is not None
        assert "its last record was torn (" in journal.recovered
        rows, checkpoints = _reached(journal)
        assert 0 < rows == checkpoints < _RECORDS
    assert path.read_bytes() == whole[:-6000]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_byte_changed_anywhere_is_found_or_touches_nothing(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    """In the header, in the tables or in what SQLite keeps between: no row is ever read as it was not written."""
    path = tmp_path_factory.mktemp("run") / JOURNAL_FILE
    content = bytearray(whole)
    content[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    opened = _opened(path)
    if isinstance(opened, str):
        assert "\n" not in opened
        assert "damaged: " in opened or "journal format " in opened
        return
    with opened as journal:
        reached = _reached(journal)
        assert reached == (_RECORDS, _RECORDS) or journal.recovered is not None


@pytest.mark.parametrize("opening", [Journal.open, Journal.read])
@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE checkpoint SET digest = x'00' WHERE number = 12", "checkpoint 12 fails its checksum"),
        ("UPDATE checkpoint SET digest = NULL WHERE number = 12", "checkpoint 12 fails its checksum"),
        ("UPDATE inbox SET payload = x'00' WHERE seq = 12", "inbox row 12 fails its checksum"),
        ("UPDATE inbox SET kind = NULL WHERE seq = 12", "inbox row 12 fails its checksum"),
        ("DELETE FROM inbox WHERE seq = 12", "inbox row 12 is missing"),
    ],
)
def test_a_torn_last_record_is_dropped_whole_and_said(
    tmp_path: Path, opening: Callable[[Path], Journal], statement: str, fault: str
) -> None:
    path = written(tmp_path, _SMALL)
    # A row that was changed on the disk may hold what the schema does not allow.
    _change(path, "PRAGMA writable_schema=ON", "UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', '')")
    _change(path, statement)
    with opening(path) as journal:
        assert journal.recovered is not None
        assert f"its last record was torn ({fault}): dropped; it goes on from event 110 at 1970" in journal.recovered
        assert _reached(journal) == (_SMALL - 1, _SMALL - 1)
    with Journal.open(path) as journal:
        assert (journal.recovered is None) == (opening == Journal.open)
        assert _reached(journal) == (_SMALL - 1, _SMALL - 1)


def test_rows_that_were_swapped_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, _SMALL)
    moves = ("SET seq = 0 WHERE seq = 4", "SET seq = 4 WHERE seq = 5", "SET seq = 5 WHERE seq = 0")
    _change(path, *(f"UPDATE inbox {move}" for move in moves))
    with pytest.raises(BadInputError, match=r"inbox row 4 fails its checksum, and is not the last; it is whole "):
        Journal.open(path)


def test_a_torn_first_record_leaves_an_empty_journal(tmp_path: Path) -> None:
    path = written(tmp_path, 1)
    _change(path, "UPDATE checkpoint SET digest = x'00'")
    with Journal.open(path) as journal:
        assert journal.recovered is not None
        assert "goes on from its start" in journal.recovered
        assert _reached(journal) == (0, 0)
    with Journal.open(path) as journal:
        assert journal.recovered is None
