"""Numbers watched over several horizons, with thresholds from their own past that keep a budget of false alarms.

Time is cut into minutes, hours and days. What a number came to in each (its most, its mean, its change) is held against
what it came to in those before: a calm stream passes a threshold so seldom that all of them together raise no more
false alarms a week than the policy allows. An alarm holds until a stretch is within again. Nothing is learnt from it
while it holds; what has stood for LEAST_STRETCHES is normal from then on, and is the past.

A fault that lasts is found by the end of the first whole stretch of the shortest horizon that shows it: within two
minutes, or at once where the most counts. Until a horizon has seen LEAST_STRETCHES it knows no threshold but the
number's own bound, and says that it is learning.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from pydantic import Field

from flatbook.domain.config import Positive, Section
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from flatbook.risk.tails import level_exceeded

HORIZONS_NS = {"minute": NS_PER_MINUTE, "hour": NS_PER_HOUR, "day": NS_PER_DAY}
LEAST_STRETCHES, MOST_STRETCHES = 60, 10_080
"""From how many stretches a threshold is learnt: not fewer, and the last week of minutes."""

_WEEK_NS = 7 * NS_PER_DAY
_NEWER = 50
"""A threshold is set anew when a fiftieth of its past is new."""


class MonitorPolicy(Section):
    """Exposures, P&L, quotes, ages of data and the venue are watched, and raise alarms; these change no decision.

    Thresholds come from each number's own past.
    """

    false_alarms_per_week: Positive = Field(
        default=2.0, description="false alarms of all monitors and horizons together, in a market that stays as it is"
    )
    every_s: Positive = Field(default=1.0, description="numbers are looked at no more often than this")


class Of(StrEnum):
    """What of a stretch counts."""

    MOST = "most"
    MEAN = "mean"
    CHANGE = "change"


class MonitorState(StrEnum):
    """How a number stands at one horizon."""

    LEARNING = "learning"
    QUIET = "quiet"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Watched:
    """A number that is watched, the greater the worse; a change counts either way.

    least       below which it is worth no alarm, whatever its past
    bound       beyond which it is one, whatever its past
    """

    name: str
    group: str
    unit: str
    of: Of
    least: float = 0.0
    bound: float = math.inf


@dataclass(frozen=True, slots=True)
class Reading:
    """One number at one horizon.

    value       what it came to in the last stretch that has ended, or so far where that is an alarm; NaN before that
    ts_ns       as of when
    usual       the median of its past, of a change its root mean square; NaN before that
    threshold   NaN where none is known
    alarms      how many have begun
    """

    watched: Watched
    horizon: str
    value: float
    ts_ns: int
    usual: float
    threshold: float
    state: MonitorState
    alarms: int


@dataclass(frozen=True, slots=True)
class MonitorAlarm:
    """An alarm begins, or ends, at `ts_ns`."""

    ts_ns: int
    begins: bool
    text: str


@dataclass(slots=True)
class _Stretch:
    """What was seen of a number in one stretch of time."""

    count: float = 0.0
    total: float = 0.0
    most: float = -math.inf
    last: float = math.nan

    def add(self, count: float, total: float, most: float, last: float) -> None:
        self.count, self.total, self.last = self.count + count, self.total + total, last
        self.most = max(self.most, most)


class _Horizon:
    """One number over stretches of one length."""

    def __init__(self, watched: Watched, name: str, chance: float) -> None:
        self.watched, self.name = watched, name
        self.length_ns = HORIZONS_NS[name]
        self.number = -1
        self.stretch = _Stretch()
        self.value, self.value_ns, self.alarms = math.nan, 0, 0
        self.is_alarm = False
        self.learnt, self.usual = math.nan, math.nan
        self.past: deque[float] = deque(maxlen=MOST_STRETCHES)
        self._doubted: list[float] = []
        self._chance, self._new = chance, 0
        self._opening = math.nan

    @property
    def threshold(self) -> float:
        """NaN where none is known."""
        if math.isnan(self.learnt):
            return self.watched.bound if self.watched.bound < math.inf else math.nan
        return min(max(self.learnt, self.watched.least), self.watched.bound)

    def end(self, ends_ns: int) -> bool:
        """The stretch is over: judges and learns what it came to; whether an alarm began or ended."""
        came_to = self._came_to()
        # Across a gap in what was seen a change would be of another length.
        self._opening, self.stretch = self.stretch.last, _Stretch()
        if math.isnan(came_to):
            return False
        self.value, self.value_ns = came_to, ends_ns
        size = abs(came_to) if self.watched.of is Of.CHANGE else came_to
        is_news = self._judge(size)
        self._learn(size)
        return is_news

    def look(self, now_ns: int) -> bool:
        """Judges the most so far, which can only grow; whether an alarm began."""
        if self.is_alarm or not self.stretch.most > self.threshold:
            return False
        self.value, self.value_ns = self.stretch.most, now_ns
        return self._judge(self.value)

    def _came_to(self) -> float:
        stretch = self.stretch
        if not stretch.count:
            return math.nan
        match self.watched.of:
            case Of.MOST:
                return stretch.most
            case Of.MEAN:
                return stretch.total / stretch.count
            case Of.CHANGE:
                return stretch.last - self._opening

    def _judge(self, size: float) -> bool:
        was, self.is_alarm = self.is_alarm, size > self.threshold
        self.alarms += self.is_alarm and not was
        return self.is_alarm is not was

    def _learn(self, size: float) -> None:
        if self.is_alarm:
            self._doubted.append(size)
            if len(self._doubted) < LEAST_STRETCHES:
                return
            self.past = deque(self._doubted, MOST_STRETCHES)
            self._new = len(self._doubted)
        else:
            self.past.append(size)
            self._new += 1
        self._doubted.clear()
        if len(self.past) >= LEAST_STRETCHES and self._new > len(self.past) // _NEWER:
            past = np.array(self.past)
            self.learnt, self._new = level_exceeded(past, self._chance), 0
            is_change = self.watched.of is Of.CHANGE
            self.usual = float(np.sqrt(np.mean(past * past)) if is_change else np.median(past))


class Monitor:
    """One number at every horizon."""

    def __init__(self, watched: Watched, false_alarms_per_week: float) -> None:
        self.watched = watched
        each = false_alarms_per_week / len(HORIZONS_NS)
        self._horizons = [
            _Horizon(watched, name, min(each * length_ns / _WEEK_NS, 0.05)) for name, length_ns in HORIZONS_NS.items()
        ]
        self._shortest, self._counts_most = self._horizons[0], watched.of is Of.MOST

    def take(self, now_ns: int, value: float, count: float = 1.0) -> list[MonitorAlarm]:
        """Takes what the number is now, or the mean of `count` things that happened; the alarms that begin or end.

        What is not finite is not taken.
        """
        alarms = self.tick(now_ns)
        return alarms + self.note(now_ns, value, count) if count else alarms

    def note(self, now_ns: int, value: float, count: float = 1.0) -> list[MonitorAlarm]:
        """As `take`, where nothing is over since the last call, and something happened."""
        if not math.isfinite(value):
            return []
        stretch = self._shortest.stretch
        stretch.count += count
        stretch.total += count * value
        stretch.last = value
        # No longer stretch has seen less than the shortest, so what is no more there is no more anywhere.
        if value <= stretch.most:
            return []
        stretch.most = value
        return self._look(now_ns, value) if self._counts_most else []

    def _look(self, now_ns: int, value: float) -> list[MonitorAlarm]:
        """The alarms that begin with the most that was seen."""
        alarms = []
        for horizon in self._horizons:
            horizon.stretch.most = max(horizon.stretch.most, value)
            if horizon.look(now_ns):
                alarms.append(self._alarm(horizon))
        return alarms

    def tick(self, now_ns: int) -> list[MonitorAlarm]:
        """Ends what is over by now."""
        alarms: list[MonitorAlarm] = []
        for at, horizon in enumerate(self._horizons):
            number = now_ns // horizon.length_ns
            if number == horizon.number:
                break
            ends_ns, ended = (horizon.number + 1) * horizon.length_ns, horizon.stretch
            horizon.number = number
            if at + 1 < len(self._horizons) and ended.count:
                self._horizons[at + 1].stretch.add(ended.count, ended.total, ended.most, ended.last)
            if horizon.end(ends_ns):
                alarms.append(self._alarm(horizon))
        return alarms

    def readings(self) -> Iterator[Reading]:
        """How the number stands at each horizon."""
        for horizon in self._horizons:
            state = MonitorState.ALARM if horizon.is_alarm else MonitorState.QUIET
            if math.isnan(horizon.learnt) and not horizon.is_alarm:
                state = MonitorState.LEARNING
            yield Reading(
                self.watched, horizon.name, horizon.value, horizon.value_ns, horizon.usual, horizon.threshold, state,
                horizon.alarms,
            )  # fmt: skip

    def _alarm(self, horizon: _Horizon) -> MonitorAlarm:
        watched = self.watched
        said = f"{watched.name} over a {horizon.name}: {horizon.value:,.4g} {watched.unit}"
        beside = "the threshold is" if horizon.is_alarm else "within"
        return MonitorAlarm(horizon.value_ns, horizon.is_alarm, f"{said}, {beside} {horizon.threshold:,.4g}")
