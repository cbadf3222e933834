"""Hands views from the engine's thread to the page's, without either waiting for the other."""

import time
from collections.abc import Callable

from flatbook.service.live import LiveView


class Noticeboard:
    """The engine's thread asks `wanted` after an event and posts a view when it is; the page reads the last one posted.

    Nobody looking costs the engine one comparison an event. Each attribute is written by one thread only and replaced
    whole, so no lock is needed; a view is immutable, so what the page reads was true at one instant.
    """

    def __init__(
        self, first: LiveView, *, per_second: float = 4.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._view = first
        self._interval_s = 1.0 / per_second
        self._clock = clock
        self._posted_at = float("-inf")
        self._asked_at = float("-inf")

    def wanted(self) -> bool:
        """Whether somebody has looked since the last post, and that is long enough ago."""
        return self._asked_at > self._posted_at and self._clock() - self._posted_at >= self._interval_s

    def post(self, view: LiveView) -> None:
        """Replaces the view, wanted or not: the first and the last of a run are always posted."""
        self._view = view
        self._posted_at = self._clock()

    def __call__(self) -> LiveView:
        """The last view posted; asking for it makes the next one wanted."""
        self._asked_at = self._clock()
        return self._view
