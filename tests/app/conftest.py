"""Two markets run to their end, to hold other runs of them against."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from flatbook.app.finish import Finished
from flatbook.app.request import RunRequest
from flatbook.app.run import Run, carry_out, new_run

from .runs import recorded, simulated


@dataclass(frozen=True)
class Ended:
    """A run that nothing disturbed."""

    request: RunRequest
    run: Run
    finished: Finished

    @property
    def path(self) -> Path:
        return self.run.directory.path

    @property
    def sha256(self) -> str:
        sha256: str = self.finished.summary["run"]["state_sha256"]
        return sha256

    @property
    def events(self) -> int:
        events: int = self.finished.summary["run"]["events"]
        return events


def _run(request: RunRequest, runs: Path) -> Ended:
    run = new_run(request, runs)
    return Ended(request, run, carry_out(run))


@pytest.fixture(scope="session")
def on_tape(morning: Path, keen_policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The recorded morning."""
    return _run(recorded(morning, keen_policy), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def in_world(keen_policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Six simulated minutes."""
    return _run(simulated(keen_policy), tmp_path_factory.mktemp("runs"))


@pytest.fixture(params=["on_tape", "in_world"])
def unbroken(request: pytest.FixtureRequest) -> Ended:
    """Each of the two in turn."""
    ended: Ended = request.getfixturevalue(request.param)
    return ended
