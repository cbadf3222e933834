"""The smile at any time to expiry, read between the slices of those that are listed.

At a fixed log-moneyness, total variance is linear in time from slice to slice: from nothing at no time, and beyond the
last slice as it rose towards it. So the forward variance is flat between two expiries, and negative nowhere if the
slices are in calendar order. A slice scaled down in time keeps its density positive, so before the first there is no
butterfly arbitrage; a mix of two slices without is a smile without in all but contrived cases, and nothing here makes
sure of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TermStructure:
    """Slices of one underlying at one instant.

    Shapes      years (n,) rising, above 0; params (n, 5) raw SVI total variance (a, b, rho, m, s), a row an expiry
    Domain      without slices every answer is NaN; so is one at no time or less
    """

    years: Floats
    params: Floats

    def __post_init__(self) -> None:
        n = len(self.years)
        if self.params.shape != (n, 5) or not np.isfinite(self.params).all():
            raise BadInputError(f"{n} expiries need {n} slices of five finite numbers (a, b, rho, m, s) each")
        if not (np.diff(self.years, prepend=0.0) > 0.0).all():
            raise BadInputError(f"years to expiry must rise from above 0; {self.years.tolist()} do not")

    @classmethod
    def of(cls, years: Floats, params: Floats) -> TermStructure:
        """Of slices in any order; a NaN row is no slice, and one at no time or less has expired."""
        known = np.flatnonzero(np.isfinite(params).all(axis=1) & (years > 0.0))
        order = known[np.argsort(years[known], kind="stable")]
        return cls(years[order], params[order])

    def total_variance(self, k: ArrayLike, years: ArrayLike) -> Floats:
        """Variance of the log forward `years` ahead, by the smile at log-moneyness `k` against that date's forward.

        Shapes      k and years broadcast, and so is the result shaped
        """
        k, years = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(years, np.float64))
        if not len(self.years):
            return np.full(k.shape, np.nan)
        at = np.concatenate([[0.0], self.years])
        far = np.clip(np.searchsorted(self.years, years), 0, len(self.years) - 1)
        share = (years - at[far]) / (at[far + 1] - at[far])
        # The slice of no time has no variance, whatever its parameters.
        near = np.where(far > 0, self._slice_variance(far - 1, k), 0.0)
        variance = (1.0 - share) * near + share * self._slice_variance(far, k)
        return np.asarray(np.where(years > 0.0, variance, np.nan))

    def vol(self, k: ArrayLike, years: ArrayLike) -> Floats:
        """Implied vol, decimal per square-root year; shapes as in `total_variance`."""
        variance = self.total_variance(k, years)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(variance / np.asarray(years, np.float64)))

    def _slice_variance(self, number: NDArray[np.intp], k: Floats) -> Floats:
        a, b, rho, m, s = np.moveaxis(self.params[number], -1, 0)
        return np.asarray(a + b * (rho * (k - m) + np.hypot(k - m, s)))
