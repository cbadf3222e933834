"""A market that answers: a short-gamma book hedges in it, and its own impact moves the price that it hedges against.

The price is a random walk of the market's own plus our impact, part of which lasts while the rest fades. The book's
delta saturates, as options' do: a loop gain beyond one does not run to infinity but until the gamma is used up.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.stability import KyleBelief, Pace, StabilityPolicy, Stage, guarded_pace, loop_gain

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AnsweringMarket:
    """The market and the book in it, by the second.

    impact_per_usd          log price per USD traded, at once
    lasting_share, fade_s   of it lasts; the rest fades with this time constant
    dollar_gamma_usd        of the book at the start: negative is short
    most_delta_usd          what its delta saturates at
    every_s                 whole seconds between clips, as a policy has it
    """

    impact_per_usd: float
    dollar_gamma_usd: float
    most_delta_usd: float
    lasting_share: float = 1.0
    fade_s: float = 60.0
    every_s: int = 10

    @property
    def gain(self) -> float:
        """The loop gain before anything saturates."""
        return loop_gain(self.dollar_gamma_usd, self.impact_per_usd)

    def delta_usd(self, log_price: float) -> float:
        """The book's delta, its hedge apart, after a log move from the start."""
        return self.most_delta_usd * math.tanh(self.dollar_gamma_usd * log_price / self.most_delta_usd)

    def gamma_usd(self, log_price: float) -> float:
        """The book's dollar gamma after a log move from the start."""
        return self.dollar_gamma_usd / math.cosh(self.dollar_gamma_usd * log_price / self.most_delta_usd) ** 2


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came of it, by the second: all (seconds + 1,).

    market_log      the market's own walk
    price_log       with our impact in it
    gap_usd         delta not hedged
    paces           what the guard said when it changed its mind: seconds and paces
    """

    market_log: Floats
    price_log: Floats
    gap_usd: Floats
    paces: list[tuple[int, Pace]] = field(default_factory=list)


def hedge_in(
    market: AnsweringMarket, shocks: Floats, guard: StabilityPolicy | None, belief: KyleBelief | None = None
) -> Answer:
    """Hedges all of the gap at each clip, along `shocks` (seconds,) of the log price; slowed by a guard if given.

    belief      of our impact, before the first clip; learnt from each
    """
    belief = belief or KyleBelief(market.impact_per_usd, 1.0)
    keep = math.exp(-1.0 / market.fade_s)
    walk = np.concatenate([[0.0], np.cumsum(shocks)])
    price, gap = np.zeros(walk.size), np.zeros(walk.size)
    lasting = fading = hedged_usd = 0.0
    pace = Pace(1.0, float(market.every_s), Stage.NORMAL, 0.0, "")
    paces = []
    due = 0.0
    for t in range(walk.size):
        fading *= keep
        before = walk[t] + lasting + fading
        clip = 0.0
        if t >= due:
            if guard is not None:
                gain = loop_gain(market.gamma_usd(before), belief.per_usd)
                said = guarded_pace(guard, gain, market.every_s, pace.stage)
                if (said.stage, said.fraction) != (pace.stage, pace.fraction):
                    paces.append((t, said))
                pace = said
            clip = -pace.fraction * (market.delta_usd(before) + hedged_usd)
            due = t + pace.wait_s
        moved = market.impact_per_usd * clip
        hedged_usd += clip
        lasting += market.lasting_share * moved
        fading += (1.0 - market.lasting_share) * moved
        if clip:
            belief = belief.observe(clip, moved)
        price[t] = walk[t] + lasting + fading
        gap[t] = market.delta_usd(price[t]) + hedged_usd
    return Answer(walk, price, gap, paces)


def amplified_variance(market: AnsweringMarket, shocks: Floats, guard: StabilityPolicy | None) -> float:
    """Variance of the price's move over all of `shocks` (paths, seconds), over that of the market's own walk."""
    answers = [hedge_in(market, path, guard) for path in shocks]
    ours = np.array([answer.price_log[-1] for answer in answers])
    own = np.array([answer.market_log[-1] for answer in answers])
    return float(np.mean(ours**2) / np.mean(own**2))
