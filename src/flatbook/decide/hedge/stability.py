"""Whether our hedging feeds itself: its loop gain, and a guard that slows it before it does.

A short-gamma book buys as the price rises. Buying moves the price by λ per USD, which opens new delta to hedge:

    gain g = λ G        G = -d(delta_usd) / d(log price), the dollars to trade per unit of log price

Hedging a share f of the gap a clip leaves 1 - f (1 - g) of it, so a short-gamma book (g > 0) needs g < 1, and a
long-gamma one (g < 0), which overshoots, f < 2 / (1 + |g|). A move of the market ends as 1/(1 - g) of itself. Of impact
only a share p stays; the rest fades between clips to a share φ = exp(-ρ dt). Then what matters over a while is p g, and
the patient hedger of a book with g > 1 may be stable where the hasty one is not. Per clip, gap e and faded impact q
(both USD of delta) go as

    e' = e - f e + g f e - (1 - φ)(q + (1 - p) g f e)        q' = φ (q + (1 - p) g f e)

Source      Frey and Stremme (1997), Math. Finance 7; Platen and Schweizer (1998), Math. Finance 8, for the amplified
            vol σ/(1 - g); Kyle (1985) for λ
"""

import cmath
import math
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import Field, model_validator

from flatbook.domain.config import Positive, Section, Share


@dataclass(frozen=True, slots=True)
class Loop:
    """One clip of the hedging loop.

    gain            g, as above, with the impact of the moment it is traded
    fraction        f of the gap that a clip trades
    lasting         p of the impact that stays
    kept            φ of the rest that is there at the next clip
    """

    gain: float
    fraction: float = 1.0
    lasting: float = 1.0
    kept: float = 1.0

    def growth(self) -> float:
        """What a gap and faded impact are multiplied by per clip, at worst: below 1 the loop dies out."""
        fades = (1.0 - self.lasting) * self.gain * self.fraction
        a = 1.0 - self.fraction * (1.0 - self.gain) - (1.0 - self.kept) * fades
        b = -(1.0 - self.kept)
        c, d = self.kept * fades, self.kept
        if fades == 0.0:
            return abs(a)
        root = cmath.sqrt((a - d) ** 2 / 4.0 + b * c)
        return max(abs((a + d) / 2.0 + root), abs((a + d) / 2.0 - root))

    def next(self, gap_usd: float, faded_usd: float) -> tuple[float, float]:
        """(e', q') after one clip."""
        impact = faded_usd + (1.0 - self.lasting) * self.gain * self.fraction * gap_usd
        gap = (1.0 - self.fraction * (1.0 - self.gain)) * gap_usd - (1.0 - self.kept) * impact
        return gap, self.kept * impact


def loop_gain(dollar_gamma_usd: float, impact_per_usd: float) -> float:
    """g of a book whose USD delta changes by `dollar_gamma_usd` per unit of log price: positive where it is short."""
    return -dollar_gamma_usd * impact_per_usd


def amplification(gain: float) -> float:
    """What a move of the market ends as, of itself: 1/(1 - g); infinite from g = 1 on."""
    return 1.0 / (1.0 - gain) if gain < 1.0 else math.inf


@dataclass(frozen=True, slots=True)
class KyleBelief:
    """What is believed of λ, the log price our own trading moves per USD, from a prior and our own clips.

    prior_per_usd, prior_usd2   a belief from the start, worth as much as clips of so many squared USD in all
    moved, traded               faded sums of move times clip, and of clip squared
    """

    prior_per_usd: float
    prior_usd2: float
    moved: float = 0.0
    traded: float = 0.0

    @property
    def per_usd(self) -> float:
        """The estimate of λ, never negative."""
        total = self.prior_usd2 + self.traded
        return max((self.prior_per_usd * self.prior_usd2 + self.moved) / total, 0.0)

    def observe(self, clip_usd: float, log_move: float, decay: float = 1.0) -> "KyleBelief":
        """After a clip, and the mid's move from just before it to just after.

        Not from when it was decided on: what made us trade came before, and it goes the way we trade.
        """
        return replace(
            self,
            moved=decay * self.moved + clip_usd * log_move,
            traded=decay * self.traded + clip_usd**2,
        )


class StabilityPolicy(Section):
    """When hedging slows because it moves the market it hedges in."""

    slow_at_gain: Positive = Field(default=0.6, description="loop gain, as the next clip meets it, that slows hedging")
    resume_at_gain: Positive = Field(default=0.4, description="loop gain below which hedging is itself again")
    lasting_share: Share = Field(default=0.4, description="share of our impact that does not fade")
    fade_s: Positive = Field(default=60.0, description="time in which the rest fades to 1/e")
    longest_wait_s: Positive = Field(default=900.0, description="longest that clips are spaced apart")
    least_fraction: Share = Field(default=0.1, description="share of a gap that is traded where no pace is stable")

    @model_validator(mode="after")
    def _resumes_below(self) -> "StabilityPolicy":
        if not self.resume_at_gain < self.slow_at_gain < 1.0:
            raise ValueError(
                f"resume_at_gain {self.resume_at_gain:g} is not below slow_at_gain {self.slow_at_gain:g}, or that not "
                "below 1: hedging would switch back and forth, or slow too late"
            )
        return self

    def met_gain(self, gain: float, wait_s: float) -> float:
        """Of a gain what the next clip, `wait_s` later, still meets."""
        return gain * (self.lasting_share + (1.0 - self.lasting_share) * math.exp(-wait_s / self.fade_s))

    def wait_for(self, gain: float, met_gain: float) -> float:
        """Seconds after which the next clip meets no more than `met_gain` of a gain; infinite if it never does."""
        fading, left = (1.0 - self.lasting_share) * gain, met_gain - self.lasting_share * gain
        return self.fade_s * math.log(fading / left) if left > 0.0 else math.inf


class Stage(StrEnum):
    """How hedging goes on."""

    NORMAL = "normal"
    SLOWED = "slowed"
    UNSTABLE = "unstable"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to hedge: clips of `fraction` of what is wanted, `wait_s` apart or more, and why if not as usual."""

    fraction: float
    wait_s: float
    stage: Stage
    gain: float
    reason: str


def guarded_pace(policy: StabilityPolicy, gain: float, every_s: float, before: Stage = Stage.NORMAL) -> Pace:
    """The pace at a loop gain, `every_s` being the usual time between clips and `before` the stage so far.

    A short-gamma book waits until its last clip has faded enough. A long-gamma one trades what closes its gap at once,
    its own impact doing the rest. Where what lasts of the impact is a gain of one or more, no pace helps: as little as
    possible is traded, and the reason says what would.
    """
    met = policy.met_gain(gain, every_s)
    if abs(met) < (policy.slow_at_gain if before is Stage.NORMAL else policy.resume_at_gain):
        return Pace(1.0, every_s, Stage.NORMAL, gain, "")
    heading = f"loop gain {met:.2f} at clips every {every_s:.0f} s"
    if gain < 0.0:
        fraction = 1.0 / (1.0 - gain)
        return Pace(
            fraction, every_s, Stage.SLOWED, gain, f"{heading}: clips cut to {fraction:.0%}, impact does the rest"
        )
    if policy.lasting_share * gain >= 1.0:
        why = f"{heading}: at any pace hedging opens more delta than it closes; buy gamma, or hedge in a deeper market"
        return Pace(policy.least_fraction, max(policy.longest_wait_s, every_s), Stage.UNSTABLE, gain, why)
    wait_s = max(min(policy.wait_for(gain, policy.slow_at_gain), policy.longest_wait_s), every_s)
    why = f"{heading}: waiting {wait_s:.0f} s, by when it is {policy.met_gain(gain, wait_s):.2f}"
    return Pace(1.0, wait_s, Stage.SLOWED, gain, why)
