"""The hour in which an expiry settles: the running average of the index, and how much variance its options have left.

Source      the venue's contract pages: delivery at 08:00 UTC, at the time-weighted average of the index from 07:30 on
"""

import math
from typing import NamedTuple

from flatbook.domain.instruments import EXPIRY_HOUR_UTC
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from flatbook.market.analytics.settlement import Window

AVERAGING_NS = 30 * NS_PER_MINUTE
"""Length of the window whose average is the delivery price."""


def next_settlement_ns(now_ns: int) -> int:
    """The first 08:00 UTC after `now_ns`."""
    first_ns = EXPIRY_HOUR_UTC * NS_PER_HOUR
    return first_ns + ((now_ns - first_ns) // NS_PER_DAY + 1) * NS_PER_DAY


class Covered(NamedTuple):
    """What was seen of the window that ends at `end_ns`: the index times the time it held, and that time."""

    end_ns: int = 0
    weighted_usd_ns: float = 0.0
    covered_ns: int = 0

    @property
    def average_usd(self) -> float | None:
        """Over what was seen; None where nothing was."""
        return self.weighted_usd_ns / self.covered_ns if self.covered_ns else None


class WindowAverage:
    """The time-weighted average of one index over the window before a settlement; the index holds between ticks.

    Invariant   the last settlement's average is kept until the next one's window opens
    """

    def __init__(self) -> None:
        self.price_usd = 0.0
        self._since_ns = 0
        self._opens_ns = 0
        self._covered = Covered()

    def tick(self, now_ns: int, price_usd: float) -> None:
        """The index is `price_usd` from `now_ns` on; a tick older than the last moves the price, not the clock."""
        if now_ns > self._opens_ns:
            if self.price_usd > 0:
                self._covered = self._until(now_ns)
            self._opens_ns = next_settlement_ns(now_ns) - AVERAGING_NS
        self._since_ns = max(self._since_ns, now_ns)
        self.price_usd = price_usd

    def average_usd(self, end_ns: int, now_ns: int | None = None) -> float | None:
        """The average over the window that ends at `end_ns`, of what was seen of it until now, or else until its end.

        None where nothing was
        """
        until_ns = end_ns if now_ns is None else min(now_ns, end_ns)
        covered = self._until(until_ns) if self.price_usd > 0 else self._covered
        return covered.average_usd if covered.end_ns == end_ns else None

    def _until(self, until_ns: int) -> Covered:
        """With the current price from `_since_ns` to `until_ns`, as far as it lies in the last window that it met."""
        for end_ns in (next_settlement_ns(until_ns - 1), next_settlement_ns(self._since_ns)):
            held_ns = min(until_ns, end_ns) - max(self._since_ns, end_ns - AVERAGING_NS)
            if held_ns > 0:
                _, weighted, covered = self._covered if self._covered.end_ns == end_ns else Covered(end_ns)
                return Covered(end_ns, weighted + self.price_usd * held_ns, covered + held_ns)
        return self._covered


def is_quiet(now_ns: int, before_ns: int, after_ns: int) -> bool:
    """Whether no settlement is `before_ns` ahead or less, and none was `after_ns` ago or less."""
    ahead_ns = next_settlement_ns(now_ns) - now_ns
    return before_ns < ahead_ns < NS_PER_DAY - after_ns


class Settling(NamedTuple):
    """An expiry in its last hour, or just past it.

    window      where it stands, and the average so far
    stretch     the vol of the index over that of its slice, which was fitted as if all the time to expiry had variance
    """

    slot: int
    window: Window
    stretch: float


def settling(slot: int, years: float, fitted_years: float, average_usd: float | None) -> Settling | None:
    """An expiry `years` away, past where negative, whose slice was fitted `fitted_years` before it.

    None        inside the window where no index was seen
    """
    window_years = AVERAGING_NS / (365 * NS_PER_DAY)
    left = max(years, 0.0)
    if left < window_years and average_usd is None:
        return None
    window = Window(left, window_years, math.nan if average_usd is None else average_usd)
    fitted = Window(fitted_years, window_years, 1.0)
    return Settling(slot, window, math.sqrt(fitted_years / fitted.variance_years) if fitted_years > 0 else 1.0)
