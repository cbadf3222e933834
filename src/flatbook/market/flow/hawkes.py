"""Takers who draw in others: a Hawkes process with an exponential kernel, for how busy flow is against its mean.

    λ(t) = mu + sum over past arrivals of alpha exp(-beta (t - t_k))

Each arrival draws in alpha / beta others on average, the branching ratio, and the mean rate is mu / (1 - alpha / beta).

Source      A. Hawkes (1971); Y. Ogata, T. Ozaki (1979) for the likelihood's recursion; P. Brémaud for the mean ahead
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError, ConfigurationError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hawkes:
    """Base rate, jump of the rate at an arrival, and its decay, all per one unit of time; alpha < beta."""

    mu: float
    alpha: float
    beta: float

    def __post_init__(self) -> None:
        if not (self.mu > 0 and 0 <= self.alpha < self.beta):
            raise ConfigurationError(
                f"a Hawkes process of mu {self.mu:g}, alpha {self.alpha:g}, beta {self.beta:g}: use mu above 0 and "
                "alpha from 0 to below beta"
            )

    @property
    def branching(self) -> float:
        """How many others an arrival draws in, in the mean."""
        return self.alpha / self.beta

    @property
    def mean_rate(self) -> float:
        """The stationary rate."""
        return self.mu / (1 - self.branching)

    @property
    def fano(self) -> float:
        """Variance of counts over long times, over their mean."""
        return 1 / (1 - self.branching) ** 2

    def log_likelihood(self, times: Floats, end: float) -> float:
        """Of arrivals at `times`, shape (n,), rising from 0 on, watched until `end`."""
        times = checked_times(times, end)
        echo = excitations(times, self.beta)
        compensator = self.mu * end + self.branching * float(-np.expm1(-self.beta * (end - times)).sum())
        return float(np.log(self.mu + self.alpha * echo).sum()) - compensator


def excitations(times: Floats, beta: float) -> Floats:
    """Sum of exp(-beta (t_i - t_k)) over the arrivals before each; shape (n,)."""
    echo = np.zeros(len(times))
    fade = np.exp(-beta * np.diff(times)).tolist()
    carried = 0.0
    for i, part in enumerate(fade, start=1):
        carried = part * (1.0 + carried)
        echo[i] = carried
    return echo


class Activity:
    """How busy flow is now, online: the rate of a Hawkes process over its mean.

    The process gives branching and decay; its mean rate is a belief, worth some arrivals, that the arrivals of a few
    half-lives replace. All times are in the process's unit.
    """

    def __init__(self, process: Hawkes, half_life: float, worth: float = 100.0) -> None:
        if not (half_life > 0 and worth > 0):
            raise ConfigurationError(f"activity: a half-life of {half_life:g} and a worth of {worth:g}: use above 0")
        self.process = process
        self._half_life = half_life
        self._belief = (worth, worth / process.mean_rate)
        self._arrivals = self._span = 0.0
        # Before the first arrival flow is as busy as ever.
        self._echo = process.mean_rate / process.beta
        self._at = math.nan

    def arrive(self, now: float) -> None:
        """An arrival."""
        self._advance(now)
        self._echo += 1.0
        self._arrivals += 1.0

    def mean_rate(self) -> float:
        """The mean rate as learned up to the last arrival."""
        worth, span = self._belief
        return (worth + self._arrivals) / (span + self._span)

    def factor(self, now: float, ahead: float) -> float:
        """The rate to be expected over the next `ahead`, over the mean one: what to multiply A by."""
        process = self.process
        echo = self._echo if math.isnan(self._at) else self._echo * math.exp(-process.beta * (now - self._at))
        busy = 1 - process.branching + process.alpha * echo / self.mean_rate()
        pull = (process.beta - process.alpha) * ahead
        return 1 + (busy - 1) * (-math.expm1(-pull) / pull if pull > 0 else 1.0)

    def _advance(self, now: float) -> None:
        if not math.isnan(self._at):
            elapsed = now - self._at
            self._echo *= math.exp(-self.process.beta * elapsed)
            fade = 0.5 ** (elapsed / self._half_life)
            self._arrivals *= fade
            self._span = self._span * fade + elapsed
        self._at = now


def checked_times(times: Floats, end: float) -> Floats:
    """`times` if they rise from 0 to `end`.

    Errors      BadInputError where they do not
    """
    if times.ndim != 1 or (times.size and not (times[0] >= 0 and times[-1] <= end and np.all(np.diff(times) >= 0))):
        raise BadInputError(f"arrivals must rise from 0 to {end:g}; sort them and cut them to the span")
    return times
