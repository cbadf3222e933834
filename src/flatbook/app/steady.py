"""A clock that is set once: what ages and time-outs are counted by must not jump when somebody sets the machine's."""

import time
from collections.abc import Callable


class SteadyClock:
    """The wall's time when this began, or `not_before_ns` where that is later, and from then on what nobody sets.

    Units       nanoseconds UTC, rising with `monotonic_ns`, which the machine may slew and never steps
    """

    def __init__(
        self,
        not_before_ns: int = 0,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._ahead_ns = max(wall_ns(), not_before_ns) - monotonic_ns()

    def now_ns(self) -> int:
        """The time now."""
        return self._monotonic_ns() + self._ahead_ns
