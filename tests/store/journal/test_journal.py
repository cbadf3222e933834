"""The journal outlives its writer, drops what was torn, and refuses what was changed."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import (
    AnyEvent,
    ChainQuotes,
    Delivery,
    IndexTick,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    QuoteRow,
    TradePrint,
)
from flatbook.store.journal import JOURNAL_FILE, Checkpoint, Journal

from .rows import HEADER as _HEADER
from .rows import fill as _fill
from .rows import written

_EVENTS: list[AnyEvent] = [
    _fill(1),
    OrderAccepted(exch_ts_ns=2, local_ts_ns=3, order_id="a"),
    OrderRejected(exch_ts_ns=3, local_ts_ns=4, order_id="b", reason="price off the tick"),
    OrderCancelled(exch_ts_ns=4, local_ts_ns=5, order_id="a", reason=""),
    IndexTick(exch_ts_ns=5, local_ts_ns=6, underlying="BTC", price_usd=84_000.25),
    TradePrint(
        exch_ts_ns=6,
        local_ts_ns=7,
        instrument="BTC-11APR25-80000-C",
        trade_id="9",
        taker_side=1,
        price=0.05,
        size_lots=1,
        mark_price=0.0501,
        iv=0.5,
        index_usd=84_000.25,
        off_book=False,
    ),
    ChainQuotes(
        exch_ts_ns=7,
        local_ts_ns=8,
        underlying="BTC",
        rows=(QuoteRow("BTC-11APR25-80000-C", 0.05, 0.06, 0.5, 0.55, 0.52, 84_010.0),),
    ),
    Delivery(exch_ts_ns=8, local_ts_ns=9, underlying="BTC", expiry_ns=10, price_usd=83_999.5),
]


def _path(directory: Path) -> Path:
    return directory / JOURNAL_FILE


def test_what_went_in_comes_out(tmp_path: Path) -> None:
    with Journal.create(_path(tmp_path), _HEADER) as journal:
        for seq, event in enumerate(_EVENTS, start=1):
            journal.append(seq, event)
        journal.checkpoint(40, 9, b"\x01\x02")
        journal.checkpoint(41, 9, b"\x03")
    with Journal.open(_path(tmp_path)) as journal:
        assert journal.header == _HEADER
        assert [seq for seq, _ in journal.inbox()] == list(range(1, len(_EVENTS) + 1))
        assert [event for _, event in journal.inbox()] == _EVENTS
        assert list(journal.checkpoints()) == [Checkpoint(40, 9, b"\x01\x02", 8), Checkpoint(41, 9, b"\x03", 8)]
        assert journal.last_checkpoint() == Checkpoint(41, 9, b"\x03", 8)
        assert journal.next_seq == len(_EVENTS) + 1


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=6))
def test_a_journal_opened_again_goes_on(tmp_path_factory: pytest.TempPathFactory, batches: list[int]) -> None:
    path = _path(tmp_path_factory.mktemp("run"))
    Journal.create(path, _HEADER).close()
    total = 0
    for count in batches:
        with Journal.open(path) as journal:
            for _ in range(count):
                total += 1
                journal.append(journal.next_seq, _fill(total))
                journal.checkpoint(total, total, b"d")
    with Journal.open(path) as journal:
        assert [event.local_ts_ns for _, event in journal.inbox()] == [at + 1 for at in range(1, total + 1)]
        assert [checkpoint.event_seq for checkpoint in journal.checkpoints()] == list(range(1, total + 1))


def test_nothing_is_there_before_the_commit(tmp_path: Path) -> None:
    with Journal.create(_path(tmp_path), _HEADER) as journal:
        journal.append(1, _fill(1))
        journal.checkpoint(1, 1, b"d")
        assert journal.last_checkpoint() == Checkpoint(1, 1, b"d", 1)
        with Journal.read(_path(tmp_path)) as reader:
            assert list(reader.inbox()) == []
            assert reader.last_checkpoint() is None
        journal.commit()
        journal.commit()
        with Journal.read(_path(tmp_path)) as reader:
            assert len(list(reader.inbox())) == 1
            assert reader.last_checkpoint() == Checkpoint(1, 1, b"d", 1)


@pytest.mark.parametrize("seq", [0, 1, 3, -1])
def test_a_gap_or_repeat_is_refused(tmp_path: Path, seq: int) -> None:
    with Journal.create(_path(tmp_path), _HEADER) as journal:
        journal.append(1, _fill(1))
        with pytest.raises(BadInputError, match=rf"inbox row {seq} cannot follow row 1; append row 2"):
            journal.append(seq, _fill(2))


def test_checkpoints_only_rise(tmp_path: Path) -> None:
    with Journal.create(_path(tmp_path), _HEADER) as journal:
        journal.checkpoint(5, 1, b"d")
        with pytest.raises(BadInputError, match="checkpoint 5 is not after checkpoint 5"):
            journal.checkpoint(5, 2, b"d")


def _change(path: Path, statement: str) -> None:
    database = sqlite3.connect(path)
    database.execute(statement)
    database.commit()
    database.close()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE inbox SET payload = x'00' || payload WHERE seq = 3", r"inbox row 3 fails its checksum"),
        ("UPDATE inbox SET ts_ns = ts_ns + 1 WHERE seq = 2", r"inbox row 2 fails its checksum"),
        ("UPDATE inbox SET kind = 'trade' WHERE seq = 4", r"inbox row 4 fails its checksum"),
        ("DELETE FROM inbox WHERE seq = 3", r"inbox row 3 is missing"),
        ("DELETE FROM inbox WHERE seq = 1", r"inbox row 1 is missing"),
        ("UPDATE checkpoint SET digest = x'ff' WHERE event_seq = 20", r"checkpoint 2 fails its checksum"),
        ("UPDATE checkpoint SET inbox_seq = 1 WHERE number = 3", r"checkpoint 3 fails its checksum"),
        ("DELETE FROM checkpoint WHERE event_seq = 20", r"checkpoint 2 is missing"),
        ("DELETE FROM checkpoint WHERE number = 4", r"checkpoint 4 is missing"),
        ("UPDATE header SET content = replace(content, '0.1.0', '0.1.1')", r"the header fails its checksum"),
        ("DELETE FROM header", r"it has no header"),
    ],
)
def test_a_row_that_was_changed_is_refused_with_its_place(tmp_path: Path, statement: str, says: str) -> None:
    path = written(tmp_path, 5)
    _change(path, statement)
    for opening in (Journal.open, Journal.read):
        with pytest.raises(BadInputError, match=rf"journal\.sqlite: damaged: {says}"):
            opening(path)


def test_bytes_changed_on_the_disk_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, 200)
    whole = bytearray(path.read_bytes())
    place = whole.rindex(b"t150")
    whole[place : place + 4] = b"t151"
    path.write_bytes(whole)
    with pytest.raises(BadInputError, match=r"damaged: inbox row 150 fails .* is whole until event 1490 at "):
        Journal.open(path)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    _path(tmp_path).write_bytes(b"not a database, but long enough to be read as one" * 40)
    with pytest.raises(BadInputError, match=r"journal\.sqlite: damaged: file is not a database"):
        Journal.open(_path(tmp_path))


@pytest.mark.parametrize("number", [1, 3])
def test_another_format_is_not_guessed_at(tmp_path: Path, number: int) -> None:
    path = written(tmp_path, 1)
    _change(path, f"UPDATE header SET format = {number}")
    with pytest.raises(BadInputError, match=rf"journal format {number}, this flatbook reads 2; finish it with the rel"):
        Journal.open(path)


@pytest.mark.parametrize("opening", [Journal.open, Journal.read])
def test_no_journal(tmp_path: Path, opening: Callable[[Path], Journal]) -> None:
    with pytest.raises(BadInputError, match=r"journal\.sqlite: no journal there; name the directory of a run"):
        opening(_path(tmp_path))


def test_a_journal_is_not_written_over(tmp_path: Path) -> None:
    path = written(tmp_path, 2)
    with pytest.raises(BadInputError, match=r"already exists; resume the run it belongs to"):
        Journal.create(path, _HEADER)
    with Journal.open(path) as journal:
        assert journal.next_seq == 3


_WRITER = """
import sys
from pathlib import Path
from flatbook.domain.events import OrderAccepted
from flatbook.store.journal import Journal, RunHeader

header = RunHeader(run_id="r", version="0", config_json="{}", policy_text="", seed=1)
journal = Journal.create(Path(sys.argv[1]), header)
seq = 0
while True:
    for _ in range(3):
        seq += 1
        journal.append(seq, OrderAccepted(exch_ts_ns=seq, local_ts_ns=seq, order_id=str(seq)))
    journal.checkpoint(seq, seq, seq.to_bytes(8, "little"))
    journal.commit()
    print(seq, flush=True)
"""


def _killed_writer(path: Path, rows: int) -> tuple[int, int]:
    """Starts a writer, kills it once it has told of `rows` rows; its process id and the last row it told of."""
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = 0
        while told < rows:
            told = int(writer.stdout.readline())
        with pytest.raises(BadInputError, match=rf"is in use by process {writer.pid}; wait for it, stop it"):
            Journal.open(path)
        writer.send_signal(signal.SIGKILL)
        told = max([told, *(int(line) for line in writer.stdout.read().split("\n")[:-1])])
    return writer.pid, told


def test_what_was_committed_outlives_kill_9(tmp_path: Path) -> None:
    path = _path(tmp_path)
    pid, told = _killed_writer(path, 600)
    with Journal.open(path) as journal:
        assert journal.stale_pid == pid
        last = journal.last_checkpoint()
        assert last is not None
        assert last.event_seq >= told
        assert last.digest == last.event_seq.to_bytes(8, "little")
        assert journal.next_seq == last.event_seq + 1
        journal.append(journal.next_seq, _fill(1))
    with Journal.open(path) as journal:
        assert journal.stale_pid is None
        assert journal.next_seq == last.event_seq + 2


def test_a_torn_last_transaction_is_dropped_whole(tmp_path: Path) -> None:
    path = _path(tmp_path)
    _, told = _killed_writer(path, 60)
    log = path.with_name(f"{JOURNAL_FILE}-wal")
    log.write_bytes(log.read_bytes()[:-1_000])
    with Journal.open(path) as journal:
        last = journal.last_checkpoint()
        assert last is not None
        assert last.event_seq > 0
        assert last.event_seq % 3 == 0
        assert journal.next_seq == last.event_seq + 1
        assert last.event_seq <= told + 3


def test_two_writers_in_one_process_are_refused_too(tmp_path: Path) -> None:
    path = written(tmp_path, 1)
    with Journal.open(path), pytest.raises(BadInputError, match=rf"in use by process {os.getpid()};"):
        Journal.open(path)
    Journal.open(path).close()


def test_an_append_costs_microseconds_and_a_commit_tens_of_them(tmp_path: Path) -> None:
    """Budgets: 10 µs an append, 60 µs a commit; lower quartiles, as the machine may be busy with other work."""
    event, appends, commits = _fill(1), [], []
    with Journal.create(_path(tmp_path), _HEADER) as journal:
        for seq in range(1, 2_001):
            started = time.perf_counter_ns()
            journal.append(seq, event)
            appended = time.perf_counter_ns()
            journal.checkpoint(seq, seq, b"x" * 32)
            committing = time.perf_counter_ns()
            journal.commit()
            commits.append(time.perf_counter_ns() - committing)
            appends.append(appended - started)
    assert sorted(appends)[500] < 10_000
    assert sorted(commits)[500] < 60_000
