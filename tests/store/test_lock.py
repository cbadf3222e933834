"""One writer a directory, one maker an account, and a dead one keeps nobody out."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.lock import LOCK_FILE, RunLock, account_lock, state_directory


def test_the_holder_is_named(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    assert (tmp_path / LOCK_FILE).read_text() == str(os.getpid())
    with pytest.raises(BadInputError, match=rf"is in use by process {os.getpid()}; wait for it, stop it, or name"):
        RunLock(tmp_path)
    lock.release()


def test_after_a_release_no_id_is_stale(tmp_path: Path) -> None:
    RunLock(tmp_path).release()
    assert (tmp_path / LOCK_FILE).read_text() == ""
    lock = RunLock(tmp_path)
    assert lock.stale_pid is None
    lock.release()


@pytest.mark.parametrize(("left", "stale"), [("4194300", 4_194_300), ("not a number", None)])
def test_an_id_that_nobody_holds_the_lock_for_is_stale(tmp_path: Path, left: str, stale: int | None) -> None:
    (tmp_path / LOCK_FILE).write_text(left)
    lock = RunLock(tmp_path)
    assert lock.stale_pid == stale
    assert (tmp_path / LOCK_FILE).read_text() == str(os.getpid())
    lock.release()


_MAKER = """
import sys
from pathlib import Path
from flatbook.store.lock import account_lock

with account_lock("deribit", sys.argv[2], Path(sys.argv[1])):
    print("quoting", flush=True)
    sys.stdin.readline()
"""


def _maker(locks: Path, key_id: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _MAKER, str(locks), key_id]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_second_maker_on_an_account_is_refused_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    locks = tmp_path / "state" / "flatbook"
    with _maker(locks, "k-1") as first, _maker(locks, "k-2") as elsewhere:
        for maker in (first, elsewhere):
            assert maker.stdout is not None
            assert maker.stdout.readline() == "quoting\n"
        with _maker(locks, "k-1") as second:
            _, said = second.communicate()
            assert second.returncode != 0
        told = r"this account of deribit is in use by process (\d+) since 20\d\d-\d\d-\d\dT\S+Z .*; stop it first"
        found = re.search(told, said)
        assert found is not None
        assert int(found[1]) == first.pid
        first.send_signal(signal.SIGKILL)
        first.wait()
        elsewhere.communicate("\n")
    with (
        account_lock("deribit", "k-1", locks),
        pytest.raises(BadInputError, match=f"by process {os.getpid()} since"),
        account_lock("deribit", "k-1", locks),
    ):
        pass
    assert locks.stat().st_mode & 0o077 == 0


def test_the_key_is_in_neither_the_name_nor_the_file(tmp_path: Path) -> None:
    with account_lock("deribit/test", "KEY-ID", tmp_path):
        (path,) = tmp_path.iterdir()
        assert path.name.startswith("deribit-test-")
        assert "KEY-ID" not in path.name + path.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps state elsewhere")
def test_where_locks_are(tmp_path: Path) -> None:
    assert state_directory({}, tmp_path) == tmp_path / ".local" / "state" / "flatbook"
    assert state_directory({"XDG_STATE_HOME": "/state"}, tmp_path) == Path("/state/flatbook")
