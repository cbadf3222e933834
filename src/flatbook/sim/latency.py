"""How long things take on their way: a constant and, added to it, an exponential jitter from a seeded stream."""

from dataclasses import dataclass, field

import numpy as np

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.units import NS_PER_SECOND

_NS_PER_MS = 1_000_000
_DRAWS_AT_ONCE = 1_024


@dataclass(frozen=True, slots=True)
class Delay:
    """One way of one line, nanoseconds: `constant_ns` plus an exponential of mean `jitter_mean_ns`."""

    constant_ns: int = 0
    jitter_mean_ns: int = 0

    def __post_init__(self) -> None:
        for name in ("constant_ns", "jitter_mean_ns"):
            value = getattr(self, name)
            if value < 0:
                raise ConfigurationError(f"latency {name} is {value}; use 0 ns or more")


@dataclass(frozen=True, slots=True)
class Latency:
    """The three ways: `feed` from the venue to us, `quote` and `order` from us to the venue.

    The defaults are a colocated client of a venue with a public gateway: some milliseconds, with a tail.
    """

    feed: Delay = field(default_factory=lambda: Delay(5 * _NS_PER_MS, 1 * _NS_PER_MS))
    quote: Delay = field(default_factory=lambda: Delay(10 * _NS_PER_MS, 2 * _NS_PER_MS))
    order: Delay = field(default_factory=lambda: Delay(10 * _NS_PER_MS, 2 * _NS_PER_MS))


class DelayStream:
    """The delays of one message after another, drawn in blocks."""

    def __init__(self, delay: Delay, random: np.random.Generator) -> None:
        self._delay = delay
        self._random = random
        self._drawn: list[int] = []

    def next_ns(self) -> int:
        """The delay of the next message."""
        if self._delay.jitter_mean_ns == 0:
            return self._delay.constant_ns
        if not self._drawn:
            jitter = self._random.exponential(self._delay.jitter_mean_ns, _DRAWS_AT_ONCE)
            self._drawn = (jitter.astype(np.int64) + self._delay.constant_ns)[::-1].tolist()
        return self._drawn.pop()


class FeedLine:
    """The public feed as a line whose delay drifts: a new delay each second, joined by straight lines.

    It never reorders, because the delay never falls faster than time passes; and it depends on time alone, so what we
    do on the market cannot change when others' events reach us.
    """

    def __init__(self, delay: Delay, random: np.random.Generator, start_ns: int, seconds: int) -> None:
        jitter = (
            random.exponential(delay.jitter_mean_ns, seconds + 2) if delay.jitter_mean_ns else np.zeros(seconds + 2)
        )
        capped = np.minimum(jitter, NS_PER_SECOND).astype(np.int64) + delay.constant_ns
        self._delays_ns: list[int] = capped.tolist()
        self._start_ns = start_ns

    def local_ns(self, exch_ns: int) -> int:
        """When we learn of what happened at `exch_ns`, which lies within the seconds given."""
        second, within_ns = divmod(exch_ns - self._start_ns, NS_PER_SECOND)
        here, there = self._delays_ns[second : second + 2]
        return exch_ns + here + (there - here) * within_ns // NS_PER_SECOND
