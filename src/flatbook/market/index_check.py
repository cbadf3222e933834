"""Whether a tick of the index is believed: one that jumps is held until a second source says the same.

A tick within a bound of the last one believed is taken as it comes. One beyond it is held, and the index stays what it
was, until

    a tick comes back to where the index was    it was stray, and is forgotten
    a second source is within the bound of it   it is believed: the index of a perpetual's mid, of a dated future's, of
                                                an option's price or of put and call by parity
    a person says so                            it is believed
    no second source has spoken of late         waiting is all there is: ticks that have stood for `confirm_s` are
                                                believed, and after `hold_s` whatever they are

While a second source speaks and says otherwise no tick is believed, however long that lasts. A source is dead when it
has been silent for `source_age_s`; where one said otherwise before, `hold_s` follow, whether ticks stand or not.

The bound is what the index may move in the time since, in deviations of its own realised vol, and not less than
`least_rate`; it does not grow while a tick is held. The inverse is watched too: a perpetual that leaves the index by
more than `apart_rate` of where it mostly stands says that the index is frozen, or creeps. That is over when it is back,
dead, or a person says so; or when it stands there rightly, for the index moves as it does: where it mostly stands is
learnt meanwhile from moves that both made.
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

_SHARED = 0.5
"""A move of the index is the perpetual's too where that made this share of it at least, the same way."""

_NEAR_AGAIN = 0.5
"""A perpetual that had left the index is with it again within this share of the distance that it left by."""


class IndexCheckPolicy(Section):
    """A tick of the index that jumps is taken only when a second source agrees, or where there is none to ask.

    Meanwhile quotes are pulled, nothing is hedged, no loss is counted, and the book is marked at the last index that
    was believed, until sources agree again, or a person re-arms the maker.
    """

    least_rate: Positive = Field(default=0.02, description="a tick farther than this from the last may be bad ...")
    deviations: Positive = Field(default=8.0, description="... if it is also this many deviations of the realised vol")
    source_age_s: Positive = Field(default=30.0, description="a second source that is silent for this long is dead")
    confirm_s: Positive = Field(
        default=5.0, description="with no second source alive, ticks that stood for this long are believed"
    )
    hold_s: Positive = Field(
        default=30.0,
        description="with none alive for this long any tick is, while one says otherwise none; a longer doubt raises "
        "an alarm, and basis and smiles learn nothing until it is over",
    )
    apart_rate: Positive = Field(
        default=0.015,
        description="a perpetual that leaves the index by more than this pulls quotes: one of the two is wrong",
    )
    premium_s: Positive = Field(
        default=600.0,
        description="that distance counts from its average over this, which is learnt only while the index moves; "
        "while the two are apart, from moves that both make",
    )
    rest_s: Positive = Field(default=2.0, description="quotes come back this long after the doubt is over")


@dataclass(slots=True)
class Held:
    """Ticks that are not believed yet.

    tick                    the last of them
    since_ns                when the first came
    level_usd, level_ns     where they have stood since when, each within the bound of it
    is_denied               whether a second source has said otherwise since
    """

    tick: IndexTick
    since_ns: int
    level_usd: float
    level_ns: int
    is_denied: bool = False


class IndexCheck:
    """The index as believed, and what is held.

    price_usd, ns   the last tick believed and when that was, NaN and 0 before the first
    held            ticks in doubt; None where there are none
    is_apart        whether the perpetual has left the index
    doubted         how many ticks were not believed as they came
    why_held, why_apart     how each of the two last began or ended, in words
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
        self._perpetual_then_usd = math.nan
        self._premium = 0.0
        self._said_ns = 0
        self._apart_ns = 0

    @property
    def is_doubted(self) -> bool:
        """Whether the index may be another than the one believed."""
        return self.held is not None or self.is_apart

    def doubted_s(self, now_ns: int) -> float:
        """For how long it has been in doubt; 0 where it is not."""
        held_ns = now_ns if self.held is None else self.held.since_ns
        apart_ns = self._apart_ns if self.is_apart else now_ns
        return (now_ns - min(held_ns, apart_ns)) / NS_PER_SECOND

    def is_lost(self, now_ns: int) -> bool:
        """Whether it has been in doubt for so long that nothing may be measured against the one believed."""
        return self.is_doubted and self.doubted_s(now_ns) >= self._policy.hold_s

    def bound(self, now_ns: int) -> float:
        """How far the index may have moved by now, as a log return; while a tick is held, by when it came.

        For the longer a bad feed stands, the more it might else have moved there.
        """
        until_ns = now_ns if self.held is None else self.held.since_ns
        years = max(until_ns - self.ns, 0) / NS_PER_YEAR
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
            why = "" if self.held is None else f"a tick of {price_usd:,.2f} is within {bound:.1%} again"
            return self._believe(price_usd, now_ns, why)
        said_usd = self._by_perpetual(now_ns)
        if abs(math.log(price_usd / said_usd)) <= bound:
            return self._believe(price_usd, now_ns, f"believed at {price_usd:,.2f}: the perpetual says {said_usd:,.2f}")
        return self._hold(tick, bound)

    def see_perpetual(self, mid_usd: float, now_ns: int) -> bool:
        """Takes the perpetual's mid; whether a held tick is believed by it, and is the index from now on."""
        if not 0.0 < mid_usd < math.inf:
            return False
        self._perpetual_usd, self._perpetual_ns, self._said_ns = mid_usd, now_ns, now_ns
        believed = self.held is not None and self.hear("the perpetual", self._by_perpetual(now_ns), now_ns)
        self._compare(now_ns)
        return believed

    def hear(self, source: str, index_usd: float, now_ns: int) -> bool:
        """What another source says that the index is; whether a held tick is believed by it. NaN says nothing."""
        if self.held is None or not index_usd > 0.0:
            return False
        price_usd = self.held.tick.price_usd
        if not abs(math.log(price_usd / index_usd)) <= self.bound(now_ns):
            self._said_ns, self.held.is_denied = now_ns, True
            return False
        return self._believe(price_usd, now_ns, f"believed at {price_usd:,.2f}: {source} says {index_usd:,.2f}")

    def rearm(self, now_ns: int) -> bool:
        """A person takes the feed's word; whether a held tick is believed by it, and is the index from now on.

        Where the perpetual stands beside it counts as where it mostly stands.
        """
        held = self.held
        if held is not None:
            self._believe(held.tick.price_usd, now_ns, f"believed at {held.tick.price_usd:,.2f}: a person says so")
        if self.is_apart:
            self._premium = math.log(self._perpetual_usd / self.price_usd)
            self.is_apart, self.why_apart = False, "a person says that the index is right"
        return held is not None

    def _by_perpetual(self, now_ns: int) -> float:
        """The index that the perpetual's last mid speaks of, NaN where it is too old."""
        old = now_ns - self._perpetual_ns > self._policy.source_age_s * NS_PER_SECOND
        return math.nan if old else self._perpetual_usd * math.exp(-self._premium)

    def _hold(self, tick: IndexTick, bound: float) -> bool:
        """A tick beyond the bound: whether it is believed for want of anything better."""
        held, policy, price_usd, now_ns = self.held, self._policy, tick.price_usd, tick.local_ts_ns
        if held is None:
            held = self.held = Held(tick, now_ns, price_usd, now_ns)
            was = f"{self.price_usd:,.2f} {(now_ns - self.ns) / NS_PER_SECOND:.1f} s ago"
            self.why_held = f"an index of {price_usd:,.2f} was {was}, and nothing else says so"
        held.tick = tick
        if abs(math.log(price_usd / held.level_usd)) > bound:
            held.level_usd, held.level_ns = price_usd, now_ns
        alone_ns = held.since_ns
        if self._said_ns:
            alone_ns = max(alone_ns, self._said_ns + round(policy.source_age_s * NS_PER_SECOND))
        stood_s = (now_ns - max(held.level_ns, alone_ns)) / NS_PER_SECOND
        if stood_s >= policy.confirm_s and not held.is_denied:
            return self._believe(price_usd, now_ns, f"believed at {price_usd:,.2f}, where it stood for {stood_s:.1f} s")
        if now_ns - alone_ns >= policy.hold_s * NS_PER_SECOND:
            said = f"believed at {price_usd:,.2f}: no second source has spoken for {policy.hold_s:g} s"
            return self._believe(price_usd, now_ns, said)
        self.doubted += 1
        return False

    def _believe(self, price_usd: float, now_ns: int, why: str) -> bool:
        if self.held is not None:
            self.held, self.why_held = None, why
        if self.ns and now_ns > self.ns:
            self._learn(price_usd, now_ns)
        self.price_usd, self.ns, self._perpetual_then_usd = price_usd, now_ns, self._perpetual_usd
        self._compare(now_ns)
        return True

    def _learn(self, price_usd: float, now_ns: int) -> None:
        """A move teaches vol, and where the perpetual mostly stands beside the index.

        No move teaches more than the bound: after one jump the next bad tick must still be one.
        """
        elapsed_ns, move = now_ns - self.ns, math.log(price_usd / self.price_usd)
        move = math.copysign(min(abs(move), self.bound(now_ns)), move)
        new = -math.expm1(-elapsed_ns / _VOL_MEMORY_NS)
        self._variance += new * (move * move * NS_PER_YEAR / elapsed_ns - self._variance)
        if move and self._perpetual_ns >= self.ns and (not self.is_apart or self._is_shared(move)):
            new = -math.expm1(-elapsed_ns / (self._policy.premium_s * NS_PER_SECOND))
            self._premium += new * (math.log(self._perpetual_usd / price_usd) - self._premium)

    def _is_shared(self, move: float) -> bool:
        """Whether the perpetual, too, went that way since the last tick believed."""
        return math.log(self._perpetual_usd / self._perpetual_then_usd) / move >= _SHARED

    def _compare(self, now_ns: int) -> None:
        """Whether the perpetual is where it mostly is beside the index."""
        said_usd = self._by_perpetual(now_ns)
        if math.isnan(said_usd) or math.isnan(self.price_usd):
            dead_s = self._policy.source_age_s + self._policy.hold_s
            if self.is_apart and now_ns - self._perpetual_ns >= dead_s * NS_PER_SECOND:
                self.is_apart, self.why_apart = False, "the perpetual is not seen any more"
            return
        off = abs(math.log(said_usd / self.price_usd))
        if not self.is_apart and off > self._policy.apart_rate:
            age_s = (now_ns - self.ns) / NS_PER_SECOND
            said = f"an index of {said_usd:,.2f}, which is {self.price_usd:,.2f} since {age_s:.1f} s ago"
            self.is_apart, self._apart_ns, self.why_apart = True, now_ns, f"the perpetual speaks of {said}"
        elif self.is_apart and off <= _NEAR_AGAIN * self._policy.apart_rate:
            self.is_apart, self.why_apart = False, "the perpetual is with the index again"
