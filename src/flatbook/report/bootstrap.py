"""Confidence intervals of hourly P&L by the stationary bootstrap: blocks of hours, so that clustering is kept.

Source      Politis and Romano (1994), "The stationary bootstrap", Journal of the American Statistical Association 89
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOURS_PER_DAY = 24


class Interval(NamedTuple):
    """A number, and the bounds that its resamples kept to with the confidence asked for."""

    value: float
    low: float
    high: float


Statistic = Callable[[Floats], Floats]
"""From hourly P&L in USD, shape (..., hours), to one number each, shape (...)."""


def pnl_per_day(hourly_usd: Floats) -> Floats:
    """Mean P&L, USD a day."""
    return np.asarray(HOURS_PER_DAY * hourly_usd.mean(axis=-1))


def std_per_hour(hourly_usd: Floats) -> Floats:
    """Sample standard deviation of an hour's P&L, USD."""
    return np.asarray(hourly_usd.std(axis=-1, ddof=1))


def pnl_per_risk(hourly_usd: Floats) -> Floats:
    """Mean P&L of a day over its standard deviation: what makers compare at the same risk. NaN without risk."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = pnl_per_day(hourly_usd) / (np.sqrt(HOURS_PER_DAY) * std_per_hour(hourly_usd))
    return np.where(np.isfinite(ratio), ratio, np.nan)


def stationary_draws(lengths: Sequence[int], draws: int, block_hours: float, rng: np.random.Generator) -> Ints:
    """Resampled hours of several markets that stand one after the other, shape (draws, sum(lengths)).

    A block goes on with probability 1 - 1 / block_hours and wraps around its own market's end; so each market keeps
    its weight, and no block runs from one into another.
    """
    parts, first = [], 0
    for length in lengths:
        fresh = rng.integers(0, length, (draws, length))
        breaks = rng.uniform(size=(draws, length)) < 1.0 / block_hours
        hours = fresh.copy()
        for t in range(1, length):
            hours[:, t] = np.where(breaks[:, t], fresh[:, t], (hours[:, t - 1] + 1) % length)
        parts.append(first + hours)
        first += length
    return np.concatenate(parts, axis=1)


def interval(statistic: Statistic, hourly_usd: Floats, draws: Ints, confidence: float = 0.95) -> Interval:
    """The statistic of `hourly_usd`, shape (hours,), with its percentile bounds; NaN under two hours."""
    if hourly_usd.size < 2:
        return Interval(np.nan, np.nan, np.nan)
    return _bounds(float(statistic(hourly_usd)), statistic(hourly_usd[draws]), confidence)


def difference(
    statistic: Statistic, hourly_usd: Floats, other_usd: Floats, draws: Ints, confidence: float = 0.95
) -> Interval:
    """The statistic of one maker less that of another over the same hours, resampled together."""
    if hourly_usd.size < 2:
        return Interval(np.nan, np.nan, np.nan)
    value = float(statistic(hourly_usd) - statistic(other_usd))
    return _bounds(value, statistic(hourly_usd[draws]) - statistic(other_usd[draws]), confidence)


def _bounds(value: float, resampled: Floats, confidence: float) -> Interval:
    known = resampled[np.isfinite(resampled)]
    if known.size == 0:
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(known, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(value, float(low), float(high))
