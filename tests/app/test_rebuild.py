"""A report made anew from the journal and the session is the report."""

import shutil
from pathlib import Path

import pytest

from flatbook.app.finish import write
from flatbook.app.rebuild import rebuilt
from flatbook.app.run import carry_out, new_run
from flatbook.domain.errors import BadInputError
from flatbook.store.run_directory import RunDirectory

from .conftest import Ended
from .runs import journaled, numbers, series_bytes, simulated


def test_the_same_bytes_and_numbers_from_the_journal_alone(unbroken: Ended, tmp_path: Path) -> None:
    only_journal = tmp_path / "run"
    only_journal.mkdir()
    shutil.copy(unbroken.run.directory.journal, only_journal)
    finished = rebuilt(only_journal)
    assert finished.summary["run"]["id"] == unbroken.run.run_id
    assert numbers(finished.summary) == numbers(unbroken.finished.summary)
    write(finished, RunDirectory(only_journal))
    assert series_bytes(only_journal) == series_bytes(unbroken.path)
    assert journaled(only_journal) == journaled(unbroken.path)


def test_a_run_that_is_still_going_as_far_as_its_journal_reaches(unbroken: Ended, tmp_path: Path) -> None:
    run = new_run(unbroken.request, tmp_path)
    found = []

    def watch() -> None:
        if run.engine.state.events == unbroken.events // 2:
            found.append((rebuilt(run.directory.path), run.journal.last_checkpoint()))

    finished = carry_out(run, watch=watch)
    assert numbers(finished.summary) == numbers(unbroken.finished.summary), "looking on changes nothing"
    ((half, last),) = found
    assert last is not None
    assert half.summary["run"]["events"] == last.event_seq
    equity = half.frames["equity"]
    # The last sample is the rebuilding's own; all before it are the run's.
    assert len(equity) > 2
    assert equity[:-1].equals(finished.frames["equity"][: len(equity) - 1])


def test_a_run_that_has_journaled_nothing_yet(keen_policy: Path, tmp_path: Path) -> None:
    run = new_run(simulated(keen_policy), tmp_path)
    with run.journal:
        summary = rebuilt(run.directory.path).summary
    assert summary["run"]["events"] == 0
    assert summary["pnl"]["total"] is None


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"is not a run directory: it has no journal\.sqlite"):
        rebuilt(tmp_path)
