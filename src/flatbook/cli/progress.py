"""Progress of a run on stderr: a bar for a person, silence for a pipe."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from flatbook.app.markets import NEVER_NS
from flatbook.app.run import UnderWay
from flatbook.app.trials import share_done
from flatbook.domain.units import format_utc
from flatbook.kernels.jit import registered
from flatbook.kernels.warm import warm

_EVERY_EVENTS = 64
_EVERY_S = 0.1


_FROM_THE_END = """
import importlib, sys
from flatbook.kernels.jit import registered
from flatbook.kernels.warm import warm
for name in sys.argv[1:]:
    importlib.import_module(name)
warm(lambda name: None, backwards=True)
"""


def warm_kernels() -> None:
    """Loads the compiled kernels, and says what it is doing where that takes long: once, on a new installation.

    There a second process compiles from the other end what the first then finds on disk.
    """
    console = Console(stderr=True)
    with console.status("loading kernels") as status, ExitStack() as undo:
        is_helped = False

        def show(name: str) -> None:
            nonlocal is_helped
            if any(entry.was_compiled for entry in registered()):
                status.update(f"compiling {name} (once, on a new installation)")
                if not is_helped:
                    undo.enter_context(_compiling_from_the_end())
                    is_helped = True

        warm(show)


@contextmanager
def _compiling_from_the_end() -> Iterator[None]:
    modules = dict.fromkeys(entry.name.rpartition(".")[0] for entry in registered())
    helper = subprocess.Popen(
        [sys.executable, "-c", _FROM_THE_END, *modules], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        # It may be at what this process has just finished.
        helper.terminate()
        helper.wait()


class RunProgress:
    """How far a run is: its market's clock, its equity, its fills."""

    def __init__(self, run: UnderWay) -> None:
        self._run = run
        self._has_end = run.market.to_ns != NEVER_NS
        to_its_end = (BarColumn(), TaskProgressColumn()) if self._has_end else (SpinnerColumn(),)
        self._events = 0
        self._shown = 0.0
        self._bar = Progress(
            TextColumn("{task.fields[clock]}"),
            *to_its_end,
            TextColumn("{task.fields[book]}"),
            TimeRemainingColumn() if self._has_end else TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("run", total=1.0 if self._has_end else None, clock="warming up", book="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self) -> None:
        """Called after every event; looks at the clock once in many."""
        self._events += 1
        if self._events % _EVERY_EVENTS:
            return
        now = time.monotonic()
        if now - self._shown < _EVERY_S:
            return
        self._shown = now
        state = self._run.engine.state
        if not state.values.ts_ns:
            return
        fills = len(state.recorder.tables.fills)
        done = share_done(self._run) if self._has_end else 0.0
        book = f"{state.pnl.equity_usd:+,.0f} USD, {fills:,} fills, {state.risk.stage.name.lower()}"
        self._bar.update(
            self._task,
            completed=done,
            clock=format_utc(state.now_ns)[:16],
            book=book,
        )


class ManyProgress:
    """How far many runs are that go on at once: one bar for all of them."""

    def __init__(self, runs: int) -> None:
        self._done = [0.0] * runs
        self._bar = Progress(
            TextColumn("{task.fields[finished]} of {task.total:.0f} runs"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("runs", total=len(self._done), finished=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def told(self, number: int, done: float) -> None:
        """Run `number` has this share of its span behind it."""
        self._done[number] = max(self._done[number], done)
        finished = sum(share >= 1.0 for share in self._done)
        self._bar.update(self._task, completed=sum(self._done), finished=finished)
