"""Scenarios of the factors over a horizon: as they were, as they were in today's vol, or drawn from Σ with jumps.

What a history did not see of a factor is drawn as Σ expects it given the rest, so that no risk is left out because
nobody wrote it down.

Sources     Barone-Adesi, Giannopoulos and Vosper (1999), "VaR without correlations for portfolios of derivative
            securities" (filtered historical simulation); Merton (1976), "Option pricing when underlying stock returns
            are discontinuous"
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_HOUR
from flatbook.kernels.chain import FACTORS, SPOT, SQUARED
from flatbook.market.covariance import CovarianceModel
from flatbook.market.factors import FactorMoves
from flatbook.market.joint_covariance import JointCovariance
from flatbook.risk.var.history import FactorHistory

Floats = NDArray[np.float64]

_HOURS_PER_YEAR = 8760.0
_MOST_JUMPS = 0.5
"""Jumps take at most this share of the variance of the market's return."""

_RUN_YEARS = 1.0 / 365.0
"""Steps are drawn in runs so long. Hours drawn one by one made days whose 99 % was exceeded twice as often as it ought
to be, over 1,600 days of bitcoin."""

_HALF_LIVES = 8
"""Of a history Σ is told only what still weighs: so many half-lives."""


@dataclass(frozen=True, eq=False)
class FactorScenarios:
    """What may become of the factors of `underlyings` in `hours`.

    Shapes      moves (n, underlyings, FACTORS), per unit of factor
    overlap     so many scenarios in a row share a part of their time: they tell no more than one; 1 where independent
    """

    underlyings: tuple[str, ...]
    moves: Floats
    hours: float
    overlap: int = 1

    def of(self, underlying: str) -> Floats:
        """The moves of one underlying, (n, FACTORS)."""
        return self.moves[:, self.underlyings.index(underlying)]


@dataclass(frozen=True, slots=True)
class VolFilter:
    """How the vol of each factor is followed: exponentially weighted squares, pulled back to their mean.

    half_life_hours     of a squared move's weight; eleven days is RiskMetrics' 0.94 a day
    reversion_hours     half-life of the variance's distance to its mean: GARCH(1,1) with the mean as target;
                        infinite makes it plain exponential weighting, which held a little
                        worse over 1,600 days of bitcoin
    """

    half_life_hours: float = 269.0
    reversion_hours: float = 2_000.0

    def decay(self, years: float) -> float:
        """Weight that a variance keeps over a step."""
        return float(0.5 ** (years * _HOURS_PER_YEAR / self.half_life_hours))

    def pull(self, years: float) -> float:
        """Share of its distance to the mean that a variance keeps over a step."""
        return float(0.5 ** (years * _HOURS_PER_YEAR / self.reversion_hours))


@dataclass(frozen=True, slots=True)
class JumpModel:
    """Jumps of the whole market, compound Poisson with normal log sizes: Merton's, with every factor in them.

    per_year            expected number
    mean, deviation     of a jump's log size, in the market's return
    """

    per_year: float = 12.0
    mean: float = 0.0
    deviation: float = 0.05

    @classmethod
    def of(cls, model: CovarianceModel, per_year: float = 12.0) -> JumpModel:
        """So many a year, with the fourth moment that Σ's model has."""
        return cls(per_year, 0.0, (model.jump_fourth_moment / (3.0 * per_year)) ** 0.25)

    @property
    def variance(self) -> float:
        """Per year, of the market's return."""
        return self.per_year * (self.mean**2 + self.deviation**2)


def covariance_of(history: FactorHistory, models: dict[str, CovarianceModel], correlation: float) -> Floats:
    """Σ per year of the stacked factors, (underlyings FACTORS, same): the prior of `models`, as far as the history's
    steps do not contradict it."""
    joint = JointCovariance(models, correlation, overlap=1.0)
    if history.times_ns.size < 2:
        return joint.matrix()
    half_life_ns = next(iter(models.values())).half_life_hours * NS_PER_HOUR
    recent = history.since(int(history.times_ns[-1] - _HALF_LIVES * half_life_ns))
    if recent.times_ns.size < 2:
        return joint.matrix()
    steps = recent.steps()
    for move, years, last in zip(steps.moves, steps.years, steps.last, strict=True):
        per_root = move / math.sqrt(years)
        told = {
            name: FactorMoves(per_root[at], per_root[at], round(years * _HOURS_PER_YEAR * NS_PER_HOUR))
            for at, name in enumerate(history.underlyings)
        }
        joint.observe(told, int(recent.times_ns[last]))
    return joint.matrix()


def historical(history: FactorHistory, sigma: Floats, hours: float, rng: np.random.Generator) -> FactorScenarios:
    """Each move of the history over the horizon is a scenario.

    `sigma` per year says what is expected of factors that were not seen.
    """
    windows = history.over(round(hours * NS_PER_HOUR))
    moves = fill_unseen(windows.moves, sigma * (hours / _HOURS_PER_YEAR), rng)
    return FactorScenarios(history.underlyings, moves, hours, windows.overlap)


def standardised(moves: Floats, years: float, vol_filter: VolFilter) -> tuple[Floats, Floats, Floats]:
    """Moves over the deviation that was forecast before each; the forecast for the next one, and the mean it began at.

    Shapes      moves (n, underlyings, FACTORS) over `years` each, none NaN; variances per year, (underlyings, FACTORS)
    """
    squares = moves**2 / years
    mean = squares.mean(axis=0)
    keep, pull = vol_filter.decay(years), vol_filter.pull(years)
    drive = pull * (1.0 - keep) * squares + (1.0 - pull) * mean
    variance = np.empty((len(moves) + 1, *mean.shape))
    variance[0] = mean
    variance[1:], _ = lfilter([1.0], [1.0, -pull * keep], drive, axis=0, zi=(pull * keep * mean)[None])
    forecast = variance[:-1]
    return moves / np.sqrt(np.where(forecast > 0.0, forecast, 1.0) * years), variance[-1], mean


def filtered(
    history: FactorHistory, sigma: Floats, hours: float, count: int, vol_filter: VolFilter, rng: np.random.Generator
) -> FactorScenarios:
    """Paths of the history's standardised moves, drawn with replacement, in the vol of now as it goes on to move.

    All factors of all underlyings are drawn from one moment together, and up to a day of moves in a row, so what they
    had to do with each other stays, and so do the crowds that large moves come in within a day.
    """
    steps = history.steps()
    years = float(np.median(steps.years))
    sizes = np.sqrt(years / steps.years)[:, None, None]
    moves = fill_unseen(steps.moves * sizes, sigma * years, rng)
    shocks, variance, mean = standardised(moves, years, vol_filter)
    number = max(1, round(hours / _HOURS_PER_YEAR / years))
    step_years = hours / _HOURS_PER_YEAR / number
    standing = np.broadcast_to(variance, (count, *variance.shape))
    total, start = np.zeros_like(standing), np.zeros(count, np.int64)
    run = max(1, min(number, round(_RUN_YEARS / years), len(shocks)))
    for step in range(number):
        if step % run == 0:
            start = rng.integers(0, len(shocks) - run + 1, count)
        move = shocks[start + step % run] * np.sqrt(standing * step_years)
        total = total + move
        standing = _followed(standing, move**2 / step_years, mean, vol_filter, step_years)
    return FactorScenarios(history.underlyings, total, hours)


def monte_carlo(
    underlyings: tuple[str, ...],
    sigma: Floats,
    hours: float,
    count: int,
    jumps: JumpModel,
    rng: np.random.Generator,
) -> FactorScenarios:
    """Normal moves with jumps, of covariance `sigma` (per year) in all.

    A jump moves the market's return, the mean of the underlyings', and every factor as Σ regresses it on that. So the
    jumps' part of Σ is known, and what is left of Σ without it stays positive semi-definite.
    """
    years = hours / _HOURS_PER_YEAR
    spots = np.arange(len(underlyings)) * FACTORS + SPOT
    weight = np.zeros(len(sigma))
    weight[spots] = 1.0 / len(underlyings)
    market_variance = float(weight @ sigma @ weight)
    if not market_variance > 0.0:
        raise BadInputError(f"Σ has a spot variance of {market_variance:g} per year; give one above 0")
    share = jumps.variance / market_variance
    shrunk = math.sqrt(min(1.0, _MOST_JUMPS / share)) if share > 0.0 else 1.0
    loading = sigma @ weight / market_variance
    diffusive = sigma - jumps.variance * shrunk**2 * np.outer(loading, loading)
    moves = rng.standard_normal((count, len(sigma))) @ _root(diffusive * years).T
    arrivals = rng.poisson(jumps.per_year * years, count)
    size = jumps.mean * arrivals + jumps.deviation * np.sqrt(arrivals) * rng.standard_normal(count)
    size = shrunk * (size - jumps.per_year * years * jumps.mean)
    moves = (moves + np.outer(size, loading)).reshape(count, len(underlyings), FACTORS)
    moves[:, :, SQUARED] = 0.0
    return FactorScenarios(underlyings, moves, hours)


def fill_unseen(moves: Floats, sigma: Floats, rng: np.random.Generator) -> Floats:
    """Moves with what was not seen (NaN) drawn from a normal law given what was, of covariance `sigma` over their time.

    Shapes      moves (n, underlyings, FACTORS); sigma (underlyings FACTORS, same). Squared spot has no move of its own
    """
    flat = moves.reshape(len(moves), -1).copy()
    flat.reshape(moves.shape)[:, :, SQUARED] = 0.0
    if np.isfinite(flat).all():
        return flat.reshape(moves.shape)
    own = np.arange(len(sigma)) % FACTORS != SQUARED
    patterns, which = np.unique(np.isfinite(flat), axis=0, return_inverse=True)
    for number, seen in enumerate(patterns):
        here, there = np.flatnonzero(seen & own), np.flatnonzero(~seen)
        if not there.size:
            continue
        rows = np.flatnonzero(which.ravel() == number)
        gain = np.linalg.solve(sigma[np.ix_(here, here)], sigma[np.ix_(here, there)]).T
        left = sigma[np.ix_(there, there)] - gain @ sigma[np.ix_(here, there)]
        drawn = rng.standard_normal((rows.size, there.size)) @ _root(left).T
        flat[np.ix_(rows, there)] = flat[np.ix_(rows, here)] @ gain.T + drawn
    return flat.reshape(moves.shape)


def _followed(variance: Floats, square: Floats, mean: Floats, vol_filter: VolFilter, years: float) -> Floats:
    keep, pull = vol_filter.decay(years), vol_filter.pull(years)
    return np.asarray(mean + pull * (keep * variance + (1.0 - keep) * square - mean))


def _root(sigma: Floats) -> Floats:
    """A matrix whose product with its transpose is `sigma`, which may be singular."""
    values, vectors = np.linalg.eigh(0.5 * (sigma + sigma.T))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
