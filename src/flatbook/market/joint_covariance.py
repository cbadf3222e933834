"""Σ across underlyings: what a book in several of them would ask, from the moves of each over the same steps."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.kernels.chain import FACTORS, SPOT
from flatbook.market.covariance import CovarianceModel, FactorCovariance
from flatbook.market.factors import FactorMoves

Floats = NDArray[np.float64]


def joint_prior(models: Sequence[CovarianceModel], correlation: float) -> Floats:
    """The priors of several underlyings with all their factors correlated alike: (n FACTORS, n FACTORS), per year.

    With L_i L_i' the prior of underlying i, the block of i and j is `correlation` L_i L_j': of factors that move alike
    within their underlyings it is the correlation of each with its like. Positive definite for -1/(n-1) < correlation
    < 1.

    Errors      BadInputError for another correlation
    """
    n = len(models)
    if not -1.0 / max(n - 1, 1) < correlation < 1.0:
        raise BadInputError(f"{n} underlyings cannot all correlate by {correlation:g}; use 0 or more, and less than 1")
    roots = np.concatenate([np.linalg.cholesky(model.prior()) for model in models])
    across = np.full((n, n), correlation) + (1.0 - correlation) * np.eye(n)
    return np.asarray(roots @ roots.T * np.kron(across, np.ones((FACTORS, FACTORS))))


class JointCovariance:
    """Σ per year of the stacked factors of several underlyings, online.

    Invariant   `matrix()` is symmetric positive definite; its blocks are in the order of `underlyings`
    """

    def __init__(self, models: Mapping[str, CovarianceModel], correlation: float, overlap: float) -> None:
        self.underlyings = tuple(models)
        first = next(iter(models.values()))
        self.sigma = FactorCovariance(
            joint_prior(list(models.values()), correlation),
            first.half_life_hours,
            first.prior_error,
            overlap,
            tuple(SPOT + n * FACTORS for n in range(len(models))),
        )

    def observe(self, moves: Mapping[str, FactorMoves], now_ns: int) -> None:
        """Takes the moves of one step; an underlying that is not among them was not seen."""
        nothing = np.full(FACTORS, np.nan)
        single, averaged = (
            np.concatenate([getattr(moves[name], kind) if name in moves else nothing for name in self.underlyings])
            for kind in ("single", "averaged")
        )
        elapsed_ns = max(move.elapsed_ns for move in moves.values())
        self.sigma.observe(FactorMoves(single, averaged, elapsed_ns), now_ns)

    def matrix(self) -> Floats:
        """Σ per year as of the last observation."""
        return self.sigma.matrix()

    def block(self, one: str, other: str) -> Floats:
        """Covariance of one underlying's factors (rows) with another's, per year.

        Errors      BadInputError for an underlying that is not one of them
        """
        for name in (one, other):
            if name not in self.underlyings:
                raise BadInputError(f"{name}: no covariance; there are those of {', '.join(self.underlyings)}")
        rows, columns = (self.underlyings.index(name) * FACTORS for name in (one, other))
        return self.matrix()[rows : rows + FACTORS, columns : columns + FACTORS]
