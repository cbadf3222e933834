"""The vol levels of all expiries: one Kalman filter over their logs, correlated by distance in log tenor."""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_MINUTE, NS_PER_YEAR
from flatbook.kernels.levels import age_levels, level_errors
from flatbook.kernels.seeing import see_vol
from flatbook.market.slices import Slices
from flatbook.market.surface_model import SurfaceModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Known = tuple[Floats, Floats, Floats, Floats, Floats, float, float]
"""Slices' parameters, the years they were fitted at and their errors; covariance and wander of the levels, the years
since it was brought up to date, and the error of a quote. Arrays are live, with room for more slots than there are."""

_SEED_ERROR = 0.1
"""Standard deviation of the log level of a slice that is read and not fitted."""


class Levels:
    """What is not known of the levels that slices have.

    covariance      (slots, slots) of the log levels, as of `aged_ns`

    Invariant   that of the live slots is symmetric positive definite
    """

    def __init__(self, model: SurfaceModel, slices: Slices) -> None:
        slots = len(slices.drift)
        self._model = model
        self._slices = slices
        self.covariance: Floats = np.zeros((slots, slots))
        self.aged_ns = 0
        self._jumps: Ints = np.zeros(slots, np.int64)
        self._tenors_ns = 0
        self._wander: Floats = np.zeros(slots)
        self._log_tenor: Floats = np.zeros(0)

    def age(self, now_ns: int) -> None:
        """What is not known grows until now. How fast may be a minute old: tenors move slowly."""
        years = self._slices.years
        if now_ns - self._tenors_ns >= NS_PER_MINUTE or len(years) != len(self._log_tenor):
            self._tenors_ns = now_ns
            self._wander[: len(years)] = self._model.wander(years)
            self._log_tenor = np.log(np.maximum(years, 1 / 365))
        elapsed = (now_ns - self.aged_ns) / NS_PER_YEAR if self.aged_ns else 0.0
        if elapsed > 0.0:
            correlation = self._model.tenor_correlation
            age_levels(self._slices.live, self._wander, self._log_tenor, correlation, elapsed, self.covariance)
        self.aged_ns = now_ns

    def learn(self, slot: int, k: float, vol: float, error_vol: float) -> int:
        """Moves every live slice by what a vol seen now says of its level: a code of `kernels.seeing`.

        A jump is believed once as many in a row on one side ask for it as `SurfaceModel.jump_confirmations`.
        """
        slices, model = self._slices, self._model
        return see_vol(
            slices.live,
            slot,
            k,
            vol,
            error_vol,
            model.shape_error,
            model.jump_deviations,
            model.jump_confirmations,
            slices.years,
            slices.fitted_years,
            slices.rmse_vol,
            self.covariance,
            slices.params,
            slices.drift,
            slices.most_scale,
            slices.least_rise,
            self._jumps,
        )

    def take_back(self, slots: Ints, drift: Floats) -> None:
        """Moves slices back to the levels they had at these drifts, and doubts each by as much."""
        withheld = self._slices.move_back(slots, drift)
        self.covariance[slots, slots] += withheld * withheld

    def begin(self, slot: int) -> None:
        """A slice was read: its level is known badly, and by itself."""
        self.covariance[slot, :] = self.covariance[:, slot] = 0.0
        self.covariance[slot, slot] = _SEED_ERROR**2

    def may_become(self, slot: int, level: float, fitted_level: float) -> bool:
        """Whether a fit leaves a level about where it is: points in a wing say little of the money."""
        of_fit = (float(self._slices.rmse_vol[slot]) + self._model.prior_error) / level
        known = math.sqrt(float(self.covariance[slot, slot]) + of_fit * of_fit)
        return abs(math.log(fitted_level / level)) <= self._model.jump_deviations * known

    def levels_and_errors(self, slots: int, now_ns: int) -> tuple[Floats, Floats]:
        """As `Surface.levels_and_errors`."""
        level, error = np.empty(slots), np.empty(slots)
        params, fitted_years, rmse_vol, covariance, wander, unseen_years, quote_error = self.known(now_ns)
        n = slice(slots)
        level_errors(
            params[n], fitted_years[n], rmse_vol[n], covariance, wander[n], unseen_years, quote_error, level, error
        )
        return level, error

    def known(self, now_ns: int) -> Known:
        """What `kernels.levels.level_errors` asks of the slices, and of what is not known of them now."""
        slices = self._slices
        return (
            slices.params,
            slices.fitted_years,
            slices.rmse_vol,
            self.covariance,
            self._wander,
            max(now_ns - self.aged_ns, 0) / NS_PER_YEAR,
            self._model.quote_error,
        )

    def grow(self, slots: int) -> None:
        """Makes room for as many slots."""
        more = slots - len(self._jumps)
        self._jumps = np.concatenate([self._jumps, np.zeros(more, np.int64)])
        self._wander = np.concatenate([self._wander, np.zeros(more)])
        self.covariance = np.pad(self.covariance, (0, more))
