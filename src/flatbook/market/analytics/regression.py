"""Least squares through the origin with weights that fade, kept as sums: state in, state out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Weighted sums over what was observed: x x' and x y and y^2, and x x' by squared weights for errors.

    Shapes      xx, xx_squared and scores (p, p), xy (p,); `weight` and `weight_squared` are the sums of weights
                themselves; `scores` sums s s' by squared weights, with s the x y of one block of rows
    """

    xx: Floats
    xx_squared: Floats
    scores: Floats
    xy: Floats
    yy: float = 0.0
    weight: float = 0.0
    weight_squared: float = 0.0

    @staticmethod
    def none(regressors: int) -> Moments:
        """Nothing seen of `regressors` columns."""
        square = np.zeros((regressors, regressors))
        return Moments(square, square, square, np.zeros(regressors))

    def observe(self, x: Floats, y: Floats, decay: float = 1.0) -> Moments:
        """With a block of rows x (n, p) and y (n,) of weight one, all before faded by `decay`.

        The rows of a block may hang together, as options of one chain do; blocks are taken as independent. Rows with a
        NaN are left out.
        """
        if x.ndim != 2 or x.shape[1] != self.xy.size or y.shape != x.shape[:1] or not 0.0 <= decay <= 1.0:
            raise BadInputError(
                f"rows of shape {x.shape} and {y.shape} with decay {decay:g}: {self.xy.size} columns, one y a row, "
                "decay from 0 to 1"
            )
        good = np.isfinite(x).all(axis=1) & np.isfinite(y)
        rows, level = x[good], y[good]
        product, score = rows.T @ rows, rows.T @ level
        return Moments(
            decay * self.xx + product,
            decay * decay * self.xx_squared + product,
            decay * decay * self.scores + np.outer(score, score),
            decay * self.xy + score,
            decay * self.yy + float(level @ level),
            decay * self.weight + level.size,
            decay * decay * self.weight_squared + level.size,
        )


class Fit(NamedTuple):
    """Coefficients (p,) with standard errors and t-statistics, as if rows were independent.

    `rows` is the number of rows of equal weight that would say as much. `evidence` is what speaks against all
    coefficients being 0, by blocks: chi-squared of p degrees if they are, and never more than the number of blocks.
    Coefficients are NaN, errors infinite, t and evidence 0 where there is too little, or columns that say the same.
    """

    coefficient: Floats
    error: Floats
    t: Floats
    rows: float
    evidence: float


def fit(moments: Moments) -> Fit:
    """The least squares of what was observed."""
    p = moments.xy.size
    count = moments.weight**2 / moments.weight_squared if moments.weight_squared > 0.0 else 0.0
    inverse = _inverse(moments.xx)
    if count <= p or inverse is None:
        return Fit(np.full(p, math.nan), np.full(p, math.inf), np.zeros(p), count, 0.0)
    coefficient = inverse @ moments.xy
    residual = max(moments.yy - float(coefficient @ moments.xy), 0.0) / moments.weight * count / (count - p)
    error = np.sqrt(residual * np.diag(inverse @ moments.xx_squared @ inverse))
    spread = _inverse(moments.scores)
    evidence = float(moments.xy @ spread @ moments.xy) if spread is not None else 0.0
    with np.errstate(divide="ignore"):  # an exact fit has no error
        return Fit(coefficient, error, coefficient / error, count, evidence)


def shrunk(estimate: Fit) -> Floats:
    """Coefficients as far as blocks speak for them: drawn to 0 by p / evidence, and 0 where that is slight.

    Slight is less than two standard deviations of chi-squared above its mean, p + 2 sqrt(2 p): for one coefficient a
    t-statistic of 2.
    """
    p = estimate.coefficient.size
    if not estimate.evidence >= p + 2.0 * math.sqrt(2.0 * p):
        return np.zeros(p)
    return estimate.coefficient * (1.0 - p / estimate.evidence)


def _inverse(matrix: Floats) -> Floats | None:
    """Inverse of a symmetric matrix, None where columns say the same, whatever their units."""
    scale = np.sqrt(np.diag(matrix))
    if not np.all(scale > 0.0):
        return None
    correlation = matrix / np.outer(scale, scale)
    if np.linalg.cond(correlation) > 1e10:
        return None
    return np.asarray(np.linalg.inv(correlation) / np.outer(scale, scale))
