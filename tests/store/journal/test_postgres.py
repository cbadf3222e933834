"""The journal on a real server: as the file's, by one setting, and the password in no file and no message."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from flatbook.app.rebuild import rebuilt
from flatbook.app.run import carry_out, new_run, resumed_run
from flatbook.cli import main, progress
from flatbook.domain.errors import BadInputError
from flatbook.store.journal import Checkpoint, create_journal, held_on_server, open_journal, read_journal
from tests.app.runs import numbers, simulated

from .rows import HEADER, fill, write_records
from .server import PASSWORD, Server, running_server

sa = pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed: pip install 'flatbook[postgres]'")
pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'flatbook[postgres]'")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tests' server is started as on Unix")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def url(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server's URL, with its password in the environment as PostgreSQL's own programs have it."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return server.url()


def _begun(run: Path, url: str, records: int = 0) -> Path:
    """A run's directory with a closed journal of so many records; its id is the directory's and the test's."""
    run.mkdir(parents=True)
    with create_journal(run, msgspec.structs.replace(HEADER, run_id=f"{run.parent.name}-{run.name}"), url) as journal:
        write_records(journal, records)
    return run


def _change(server: Server, statement: str, run: Path) -> None:
    engine = sa.create_engine(server.url(quote(PASSWORD, safe="")).replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sa.text(statement), {"run": f"{run.parent.name}-{run.name}"})
    engine.dispose()


def test_what_went_in_comes_out_beside_other_runs(url: str, tmp_path: Path) -> None:
    first, second = _begun(tmp_path / "first", url, 3), _begun(tmp_path / "second", url, 1)
    with open_journal(first) as journal:
        assert journal.recovered is None
        assert [event for _, event in journal.inbox()] == [fill(seq, f"t{seq}") for seq in (1, 2, 3)]
        assert [checkpoint.event_seq for checkpoint in journal.checkpoints()] == [10, 20, 30]
        journal.append(4, fill(4))
        journal.checkpoint(40, 4, b"d")
        with read_journal(first) as reader:
            assert reader.last_checkpoint() == Checkpoint(30, 3, b"\x03" * 8, 3)
        journal.commit()
        with read_journal(first) as reader:
            assert reader.last_checkpoint() == Checkpoint(40, 4, b"d", 4)
            assert len(list(reader.inbox())) == 4
    with read_journal(second) as reader:
        assert reader.header.run_id == f"{tmp_path.name}-second"
        assert len(list(reader.inbox())) == 1
    assert [path.name for path in first.iterdir() if path.suffix == ".sqlite"] == []


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE flatbook_inbox SET ts_ns = 9 WHERE seq = 3 AND run_id = :run", "inbox row 3 fails its checksum"),
        ("DELETE FROM flatbook_inbox WHERE seq = 3 AND run_id = :run", "inbox row 3 is missing"),
        ("DELETE FROM flatbook_checkpoint WHERE number = 4 AND run_id = :run", "checkpoint 4 is missing"),
        ("UPDATE flatbook_run SET content = content || ' ' WHERE run_id = :run", "the header fails its checksum"),
        ("DELETE FROM flatbook_run WHERE run_id = :run", "it has no header"),
    ],
)
def test_a_row_that_was_changed_is_refused_with_its_place(
    server: Server, url: str, tmp_path: Path, statement: str, says: str
) -> None:
    run = _begun(tmp_path / "run", url, 5)
    _change(server, statement, run)
    with pytest.raises(BadInputError, match=rf"^postgresql://desk@127.*, run {tmp_path.name}-run: damaged: {says}"):
        open_journal(run)


def test_a_torn_last_record_is_dropped_and_said(server: Server, url: str, tmp_path: Path) -> None:
    run = _begun(tmp_path / "run", url, 5)
    _change(server, "UPDATE flatbook_inbox SET kind = 'trade' WHERE seq = 5 AND run_id = :run", run)
    with open_journal(run) as journal:
        assert journal.recovered is not None
        assert "its last record was torn (inbox row 5 fails its checksum): dropped" in journal.recovered
        assert journal.next_seq == 5
    with open_journal(run) as journal:
        assert (journal.recovered, len(list(journal.checkpoints()))) == (None, 4)


_WRITER = """
import sys
from pathlib import Path
from flatbook.domain.events import OrderAccepted
from flatbook.store.journal import RunHeader, create_journal

header = RunHeader(run_id=sys.argv[3], version="0", config_json="{}", policy_text="", seed=1)
journal, seq = create_journal(Path(sys.argv[1]), header, sys.argv[2]), 0
while True:
    for _ in range(3):
        seq += 1
        journal.append(seq, OrderAccepted(exch_ts_ns=seq, local_ts_ns=seq, order_id=str(seq)))
    journal.checkpoint(seq, seq, seq.to_bytes(8, "little"))
    journal.commit()
    print(seq, flush=True)
"""


_HOLDER = """
import sys
from flatbook.store.journal import held_on_server

with held_on_server(sys.argv[1], "deribit.com account 5", "taken"):
    print("holds", flush=True)
    sys.stdin.readline()
"""


def test_a_name_that_a_process_holds_is_refused_to_all_others_until_it_ends(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flatbook.store.journal.postgres._WAIT_FOR_LOCK_S", 0.2)
    words = [sys.executable, "-c", _HOLDER, url]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds\n"
        with (
            pytest.raises(BadInputError, match=r"^postgresql://desk@127\S*: taken$"),
            held_on_server(url, "deribit.com account 5", "taken"),
        ):
            pass
        with held_on_server(url, "test.deribit.com account 5", "taken"):
            holder.send_signal(signal.SIGKILL)
            holder.wait()
    with held_on_server(url, "deribit.com account 5", "taken"):
        pass


def test_one_writer_and_what_it_committed_outlives_kill_9(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flatbook.store.journal.postgres._WAIT_FOR_LOCK_S", 0.2)
    words = [sys.executable, "-c", _WRITER, str(tmp_path), url, tmp_path.name]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = 0
        while told < 60:
            told = int(writer.stdout.readline())
        elsewhere = Path(shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-elsewhere")))
        with pytest.raises(BadInputError, match=rf"is in use by process {writer.pid}; wait for it"):
            open_journal(tmp_path)
        with pytest.raises(BadInputError, match=rf"run {tmp_path.name} is in use by another process; wait for it"):
            open_journal(elsewhere)
        writer.send_signal(signal.SIGKILL)
        told = max([told, *(int(line) for line in writer.stdout.read().split("\n")[:-1])])
    with open_journal(tmp_path) as journal:
        last = journal.last_checkpoint()
        assert last is not None
        assert last.event_seq >= told
        assert last.digest == last.event_seq.to_bytes(8, "little")
        assert journal.next_seq == last.event_seq + 1
        assert journal.stale_pid == writer.pid


class StruckError(Exception):
    """Stands for whatever may go wrong in a process."""


def test_a_run_is_cut_off_rebuilt_and_resumed_as_with_a_file(url: str, keen_policy: Path, tmp_path: Path) -> None:
    request = simulated(keen_policy, hours=0.03)
    unbroken = carry_out(new_run(request, tmp_path / "file"))
    run = new_run(request, tmp_path / "server", journal_url=url)
    half = unbroken.summary["run"]["events"] // 2

    def strike() -> None:
        if run.engine.state.events == half:
            raise StruckError

    with pytest.raises(StruckError):
        carry_out(run, watch=strike)
    cut = rebuilt(run.directory.path).summary["run"]["events"]
    assert half - 256 < cut <= half
    finished = carry_out(resumed_run(run.directory.path))
    assert numbers(finished.summary) == numbers(unbroken.summary)
    assert finished.summary["run"]["state_sha256"] == unbroken.summary["run"]["state_sha256"]
    with pytest.raises(BadInputError, match=r"holds a run .* already; resume it, or begin another"):
        new_run(request, tmp_path / "again", run.run_id, url)


def test_the_command_line_takes_it_from_one_setting_and_shows_no_password(
    server: Server,
    keen_policy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    said = ""

    def flatbook(*words: object) -> tuple[int, str, str]:
        nonlocal said
        monkeypatch.setattr(sys, "argv", ["flatbook", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        said += out + err
        return int(str(ended.value.code or 0)), out, err

    secret = quote(PASSWORD, safe="")
    monkeypatch.setattr(progress, "warm", lambda _show: None)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    monkeypatch.setenv("FLATBOOK_JOURNAL", server.url(secret))
    words = ("run", "--headless", "--hours", "0.02", "--policy", keen_policy, "--json", "--out", tmp_path / "runs")
    code, out, err = flatbook(*words)
    assert code == 0, err
    begun = json.loads(out)["run"]
    run = tmp_path / "runs" / begun["id"]
    assert f'url = "{server.url()}"' in (run / "journal.toml").read_text()
    (run / "report.json").unlink()
    for again in (("run", "--headless", "--json", "--resume", run), ("report", run, "--json")):
        assert json.loads(flatbook(*again)[1])["run"]["state_sha256"] == begun["state_sha256"]
    monkeypatch.setenv("FLATBOOK_JOURNAL", server.url("another-one"))
    code, _, complaint = flatbook("report", run)
    assert code == 2
    assert re.search(r"^flatbook: postgresql://desk:\*\*\*@127.*password authentication failed", complaint)
    monkeypatch.delenv("FLATBOOK_JOURNAL")
    code, _, complaint = flatbook("report", run)
    assert code == 2
    assert re.search(r"^flatbook: postgresql://desk@127.*password.*PGPASSWORD", complaint)
    kept = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
    for shown in (PASSWORD, secret, "another-one"):
        assert shown not in said
        assert shown.encode() not in kept
