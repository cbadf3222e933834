"""The contestants: each rule as a zone along the paths, in which the hedge is left alone.

Every rule is given the same costs, Greeks and marks, as of the step it trades at, and one parameter, over which its
curve in the cost-risk plane is drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.rules import BandTerms, whalley_wilmott, zakamouline
from flatbook.sim.hedging.book import BookAlong, greeks
from flatbook.sim.hedging.paths import STEP_YEARS, STEPS_PER_HOUR, Paths

Floats = NDArray[np.float64]


class Zone(NamedTuple):
    """Hold `target_coin` of the index to within `half_width_coin`, both (paths, steps + 1), looked at every so often.

    to_edge     beyond it trade to its edge, or else to the target
    """

    target_coin: Floats
    half_width_coin: Floats
    to_edge: bool = True
    every_steps: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What rules may look at.

    cost_rate           of a trade's notional, one side
    spot_variance       (paths, steps + 1) per year, as of each step
    vol_per_log_move    (paths, steps + 1) regression of the book's vols on the log index, as of each step
    """

    paths: Paths
    book: BookAlong
    cost_rate: float
    spot_variance: Floats
    vol_per_log_move: Floats

    def terms(self, risk_aversion: float) -> BandTerms:
        """The book as the classical bands see it: its own gamma, at the vol it is marked at."""
        index, book = self.paths.index_usd, self.book
        gamma = book.dollar_gamma_usd / index**2
        return BandTerms(self.cost_rate, index, gamma, risk_aversion, book.atm_vol, book.years)


@dataclass(frozen=True, slots=True)
class Rule:
    """A family of zones, one for each value of its parameter."""

    name: str
    parameter: str
    values: Sequence[float]
    zone: Callable[[Stage, float], Zone]


MEMORY_HOURS = 24.0
"""Half-life of the covariance of index and vol, and the weight of its prior: the first mark, uncorrelated."""


def stage_of(paths: Paths, book: BookAlong, cost_rate: float) -> Stage:
    """The stage, with the covariance of the index and the book's vols learnt along the way."""
    moves = np.diff(np.log(paths.index_usd), axis=1)
    vega = np.stack([_vega(paths, book, k) for k in range(book.size.size)])
    weight = vega / vega.sum(axis=0)
    vol_moves = np.sum(weight[..., :-1] * np.diff(book.vol, axis=2), axis=0)
    keep = 0.5 ** (1.0 / (MEMORY_HOURS * STEPS_PER_HOUR))
    prior = MEMORY_HOURS * STEPS_PER_HOUR * STEP_YEARS
    variance, covariance = np.empty(paths.index_usd.shape), np.empty(paths.index_usd.shape)
    seen, spot, both = prior, prior * book.atm_vol[:, 0] ** 2, np.zeros(len(moves))
    for t in range(paths.steps + 1):
        variance[:, t], covariance[:, t] = spot / seen, both / seen
        if t < paths.steps:
            seen = keep * seen + STEP_YEARS
            spot = keep * spot + moves[:, t] ** 2
            both = keep * both + moves[:, t] * vol_moves[:, t]
    return Stage(paths, book, cost_rate, variance, covariance / variance)


def _vega(paths: Paths, book: BookAlong, k: int) -> Floats:
    index = paths.index_usd
    strike = np.broadcast_to(book.strike_usd[:, k : k + 1], index.shape)
    return np.asarray(greeks(index, strike, book.vol[k], book.years, float(book.sign[k]))[3])


def unhedged(stage: Stage) -> Zone:
    """Nothing is ever traded."""
    nothing = np.zeros(stage.paths.index_usd.shape)
    return Zone(nothing, nothing + np.inf)


def black_target(stage: Stage) -> Floats:
    """Coins that take Black's delta away."""
    return -stage.book.delta_usd / stage.paths.index_usd


def timer(stage: Stage, hours: float) -> Zone:
    """All of the delta, every so many hours."""
    target = black_target(stage)
    return Zone(target, np.zeros(target.shape), every_steps=round(hours * STEPS_PER_HOUR))


def threshold(stage: Stage, coins: float) -> Zone:
    """All of the delta once it is beyond a fixed number of coins."""
    target = black_target(stage)
    return Zone(target, np.full(target.shape, coins), to_edge=False)


def fixed_band(stage: Stage, coins: float) -> Zone:
    """To the edge of a band of fixed width."""
    target = black_target(stage)
    return Zone(target, np.full(target.shape, coins))


def whalley_wilmott_band(stage: Stage, risk_aversion: float) -> Zone:
    """To the edge of Whalley and Wilmott's band."""
    return Zone(black_target(stage), whalley_wilmott(stage.terms(risk_aversion)))


def zakamouline_band(stage: Stage, risk_aversion: float) -> Zone:
    """To the edge of Zakamouline's band, around the delta at his vol."""
    book, index = stage.book, stage.paths.index_usd
    terms = stage.terms(risk_aversion)
    band = zakamouline(terms)
    adjusted = band.hedging_vol(1.0, book.dollar_gamma_usd)
    delta = np.zeros(index.shape)
    for k in range(book.size.size):
        strike = np.broadcast_to(book.strike_usd[:, k : k + 1], index.shape)
        delta += book.size[k] * greeks(index, strike, book.vol[k] * adjusted, book.years, float(book.sign[k]))[1]
    return Zone(-delta, band.half_width())


def least_risk_target(stage: Stage) -> Floats:
    """Coins that leave least variance, of what vol does with the index too: where R is least along the hedge."""
    book = stage.book
    return np.asarray(-(book.delta_usd + stage.vol_per_log_move * book.vega_usd) / stage.paths.index_usd)


STAYS_DAYS = 1.0
"""How long flow is taken to leave a risk in the book, for R as it quotes: in the engine its own flow says so."""


def price_of_risk(stage: Stage, risk_aversion: float) -> Zone:
    """To the edge of R's no-trade zone, R = γ/2 x'Σx of a day: a curvature that knows of no gamma.

    x is the book's delta and its vega at the level, Σ their covariance so far.
    """
    stays = np.full(stage.book.years.shape, STAYS_DAYS / 365)
    return Zone(least_risk_target(stage), _half_width(stage, risk_aversion, stays))


def gamma_aware_price(stage: Stage, risk_aversion: float) -> Zone:
    """The same, R charging a delta until expiry (nobody comes to take it) and knowing that gamma moves it.

    See `decide.hedge.gamma_aware`.
    """
    moving = whalley_wilmott(stage.terms(risk_aversion))
    return Zone(least_risk_target(stage), _half_width(stage, risk_aversion, stage.book.years) + moving)


def _half_width(stage: Stage, risk_aversion: float, stays_years: Floats) -> Floats:
    """Coins from the middle of the zone to where R's slope is the cost."""
    curvature = risk_aversion * stays_years * stage.spot_variance
    return np.asarray(stage.cost_rate / curvature / stage.paths.index_usd)


_AVERSIONS = tuple(10.0**power for power in (-7.0, -6.5, -6.0, -5.5, -5.0, -4.5, -4.0))
_COINS = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 18.0, 27.0)

CLASSICAL = (
    Rule("timer", "hours", (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0), timer),
    Rule("threshold", "coins", _COINS, threshold),
    Rule("fixed band", "coins", _COINS, fixed_band),
    Rule("Whalley–Wilmott", "risk aversion", _AVERSIONS, whalley_wilmott_band),
    Rule("Zakamouline", "risk aversion", _AVERSIONS, zakamouline_band),
)
OURS = (
    Rule("price of risk", "risk aversion", _AVERSIONS, price_of_risk),
    Rule("price of risk, gamma-aware", "risk aversion", _AVERSIONS, gamma_aware_price),
)
