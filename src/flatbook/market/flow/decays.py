"""Rates of fills that fall exponentially with depth, from counts and exposure, with a prior: many at once.

    Λ(d) = A exp(-k d)

What is seen of one rate:

    prints      takers who came while the option was watched, and how deep each reached: to where it ended, or, one that
                met our own quote, at least to there; what lies beyond the last depth of the grid counts as just that
                far, so that a few wild prints do not make the decay
    quotes      hits of our own quotes by depth, and the option-years they rested there: what remains where there is no
                tape

Prints tell A by their number over their exposure, and k by how many ended over the depth they passed through (the rate
of an exponential under censoring). Quotes tell both, by the Poisson regression of hits on depth. With Gamma priors, so
many imagined prints and imagined ends, prints alone are closed; with quotes too, the posterior is concave in ln A,
nearly so in ln k, and found by Newton's method.

Source      exponential survival with Poisson arrivals; Guéant, Lehalle and Fernandez-Tapia (2013) for the use
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = 60
_FARTHEST_STEP = 2.0
_CONVERGED = 1e-10


class Evidence:
    """Weighted counts of many rates as one table; its columns are views.

    Shapes      exposure, path (n,); stopped, censored, hits, quoted (n, depths), depths being those of the grid
    Units       exposure and quoted in option-years; path in units of depth; counts in fills of our size
    Counts      stopped: prints by the depth at or before their end; the last are those that passed the grid. censored:
                prints by the depth at or before our quote that they met. path: the depth all of them passed through,
                each up to its end, our quote or the end of the grid. hits by the depth nearest to the quote
    """

    def __init__(self, table: Floats) -> None:
        self.table = table
        depths = (table.shape[1] - 2) // 4
        self.stopped, self.censored, self.hits, self.quoted = (
            table[:, 2 + part * depths : 2 + (part + 1) * depths] for part in range(4)
        )
        self.exposure, self.path = table[:, 0], table[:, 1]

    @staticmethod
    def none(rates: int, depths: int) -> Evidence:
        """Nothing seen."""
        return Evidence(np.zeros((rates, 2 + 4 * depths)))

    def pooled(self, groups: int) -> Evidence:
        """The sums over `groups` equal runs of consecutive rates."""
        return Evidence(self.table.reshape(groups, -1, self.table.shape[1]).sum(axis=1))

    @property
    def arrivals(self) -> Floats:
        """(n,) prints at fair value or beyond, and hits of our quotes."""
        return np.asarray((self.stopped + self.censored + self.hits).sum(axis=1))

    @property
    def ended(self) -> Floats:
        """(n,) prints seen to end within the grid: what tells the decay."""
        return np.asarray(self.stopped[:, :-1].sum(axis=1))

    @property
    def reached(self) -> Floats:
        """(n, depths) prints known to have reached each depth."""
        return np.asarray((self.stopped + self.censored)[:, ::-1].cumsum(axis=1)[:, ::-1])


@dataclass(frozen=True, slots=True)
class Prior:
    """Gamma priors of A and k, each by its mean and by how many prints or ends it counts as. Shapes (n,) or scalars."""

    arrivals: Floats
    decay: Floats
    worth_arrivals: Floats
    worth_ends: Floats


class Dispersion(NamedTuple):
    """Variance of the counts over Poisson's, and of where prints end over the binomial's: 1 where they come alone."""

    arrivals: float
    ends: float


class Decays(NamedTuple):
    """A and k with the standard errors of their logs, shapes (n,)."""

    arrivals: Floats
    decay: Floats
    log_arrivals_error: Floats
    log_decay_error: Floats


def reach(grid: Floats, decay: Floats) -> Floats:
    """exp(-k d): the share of prints that reach each depth of the grid, shape (n, depths)."""
    return np.asarray(np.exp(-decay[:, None] * grid))


def expected_arrivals(evidence: Evidence, grid: Floats, arrivals: Floats, decay: Floats) -> Floats:
    """How many prints and hits were to be expected, shape (n,)."""
    return np.asarray(arrivals * (evidence.exposure + (evidence.quoted * reach(grid, decay)).sum(axis=1)))


def fit_decays(evidence: Evidence, grid: Floats, prior: Prior, dispersion: Dispersion) -> Decays:
    """The posterior mode of ln A and ln k of each rate; errors by the curvature there.

    Counts that hang together are worth less: each likelihood is divided by its dispersion.
    """
    count = evidence.arrivals / dispersion.arrivals + prior.worth_arrivals
    exposure = evidence.exposure / dispersion.arrivals + prior.worth_arrivals / prior.arrivals
    ended = evidence.ended / dispersion.ends + prior.worth_ends
    path = evidence.path / dispersion.ends + prior.worth_ends / prior.decay + evidence.hits @ grid / dispersion.arrivals
    # From what would be exact without quotes: prints alone take one step, which is nothing.
    log_k = np.log(ended / path)
    log_a = np.log(count / (exposure + (evidence.quoted * reach(grid, ended / path)).sum(axis=1) / dispersion.arrivals))
    for _ in range(_STEPS):
        a, k = np.exp(log_a), np.exp(log_k)
        quoted = evidence.quoted * reach(grid, k) / dispersion.arrivals
        first, second = quoted @ grid, quoted @ grid**2
        bend_aa = a * (exposure + quoted.sum(axis=1))
        slope_a = count - bend_aa
        slope_k = ended + k * (a * first - path)
        # The curvature that holds at the mode, where the slope is 0: negative everywhere, unlike the true one.
        bend_kk = ended + k * k * a * second
        bend_ak = -a * k * first
        determinant = bend_aa * bend_kk - bend_ak**2
        step_a = (bend_kk * slope_a - bend_ak * slope_k) / determinant
        step_k = (bend_aa * slope_k - bend_ak * slope_a) / determinant
        log_a += np.clip(step_a, -_FARTHEST_STEP, _FARTHEST_STEP)
        log_k += np.clip(step_k, -_FARTHEST_STEP, _FARTHEST_STEP)
        if max(np.abs(step_a).max(initial=0.0), np.abs(step_k).max(initial=0.0)) < _CONVERGED:
            break
    return Decays(np.exp(log_a), np.exp(log_k), np.sqrt(bend_kk / determinant), np.sqrt(bend_aa / determinant))
