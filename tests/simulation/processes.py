"""flatbook as processes: started, looked at, interrupted, killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flatbook.domain.errors import BadInputError
from flatbook.store.journal import Checkpoint, Journal

PATIENCE_S = 240.0
"""A cold start compiles kernels; a machine may be busy."""

_COMMAND = (sys.executable, "-c", "from flatbook.cli import main; main()")


@dataclass
class Flatbook:
    """A running command; its output goes to files, so that it never waits for a reader."""

    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path

    def finish(self) -> int:
        """Waits for its end; its exit code, or minus the signal that killed it."""
        return self.process.wait(PATIENCE_S)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def document(self) -> Any:
        """The JSON document that is all of stdout."""
        return json.loads(self.out.read_text(encoding="utf-8"))

    def said(self) -> str:
        """Its stderr so far."""
        return self.err.read_text(encoding="utf-8")


@contextmanager
def flatbook(folder: Path, *words: object) -> Iterator[Flatbook]:
    """`flatbook` with these words; killed where the block leaves it running."""
    folder.mkdir(parents=True, exist_ok=True)
    number = sum(1 for _ in folder.glob("*.out"))
    out, err = folder / f"{number}.out", folder / f"{number}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [*_COMMAND, *map(str, words)], stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL, env=_environment()
        )
    running = Flatbook(process, out, err)
    try:
        yield running
    finally:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    """This process's, with the same flatbook to import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def wait_for(what: Callable[[], Any], running: Flatbook) -> Any:
    """The first answer of `what` that is true, or the test fails with what the command said."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := what()):
        assert running.process.poll() is None, f"ended with {running.process.returncode}: {running.said()}"
        assert time.monotonic() < deadline, f"nothing in {PATIENCE_S:.0f} s: {running.said()}"
        time.sleep(0.02)
    return answer


def run_directory(runs: Path) -> Path | None:
    """The one run directory in `runs` whose journal has begun."""
    return next((path.parent for path in runs.glob("*/journal.sqlite")), None)


def reached(directory: Path) -> Checkpoint | None:
    """How far the journal of a run under way reaches."""
    try:
        with Journal.read(directory / "journal.sqlite") as journal:
            return journal.last_checkpoint()
    except BadInputError:  # its tables are being made
        return None
