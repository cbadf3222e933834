"""Standing back in time: what makes the maker pull its quotes or widen them, why, and until when.

    reason          while it holds          over when
    mmp             quotes are pulled       the rest is over since the window last reached its share
    index_held      quotes are pulled       the rest is over since a jump of the index was believed, or taken back
    index_apart     quotes are pulled       the rest is over since the perpetual came back to the index
    index_jump      spreads are widened     no jump for the calm time
    vol_jump        spreads are widened     no jump for the calm time
    latency         spreads are widened     the venue answers within half the budget

One reason does not wait for another: what is pulled stays pulled, and factors of several do not multiply, the largest
holds. Every change of state is an `Alarm`, in words, so that a report can say when quotes were away and why.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from flatbook.domain.units import NS_PER_SECOND
from flatbook.risk.protection_policy import ProtectionPolicy

_LATENCIES_KEPT = 32


class Reason(StrEnum):
    """Why the maker stands back."""

    MMP = "mmp"
    INDEX_HELD = "index_held"
    INDEX_APART = "index_apart"
    INDEX_JUMP = "index_jump"
    VOL_JUMP = "vol_jump"
    LATENCY = "latency"


_PULLED = {
    Reason.MMP: "too many fills at once",
    Reason.INDEX_HELD: "a jump of the index that nothing else confirms",
    Reason.INDEX_APART: "index and perpetual do not agree",
}
"""The reasons that pull quotes, as a sentence ends."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A reason begins to hold, or ends, at `ts_ns`; `text` says what was seen."""

    ts_ns: int
    reason: Reason
    begins: bool
    text: str


@dataclass(slots=True)
class FillWindow:
    """What was filled within the venue's window: contracts, net delta and net vega.

    The venue's window begins at a trade and is followed by another; ours slides, so whatever fills one of theirs fills
    one of ours.
    """

    window_ns: int
    _fills: deque[tuple[int, float, float, float]] = field(default_factory=deque)

    def add(self, now_ns: int, quantity_coin: float, delta_coin: float, vega_usd: float) -> None:
        """Counts a fill, signed as the book is: bought delta and vega are positive."""
        self._fills.append((now_ns, abs(quantity_coin), delta_coin, vega_usd))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was filled within the window, as of when it was last summed up."""
        return not self._fills

    def sums(self, now_ns: int) -> tuple[float, float, float]:
        """Contracts, |net delta| in coin and |net vega| in USD per vol point within the window that ends now."""
        while self._fills and self._fills[0][0] <= now_ns - self.window_ns:
            self._fills.popleft()
        quantity = math.fsum(fill[1] for fill in self._fills)
        delta, vega = math.fsum(fill[2] for fill in self._fills), math.fsum(fill[3] for fill in self._fills)
        return quantity, abs(delta), abs(vega)


@dataclass(slots=True)
class MoveWatch:
    """The largest move of one number within a window: what is now against its least and most of the time before."""

    window_ns: int
    _low: deque[tuple[int, float]] = field(default_factory=deque)
    _high: deque[tuple[int, float]] = field(default_factory=deque)

    def move(self, now_ns: int, value: float) -> float:
        """Takes the number as of now; how far it is from the farthest of the window. NaN is not taken."""
        if math.isnan(value):
            return 0.0
        low, high, now = self._low, self._high, (now_ns, value)
        while low and low[-1][1] >= value:
            low.pop()
        while high and high[-1][1] <= value:
            high.pop()
        low.append(now)
        high.append(now)
        since_ns = now_ns - self.window_ns
        while low[0][0] < since_ns:
            low.popleft()
        while high[0][0] < since_ns:
            high.popleft()
        return max(value - low[0][1], high[0][1] - value)


class Protection:
    """The reasons that hold now.

    Invariant   `widen` is 1 and `is_pulled` False while no reason holds; `alarms` alternate begin and end by reason
    """

    def __init__(self, policy: ProtectionPolicy) -> None:
        self._policy = policy
        jump_ns = round(policy.jump_window_s * NS_PER_SECOND)
        self._fills = FillWindow(round(policy.mmp_window_s * NS_PER_SECOND))
        self._index, self._vol = MoveWatch(jump_ns), MoveWatch(jump_ns)
        self._until_ns: dict[Reason, int] = {}
        self._over_because: dict[Reason, str] = {}
        self._latency_ms: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self.alarms: list[Alarm] = []

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What holds now, in the order of the table above."""
        return tuple(reason for reason in Reason if reason in self._until_ns)

    @property
    def is_pulled(self) -> bool:
        """Whether nothing may be quoted."""
        return bool(self._until_ns) and not self._until_ns.keys().isdisjoint(_PULLED)

    @property
    def is_calm(self) -> bool:
        """Whether no reason holds."""
        return not self._until_ns

    @property
    def why_pulled(self) -> str:
        """Why nothing may be quoted; empty where it may."""
        return " and ".join(why for reason, why in _PULLED.items() if reason in self._until_ns)

    @property
    def widen(self) -> float:
        """The factor on spreads."""
        if not self._until_ns:
            return 1.0
        jumped = Reason.INDEX_JUMP in self._until_ns or Reason.VOL_JUMP in self._until_ns
        slow = Reason.LATENCY in self._until_ns
        return max(self._policy.jump_factor if jumped else 1.0, self._policy.latency_factor if slow else 1.0)

    def filled(self, now_ns: int, quantity_coin: float, delta_coin: float, vega_usd: float) -> None:
        """One of our quotes traded: what it added to the book."""
        self._fills.add(now_ns, quantity_coin, delta_coin, vega_usd)
        self._watch_fills(now_ns)

    def answered(self, now_ns: int, latency_ms: float) -> None:
        """The venue answered something that we sent this long ago."""
        policy = self._policy
        self._latency_ms.append(latency_ms)
        typical = sorted(self._latency_ms)[len(self._latency_ms) // 2]
        if typical > policy.latency_budget_ms:
            said = f"the venue answers in {typical:.0f} ms, the budget is {policy.latency_budget_ms:.0f}"
            self._hold(Reason.LATENCY, now_ns, _FOR_GOOD, said)
        elif typical <= 0.5 * policy.latency_budget_ms and Reason.LATENCY in self._until_ns:
            self._end(Reason.LATENCY, now_ns, f"the venue answers in {typical:.0f} ms again")

    def venue_pulled(self, now_ns: int, until_ns: int) -> None:
        """The venue's own protection acted, before ours could: nothing is quoted until it lets us."""
        text = "the venue froze our quotes"
        if Reason.MMP in self._until_ns:
            # Said though ours acted first: the venue's froze all the same.
            self.alarms.append(Alarm(now_ns, Reason.MMP, begins=True, text=text))
        self._hold(Reason.MMP, now_ns, max(until_ns, self._until_ns.get(Reason.MMP, 0)), text)

    def doubt(self, reason: Reason, why: str, now_ns: int) -> bool:
        """The index is in doubt from now on, until `trust`; whether that is news."""
        is_news = self._until_ns.get(reason) != _FOR_GOOD
        self._over_because.pop(reason, None)
        self._hold(reason, now_ns, _FOR_GOOD, why)
        return is_news

    def trust(self, reason: Reason, why: str, now_ns: int, rest_ns: int) -> bool:
        """That doubt is over: quotes come back after a rest; whether that is news."""
        if self._until_ns.get(reason) != _FOR_GOOD:
            return False
        self._until_ns[reason], self._over_because[reason] = now_ns + rest_ns, why
        return True

    def update(self, now_ns: int, index_usd: float, vol: float) -> None:
        """Takes the index and a typical at-the-money vol as of now, and lets go what is over."""
        policy = self._policy
        calm_until_ns = now_ns + round(policy.calm_s * NS_PER_SECOND)
        move = self._index.move(now_ns, math.log(index_usd) if index_usd > 0 else math.nan)
        if move > policy.index_jump_rate:
            said = f"the index moved {move:.2%} within {policy.jump_window_s:g} s"
            self._hold(Reason.INDEX_JUMP, now_ns, calm_until_ns, said)
        move = self._vol.move(now_ns, vol)
        if move > policy.vol_jump:
            said = f"the vol moved {100 * move:.1f} points within {policy.jump_window_s:g} s"
            self._hold(Reason.VOL_JUMP, now_ns, calm_until_ns, said)
        self._watch_fills(now_ns)
        for reason in self._over(now_ns) if self._until_ns else ():
            self._end(reason, now_ns, self._over_because.pop(reason, "calm again"))

    def _watch_fills(self, now_ns: int) -> None:
        if self._fills.is_empty:
            return
        policy = self._policy
        limits = (policy.mmp_quantity_coin, policy.mmp_delta_coin, policy.mmp_vega_usd)
        for name, unit, done, limit in zip(_COUNTED, _UNITS, self._fills.sums(now_ns), limits, strict=True):
            if done >= policy.mmp_share * limit:
                said = f"{done:,.4g} {unit} of {name} filled in {policy.mmp_window_s:g} s"
                said += f"; the venue freezes at {limit:,.4g}"
                self._hold(Reason.MMP, now_ns, now_ns + round(policy.mmp_rest_s * NS_PER_SECOND), said)

    def _hold(self, reason: Reason, now_ns: int, until_ns: int, text: str) -> None:
        if reason not in self._until_ns:
            self.alarms.append(Alarm(now_ns, reason, begins=True, text=text))
        self._until_ns[reason] = until_ns

    def _over(self, now_ns: int) -> Iterator[Reason]:
        yield from [reason for reason, until_ns in self._until_ns.items() if until_ns <= now_ns]

    def _end(self, reason: Reason, now_ns: int, text: str) -> None:
        del self._until_ns[reason]
        self.alarms.append(Alarm(now_ns, reason, begins=False, text=text))


_FOR_GOOD = 2**63 - 1
_COUNTED = ("contracts", "delta", "vega")
_UNITS = ("coin", "coin", "USD per vol point")


class MessageBudget:
    """How many messages may go out now: a bucket that fills at the venue's rate, up to a burst.

    Invariant   no span of t seconds lets more than burst + rate x t messages through, but for single orders and their
                cancels: these are counted, and go whatever is left
    """

    def __init__(self, policy: ProtectionPolicy) -> None:
        self._rate, self._burst = policy.messages_per_s, policy.burst_messages
        self._held, self._filled_ns = self._burst, 0

    def left(self, now_ns: int) -> int:
        """Messages that may be sent now."""
        elapsed_s = max(now_ns - self._filled_ns, 0) / NS_PER_SECOND if self._filled_ns else 0.0
        self._held, self._filled_ns = min(self._held + self._rate * elapsed_s, self._burst), now_ns
        return max(int(self._held), 0)

    def spend(self, messages: int) -> None:
        """They were sent."""
        self._held -= messages
