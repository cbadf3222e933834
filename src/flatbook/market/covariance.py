"""Σ: how the risk factors move together, from a stated prior and what was seen, always positive definite.

The prior is parametric, so that a book can be charged for risk from the first tick. Observed moves enter by an
exponentially weighted average S, and Σ = λ prior + (1 - λ) S. The intensity λ is Ledoit and Wolf's: the part of what S
and the prior differ by that the noise of S explains. So the prior rules while little was seen, and yields as far as
the data contradict it, however short their half-life.

Where a factor was not seen its move is replaced by what Σ expects of it given the others, and its square by what is
expected of that: a step of expectation maximisation, which leaves S a sum of positive semi-definite matrices.

The index is seen without error. So spot's own variance is taken from single steps, which are many, and all else from
averaged moves (see `factors`), which have less of the errors of what they were read from.

Source      Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices", J.
            Multivariate Analysis 88, with the stated prior for target
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_HOUR
from flatbook.kernels.chain import BASIS, CONVEXITIES, FACTORS, LEVELS, PREMIUM, SKEWS, SPOT, SQUARED, TENORS
from flatbook.market.factors import FactorMoves

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LEAST_EIGENVALUE = 1e-3
"""Of Σ in units of the prior's deviations."""


@dataclass(frozen=True, slots=True)
class CovarianceModel:
    """The prior of Σ, and how fast what was seen is forgotten.

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
    carry_vol           annual standard deviation of the annual carry rate
    premium_vol         annual standard deviation of the perpetual's log premium, as far as its moves last
    prior_error         standard error of the prior's entries, relative to the two deviations
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
    carry_vol: float = 0.06
    premium_vol: float = 0.004
    prior_error: float = 0.5
    half_life_hours: float = 24.0

    def prior(self) -> Floats:
        """Σ per year, before anything is seen: factors in the order of `kernels.chain`."""
        correlation, scale = np.eye(FACTORS), np.zeros(FACTORS)
        apart = np.abs(np.subtract.outer(np.arange(TENORS), np.arange(TENORS)))
        level = self.level * self.vol_of_vol * (30 / np.array(self.tenor_days)) ** self.tenor_power
        for factors, share in ((LEVELS, 1.0), (SKEWS, self.skew_share), (CONVEXITIES, self.convexity_share)):
            correlation[factors, factors] = self.tenor_correlation**apart
            scale[factors] = share * level
        correlation[SPOT, LEVELS] = correlation[LEVELS, SPOT] = self.spot_level_correlation
        gamma_variance = 2 * self.spot_vol**4 * self.hedge_hours / 8760 + self.jump_fourth_moment
        scale[SPOT], scale[SQUARED] = self.spot_vol, math.sqrt(gamma_variance)
        scale[BASIS], scale[PREMIUM] = self.carry_vol, self.premium_vol
        return np.asarray(correlation * np.outer(scale, scale))


class FactorCovariance:
    """Σ per year, online, of any number of factors.

    Invariant   `matrix()` is symmetric positive definite; `seen_hours` is the weight of what was observed, `updated_ns`
                when, 0 before the first
    """

    def __init__(
        self, prior: Floats, half_life_hours: float, prior_error: float, overlap: float, exact: tuple[int, ...]
    ) -> None:
        """Before anything is seen Σ is `prior`.

        overlap     so many averaged moves in a row tell as much as one
        exact       factors that are seen without error
        """
        self._scale: Floats = np.sqrt(np.diag(prior))
        self._prior: Floats = prior / np.outer(self._scale, self._scale)
        self._half_life_hours, self._prior_error, self._overlap = half_life_hours, prior_error, overlap
        self._exact = np.array(exact, np.int64)
        self._averaged = _Moments.none(len(prior))
        self._single = _Moments.none(len(exact))
        self.updated_ns = 0

    @classmethod
    def of(cls, model: CovarianceModel, overlap: float) -> Self:
        """Of one underlying."""
        return cls(model.prior(), model.half_life_hours, model.prior_error, overlap, (SPOT,))

    @property
    def seen_hours(self) -> float:
        """Hours of averaged moves, the older ones counting for less."""
        return self._averaged.weight

    @property
    def prior_weight(self) -> float:
        """λ: how much of Σ is still the prior."""
        return self._shrunk()[1]

    def observe(self, moves: FactorMoves, now_ns: int) -> None:
        """Takes the factors' moves of one step; NaN where a factor was not seen."""
        hours = moves.elapsed_ns / NS_PER_HOUR
        keep = 0.5 ** (hours / self._half_life_hours)
        exact = moves.single[self._exact] / self._scale[self._exact]
        if np.isfinite(exact).any():
            self._single = self._single.plus(exact, self._shrunk_single, hours, keep)
            self.updated_ns = now_ns
        averaged = moves.averaged / self._scale
        if np.isfinite(averaged).any():
            self._averaged = self._averaged.plus(averaged, self._expectation, hours, keep)
            self.updated_ns = now_ns

    def age_hours(self, now_ns: int) -> float:
        """Since the last observation; infinite before the first."""
        return (now_ns - self.updated_ns) / NS_PER_HOUR if self.updated_ns else math.inf

    def matrix(self) -> Floats:
        """Σ per year as of the last observation, positive definite."""
        sigma = _floored(self._combined()) * np.outer(self._scale, self._scale)
        return np.asarray(0.5 * (sigma + sigma.T))

    def standard_error(self) -> Floats:
        """Of each entry of Σ, as of the last observation: prior and data as two witnesses of known errors.

        The data's is that of Gaussian moves; an entry that no move told of has the prior's.
        """
        sigma = self._combined()
        noise = np.outer(np.diag(sigma), np.diag(sigma)) + sigma * sigma
        count = self._averaged.pair_counts() / self._overlap
        exact = np.ix_(self._exact, self._exact)
        count[exact] = np.maximum(count[exact], self._single.pair_counts())
        precision = 1 / self._prior_error**2 + count / noise
        return np.asarray(np.outer(self._scale, self._scale) / np.sqrt(precision))

    def _combined(self) -> Floats:
        """Σ in units of the prior's deviations, the exact factors' own block from single steps.

        All else goes with them: factors are mixed by what takes the one block to the other, so Σ stays in its cone.
        """
        sigma, _ = self._shrunk()
        if self._single.weight == 0.0:
            return sigma
        mix, exact = np.eye(len(sigma)), np.ix_(self._exact, self._exact)
        root = np.linalg.cholesky(_floored(sigma[exact]))
        mix[exact] = np.linalg.solve(root.T, np.linalg.cholesky(_floored(self._shrunk_single())).T).T
        return np.asarray(mix @ sigma @ mix.T)

    def _expectation(self) -> Floats:
        """What moves are expected to be like, for those not seen; definite without an eigenvalue being looked at."""
        return np.asarray(self._shrunk()[0] + _LEAST_EIGENVALUE * np.eye(len(self._prior)))

    def _shrunk(self) -> tuple[Floats, float]:
        return _shrink(self._averaged, self._prior, self._overlap)

    def _shrunk_single(self) -> Floats:
        return _shrink(self._single, self._prior[np.ix_(self._exact, self._exact)], 1.0)[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """Exponentially weighted second moments of moves in units of the prior's deviations.

    Shapes      total, pairs (f, f): sums of products, and of weights where both factors were seen
    weight, squares     sums of the weights and of their squares
    fourth              sum of the squared squares of whole moves
    """

    total: Floats
    pairs: Floats
    weight: float
    squares: float
    fourth: float

    @classmethod
    def none(cls, factors: int) -> Self:
        return cls(np.zeros((factors, factors)), np.zeros((factors, factors)), 0.0, 0.0, 0.0)

    def plus(self, move: Floats, sigma: Callable[[], Floats], hours: float, keep: float) -> "_Moments":
        """With one more move; what of it was not seen is what `sigma` (positive definite) expects of it."""
        seen = np.isfinite(move)
        product, filled = (np.outer(move, move), move) if seen.all() else _expected_product(move, sigma())
        return _Moments(
            keep * self.total + hours * product,
            keep * self.pairs + hours * np.outer(seen, seen),
            keep * self.weight + hours,
            keep * keep * self.squares + hours * hours,
            keep * self.fourth + hours * float(filled @ filled) ** 2,
        )

    def pair_counts(self) -> Floats:
        """So many moves of equal weight would tell as much of each entry."""
        return np.asarray(self.pairs * (self.weight / self.squares)) if self.weight else np.zeros_like(self.pairs)


def _expected_product(move: Floats, expected: Floats) -> tuple[Floats, Floats]:
    """E[m m' | what was seen of m], and E[m | it]."""
    seen = np.isfinite(move)
    here, there = np.flatnonzero(seen), np.flatnonzero(~seen)
    gain = np.linalg.solve(expected[np.ix_(here, here)], expected[np.ix_(here, there)]).T
    filled = move.copy()
    filled[there] = gain @ move[here]
    product = np.outer(filled, filled)
    product[np.ix_(there, there)] += expected[np.ix_(there, there)] - gain @ expected[np.ix_(here, there)]
    return product, filled


def _shrink(moments: _Moments, target: Floats, overlap: float) -> tuple[Floats, float]:
    """λ target + (1 - λ) S, and λ: the squared error of S over its squared distance from the target, at most 1.

    The error is the moves' own, by their fourth moments, but no less than it would be of Gaussian ones: few moves
    know little of their tails. What was never seen adds none.
    """
    if moments.weight == 0.0:
        return target, 1.0
    sample = moments.total / moments.weight
    count = moments.weight**2 / moments.squares / overlap
    share = moments.pairs / moments.weight
    gaussian = float(np.sum((np.outer(np.diag(sample), np.diag(sample)) + sample**2) * share))
    own = moments.fourth / moments.weight - float(np.sum(sample**2))
    distance = float(np.sum((sample - target) ** 2))
    lam = min(max(gaussian, own) / count / distance, 1.0) if distance > 0.0 else 1.0
    return np.asarray(lam * target + (1 - lam) * sample), lam


def _floored(sigma: Floats) -> Floats:
    values, vectors = np.linalg.eigh(sigma)
    return np.asarray((vectors * np.maximum(values, _LEAST_EIGENVALUE)) @ vectors.T)
