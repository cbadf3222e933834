"""The smile of each expiry: a level that all expiries share news of, and an SVI shape fitted to what was seen.

Vols move together, so one observation moves the level of its own expiry and, by their correlation, of every other: one
Kalman filter over the log levels of all expiries. Shapes move slowly: a slice is refitted from time to time to the
last observations, each carried along with the level since it was seen, and held by its own past.

A fit must pass guards before it is published to quoting: it must explain its observations and leave no butterfly
arbitrage; and an observation that would move a level farther than its age allows is refused until others agree. What
is refused leaves the last good slice in place, its error growing, with the reason. Calendar arbitrage between
neighbours is removed by moving the one that is known less well, by exactly the gap.

As of: a slice depends on observations given before and on nothing else.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_MINUTE, NS_PER_YEAR
from flatbook.kernels.calendar import order_slices
from flatbook.kernels.levels import age_levels, level_errors, see_level
from flatbook.kernels.svi import durrleman_min
from flatbook.kernels.svi_fit import BAD_INPUT, FIT_SIZE, TOO_FEW_POINTS, fit_slice
from flatbook.market.universe import MAX_SLOTS

Floats = NDArray[np.float64]

RING = 64
_GUARD_POINTS = 25
_FIRST_FIT_POINTS = 4
_MONTH_YEARS = 30 / 365


class SliceStatus(IntEnum):
    """What became of an expiry's last observation or fit."""

    NEVER_FITTED = 0
    FITTED = 1
    SEEDED = 2
    HELD_TOO_FEW_POINTS = 3
    HELD_RESIDUAL = 4
    HELD_JUMP = 5
    HELD_BUTTERFLY = 6
    HELD_BAD_INPUT = 7


@dataclass(frozen=True, slots=True)
class SurfaceModel:
    """How smiles are believed to move and be seen.

    vol_of_vol          relative standard deviation of a 30-day vol over a year; other tenors by `tenor_power`
    tenor_power         vol of vol goes with (30 days / tenor) to this power, tenors under a day counting as a day
    tenor_correlation   of two levels, per unit of log tenor between them
    shape_share         standard deviation of a smile's shape against its level's, at one deviation of moneyness
    quote_error         standard error of a seen vol beside its band, in vol
    shape_error         standard error of a slice's vol per deviation of moneyness, in vol: what of a surprise in a
                        wing is the wing's and not the level's
    prior_error         standard error with which the last good shape still holds, in vol
    residual_limit      a fit whose residual is a larger share of its level than this is refused
    jump_deviations     an observation beyond this many standard deviations of its expectation is refused ...
    jump_confirmations  ... until this many in a row on one side ask for it
    reach_deviations    the butterfly guard looks at log-moneyness out to this many standard deviations
    calendar_deviations the calendar guard does out to this many of the nearer expiry: beyond, its wing is a guess, and
                        a whole slice would be moved for it
    """

    vol_of_vol: float = 1.0
    tenor_power: float = 0.45
    tenor_correlation: float = 0.9
    shape_share: float = 0.3
    quote_error: float = 0.0015
    shape_error: float = 0.006
    prior_error: float = 0.006
    residual_limit: float = 0.05
    jump_deviations: float = 6.0
    jump_confirmations: int = 3
    reach_deviations: float = 3.0
    calendar_deviations: float = 2.0

    def wander(self, years: Floats) -> Floats:
        """Relative standard deviation per square root of a year of a vol level at each tenor."""
        power: Floats = (_MONTH_YEARS / np.maximum(years, 1 / 365)) ** self.tenor_power
        return self.vol_of_vol * power


class Surface:
    """SVI slices by expiry slot, and the covariance of what is not known of their levels.

    Invariant   `params[slot]` is NaN until the slot is SEEDED or FITTED; afterwards it is free of butterfly arbitrage
                and in calendar order with its neighbours on the guarded range, at `fitted_years[slot]`;
                `level_covariance` of the live slots is symmetric positive definite, as of `aged_ns`
    """

    def __init__(self, model: SurfaceModel) -> None:
        self._model = model
        self.params: Floats = np.full((MAX_SLOTS, 5), np.nan)
        self.fitted_years: Floats = np.zeros(MAX_SLOTS)
        self.fitted_ns: NDArray[np.int64] = np.zeros(MAX_SLOTS, np.int64)
        self.seen_ns: NDArray[np.int64] = np.zeros(MAX_SLOTS, np.int64)
        self.rmse_vol: Floats = np.full(MAX_SLOTS, np.nan)
        self.status: NDArray[np.int64] = np.zeros(MAX_SLOTS, np.int64)
        self.level_covariance: Floats = np.zeros((MAX_SLOTS, MAX_SLOTS))
        self.aged_ns = 0
        self._jumps: NDArray[np.int64] = np.zeros(MAX_SLOTS, np.int64)
        self._seen: NDArray[np.int64] = np.zeros(MAX_SLOTS, np.int64)
        self._drift: Floats = np.zeros(MAX_SLOTS)
        self._ring: Floats = np.zeros((MAX_SLOTS, 5, RING))
        self._ring_ns: NDArray[np.int64] = np.zeros((MAX_SLOTS, RING), np.int64)
        self._fit: Floats = np.zeros(FIT_SIZE)
        self._tenors_ns = 0
        self._wander: Floats = np.zeros(MAX_SLOTS)
        self._log_tenor: Floats = np.zeros(0)
        self._live: NDArray[np.int64] = np.zeros(0, np.int64)

    def is_known(self, slot: int) -> bool:
        """Whether the slot has a slice."""
        return bool(self.fitted_ns[slot] > 0)

    def see(self, slot: int, k: float, vol: float, error_vol: float, live: NDArray[np.int64], now_ns: int) -> bool:
        """Takes a vol seen at log-moneyness `k`: every live level learns of it; says whether it was believed.

        `live` is what `age` returned at `now_ns`, `slot` among them.
        """
        if self.status[slot] == SliceStatus.SEEDED:
            # A borrowed shape says nothing yet about levels: its own first fit comes before.
            self._keep(slot, k, vol, vol, error_vol, now_ns)
            return True
        fair = self.vol(slot, k)
        surprise = math.log(vol / fair)
        width = self.vol(slot, 0.0) * math.sqrt(self.fitted_years[slot])
        off_shape = float(self.rmse_vol[slot]) + self._model.shape_error * abs(k) / width
        noise = (error_vol * error_vol + off_shape * off_shape) / (fair * fair)
        expected = float(self.level_covariance[slot, slot]) + noise
        if surprise * surprise > self._model.jump_deviations**2 * expected:
            if not self._is_confirmed(slot, surprise):
                self.status[slot] = SliceStatus.HELD_JUMP
                return False
            self.level_covariance[slot, slot] += surprise * surprise
        self._jumps[slot] = 0
        see_level(live, slot, surprise, noise, self.level_covariance, self.params, self._drift)
        self._keep(slot, k, vol, vol, error_vol, now_ns)
        return True

    def see_band(self, slot: int, k: float, vol_low: float, vol_high: float, now_ns: int) -> None:
        """Takes a quoted band for the next fit of the slot's shape; a NaN end is absent."""
        self._keep(slot, k, vol_low, vol_high, self._model.quote_error, now_ns)

    def _is_confirmed(self, slot: int, surprise: float) -> bool:
        side = 1 if surprise > 0 else -1
        self._jumps[slot] = self._jumps[slot] + side if self._jumps[slot] * side > 0 else side
        return abs(int(self._jumps[slot])) >= self._model.jump_confirmations

    def _keep(self, slot: int, k: float, vol_low: float, vol_high: float, error_vol: float, now_ns: int) -> None:
        at = int(self._seen[slot]) % RING
        self._ring[slot, :, at] = (k, vol_low, vol_high, error_vol, self._drift[slot])
        self._ring_ns[slot, at] = now_ns
        self._seen[slot] += 1
        self.seen_ns[slot] = now_ns

    def age(self, years: Floats, now_ns: int) -> NDArray[np.int64]:
        """Lets what is not known of the live levels grow until now; returns which are live: known, and not expired,
        nearest first.

        `years` to each slot's expiry may be a minute old: tenors move slowly.
        """
        if self._tenors_ns == 0 or now_ns - self._tenors_ns >= NS_PER_MINUTE or len(years) != len(self._log_tenor):
            self._tenors_ns = now_ns
            self._wander[: len(years)] = self._model.wander(years)
            self._log_tenor = np.log(np.maximum(years, 1 / 365))
            known = (self.fitted_ns[: len(years)] > 0) & (years > 0)
            self._live = np.argsort(np.where(known, years, np.inf), kind="stable")[: known.sum()].astype(np.int64)
        elapsed = (now_ns - self.aged_ns) / NS_PER_YEAR if self.aged_ns else 0.0
        if elapsed > 0.0 and len(self._live):
            correlation = self._model.tenor_correlation
            age_levels(self._live, self._wander, self._log_tenor, correlation, elapsed, self.level_covariance)
        self.aged_ns = now_ns
        return self._live

    def points(self, slot: int) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
        """What the slot's shape is fitted to: log-moneyness, low and high vol at today's level, time seen."""
        held = min(int(self._seen[slot]), RING)
        k, low, high, _, drift = self._ring[slot, :, :held]
        carried = np.exp(self._drift[slot] - drift)
        return k, low * carried, high * carried, self._ring_ns[slot, :held]

    def at(self, slot: int, years: float) -> Floats:
        """The slice's parameters `years` before expiry: the vols of the fit, on what time is left."""
        params: Floats = self.params[slot].copy()
        params[:2] *= years / self.fitted_years[slot]
        return params

    def slots_at(self, years: Floats) -> Floats:
        """`at` for the first len(years) slots; an expired one is scaled to nothing."""
        n = len(years)
        scaled = self.params[:n].copy()
        left = np.maximum(years, 0.0) / np.maximum(self.fitted_years[:n], 1e-12)
        scaled[:, :2] *= left[:, None]
        return scaled

    def vol(self, slot: int, k: float) -> float:
        """The slice's vol at log-moneyness `k`; NaN where there is no slice."""
        years = float(self.fitted_years[slot])
        if years <= 0.0:
            return math.nan
        a, b, rho, m, s = self.params[slot].tolist()
        variance = a + b * (rho * (k - m) + math.sqrt((k - m) ** 2 + s * s))
        return math.sqrt(max(variance, 0.0) / years)

    def levels(self, slots: int) -> Floats:
        """At-the-money vols of the first `slots` expiries; NaN where there is no slice."""
        return self.levels_and_errors(slots, self.aged_ns)[0]

    def levels_and_errors(self, slots: int, now_ns: int) -> tuple[Floats, Floats]:
        """At-the-money vols, and one standard error of each slice as of now: level, fit, quotes; inf where none."""
        level, error = np.empty(slots), np.empty(slots)
        n = slice(slots)
        level_errors(
            self.params[n],
            self.fitted_years[n],
            self.rmse_vol[n],
            self.level_covariance,
            self._wander[n],
            max(now_ns - self.aged_ns, 0) / NS_PER_YEAR,
            self._model.quote_error,
            level,
            error,
        )
        return level, error

    def seed(self, slot: int, years: float, vol: float, neighbour: int | None, now_ns: int) -> None:
        """Gives a new expiry a first slice: its neighbour's in standardised moneyness, or a flat one at `vol`."""
        if neighbour is not None:
            stretch = years / self.fitted_years[neighbour]
            root = math.sqrt(stretch)
            self.params[slot] = self.params[neighbour] * np.array([stretch, root, 1.0, root, root])
        else:
            width = vol * math.sqrt(years)
            self.params[slot] = (0.9 * width * width, 0.1 * width, 0.0, 0.0, width)
        self.rmse_vol[slot] = 0.05
        self.level_covariance[slot, :] = self.level_covariance[:, slot] = 0.0
        self.level_covariance[slot, slot] = 0.1**2
        self.fitted_years[slot] = years
        self.fitted_ns[slot] = self.seen_ns[slot] = now_ns
        self.status[slot] = SliceStatus.SEEDED
        self._tenors_ns = 0

    def refit(self, slot: int, years: float, now_ns: int) -> SliceStatus:
        """Fits the slot's shape to its ring as of now; publishes the fit, or says why not and leaves the last one."""
        status = self._try_fit(slot, years, now_ns)
        self.status[slot] = status
        if status is SliceStatus.FITTED:
            self.params[slot] = self._fit[:5]
            self.fitted_years[slot] = years
            self.fitted_ns[slot] = now_ns
            self.rmse_vol[slot] = self._fit[5]
        elif status is SliceStatus.HELD_RESIDUAL:
            # The slice in place explains its points no better: it holds the next fit less, and is trusted less.
            self.rmse_vol[slot] = max(float(self.rmse_vol[slot]), float(self._fit[5]))
        return status

    def _try_fit(self, slot: int, years: float, now_ns: int) -> SliceStatus:
        """Warm from the slice in place; where that explains too little, from nothing and the vols as seen."""
        level = self.vol(slot, 0.0)
        prior = self.at(slot, years)
        prior_error = self._model.prior_error + 2.0 * float(self.rmse_vol[slot])
        if self.status[slot] == SliceStatus.SEEDED and self._seen[slot] < _FIRST_FIT_POINTS:
            return SliceStatus.SEEDED
        status = self._fit_once(slot, years, now_ns, level, prior, 1.0 / prior_error)
        if status is SliceStatus.HELD_RESIDUAL:
            self._ring[slot, 4] = self._drift[slot]
            status = self._fit_once(slot, years, now_ns, level, np.full(5, np.nan), 0.0)
        return status

    def _fit_once(
        self, slot: int, years: float, now_ns: int, level: float, start: Floats, prior_weight: float
    ) -> SliceStatus:
        k, low, high, seen_ns = self.points(slot)
        own_error = self._ring[slot, 3, : len(k)]
        wander = self._model.shape_share * level * float(self._model.wander(np.array([years]))[0])
        error = np.sqrt(own_error**2 + wander**2 * (now_ns - seen_ns) / NS_PER_YEAR)
        mid = 0.5 * (low + high)
        code = fit_slice(k, low, high, mid, 1.0 / error, years, start, start, prior_weight, 0.05, 0.0, self._fit)
        if code == TOO_FEW_POINTS:
            return SliceStatus.HELD_TOO_FEW_POINTS
        if code == BAD_INPUT:
            return SliceStatus.HELD_BAD_INPUT
        return self._guard(slot, years, level)

    def _guard(self, slot: int, years: float, level: float) -> SliceStatus:
        model = self._model
        if not self._fit[5] <= model.residual_limit * level:
            return SliceStatus.HELD_RESIDUAL
        a, b, rho, m, s = self._fit[:5].tolist()
        variance = max(a + b * (-rho * m + math.sqrt(m * m + s * s)), 1e-12)
        if self.status[slot] != SliceStatus.SEEDED and not self._may_move(slot, level, math.sqrt(variance / years)):
            return SliceStatus.HELD_JUMP
        reach = model.reach_deviations * math.sqrt(variance)
        if not durrleman_min(self._fit[:5], -reach, reach, _GUARD_POINTS) >= 0.0:
            return SliceStatus.HELD_BUTTERFLY
        return SliceStatus.FITTED

    def _may_move(self, slot: int, level: float, fitted_level: float) -> bool:
        """Whether a fit leaves the level where the level filter has it: points in a wing say little of the money."""
        of_fit = (float(self.rmse_vol[slot]) + self._model.prior_error) / level
        known = math.sqrt(float(self.level_covariance[slot, slot]) + of_fit * of_fit)
        return abs(math.log(fitted_level / level)) <= self._model.jump_deviations * known

    def keep_calendar_order(self, years: Floats) -> None:
        """Moves whole slices until total variance rises with expiry; what they were fitted to is carried along."""
        live = self._live[years[self._live] > 0]
        left = years / np.maximum(self.fitted_years[: len(years)], 1e-12)
        level = self.levels(len(years))
        doubt = np.diag(self.level_covariance)[: len(years)] + (self.rmse_vol[: len(years)] / level) ** 2
        order_slices(live, left, doubt, self._model.calendar_deviations, self.params, self._drift)
