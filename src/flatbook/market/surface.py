"""The smile of each expiry: an SVI slice fitted to what was seen, guarded, and as old as its last good fit.

An observation is a vol band at a log-moneyness, with an error of its own that grows with age as vols wander. A fit
must pass three guards before it is published to quoting: it must explain its observations, must not jump farther than
its age allows unless the jump is seen repeatedly, and must leave no butterfly arbitrage. A refused fit leaves the last
good slice in place, ageing, with the reason. Calendar arbitrage against a neighbour is removed by moving the staler
slice, in parallel, by exactly the gap: the newest information wins.

As of: a slice depends on observations given before and on nothing else.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_YEAR
from flatbook.kernels.svi import calendar_gap, durrleman_min
from flatbook.kernels.svi_fit import BAD_INPUT, FIT_SIZE, TOO_FEW_POINTS, fit_slice
from flatbook.market.universe import MAX_SLOTS

Floats = NDArray[np.float64]

RING = 96
_GUARD_POINTS = 25
_MONTH_YEARS = 30 / 365


class SliceStatus(IntEnum):
    """What became of an expiry's last fit."""

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
    quote_error         standard error of a seen vol beside its band, in vol
    prior_error         standard error with which the last good slice still holds right after it was fitted, in vol
    residual_limit      a fit whose weighted residual is larger than this many standard errors is refused
    jump_deviations     an at-the-money move beyond this many standard deviations of its age is refused ...
    jump_confirmations  ... until this many observations in a row ask for it
    reach_deviations    guards look at log-moneyness out to this many standard deviations
    """

    vol_of_vol: float = 1.0
    tenor_power: float = 0.45
    quote_error: float = 0.004
    prior_error: float = 0.01
    residual_limit: float = 6.0
    jump_deviations: float = 5.0
    jump_confirmations: int = 3
    reach_deviations: float = 4.0

    def wander(self, vol: float, years: float, age_ns: int) -> float:
        """Standard deviation of how far a vol has moved since it was seen, in vol."""
        tenor = max(years, 1 / 365)
        per_root_year: float = self.vol_of_vol * (_MONTH_YEARS / tenor) ** self.tenor_power
        return vol * per_root_year * math.sqrt(age_ns / NS_PER_YEAR)


class Surface:
    """SVI slices by expiry slot.

    Invariant   `params[slot]` is NaN until the slot is SEEDED or FITTED; afterwards it is free of butterfly arbitrage
                and in calendar order with its neighbours on the guarded range, at `fitted_years[slot]`
    """

    def __init__(self, model: SurfaceModel) -> None:
        self._model = model
        self.params: Floats = np.full((MAX_SLOTS, 5), np.nan)
        self.fitted_years: Floats = np.zeros(MAX_SLOTS)
        self.fitted_ns: NDArray[np.int64] = np.zeros(MAX_SLOTS, np.int64)
        self.rmse_vol: Floats = np.full(MAX_SLOTS, np.nan)
        self.status: NDArray[np.int64] = np.zeros(MAX_SLOTS, np.int64)
        self.jumps: NDArray[np.int64] = np.zeros(MAX_SLOTS, np.int64)
        self.seen: NDArray[np.int64] = np.zeros(MAX_SLOTS, np.int64)
        self._k: Floats = np.zeros((MAX_SLOTS, RING))
        self._low: Floats = np.zeros((MAX_SLOTS, RING))
        self._high: Floats = np.zeros((MAX_SLOTS, RING))
        self._mid: Floats = np.zeros((MAX_SLOTS, RING))
        self._error: Floats = np.zeros((MAX_SLOTS, RING))
        self._ns: NDArray[np.int64] = np.zeros((MAX_SLOTS, RING), np.int64)
        self._fit: Floats = np.zeros(FIT_SIZE)

    def observe(self, slot: int, k: float, vol_low: float, vol_high: float, error_vol: float, now_ns: int) -> None:
        """Takes a vol band at log-moneyness `k`; equal ends are a point, a NaN end is absent."""
        at = int(self.seen[slot]) % RING
        self._k[slot, at] = k
        self._low[slot, at] = vol_low
        self._high[slot, at] = vol_high
        self._mid[slot, at] = 0.5 * (vol_low + vol_high)
        self._error[slot, at] = error_vol
        self._ns[slot, at] = now_ns
        self.seen[slot] += 1

    def points(self, slot: int) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
        """What the slot's ring holds: log-moneyness, low and high vol, time seen."""
        held = min(int(self.seen[slot]), RING)
        return self._k[slot, :held], self._low[slot, :held], self._high[slot, :held], self._ns[slot, :held]

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
        a, b, rho, m, s = self.params[slot]
        variance = a + b * (rho * (k - m) + math.sqrt((k - m) ** 2 + s * s))
        return math.sqrt(max(variance, 0.0) / self.fitted_years[slot]) if self.fitted_years[slot] > 0 else math.nan

    def levels(self, slots: int) -> Floats:
        """At-the-money vols of the first `slots` expiries; NaN where there is no slice."""
        a, b, rho, m, s = self.params[:slots].T
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = a + b * (-rho * m + np.sqrt(m * m + s * s))
            return np.asarray(np.sqrt(np.maximum(variance, 0.0) / self.fitted_years[:slots]))

    def vol_errors(self, years: Floats, now_ns: int) -> Floats:
        """One standard error of each published slice: fit, quotes and age together, in vol; inf where there is none."""
        n = len(years)
        model = self._model
        per_root_year = model.vol_of_vol * (_MONTH_YEARS / np.maximum(years, 1 / 365)) ** model.tenor_power
        age = np.maximum(now_ns - self.fitted_ns[:n], 0) / NS_PER_YEAR
        aged = self.levels(n) ** 2 * per_root_year**2 * age
        error = np.sqrt(model.quote_error**2 + np.nan_to_num(self.rmse_vol[:n]) ** 2 + aged)
        return np.where(self.fitted_ns[:n] > 0, error, np.inf)

    def seed(self, slot: int, years: float, vol: float, neighbour: int | None, now_ns: int) -> None:
        """Gives a new expiry a first slice: its neighbour's in standardised moneyness, or a flat one at `vol`."""
        if neighbour is not None:
            stretch = years / self.fitted_years[neighbour]
            root = math.sqrt(stretch)
            self.params[slot] = self.params[neighbour] * np.array([stretch, root, 1.0, root, root])
            self.rmse_vol[slot] = self._model.wander(vol, years, NS_PER_YEAR // 365)
        else:
            width = vol * math.sqrt(years)
            self.params[slot] = (0.9 * width * width, 0.1 * width, 0.0, 0.0, width)
            self.rmse_vol[slot] = 0.1 * vol
        self.fitted_years[slot] = years
        self.fitted_ns[slot] = now_ns
        self.status[slot] = SliceStatus.SEEDED

    def refit(self, slot: int, years: float, now_ns: int) -> SliceStatus:
        """Fits the slot to its ring as of now; publishes the fit, or says why not and leaves the last good one."""
        status = self._try_fit(slot, years, now_ns)
        self.status[slot] = status
        if status is SliceStatus.FITTED:
            self.params[slot] = self._fit[:5]
            self.fitted_years[slot] = years
            self.fitted_ns[slot] = now_ns
            self.rmse_vol[slot] = self._fit[5]
        return status

    def _try_fit(self, slot: int, years: float, now_ns: int) -> SliceStatus:
        model = self._model
        held = min(int(self.seen[slot]), RING)
        level = self.vol(slot, 0.0)
        per_root_ns = model.wander(level, years, 1)
        error = np.hypot(self._error[slot, :held], per_root_ns * np.sqrt(now_ns - self._ns[slot, :held]))
        prior = self.at(slot, years)
        drift = model.wander(level, years, now_ns - int(self.fitted_ns[slot]))
        prior_error = math.hypot(model.prior_error, drift)
        if self.status[slot] == SliceStatus.SEEDED:
            prior_error = math.hypot(prior_error, float(self.rmse_vol[slot]))
        code = fit_slice(
            self._k[slot, :held],
            self._low[slot, :held],
            self._high[slot, :held],
            self._mid[slot, :held],
            1.0 / error,
            years,
            prior,
            prior,
            1.0 / prior_error,
            0.05,
            0.0,
            self._fit,
        )
        if code == TOO_FEW_POINTS:
            return SliceStatus.HELD_TOO_FEW_POINTS
        if code == BAD_INPUT:
            return SliceStatus.HELD_BAD_INPUT
        return self._guard(slot, years, level, drift, float(np.min(error)))

    def _guard(self, slot: int, years: float, level: float, drift: float, least_error: float) -> SliceStatus:
        model = self._model
        if not self._fit[5] <= model.residual_limit * max(least_error, model.quote_error):
            return SliceStatus.HELD_RESIDUAL
        a, b, rho, m, s = self._fit[:5]
        new_level = math.sqrt(max(a + b * (-rho * m + math.sqrt(m * m + s * s)), 0.0) / years)
        allowed = model.jump_deviations * math.hypot(model.prior_error, drift)
        if self.status[slot] != SliceStatus.SEEDED and abs(new_level - level) > allowed:
            self.jumps[slot] += 1
            if self.jumps[slot] < model.jump_confirmations:
                return SliceStatus.HELD_JUMP
        self.jumps[slot] = 0
        reach = model.reach_deviations * new_level * math.sqrt(years)
        if not durrleman_min(self._fit[:5], -reach, reach, _GUARD_POINTS) >= 0.0:
            return SliceStatus.HELD_BUTTERFLY
        return SliceStatus.FITTED

    def keep_calendar_order(self, slot: int, slots_by_expiry: NDArray[np.int64], years: Floats) -> None:
        """Lifts or lowers the staler of `slot` and each neighbour until total variance rises with expiry."""
        known = [int(other) for other in slots_by_expiry if self.fitted_ns[other] > 0 and years[other] > 0]
        at = known.index(slot)
        for i in range(at, 0, -1):
            if not self._separate(known[i - 1], known[i], years):
                break
        for i in range(at, len(known) - 1):
            if not self._separate(known[i], known[i + 1], years):
                break

    def _separate(self, near: int, far: int, years: Floats) -> bool:
        near_slice, far_slice = self.at(near, float(years[near])), self.at(far, float(years[far]))
        reach = self._model.reach_deviations * self.vol(near, 0.0) * math.sqrt(years[near])
        gap = calendar_gap(near_slice, far_slice, -reach, reach, _GUARD_POINTS)
        if gap >= 0.0:
            return False
        lowered = near_slice.copy()
        lowered[0] += 1.001 * gap
        near_is_staler = self.fitted_ns[near] < self.fitted_ns[far]
        if near_is_staler and durrleman_min(lowered, -reach, reach, _GUARD_POINTS) >= 0.0 and _floor(lowered) > 0.0:
            self.params[near, 0] += 1.001 * gap * self.fitted_years[near] / years[near]
        else:
            self.params[far, 0] -= 1.001 * gap * self.fitted_years[far] / years[far]
        return True


def _floor(params: Floats) -> float:
    a, b, rho, _, s = params
    return float(a + b * s * math.sqrt(1.0 - rho * rho))
