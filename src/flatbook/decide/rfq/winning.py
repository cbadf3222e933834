"""How likely a quote is to win, the markup that makes the most of it, and what winning says of our own fair value.

A taker who compares quotes by a logit picks ours, at distance s from fair, with probability

    P(s) = 1 / (1 + exp(a + b s))        a = level + ln(n + w)        b = slope / typical

n competitors quote at `typical` distances that scatter; w are the odds of walking away. With c what the trade costs us,
P(s) (s - c) is greatest where s - c = (1 + exp(-(a + b s))) / b; written u = b (s - c) - 1, that is u e^u =
exp(-(a + b c + 1)), so Lambert's W gives it in closed form:

    u = W(exp(-(a + b c + 1)))      s = c + (1 + u) / b      P(s) = u / (1 + u)      P(s) (s - c) = u / b

Source      reference vault §8; W(e^y) is Wright's omega, which does not overflow
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from scipy.integrate import quad
from scipy.special import ndtr, wrightomega


class WinCurve(NamedTuple):
    """Log odds against winning: a at fair, rising by b for each unit of distance."""

    a: float
    b: float

    def probability(self, distance: float) -> float:
        """P(s), of winning at a distance from fair; negative is through it."""
        return 0.5 - 0.5 * math.tanh(0.5 * (self.a + self.b * distance))


class TakerView(NamedTuple):
    """What is believed of one who asks, in typical half-spreads so that packages compare.

    level, slope    log odds against winning beside one competitor: level + slope x (distance / typical)
    toxicity        what he is expected to gain on us after a trade, typical half-spreads
    """

    level: float
    slope: float
    toxicity: float = 0.0

    def curve(self, competitors: float, walk_away_odds: float, typical: float) -> WinCurve:
        """The win curve of a package whose `typical` half-spread is that; in its unit."""
        return WinCurve(self.level + math.log(max(competitors + walk_away_odds, LEAST_OTHERS)), self.slope / typical)


LEAST_OTHERS = 0.05
"""Nobody beside us and nowhere to walk: the taker still compares with what he believes, at odds of 1 to 20."""


def prior_view(dispersion: float) -> TakerView:
    """A taker not met before: at the typical half-spread he is as glad of us as of another."""
    return TakerView(-1.0 / dispersion, 1.0 / dispersion)


class Markup(NamedTuple):
    """The best markup over cost, the probability of winning at it, and their product, what is expected to be earned."""

    markup: float
    probability: float
    gain: float


def best_markup(curve: WinCurve, cost: float) -> Markup:
    """argmax of P(c + m) m over m; the markup is at least 1 / b, and grows where cost is low or negative."""
    u: float = wrightomega(-(curve.a + curve.b * cost + 1.0)).item()
    return Markup((1.0 + u) / curve.b, u / (1.0 + u), u / curve.b)


@lru_cache(maxsize=256)
def curse_deviations(competitors: float) -> float:
    """E[error | win] in its standard deviations: the mean of the largest of n + 1 normals, we and n competitors.

    The best of several equally good estimates is too good by that much. A number of competitors between two whole ones
    is a power between: the density is (n + 1) φ(x) Φ(x)^n.
    """
    if competitors <= 0.0:
        return 0.0
    count = competitors + 1.0

    def density_times_x(x: float) -> float:
        return x * count * math.exp(-0.5 * x * x) / _SQRT_TWO_PI * math.pow(float(ndtr(x)), competitors)

    return float(quad(density_times_x, -9.0, 9.0, epsabs=1e-12, limit=200)[0])


def free_option(deviation: float, distance: float) -> float:
    """What a quote that stands gives away: E[max(move - distance, 0)], the move normal with that deviation.

    Source      Bachelier (1900)
    """
    if deviation <= 0.0:
        return max(-distance, 0.0)
    d = distance / deviation
    return deviation * math.exp(-0.5 * d * d) / _SQRT_TWO_PI - distance * 0.5 * math.erfc(d / _SQRT_TWO)


_SQRT_TWO = math.sqrt(2.0)
_SQRT_TWO_PI = math.sqrt(2.0 * math.pi)
