"""Σ: how the risk factors move together, from a stated prior and what was seen, always positive definite.

The prior is parametric, so that a book can be charged for risk from the first tick. Observed moves enter by an
exponentially weighted average, and the two are mixed by how much has been seen. Where a tenor was not seen its entries
stay as they were, which may bend the mixture a little out of the cone: eigenvalues are floored when Σ is read.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_YEAR
from flatbook.kernels.chain import FACTORS, TENORS

Floats = NDArray[np.float64]

_LEAST_EIGENVALUE = 1e-3
"""Of Σ in units of the prior's deviations."""


@dataclass(frozen=True, slots=True)
class CovarianceModel:
    """The prior of Σ, and how fast it yields.

    tenor_days          the tenors, rising, between which vega is shared
    spot_vol            annual, decimal
    jump_fourth_moment  per year: the sum over a year's jumps of (log jump)^4, which is what squared returns add to
                        the variance of a gamma position that is re-hedged often
    hedge_hours         time between re-hedges
    vol_of_vol          relative, annual, of a 30-day vol level
    tenor_power         vol of vol goes with (30 days / tenor) to this power
    level               the vol level that `vol_of_vol` is relative to
    skew_share, convexity_share   standard deviations of skew and convexity moves against the level's
    tenor_correlation   of levels of neighbouring tenors
    spot_level_correlation
    prior_hours         observing this long gives data and prior equal weight
    half_life_hours     of the observations
    """

    tenor_days: tuple[float, float, float] = (3.0, 20.0, 100.0)
    spot_vol: float = 0.55
    jump_fourth_moment: float = 2e-4
    hedge_hours: float = 0.5
    vol_of_vol: float = 1.0
    tenor_power: float = 0.45
    level: float = 0.55
    skew_share: float = 0.25
    convexity_share: float = 0.15
    tenor_correlation: float = 0.85
    spot_level_correlation: float = -0.2
    prior_hours: float = 48.0
    half_life_hours: float = 24.0

    def prior(self) -> Floats:
        """Σ per year, before anything is seen: factors in the order of `kernels.chain.FACTORS`."""
        gamma_variance = 2 * self.spot_vol**4 * self.hedge_hours / 8760 + self.jump_fourth_moment
        deviation = [self.spot_vol, math.sqrt(gamma_variance)]
        for days in self.tenor_days:
            level = self.level * self.vol_of_vol * (30 / days) ** self.tenor_power
            deviation += [level, level * self.skew_share, level * self.convexity_share]
        correlation = np.eye(FACTORS)
        for i in range(TENORS):
            for j in range(TENORS):
                for kind in range(3):
                    correlation[2 + 3 * i + kind, 2 + 3 * j + kind] = self.tenor_correlation ** abs(i - j)
            correlation[0, 2 + 3 * i] = correlation[2 + 3 * i, 0] = self.spot_level_correlation
        scale = np.array(deviation)
        return np.asarray(correlation * np.outer(scale, scale))


class FactorCovariance:
    """Σ per year, online.

    Invariant   `matrix()` is symmetric positive definite; `seen_hours` is the weight of what was observed
    """

    def __init__(self, model: CovarianceModel) -> None:
        self._model = model
        self._prior = model.prior()
        self._sum: Floats = np.zeros((FACTORS, FACTORS))
        self.seen_hours = 0.0
        self.updated_ns = 0

    def observe(self, moves: Floats, elapsed_ns: int, now_ns: int) -> None:
        """Takes the factors' moves over `elapsed_ns`; a NaN move, of a tenor not seen, changes none of its entries."""
        hours = elapsed_ns / (NS_PER_YEAR / 8760)
        decay = 0.5 ** (hours / self._model.half_life_hours)
        expected = self._matrix_of(self._sum, self.seen_hours)
        product = np.outer(moves, moves) * (8760 / hours)
        product = np.where(np.isfinite(product), product, expected)
        self._sum = decay * self._sum + product * hours
        self.seen_hours = decay * self.seen_hours + hours
        self.updated_ns = now_ns

    def matrix(self) -> Floats:
        """Σ per year as of the last observation, positive definite."""
        scale = np.sqrt(np.diag(self._prior))
        values, vectors = np.linalg.eigh(self._matrix_of(self._sum, self.seen_hours) / np.outer(scale, scale))
        floored = (vectors * np.maximum(values, _LEAST_EIGENVALUE)) @ vectors.T
        return np.asarray(floored * np.outer(scale, scale))

    def _matrix_of(self, total: Floats, hours: float) -> Floats:
        weight = self._model.prior_hours
        return np.asarray((weight * self._prior + total) / (weight + hours))
