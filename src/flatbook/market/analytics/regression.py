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

    Shapes      xx and xx_squared (p, p), xy (p,); `weight` and `weight_squared` are the sums of weights themselves
    """

    xx: Floats
    xx_squared: Floats
    xy: Floats
    yy: float = 0.0
    weight: float = 0.0
    weight_squared: float = 0.0

    @staticmethod
    def none(regressors: int) -> Moments:
        """Nothing seen of `regressors` columns."""
        return Moments(np.zeros((regressors, regressors)), np.zeros((regressors, regressors)), np.zeros(regressors))

    def observe(self, x: Floats, y: Floats, decay: float = 1.0) -> Moments:
        """With rows x (n, p) and y (n,) of weight one, all before faded by `decay`; rows with a NaN are left out."""
        if x.ndim != 2 or x.shape[1] != self.xy.size or y.shape != x.shape[:1] or not 0.0 <= decay <= 1.0:
            raise BadInputError(
                f"rows of shape {x.shape} and {y.shape} with decay {decay:g}: {self.xy.size} columns, one y a row, "
                "decay from 0 to 1"
            )
        good = np.isfinite(x).all(axis=1) & np.isfinite(y)
        rows, level = x[good], y[good]
        product = rows.T @ rows
        return Moments(
            decay * self.xx + product,
            decay * decay * self.xx_squared + product,
            decay * self.xy + rows.T @ level,
            decay * self.yy + float(level @ level),
            decay * self.weight + level.size,
            decay * decay * self.weight_squared + level.size,
        )


class Fit(NamedTuple):
    """Coefficients (p,) with standard errors and t-statistics, as if rows were independent.

    `rows` is the number of rows of equal weight that would say as much. Coefficients are NaN, errors infinite and t 0
    where there are too few rows, or columns that say the same.
    """

    coefficient: Floats
    error: Floats
    t: Floats
    rows: float


def fit(moments: Moments) -> Fit:
    """The least squares of what was observed."""
    p = moments.xy.size
    count = moments.weight**2 / moments.weight_squared if moments.weight_squared > 0.0 else 0.0
    scale = np.sqrt(np.diag(moments.xx))
    # On columns of equal size, so that rank does not hang on units.
    xx = moments.xx / np.outer(scale, scale) if np.all(scale > 0.0) else np.zeros((p, p))
    if count <= p or np.linalg.cond(xx) > 1e10:
        return Fit(np.full(p, math.nan), np.full(p, math.inf), np.zeros(p), count)
    inverse = np.linalg.inv(xx) / np.outer(scale, scale)
    coefficient = inverse @ moments.xy
    residual = max(moments.yy - float(coefficient @ moments.xy), 0.0) / moments.weight * count / (count - p)
    error = np.sqrt(residual * np.diag(inverse @ moments.xx_squared @ inverse))
    with np.errstate(divide="ignore"):  # an exact fit has no error
        return Fit(coefficient, error, coefficient / error, count)
