"""How VaR and ES forecasts held against what came: coverage, independence, the size of what went beyond, the zone.

Losses are positive; an exceedance is a loss beyond its VaR. `tail` is one less the confidence.

Sources     Kupiec (1995), "Techniques for verifying the accuracy of risk measurement models"; Christoffersen (1998),
            "Evaluating interval forecasts"; Acerbi and Székely (2014), "Backtesting expected shortfall", their test 2;
            Basel Committee (1996), "Supervisory framework for the use of backtesting"
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import xlogy

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_GREEN, _YELLOW = 0.95, 0.9999
"""Basel's zones end where so much of a right model's exceedance counts lies below them."""

_BASEL_DAYS, _BASEL_TAIL = 250, 0.01
_MULTIPLIERS: Final = (3.0,) * 5 + (3.4, 3.5, 3.65, 3.75, 3.85)
_RED_MULTIPLIER: Final = 4.0


class Verdict(NamedTuple):
    """A test's statistic, and how likely one so large is if the forecasts are right."""

    statistic: float
    p_value: float


class Light(NamedTuple):
    """Basel's zone, how likely so many exceedances or fewer are, and the multiplier of 250 days at 99 %, else None."""

    zone: str
    probability: float
    multiplier: float | None


def kupiec(exceedances: int, count: int, tail: float) -> Verdict:
    """Whether there are as many exceedances as forecast: the likelihood ratio, chi-squared of one degree."""
    if not 0 <= exceedances <= count or count == 0 or not 0.0 < tail < 1.0:
        raise BadInputError(f"{exceedances} exceedances of {count} forecasts at a tail of {tail:g}: no such count")
    seen = exceedances / count
    misses = count - exceedances
    ratio = 2.0 * (_log_likelihood(misses, exceedances, seen) - _log_likelihood(misses, exceedances, tail))
    return Verdict(ratio, float(stats.chi2.sf(ratio, 1)))


def transitions(exceeds: Flags) -> tuple[int, int, int, int]:
    """How often no exceedance was followed by none and by one, and one by none and by one."""
    before, after = exceeds[:-1], exceeds[1:]
    return (
        int(np.sum(~before & ~after)),
        int(np.sum(~before & after)),
        int(np.sum(before & ~after)),
        int(np.sum(before & after)),
    )


def independence(n00: int, n01: int, n10: int, n11: int) -> Verdict:
    """Whether an exceedance makes the next one no likelier, by Markov's chain; chi-squared of one degree."""
    after_none = n01 / (n00 + n01) if n00 + n01 else 0.0
    after_one = n11 / (n10 + n11) if n10 + n11 else 0.0
    count = n00 + n01 + n10 + n11
    either = (n01 + n11) / count if count else 0.0
    ratio = 2.0 * (
        _log_likelihood(n00, n01, after_none)
        + _log_likelihood(n10, n11, after_one)
        - _log_likelihood(n00 + n10, n01 + n11, either)
    )
    return Verdict(ratio, float(stats.chi2.sf(ratio, 1)))


def conditional_coverage(coverage: Verdict, independent: Verdict) -> Verdict:
    """Both together; chi-squared of two degrees."""
    ratio = coverage.statistic + independent.statistic
    return Verdict(ratio, float(stats.chi2.sf(ratio, 2)))


def shortfall_z2(loss: Floats, var: Floats, shortfall: Floats, tail: float) -> float:
    """Acerbi and Székely's second statistic with its sign turned: above 0 where the tail was worse than forecast.

    Shapes      all (n,); 0 is expected where VaR and ES are right, and 0.7 is rejected at about 5 %
    """
    return float(np.sum(loss * (loss > var) / shortfall) / (loss.size * tail) - 1.0)


def acerbi_szekely(
    loss: Floats,
    var: Floats,
    shortfall: Floats,
    scenarios: Sequence[Floats],
    tail: float,
    rng: np.random.Generator,
    draws: int = 5_000,
) -> Verdict:
    """Z2 and its p-value by simulation: losses drawn from each forecast's own scenarios.

    Shapes      loss, var, shortfall (n,); scenarios n arrays of losses
    Errors      BadInputError for an ES of 0 or less: nothing is lost in such a tail
    """
    if not (shortfall > 0.0).all():
        raise BadInputError(f"an ES of {float(shortfall.min()):g} has no tail to test; test a book that can lose")
    drawn = np.zeros(draws)
    for at, own in enumerate(scenarios):
        lost = own[rng.integers(0, own.size, draws)]
        drawn += lost * (lost > var[at]) / shortfall[at]
    statistic = shortfall_z2(loss, var, shortfall, tail)
    as_bad = int(np.sum(drawn / (loss.size * tail) - 1.0 >= statistic))
    return Verdict(statistic, (as_bad + 1) / (draws + 1))


def traffic_light(exceedances: int, count: int, tail: float) -> Light:
    """Basel's zone for any number of forecasts."""
    probability = float(stats.binom.cdf(exceedances, count, tail))
    zone = "green" if probability < _GREEN else "yellow" if probability < _YELLOW else "red"
    is_basel = count == _BASEL_DAYS and math.isclose(tail, _BASEL_TAIL)
    multiplier = _MULTIPLIERS[exceedances] if exceedances < len(_MULTIPLIERS) else _RED_MULTIPLIER
    return Light(zone, probability, multiplier if is_basel else None)


def _log_likelihood(misses: int, hits: int, probability: float) -> float:
    """Of a run of trials; nothing times the logarithm of nothing is nothing."""
    return float(xlogy(misses, 1.0 - probability) + xlogy(hits, probability))
