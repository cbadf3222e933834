"""Contenders that take turns, and what the turns say.

Each is told by the lower quartile of its turns: on a shared machine the slow half tells of the neighbours.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Turn = Callable[[], float]
"""Does its work once or many times and returns the seconds of one."""


@dataclass(frozen=True)
class Contender:
    """Somebody who can do the work; without `turn`, the reason why not."""

    name: str
    turn: Turn | None
    absent: str = ""


@dataclass(frozen=True)
class Bar:
    """Ours must be at least `ratio` times as fast as `peer`."""

    peer: str
    ratio: float


@dataclass(frozen=True)
class Work:
    """One piece of work: `size` items of it a turn, rated in `unit`; ours first among the contenders.

    `most_seconds` is a bar on our own time, for work whose limit is a clock and not a peer.
    """

    name: str
    contenders: Sequence[Contender]
    size: int
    unit: str = "M/s"
    bars: Sequence[Bar] = field(default=())
    note: str = ""
    most_seconds: float | None = None


@dataclass(frozen=True)
class Result:
    """One contender's time, and how many times as fast ours is."""

    name: str
    seconds: float | None
    ours_is_faster: float | None
    bar: float | None
    absent: str = ""
    most_seconds: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the bar is met; None without a bar or a measurement."""
        if self.most_seconds is not None and self.seconds is not None:
            return self.seconds <= self.most_seconds
        if self.bar is None or self.ours_is_faster is None:
            return None
        return self.ours_is_faster >= self.bar


def local(name: str, function: Callable[[], object], least_seconds: float = 2e-3) -> Contender:
    """A contender in this process: called until a turn takes `least_seconds`, after one call to compile and warm."""
    function()
    start = time.perf_counter()
    function()
    calls = max(1, round(least_seconds / max(time.perf_counter() - start, 1e-9)))

    def turn() -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            function()
        return (time.perf_counter() - begin) / calls

    return Contender(name, turn)


def compare(work: Work, seconds: float = 3.0, least_turns: int = 7) -> list[Result]:
    """Let the contenders take turns for about `seconds`, and rate their times against the first's."""
    taken: dict[str, list[float]] = {contender.name: [] for contender in work.contenders}
    begin = time.perf_counter()
    turns = 0
    while turns < least_turns or time.perf_counter() - begin < seconds:
        for contender in work.contenders:
            if contender.turn is not None:
                taken[contender.name].append(contender.turn())
        turns += 1
    times = {name: statistics.quantiles(turns_, n=4)[0] for name, turns_ in taken.items() if turns_}
    ours = times[work.contenders[0].name]
    bars = {bar.peer: bar.ratio for bar in work.bars}
    results = []
    for contender in work.contenders:
        time_taken = times.get(contender.name)
        ratio = None if time_taken is None else time_taken / ours
        most = work.most_seconds if contender is work.contenders[0] else None
        results.append(Result(contender.name, time_taken, ratio, bars.get(contender.name), contender.absent, most))
    return results
