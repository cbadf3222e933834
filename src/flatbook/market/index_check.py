"""Whether a tick of the index is believed: one that jumps is held until a second source says the same.

A tick within a bound of the last one believed is taken as it comes. One beyond it is held, and the index stays what it
was, until

    a tick comes back to where the index was    it was stray, and is forgotten
    a second source is within the bound of it   it is believed: the index of a perpetual's mid, of a dated future's, of
                                                an option's price or of put and call by parity
    ticks have stood there for `confirm_s`      it is believed, unless the perpetual was seen since and says otherwise
    `hold_s` are over                           it is believed whatever else is said: no index is held for longer

The bound is what the index may move in the time since, in deviations of its own realised vol, and not less than
`least_rate`. The inverse is watched too: a perpetual that leaves the index by more than `apart_rate` of where it mostly
stands says that the index is frozen.
"""

import math
from dataclasses import dataclass

from pydantic import Field

from flatbook.domain.config import Positive, Section
from flatbook.domain.events import IndexTick
from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND, NS_PER_YEAR

_VOL_MEMORY_NS = NS_PER_HOUR
_PRIOR_VOL = 0.6
"""Of the index, annual, before it has moved; realised vol forgets by a factor e an hour."""

_NEAR_AGAIN = 0.5
"""A perpetual that had left the index is with it again within this share of the distance that it left by."""


class IndexCheckPolicy(Section):
    """A tick of the index that jumps is taken only when a second source agrees, or it has stood for a while.

    Meanwhile quotes are pulled, nothing is hedged, no loss is counted, and the book is marked at the index as it was.
    """

    least_rate: Positive = Field(default=0.02, description="a tick farther than this from the last may be bad ...")
    deviations: Positive = Field(default=8.0, description="... if it is also this many deviations of the realised vol")
    source_age_s: Positive = Field(default=30.0, description="how old what the perpetual says of it may be")
    confirm_s: Positive = Field(default=5.0, description="ticks that stood for this long need no second source ...")
    hold_s: Positive = Field(
        default=30.0, description="... and for this long are believed though the perpetual says otherwise"
    )
    apart_rate: Positive = Field(
        default=0.015,
        description="a perpetual that leaves the index by more than this pulls quotes: one of the two is wrong",
    )
    premium_s: Positive = Field(
        default=600.0,
        description="that distance counts from its average over this, which is learnt only while the index moves",
    )
    rest_s: Positive = Field(default=2.0, description="quotes come back this long after the doubt is over")


@dataclass(slots=True)
class Held:
    """Ticks that are not believed yet.

    tick                    the last of them
    since_ns                when the first came
    level_usd, level_ns     where they have stood since when, each within the bound of it
    """

    tick: IndexTick
    since_ns: int
    level_usd: float
    level_ns: int


class IndexCheck:
    """The index as believed, and what is held.

    price_usd, ns   the last tick believed and when that was, NaN and 0 before the first
    held            ticks in doubt; None where there are none
    is_apart        whether the perpetual has left the index
    doubted         how many ticks were not believed as they came
    why_held, why_apart     how each of the two last began or ended, in words
    Invariant       no positive tick finds one held for `hold_s`: then it is believed itself
    """

    def __init__(self, policy: IndexCheckPolicy) -> None:
        self._policy = policy
        self.price_usd = math.nan
        self.ns = 0
        self.held: Held | None = None
        self.is_apart = False
        self.doubted = 0
        self.why_held = ""
        self.why_apart = ""
        self._variance = _PRIOR_VOL**2
        self._perpetual_usd = math.nan
        self._perpetual_ns = 0
        self._premium = 0.0

    def bound(self, now_ns: int) -> float:
        """How far the index may have moved by now, as a log return."""
        years = max(now_ns - self.ns, 0) / NS_PER_YEAR
        return max(self._policy.least_rate, self._policy.deviations * math.sqrt(self._variance * years))

    def take(self, tick: IndexTick) -> bool:
        """Takes a tick; whether it is believed, and is the index from now on."""
        price_usd, now_ns = tick.price_usd, tick.local_ts_ns
        if not 0.0 < price_usd < math.inf:
            self.doubted += 1
            return False
        if not self.ns:
            return self._believe(price_usd, now_ns, "")
        bound = self.bound(now_ns)
        if abs(math.log(price_usd / self.price_usd)) <= bound:
            return self._believe(price_usd, now_ns, f"a tick of {price_usd:,.2f} is within {bound:.1%} again")
        said_usd = self._by_perpetual(now_ns)
        if abs(math.log(price_usd / said_usd)) <= bound:
            return self._believe(price_usd, now_ns, f"believed at {price_usd:,.2f}: the perpetual says {said_usd:,.2f}")
        return self._hold(tick, bound)

    def see_perpetual(self, mid_usd: float, now_ns: int) -> bool:
        """Takes the perpetual's mid; whether a held tick is believed by it, and is the index from now on."""
        if not 0.0 < mid_usd < math.inf:
            return False
        self._perpetual_usd, self._perpetual_ns = mid_usd, now_ns
        believed = self.held is not None and self.hear("the perpetual", self._by_perpetual(now_ns), now_ns)
        self._compare(now_ns)
        return believed

    def hear(self, source: str, index_usd: float, now_ns: int) -> bool:
        """What another source says that the index is; whether a held tick is believed by it. NaN says nothing."""
        if self.held is None or not index_usd > 0.0:
            return False
        price_usd = self.held.tick.price_usd
        if not abs(math.log(price_usd / index_usd)) <= self.bound(now_ns):
            return False
        return self._believe(price_usd, now_ns, f"believed at {price_usd:,.2f}: {source} says {index_usd:,.2f}")

    def _by_perpetual(self, now_ns: int) -> float:
        """The index that the perpetual's last mid speaks of, NaN where it is too old."""
        old = now_ns - self._perpetual_ns > self._policy.source_age_s * NS_PER_SECOND
        return math.nan if old else self._perpetual_usd * math.exp(-self._premium)

    def _hold(self, tick: IndexTick, bound: float) -> bool:
        """A tick beyond the bound: whether it has stood for long enough, or the hold has lasted too long."""
        held, policy, price_usd, now_ns = self.held, self._policy, tick.price_usd, tick.local_ts_ns
        if held is None:
            held = self.held = Held(tick, now_ns, price_usd, now_ns)
            was = f"{self.price_usd:,.2f} {(now_ns - self.ns) / NS_PER_SECOND:.1f} s ago"
            self.why_held = f"an index of {price_usd:,.2f} was {was}, and nothing else says so"
        held.tick = tick
        if abs(math.log(price_usd / held.level_usd)) > bound:
            held.level_usd, held.level_ns = price_usd, now_ns
        stood_s = (now_ns - held.level_ns) / NS_PER_SECOND
        if stood_s >= policy.confirm_s and self._perpetual_ns <= held.level_ns:
            return self._believe(price_usd, now_ns, f"believed at {price_usd:,.2f}, where it stood for {stood_s:.1f} s")
        if now_ns - held.since_ns >= policy.hold_s * NS_PER_SECOND:
            said = f"believed at {price_usd:,.2f} after {policy.hold_s:g} s, for want of anything better"
            return self._believe(price_usd, now_ns, said)
        self.doubted += 1
        return False

    def _believe(self, price_usd: float, now_ns: int, why: str) -> bool:
        if self.held is not None:
            self.held, self.why_held = None, why
        if self.ns and now_ns > self.ns:
            self._learn(price_usd, now_ns)
        self.price_usd, self.ns = price_usd, now_ns
        self._compare(now_ns)
        return True

    def _learn(self, price_usd: float, now_ns: int) -> None:
        """A move teaches vol, and while the index moves where the perpetual mostly stands beside it.

        No move teaches more than the bound: after one jump the next bad tick must still be one.
        """
        elapsed_ns, move = now_ns - self.ns, math.log(price_usd / self.price_usd)
        move = math.copysign(min(abs(move), self.bound(now_ns)), move)
        new = -math.expm1(-elapsed_ns / _VOL_MEMORY_NS)
        self._variance += new * (move * move * NS_PER_YEAR / elapsed_ns - self._variance)
        if move and self._perpetual_ns >= self.ns:
            new = -math.expm1(-elapsed_ns / (self._policy.premium_s * NS_PER_SECOND))
            self._premium += new * (math.log(self._perpetual_usd / price_usd) - self._premium)

    def _compare(self, now_ns: int) -> None:
        """Whether the perpetual is where it mostly is beside the index."""
        said_usd = self._by_perpetual(now_ns)
        if math.isnan(said_usd) or math.isnan(self.price_usd):
            if self.is_apart:
                self.is_apart, self.why_apart = False, "the perpetual is not seen any more"
            return
        off = abs(math.log(said_usd / self.price_usd))
        if not self.is_apart and off > self._policy.apart_rate:
            age_s = (now_ns - self.ns) / NS_PER_SECOND
            said = f"an index of {said_usd:,.2f}, which is {self.price_usd:,.2f} since {age_s:.1f} s ago"
            self.is_apart, self.why_apart = True, f"the perpetual speaks of {said}"
        elif self.is_apart and off <= _NEAR_AGAIN * self._policy.apart_rate:
            self.is_apart, self.why_apart = False, "the perpetual is with the index again"
