"""One expiry's fitted smile as a value, and what is read off it pointwise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flatbook.domain.errors import BadInputError
from flatbook.kernels.black import black
from flatbook.kernels.svi import svi_derivatives

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Smile:
    """A raw SVI slice of one expiry: `params` (a, b, rho, m, s), `years` to expiry, the expiry's forward in USD."""

    params: Floats
    years: float
    forward_usd: float

    def __post_init__(self) -> None:
        if self.params.shape != (5,) or not np.isfinite(self.params).all():
            raise BadInputError(f"smile parameters {self.params} are not five finite numbers (a, b, rho, m, s)")
        if not (0.0 < self.years < math.inf and 0.0 < self.forward_usd < math.inf):
            raise BadInputError(
                f"a smile at {self.years:g} years on a forward of {self.forward_usd:g} USD: both must be above 0"
            )

    def variance(self, k: ArrayLike) -> tuple[Floats, Floats]:
        """Total variance and its slope d w / d k at log-moneyness `k`, each of the shape of `k`."""
        points = np.asarray(k, dtype=np.float64)
        w, dw, d2w = np.empty((3, points.size))
        svi_derivatives(self.params, np.ravel(points), w, dw, d2w)
        return w.reshape(points.shape), dw.reshape(points.shape)

    def vol(self, k: ArrayLike) -> Floats:
        """Implied vol at log-moneyness `k`."""
        return np.asarray(np.sqrt(self.variance(k)[0] / self.years))

    def vol_slope(self, k: ArrayLike) -> Floats:
        """Slope of the implied vol, d vol / d k."""
        w, dw = self.variance(k)
        return np.asarray(dw / (2.0 * np.sqrt(w * self.years)))

    def deviation(self) -> float:
        """Standard deviation of the log forward to expiry by the vol at the money."""
        return math.sqrt(float(self.variance(0.0)[0]))

    def otm_price(self, k: ArrayLike) -> Floats:
        """Out-of-the-money option (a put below the forward, a call from it on) as a share of the forward."""
        points = np.asarray(k, dtype=np.float64)
        sign = np.where(points < 0.0, -1.0, 1.0)
        return np.asarray(black(1.0, np.exp(points), self.vol(points), self.years, sign).price)
