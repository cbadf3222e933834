"""The slices that quoting and valuation use: a smile an expiry, always free of arbitrage, at every strike.

A slice is put here only when it is free of butterflies and in calendar order with its neighbours as of now. Afterwards
only its scale changes: time takes variance, which cannot break that, and its level moves, which is checked before it is
published; see `flatbook.kernels.calendar`.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.calendar import STUCK, limit_scales, settle
from flatbook.market.term import TermStructure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NONE: Floats = np.full(5, np.nan)


class Slices:
    """Raw SVI slices by expiry slot, and how far each may move as a whole.

    params          (slots, 5) as fitted, `fitted_years` before expiry, and moved by the level since; NaN where none
    rmse_vol        (slots,) error of each one's fit, in vol
    drift           (slots,) log vol that each level has moved since the start
    years           to each slot's expiry, as of now; negative once past
    live            the slots that have a slice and have not expired, nearest first
    most_scale, least_rise      (slots,) how far each may go, as in `kernels.calendar`

    Invariant   the slices of `live` on the time that is left are free of butterfly and of calendar arbitrage at every
                strike; so they are after any time in which nothing is put or moved
    """

    def __init__(self, slots: int) -> None:
        self.params: Floats = np.full((slots, 5), np.nan)
        self.fitted_years: Floats = np.zeros(slots)
        self.rmse_vol: Floats = np.full(slots, np.nan)
        self.drift: Floats = np.zeros(slots)
        self.years: Floats = np.zeros(0)
        self.live: Ints = np.zeros(0, np.int64)
        self.most_scale: Floats = np.zeros(slots)
        self.least_rise: Floats = np.zeros(slots)

    def advance(self, years: Floats) -> None:
        """Time passes: what has expired lives no more."""
        self.years = years
        expired = 0
        while expired < len(self.live) and years[self.live[expired]] <= 0.0:
            expired += 1
        if expired:
            self.live = self.live[expired:].copy()

    def neighbours(self, slot: int) -> tuple[int, int]:
        """The live slots before and after one in time, -1 where there is none."""
        live: list[int] = self.live.tolist()
        is_live = slot in live
        at = live.index(slot) if is_live else int(np.searchsorted(self.years[self.live], self.years[slot]))
        after = at + 1 if is_live else at
        return live[at - 1] if at > 0 else -1, live[after] if after < len(live) else -1

    def current(self, slot: int) -> Floats:
        """The slice on the time that is left; NaN for no slot, -1."""
        return self.at(slot, float(self.years[slot])) if slot >= 0 else _NONE

    def at(self, slot: int, years: float) -> Floats:
        """The slice's parameters `years` before expiry: the vols of the fit, on what time is left."""
        params: Floats = self.params[slot].copy()
        left = years / self.fitted_years[slot]
        params[0] *= left
        params[1] *= left
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
        return math.sqrt((a + b * (rho * (k - m) + math.sqrt((k - m) ** 2 + s * s))) / years)

    def term(self) -> TermStructure:
        """The live slices as of now, readable at any time."""
        return TermStructure(self.years[self.live], self.slots_at(self.years)[self.live])

    def rise(self, near: Floats, far: Floats) -> float:
        """Log of the least ratio of two slices' total variances: negative where they cross."""
        least_rise = np.zeros(2)
        limit_scales(np.arange(2), -1, np.zeros(2), np.array([near, far]), np.zeros(2), least_rise)
        return -float(least_rise[1])

    def scaled_between(self, slot: int) -> tuple[Floats, list[float]]:
        """A slice that is free of arbitrage between a slot's neighbours, one at least, whatever they are: one of them,
        scaled; and its room, as `put` wants it."""
        near, far = self.neighbours(slot)
        other = near if near >= 0 else far
        of_near, of_far = self.current(near), self.current(far)
        room = float(self.most_scale[other]) - self._scale(other)
        if near < 0:
            grown = math.log(self.years[slot] / self.years[far])
            rises = [math.inf, -grown]
        else:
            rise = self.rise(of_near, of_far) if far >= 0 else math.inf
            grown = max(min(math.log(self.years[slot] / self.years[near]), 0.5 * rise, 0.5 * room), 0.0)
            rises = [grown, rise - grown]
        params = self.current(other)
        params[:2] *= math.exp(grown)
        return params, [room - grown, *rises]

    def put(
        self, slot: int, params: Floats, rmse_vol: float, room: Sequence[float], neighbours: tuple[int, int]
    ) -> None:
        """Publishes a slice fitted between its neighbours as of now.

        `room` is what `kernels.svi_between` says of it: none negative.
        """
        near, far = neighbours
        self._enter(slot)
        self.params[slot], self.fitted_years[slot], self.rmse_vol[slot] = params, self.years[slot], rmse_vol
        scale = self._scale(slot)
        self.most_scale[slot] = scale + room[0]
        if near >= 0:
            self.least_rise[slot] = scale - self._scale(near) - room[1]
        if far >= 0:
            self.least_rise[far] = self._scale(far) - scale - room[2]

    def put_all(self, slots: Ints, params: Floats, rmse_vol: Floats, level_covariance: Floats) -> bool:
        """Publishes several slices as of now if all slices are free of arbitrage with them; else none of them."""
        before = [column.copy() for column in self._columns()]
        live = self.live
        for slot in slots.tolist():
            self._enter(slot)
        self.params[slots], self.fitted_years[slots], self.rmse_vol[slots] = params, self.years[slots], rmse_vol
        limit_scales(self.live, -1, self.drift, self.params, self.most_scale, self.least_rise)
        if self.settle(level_covariance):
            return True
        for column, was in zip(self._columns(), before, strict=True):
            column[...] = was
        self.live = live
        return False

    def settle(self, level_covariance: Floats) -> bool:
        """Ends what arbitrage a move of levels made, if a small turn or shift can: of the one that is doubted more."""
        code = settle(
            self.live,
            self.years,
            self.fitted_years,
            self.rmse_vol,
            level_covariance,
            self.params,
            self.drift,
            self.most_scale,
            self.least_rise,
        )
        return code != STUCK

    def move_back(self, slots: Ints, drift: Floats) -> Floats:
        """Takes back the moves of levels since they had these drifts; the moves, in log vol."""
        moves: Floats = self.drift[slots] - drift
        self.params[slots, :2] *= np.exp(-2.0 * moves)[:, None]
        self.drift[slots] = drift
        return moves

    def grow(self, slots: int) -> None:
        """Makes room for as many slots."""
        more = slots - len(self.drift)
        self.params = np.concatenate([self.params, np.full((more, 5), np.nan)])
        self.rmse_vol = np.concatenate([self.rmse_vol, np.full(more, np.nan)])
        self.fitted_years, self.drift, self.most_scale, self.least_rise = (
            np.concatenate([column, np.zeros(more)])
            for column in (self.fitted_years, self.drift, self.most_scale, self.least_rise)
        )

    def _enter(self, slot: int) -> None:
        if not self.fitted_years[slot] > 0.0:
            at = int(np.searchsorted(self.years[self.live], self.years[slot]))
            self.live = np.insert(self.live, at, slot)

    def _scale(self, slot: int) -> float:
        return 2.0 * float(self.drift[slot]) + math.log(self.years[slot] / self.fitted_years[slot])

    def _columns(self) -> tuple[Floats, ...]:
        return self.params, self.fitted_years, self.rmse_vol, self.drift, self.most_scale, self.least_rise
