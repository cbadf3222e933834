"""`flatbook report`: the tear sheet of a run that has ended, and of one that has not."""

import json
import shutil
from pathlib import Path

import pytest

from flatbook.app.request import RunRequest
from flatbook.app.run import carry_out, new_run

from .conftest import Flatbook


@pytest.fixture
def ended_run(flatbook: Flatbook, tmp_path: Path) -> Path:
    words = ("run", "--headless", "--hours", "0.05", "--policy", "intermediate", "--json", "--out", tmp_path)
    return tmp_path / str(flatbook(*words).document["run"]["id"])


def test_the_page_is_written_anew_and_the_numbers_stay(flatbook: Flatbook, ended_run: Path) -> None:
    page, numbers = (ended_run / "report.html").read_bytes(), (ended_run / "report.json").read_bytes()
    (ended_run / "report.html").unlink()
    ended = flatbook("report", ended_run, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.document == json.loads(numbers)
    assert (ended_run / "report.html").read_bytes() == page
    assert (ended_run / "report.json").read_bytes() == numbers


def test_in_words(flatbook: Flatbook, ended_run: Path) -> None:
    ended = flatbook("report", ended_run)
    assert ended.code == 0
    state = json.loads((ended_run / "report.json").read_text())["run"]["state_sha256"]
    assert ended.out.startswith("intermediate on the simulated market")
    assert f"state {state[:16]}" in ended.out
    assert ended.err == f"report: {ended_run / 'report.html'}\n"


class CutOffError(Exception):
    """Stands for a process that was killed."""


@pytest.fixture
def cut_off(keen_policy: Path, tmp_path: Path) -> Path:
    """A run whose process ended before its report."""
    run = new_run(RunRequest(policy="keen", policy_text=keen_policy.read_text(), hours=0.1), tmp_path)

    def watch() -> None:
        if run.engine.state.events == 400:
            raise CutOffError

    with pytest.raises(CutOffError):
        carry_out(run, watch=watch)
    return run.directory.path


def test_a_run_without_a_report_is_replayed_as_far_as_its_journal_reaches(flatbook: Flatbook, cut_off: Path) -> None:
    ended = flatbook("report", cut_off, "--json")
    assert ended.code == 0
    assert ended.err == "the journal reached further than the report: it was replayed\n"
    assert 256 <= ended.document["run"]["events"] <= 400
    assert json.loads((cut_off / "report.json").read_text()) == ended.document
    assert (cut_off / "report.html").is_file()
    assert flatbook("report", cut_off, "--json").err == "", "now the report reaches as far"


def test_a_report_that_the_journal_has_outgrown_is_made_anew(flatbook: Flatbook, cut_off: Path) -> None:
    before = flatbook("report", cut_off, "--json").document
    resumed = flatbook("run", "--headless", "--json", "--resume", cut_off).document
    (cut_off / "report.json").write_text(json.dumps(before))
    after = flatbook("report", cut_off, "--json").document
    assert before["run"]["events"] < after["run"]["events"]
    assert after["run"]["state_sha256"] == resumed["run"]["state_sha256"]
    assert after["pnl"] == resumed["pnl"]


def test_what_is_no_run_is_one_line_and_2(flatbook: Flatbook, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        ended = flatbook("report", place, "--json")
        assert ended.code == 2
        assert ended.complaint == f"{place} is not a run directory: it has no journal.sqlite; name one under runs/"


def test_a_series_that_is_not_whole_is_one_line_and_2(flatbook: Flatbook, ended_run: Path) -> None:
    equity = ended_run / "series" / "equity.parquet"
    equity.write_bytes(equity.read_bytes()[:-20])
    ended = flatbook("report", ended_run, "--json")
    assert ended.code == 2
    assert "equity.parquet: not a whole Parquet file" in ended.complaint


def test_a_session_that_has_moved_is_told_and_named(flatbook: Flatbook, morning: Path, tmp_path: Path) -> None:
    session = Path(shutil.copytree(morning, tmp_path / "session"))
    words = ("--policy", "primitive", "--session", session, "--to", "2026-01-06T06:40")
    run = flatbook("run", "--headless", "--json", *words, "--out", tmp_path / "runs").document["run"]
    directory = tmp_path / "runs" / str(run["id"])
    (directory / "report.json").unlink()
    session.rename(tmp_path / "moved")
    lost = flatbook("report", directory, "--json")
    assert lost.code == 2
    assert f"{session} is not a session directory" in lost.complaint
    found = flatbook("report", directory, "--json", "--session", tmp_path / "moved")
    assert found.document["run"]["state_sha256"] == run["state_sha256"]
    assert found.document["run"]["session"] == str(tmp_path / "moved")
