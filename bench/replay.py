"""Replay: events a second, the time from an event to its quotes, and where it goes.

    python -m bench.replay                                one simulated hour
    python -m bench.replay --session DIR --from … --to …  a recorded session

A stage's time is its own; `venue and journal` is what is left of the wall's: the market's side, the writing, the loop.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
from rich.console import Console
from rich.table import Table

from flatbook.app.conduct import conduct
from flatbook.app.request import RunRequest
from flatbook.app.run import Run, new_run
from flatbook.domain.events import AnyEvent
from flatbook.domain.units import parse_until, parse_utc
from flatbook.engine import booking, deciding, hedging, listening, valuing
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.kernels.warm import warm
from flatbook.policies import read_policy

STAGES: tuple[tuple[str, ModuleType, str], ...] = (
    ("market", listening, "take_market"),
    ("ledger", booking, "take_own"),
    ("valuation", valuing, "mark"),
    ("risk", valuing, "measure_risk"),
    ("quotes", deciding, "wanted_quotes"),
    ("hedges", hedging, "wanted_hedges"),
    ("gate and tables", deciding, "through_the_gate"),
)


def main() -> None:
    """Run the replay, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.replay", description=__doc__)
    parser.add_argument("--session")
    parser.add_argument("--from", dest="from_")
    parser.add_argument("--to")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--policy", default="advanced")
    asked = parser.parse_args()
    warm(lambda _: None)
    request = RunRequest(
        policy=asked.policy,
        policy_text=read_policy(asked.policy)[1],
        session=asked.session,
        from_ns=parse_utc(asked.from_) if asked.from_ else None,
        to_ns=parse_until(asked.to) if asked.to else None,
        hours=asked.hours,
    )
    with tempfile.TemporaryDirectory() as scratch:
        run = new_run(request, Path(scratch))
        with run.journal:
            report(run)


def report(run: Run) -> None:
    """Replays once, timing each stage and each event that was answered with quotes."""
    spent: dict[str, float] = {name: 0.0 for name, _, _ in STAGES}
    answered: list[float] = []
    with _stages_timed(spent), _events_timed(run.engine, answered):
        started = time.perf_counter()
        conduct(run.engine, run.market.venue, run.journal)
        wall = time.perf_counter() - started
    state = run.engine.state
    rate = Table(title=f"{state.events:,} events, {state.market.universe.count} options, {wall:.2f} s")
    for column in ("events/s", "event to quotes: p50 µs", "p99 µs", "answered"):
        rate.add_column(column, justify="right")
    p50, p99 = np.percentile(np.array(answered) * 1e6, [50, 99])
    rate.add_row(f"{state.events / wall:,.0f}", f"{p50:.0f}", f"{p99:.0f}", f"{len(answered):,}")
    split = Table(title="where the time goes")
    split.add_column("stage")
    split.add_column("s", justify="right")
    split.add_column("share", justify="right")
    spent["venue and journal"] = wall - sum(spent.values())
    for name, seconds in spent.items():
        split.add_row(name, f"{seconds:.2f}", f"{seconds / wall:.0%}")
    console = Console()
    console.print(rate)
    console.print(split)


@contextmanager
def _stages_timed(spent: dict[str, float]) -> Iterator[None]:
    originals = [(module, name, getattr(module, name)) for _, module, name in STAGES]
    for (label, _, _), (module, name, function) in zip(STAGES, originals, strict=True):
        setattr(module, name, _timed(function, spent, label))
    try:
        yield
    finally:
        for module, name, function in originals:
            setattr(module, name, function)


def _timed(function: Callable[..., object], spent: dict[str, float], label: str) -> Callable[..., object]:
    def call(*arguments: object) -> object:
        begin = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            spent[label] += time.perf_counter() - begin

    return call


@contextmanager
def _events_timed(engine: Engine, answered: list[float]) -> Iterator[None]:
    step = engine.step

    def timed(event: AnyEvent) -> Effects:
        begin = time.perf_counter()
        effects = step(event)
        if effects.quotes is not None:
            answered.append(time.perf_counter() - begin)
        return effects

    engine.step = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        del engine.step


if __name__ == "__main__":
    main()
