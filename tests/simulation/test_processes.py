"""Whole runs as a user has them: killed and resumed, watched and interrupted, two at once."""

import signal
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flatbook.app.request import RunRequest
from flatbook.app.run import carry_out, new_run

from .processes import Flatbook, flatbook, reached, run_directory, wait_for

pytestmark = pytest.mark.slow


def _get(url: str) -> tuple[int, Any]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, msgspec.json.decode(answer.read())


def _page(running: Flatbook) -> str | None:
    return next((line.split()[-1] for line in running.said().splitlines() if line.startswith("live page: ")), None)


SEVEN_NS = 1_767_682_800_000_000_000


@pytest.mark.parametrize("market", ["recorded", "simulated"])
def test_kill_9_then_resume_is_the_unbroken_run(morning: Path, keen_policy: Path, tmp_path: Path, market: str) -> None:
    policy = partial(RunRequest, policy=str(keen_policy), policy_text=keen_policy.read_text())
    if market == "recorded":
        request = policy(session=str(morning), from_ns=SEVEN_NS)
        words = ["--session", str(morning), "--from", "2026-01-06T07:00", "--pace", "1000x"]
    else:
        request, words = policy(hours=0.1), ["--hours", "0.1", "--pace", "120x"]
    unbroken = carry_out(new_run(request, tmp_path / "unbroken")).summary["run"]
    runs = tmp_path / "runs"
    with flatbook(tmp_path, "run", *words, "--policy", keen_policy, "--headless", "--out", runs) as run:
        directory = wait_for(partial(run_directory, runs), run)
        wait_for(lambda: (last := reached(directory)) and last.event_seq > unbroken["events"] // 4, run)
        run.send(signal.SIGKILL)
        assert run.finish() == -signal.SIGKILL
    last = reached(directory)
    assert last is not None
    assert last.event_seq < unbroken["events"], "it was killed after its end"
    assert not (directory / "report.json").exists()
    with flatbook(tmp_path, "run", "--resume", directory, "--headless", "--json") as resumed:
        assert resumed.finish() == 0, resumed.said()
    assert resumed.document()["run"]["state_sha256"] == unbroken["state_sha256"]
    assert resumed.document()["run"]["events"] == unbroken["events"]


def test_watched_then_interrupted(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    words = ("run", "--hours", "24", "--pace", "240x", "--port", "0", "--json", "--out", runs)
    with flatbook(tmp_path, *words) as run:
        url = wait_for(lambda: _page(run), run)
        assert _get(f"{url}healthz") == (200, {"status": "ok"})
        first = wait_for(lambda: (view := _get(f"{url}api/view")[1])["state"] == "running" and view, run)
        later = wait_for(lambda: (view := _get(f"{url}api/view")[1])["clock_ns"] > first["clock_ns"] and view, run)
        assert later["quotes_live"] > 0
        assert first["progress"] < later["progress"] < 1
        directory = wait_for(partial(run_directory, runs), run)
        with flatbook(tmp_path / "second", "run", "--resume", directory, "--headless", "--json") as second:
            assert second.finish() == 2
        assert second.out.read_text() == ""
        assert second.said().count("\n") == 1
        assert f"is in use by process {run.process.pid}; wait for it, stop it" in second.said()
        run.send(signal.SIGINT)
        assert run.finish() == 0, run.said()
    report = run.document()
    assert report["run"]["id"] == directory.name
    assert later["clock_ns"] <= report["run"]["to_ns"]
    assert report["run"]["to_ns"] < report["run"]["from_ns"] + 23 * 3_600 * 10**9
    assert (directory / "report.html").is_file()
    assert run.said() == f"live page: {url}\n", "no log, no traceback"


def test_headless_has_no_page(tmp_path: Path) -> None:
    with flatbook(tmp_path, "run", "--hours", "0.02", "--headless", "--json", "--out", tmp_path / "runs") as run:
        assert run.finish() == 0
    assert run.said() == ""
    assert run.document()["run"]["policy"] == "advanced"
