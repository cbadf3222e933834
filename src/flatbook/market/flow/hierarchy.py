"""Rates that lend to each other: all to a tenor, a tenor to its buckets, as far as siblings are seen to be alike.

At each level the parent's rate is the prior of its children, worth so many prints. How many is estimated (empirical
Bayes): 1 / v, where v is the relative variance of the siblings' true rates about their parent's, which is what remains
of the spread of their counts once the noise of counting is taken off.

A bucket's parent is its tenor, times a factor of its strike and side: strikes far in the money print little at every
tenor, and a tenor's mean alone would lend them its flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.market.flow.decays import (
    Decays,
    Dispersion,
    Evidence,
    Prior,
    expected_arrivals,
    fit_decays,
)

Floats = NDArray[np.float64]

_NO_STRENGTH = 1e-3
"""A prior of this many ends leaves a rate to its own evidence, and still gives one where there is none."""

_TINY = 1e-12

_LEAST_DEVIATIONS = 2.0
"""A decay that lies nearer to 0 than this many of its standard errors is none."""


@dataclass(frozen=True, slots=True)
class Pool:
    """What all rates share.

    grid                depths, in units
    sizes               how many parts each level below the whole falls into: (tenors, rates)
    belief              of the whole
    dispersion          of each level's counts, from the top: all, tenor, bucket
    strength            least and most prints that a parent counts as for its child
    least_prints        with fewer independent prints, nothing is said against a rate's decay
    """

    grid: Floats
    sizes: tuple[int, int]
    belief: Prior
    dispersion: tuple[Dispersion, Dispersion, Dispersion]
    strength: tuple[float, float]
    least_prints: float


class Pooled(NamedTuple):
    """Posterior rates and decays; what part of A is a rate's own; its independent prints; whether it has own decay."""

    decays: Decays
    own_weight: Floats
    prints: Floats
    has_decay: NDArray[np.bool_]


def pooled_decays(evidence: Evidence, pool: Pool) -> Pooled:
    """A and k of each rate, from the top down; one whose own evidence shows no decay has its parents', and lends none.

    Shapes      (rates,) all
    """
    prints = evidence.arrivals / pool.dispersion[-1].arrivals
    has_decay = (prints < pool.least_prints) | _falls(evidence, pool)
    told = _without_depth(evidence, ~has_decay, pool.grid)
    found = fit_decays(told.pooled(1), pool.grid, pool.belief, pool.dispersion[0])
    found, _ = _children(told.pooled(pool.sizes[0]), found, pool, pool.dispersion[1])
    found, own_weight = _children(told, found, pool, pool.dispersion[2], by_strike=True)
    return Pooled(found, own_weight, prints, has_decay)


def _children(
    level: Evidence, parent: Decays, pool: Pool, dispersion: Dispersion, *, by_strike: bool = False
) -> tuple[Decays, Floats]:
    """The rates of a level given its parents', and what part of each A is its own."""
    groups = len(level.exposure)
    lent = Decays(*(np.repeat(column, groups // len(column)) for column in parent))
    factor = _strike_factors(level, lent, pool, dispersion) if by_strike else _Factor(np.ones(groups), np.zeros(groups))
    lent = lent._replace(arrivals=lent.arrivals * factor.value)
    arrivals, ends = _strengths(level, lent, pool, dispersion)
    prior = Prior(lent.arrivals, lent.decay, np.full(groups, arrivals), np.full(groups, ends))
    found = fit_decays(level, pool.grid, prior, dispersion)
    own_weight = 1 - arrivals * found.log_arrivals_error**2
    # What all of a family share, a busy day say, no child's evidence averages out: it has its parent's error in full,
    # and the factor's, which is off by what the siblings differ too, as far as it borrows.
    borrowed = (1 - own_weight) ** 2 * (factor.error**2 + factor.share / arrivals)
    found = found._replace(
        log_arrivals_error=np.sqrt(found.log_arrivals_error**2 + lent.log_arrivals_error**2 + borrowed),
        log_decay_error=np.hypot(found.log_decay_error, lent.log_decay_error),
    )
    return found, own_weight


class _Factor(NamedTuple):
    """Factors of rates, the counting error of their logs, and how far one sibling's difference moves them; (rates,)."""

    value: Floats
    error: Floats
    share: Floats | float = 0.0


def _strike_factors(level: Evidence, lent: Decays, pool: Pool, dispersion: Dispersion) -> _Factor:
    """How much more a strike and side prints than its tenor, over all tenors."""
    tenors = pool.sizes[0]
    expected = expected_arrivals(level, pool.grid, lent.arrivals, lent.decay).reshape(tenors, -1)
    count, due = level.arrivals.reshape(tenors, -1).sum(axis=0), expected.sum(axis=0)
    worth = _strength(count - due, due, dispersion.arrivals, pool.strength)
    seen = count / dispersion.arrivals + worth
    columns = (
        seen / (due / dispersion.arrivals + worth),
        seen**-0.5,
        (expected**2).sum(axis=0) / np.maximum(due, _TINY) ** 2,
    )
    return _Factor(*(np.tile(column, tenors) for column in columns))


def _strengths(level: Evidence, lent: Decays, pool: Pool, dispersion: Dispersion) -> tuple[float, float]:
    """How many prints, and how many ends, the parents are worth to their children."""
    arrivals = expected_arrivals(level, pool.grid, lent.arrivals, lent.decay)
    ends = lent.decay * level.path
    return (
        _strength(level.arrivals - arrivals, arrivals, dispersion.arrivals, pool.strength),
        _strength(level.ended - ends, ends, dispersion.ends, pool.strength),
    )


def _strength(off: Floats, expected: Floats, dispersion: float, bounds: tuple[float, float]) -> float:
    square = float((expected**2).sum())
    spread = float((off**2).sum() - dispersion * expected.sum()) / square if square > 0 else 0.0
    least, most = bounds
    return min(max(1 / spread, least), most) if spread > 0 else most


def _falls(evidence: Evidence, pool: Pool) -> NDArray[np.bool_]:
    """Whether a rate's own evidence says that it falls with depth."""
    ones = np.ones(len(evidence.exposure))
    slight = _NO_STRENGTH * ones
    prior = Prior(pool.belief.arrivals * ones, pool.belief.decay * ones, slight, slight)
    own = fit_decays(evidence, pool.grid, prior, pool.dispersion[-1])
    return np.asarray(own.log_decay_error * _LEAST_DEVIATIONS < 1)


def _without_depth(evidence: Evidence, drop: NDArray[np.bool_], grid: Floats) -> Evidence:
    """The evidence with its counts kept and nothing said of decay where `drop`: prints beyond the grid that passed
    through no depth, hits and quotes all at their mean depth."""
    out = Evidence(evidence.table.copy())
    out.path[drop] = 0.0
    out.stopped[drop, -1] = (evidence.stopped + evidence.censored)[drop].sum(axis=1)
    out.stopped[drop, :-1] = 0.0
    out.censored[drop] = 0.0
    total = evidence.quoted.sum(axis=1)
    mean = evidence.quoted @ grid / np.where(total > 0, total, 1.0)
    at = np.abs(mean[:, None] - grid).argmin(axis=1)
    for kept, whole in ((out.hits, evidence.hits), (out.quoted, evidence.quoted)):
        kept[drop] = 0.0
        kept[drop, at[drop]] = whole[drop].sum(axis=1)
    return out
