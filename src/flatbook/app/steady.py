"""A clock that is set once: what ages and time-outs are counted by must not jump when somebody sets the machine's.

A machine that sleeps takes its monotonic clock with it: an hour later nothing seems to have passed, and quotes, tokens
and lines are an hour old. So that clock is laid beside one that goes on: where there is one, the system's that counts
sleep; and the wall's, for a virtual machine that was stopped has no other. The wall's counts where it is ahead by more
than a step of its own keeping would put it: somebody who sets it ahead by that much is taken for a sleep.
"""

import time
from collections.abc import Callable

from flatbook.domain.units import NS_PER_SECOND

_LEAST_NS = (5 * NS_PER_SECOND, NS_PER_SECOND // 2)
"""What the wall's clock and the one that counts sleep must gain at once to be believed."""

_AT_ONCE_NS = NS_PER_SECOND // 100
_COUNTS_SLEEP = getattr(time, "CLOCK_BOOTTIME", None)


def _with_sleep_ns() -> int:
    return time.monotonic_ns() if _COUNTS_SLEEP is None else time.clock_gettime_ns(_COUNTS_SLEEP)


class SteadyClock:
    """The wall's time when this began, or `not_before_ns` where that is later, and from then on what nobody sets.

    Units       nanoseconds UTC, rising with `monotonic_ns`, which the machine may slew and never steps, and by what
                `slept_ns` finds
    """

    def __init__(
        self,
        not_before_ns: int = 0,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        with_sleep_ns: Callable[[], int] = _with_sleep_ns,
    ) -> None:
        self._wall_ns, self._monotonic_ns, self._with_sleep_ns = wall_ns, monotonic_ns, with_sleep_ns
        self._began_ns = max(wall_ns(), not_before_ns) - monotonic_ns()
        self._ahead_ns = [*self._others_ahead_ns()]
        """The most that each was ahead."""
        self._slept_ns = [0, 0]
        """By each clock's word: one may tell a sleep later than the other, so their sums are compared."""

    def now_ns(self) -> int:
        """The time now."""
        return self._monotonic_ns() + self._began_ns + max(self._slept_ns)

    def slept_ns(self) -> int:
        """How long the machine slept since this was last asked, 0 where it did not; that time has passed, too."""
        slept_ns = 0
        for which, (now_ns, least_ns) in enumerate(zip(self._others_ahead_ns(), _LEAST_NS, strict=True)):
            gained_ns = now_ns - self._ahead_ns[which]
            if gained_ns >= least_ns:
                self._slept_ns[which] += gained_ns
                slept_ns = max(slept_ns, gained_ns)
            # A clock that was set back and then right again has gained nothing.
            self._ahead_ns[which] = max(now_ns, self._ahead_ns[which])
        return slept_ns

    def _others_ahead_ns(self) -> tuple[int, int]:
        """How far the wall's clock and the one that counts sleep are ahead, all read at once: a process that has to
        wait between two of them reads them again."""
        while True:
            monotonic_ns = self._monotonic_ns()
            ahead_ns = self._wall_ns() - monotonic_ns, self._with_sleep_ns() - monotonic_ns
            if self._monotonic_ns() - monotonic_ns < _AT_ONCE_NS:
                return ahead_ns
