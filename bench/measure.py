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

    `most_seconds` is a bar on our own time, for work whose limit is a clock and not a peer; `most_tail` one on our
    slowest turn in a hundred against the median.
    """

    name: str
    contenders: Sequence[Contender]
    size: int
    unit: str = "M/s"
    bars: Sequence[Bar] = field(default=())
    note: str = ""
    most_seconds: float | None = None
    most_tail: float | None = None


@dataclass(frozen=True)
class Result:
    """One contender's time, how many times as fast ours is, and its slowest turn in a hundred over its median."""

    name: str
    seconds: float | None
    ours_is_faster: float | None
    bar: float | None
    absent: str = ""
    most_seconds: float | None = None
    tail: float | None = None
    most_tail: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the bar is met; None without a bar or a measurement."""
        if self.most_tail is not None and self.tail is not None:
            return self.tail <= self.most_tail
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
        is_ours = contender is work.contenders[0]
        most, most_tail = (work.most_seconds, work.most_tail) if is_ours else (None, None)
        tail = tail_of(taken[contender.name])
        bar = bars.get(contender.name)
        results.append(Result(contender.name, time_taken, ratio, bar, contender.absent, most, tail, most_tail))
    return results


def tail_of(turns: Sequence[float]) -> float | None:
    """The slowest turn in a hundred over the median; None where there were too few to say."""
    if len(turns) < 200:
        return None
    return statistics.quantiles(turns, n=100)[98] / statistics.median(turns)
