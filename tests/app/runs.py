"""Short ways to ask for a run, and what of its report must not depend on the machine."""

import copy
from pathlib import Path
from typing import Any

from flatbook.app.request import RunRequest
from flatbook.domain.events import AnyEvent
from flatbook.report.summary import Summary
from flatbook.store.journal import Checkpoint, Journal

SIMULATED_HOURS = 0.1


def recorded(session: Path, policy: Path, **changes: Any) -> RunRequest:
    """A run of the whole session without a warm-up."""
    asked: dict[str, Any] = {"session": str(session), "warm_up_hours": 0.0, **changes}
    return RunRequest(policy=str(policy), policy_text=policy.read_text(encoding="utf-8"), **asked)


def simulated(policy: Path, **changes: Any) -> RunRequest:
    """Six minutes of the simulated market."""
    asked: dict[str, Any] = {"hours": SIMULATED_HOURS, **changes}
    return RunRequest(policy=str(policy), policy_text=policy.read_text(encoding="utf-8"), **asked)


def numbers(summary: Summary) -> Summary:
    """A report without its name and what the wall clock said."""
    kept = copy.deepcopy(summary)
    for key in ("id", "wall_s", "events_per_s"):
        del kept["run"][key]
    return kept


def journaled(path: Path) -> tuple[list[tuple[int, AnyEvent]], list[Checkpoint]]:
    """What the journal of the run in directory `path` holds: its inbox and its checkpoints."""
    with Journal.read(path / "journal.sqlite") as journal:
        return list(journal.inbox()), list(journal.checkpoints())


def series_bytes(path: Path) -> dict[str, bytes]:
    """The files of a run's series by name."""
    return {file.name: file.read_bytes() for file in sorted((path / "series").iterdir())}
