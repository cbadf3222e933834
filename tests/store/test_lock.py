"""One writer a directory, and a dead one keeps nobody out."""

import os
from pathlib import Path

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.lock import LOCK_FILE, RunLock


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
