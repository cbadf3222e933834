"""Runs in processes of their own: what becomes of them when nobody waits any more."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILDREN = Path("/proc/self/task")


def children(pid: int) -> list[int]:
    """Processes that `pid` has begun and that still live."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(done: float, what: str) -> None:
    if time.monotonic() > done:
        pytest.fail(what)
    time.sleep(0.2)


@pytest.mark.skipif(not CHILDREN.exists(), reason="no /proc here to see processes in")
def test_workers_do_not_outlive_a_comparison_that_is_killed(tmp_path: Path) -> None:
    words = ("compare", "primitive", "advanced", "--hours", "1000", "--jobs", "2", "--out", str(tmp_path))
    program = "from flatbook.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as parent:
        begun = time.monotonic()
        while len(list(tmp_path.glob("*/*/journal.sqlite"))) < 2:
            wait_until(begun + 120, "no run began")
        workers = children(parent.pid)
        assert len(workers) >= 2
        parent.kill()
    killed = time.monotonic()
    while any(is_alive(worker) for worker in workers):
        wait_until(killed + 30, "workers live on without their parent")
