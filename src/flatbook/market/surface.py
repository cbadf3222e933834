"""The smile of each expiry: a level that all expiries share news of, and an SVI shape fitted to what was seen.

Vols move together, so one observation moves the level of its own expiry and, by their correlation, of every other: one
Kalman filter over the log levels of all expiries. Shapes move slowly: a slice is refitted from time to time to the
last observations, each carried along with the level since it was seen, and held by its own past.

What is published is free of arbitrage after every event, at every strike. A print refits its own slice between its
neighbours, which stand; where that presses it, they are fitted again below and above what it would be alone, and give
way if that costs their observations less. A whole chain fits all expiries together. A move of levels that would make
slices cross turns their wings a little, else has all expiries fitted together, else is not made and leaves doubt.

A fit must also explain its observations, and an observation that would move a level farther than its age allows is
refused until others agree. What is refused leaves the last good slice in place, its error growing, with the reason. A
slice that was only borrowed gives way to any fit of its own: its error says what it is worth.

As of: a slice depends on observations given before and on nothing else.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.seeing import BELIEVED, OUT_OF_ORDER, REFUSED
from flatbook.kernels.surface_joint_plain import CALENDAR_LEFT
from flatbook.kernels.svi_fit import BAD_INPUT, BUTTERFLY_LEFT, TOO_FEW_POINTS
from flatbook.market.expiry_quotes import Bands
from flatbook.market.levels import Known, Levels
from flatbook.market.shapes import SEED_RMSE_VOL, Fit, Shapes
from flatbook.market.sightings import Sightings, thinned
from flatbook.market.slices import Slices
from flatbook.market.surface_model import SliceStatus, SurfaceModel
from flatbook.market.universe import FIRST_SLOTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_HELD = {
    TOO_FEW_POINTS: SliceStatus.HELD_TOO_FEW_POINTS,
    BAD_INPUT: SliceStatus.HELD_BAD_INPUT,
    BUTTERFLY_LEFT: SliceStatus.HELD_BUTTERFLY,
    CALENDAR_LEFT: SliceStatus.HELD_CALENDAR,
}
_ARBITRAGE = (BUTTERFLY_LEFT, CALENDAR_LEFT)
_SEEDED = int(SliceStatus.SEEDED)
_ABOUT_THE_MONEY = 0.5
"""Standard deviations within which a chain's quotes tell levels."""


class Surface:
    """Slices by expiry slot, what is known of their levels, and what they were fitted to.

    Invariant   a slot has a slice once it is SEEDED or FITTED, and keeps it; see `Slices` for what holds of them
    """

    def __init__(self, model: SurfaceModel) -> None:
        self._model = model
        self.slices = Slices(FIRST_SLOTS)
        self.fitted_ns: Ints = np.zeros(FIRST_SLOTS, np.int64)
        self.seen_ns: Ints = np.zeros(FIRST_SLOTS, np.int64)
        self.status: Ints = np.zeros(FIRST_SLOTS, np.int64)
        self._levels = Levels(model, self.slices)
        self._sightings = Sightings(FIRST_SLOTS)
        self._shapes = Shapes(model, self.slices, self._sightings)

    @property
    def aged_ns(self) -> int:
        """What is known is as of then."""
        return self._levels.aged_ns

    @property
    def level_covariance(self) -> Floats:
        """As `Levels.covariance`."""
        return self._levels.covariance

    def is_known(self, slot: int) -> bool:
        """Whether the slot has a slice."""
        return bool(self.fitted_ns[slot] > 0)

    def age(self, years: Floats, now_ns: int) -> None:
        """Brings the surface to now: slices to the `years` left of each slot, and what is not known of levels grows."""
        self.slices.advance(years)
        self._levels.age(now_ns)

    def see(self, slot: int, k: float, vol: float, error_vol: float) -> bool:
        """Takes a vol seen now at log-moneyness `k`: every live level learns of it; says whether it was believed."""
        slices = self.slices
        live, before = slices.live, slices.drift.copy()
        learned = self._learn(slot, k, vol, error_vol)
        if learned == REFUSED:
            return False
        if learned == OUT_OF_ORDER and not (slices.settle(self._levels.covariance) or self._fit_together()):
            self._levels.take_back(live, before[live])
        self._keep(slot, k, vol, vol, error_vol)
        return True

    def see_chain(self, chain: Mapping[int, Bands]) -> None:
        """Takes bands of several slots, quoted now, and fits all shapes together.

        Levels learn of the quotes about the money first, of all expiries: what of a band they do not explain is its
        shape's. Where no fit is in order they are taken back, and shapes fitted one by one.
        """
        slices, model = self.slices, self._model
        for slot, bands in chain.items():
            if not self.is_known(slot):
                self.seed(slot, bands.level)
        live, before = slices.live, slices.drift[slices.live]
        for slot, (k, low, high) in chain.items():
            near = np.abs(k) < _ABOUT_THE_MONEY * slices.vol(slot, 0.0) * math.sqrt(slices.years[slot])
            for at in np.flatnonzero(near).tolist():
                error = math.hypot(model.quote_error, 0.25 * (high[at] - low[at]))
                self._learn(slot, float(k[at]), 0.5 * float(low[at] + high[at]), error)
        for slot, bands in chain.items():
            for k_, low_, high_ in zip(*thinned(bands), strict=True):
                self._keep(slot, k_, low_, high_, model.quote_error)
        is_done = self._fit_together()
        if not is_done:
            self._levels.take_back(live, before)
        for slot in chain:
            if not is_done or SliceStatus(int(self.status[slot])).is_held:
                self.refit(slot)

    def _learn(self, slot: int, k: float, vol: float, error_vol: float) -> int:
        """Moves every live level by what a vol says of it, in order or not; as `Levels.learn`."""
        if self.status[slot] == _SEEDED:
            # A borrowed shape says nothing yet about levels: its own first fit comes before.
            return BELIEVED
        learned = self._levels.learn(slot, k, vol, error_vol)
        if learned == REFUSED:
            self.status[slot] = SliceStatus.HELD_JUMP
        return learned

    def _keep(self, slot: int, k: float, vol_low: float, vol_high: float, error_vol: float) -> None:
        drift = float(self.slices.drift[slot])
        self._sightings.keep(slot, k, vol_low, vol_high, error_vol, drift, self.aged_ns)
        self.seen_ns[slot] = self.aged_ns

    def seed(self, slot: int, vol: float) -> None:
        """Gives an expiry a first slice: read between those that live, or about flat at `vol` where none does."""
        slices = self.slices
        if len(slices.live):
            fit = self._shapes.unseen(slot)
            slices.put(slot, fit.params, fit.rmse_vol, fit.room, slices.neighbours(slot))
        else:
            width = vol * math.sqrt(slices.years[slot])
            flat = np.array([[0.9 * width * width, 0.1 * width, 0.0, 0.0, width]])
            slices.put_all(np.array([slot]), flat, np.array([SEED_RMSE_VOL]), self._levels.covariance)
        self._levels.begin(slot)
        self.fitted_ns[slot] = self.seen_ns[slot] = self.aged_ns
        self.status[slot] = SliceStatus.SEEDED

    def refit(self, slot: int) -> SliceStatus:
        """Fits the slot's shape to what was seen; publishes the fit as of now, or says why not and leaves the last.

        Warm from the slice in place; where that explains too little, from nothing and the vols as seen.
        """
        if self.status[slot] == _SEEDED and not self._shapes.has_own(slot):
            return SliceStatus.SEEDED
        status, fit = self._refit(slot, is_cold=False)
        if status is SliceStatus.HELD_RESIDUAL:
            status, fit = self._refit(slot, is_cold=True)
        self.status[slot] = status
        if status is SliceStatus.HELD_RESIDUAL:
            # The slice in place explains its points no better: it holds the next fit less, and is trusted less.
            self.slices.rmse_vol[slot] = max(float(self.slices.rmse_vol[slot]), fit.rmse_vol)
        return status

    def _refit(self, slot: int, *, is_cold: bool) -> tuple[SliceStatus, Fit]:
        slices = self.slices
        near, far = slices.neighbours(slot)
        fit = self._shapes.between(slot, slices.current(near), slices.current(far), self.aged_ns, is_cold=is_cold)
        status = self._judge(slot, fit)
        pressed = fit.rmse_vol > self._model.pressed_ratio * slices.rmse_vol[slot] or fit.code in _ARBITRAGE
        if pressed and self._make_room(slot, near, far, fit, is_cold=is_cold):
            return SliceStatus.FITTED, fit
        if status is SliceStatus.FITTED:
            slices.put(slot, fit.params, fit.rmse_vol, fit.room, (near, far))
            self.fitted_ns[slot] = self.aged_ns
        return status, fit

    def _make_room(self, slot: int, near: int, far: int, pressed: Fit, *, is_cold: bool) -> bool:
        """Has a slot's neighbours give way to what it would be without them, if that is cheaper; whether they did.

        The cost is in weighted squares of vol, each slot's own. Those beyond the neighbours stand.
        """
        slices, shapes, now_ns = self.slices, self._shapes, self.aged_ns
        beyond = slices.neighbours(near)[0] if near >= 0 else -1, slices.neighbours(far)[1] if far >= 0 else -1
        own = shapes.between(slot, slices.current(beyond[0]), slices.current(beyond[1]), now_ns, is_cold=is_cold)
        if self._judge(slot, own) is not SliceStatus.FITTED:
            return False
        fits, saved = {slot: own}, math.inf
        if pressed.code not in _ARBITRAGE:
            saved = (pressed.rmse_vol**2 - own.rmse_vol**2) * own.weight2
        for other, outer, is_near in ((near, beyond[0], True), (far, beyond[1], False)):
            if other < 0:
                continue
            sides = (slices.current(outer), own.params) if is_near else (own.params, slices.current(outer))
            pair = (slices.current(other), own.params) if is_near else (own.params, slices.current(other))
            if slices.rise(*pair) >= 0.0:
                continue
            if self.status[other] == _SEEDED and not shapes.has_own(other):
                return False
            fits[other] = shapes.between(other, *sides, now_ns)
            if self._judge(other, fits[other]) is not SliceStatus.FITTED:
                return False
            worse = fits[other].rmse_vol ** 2 - float(slices.rmse_vol[other]) ** 2
            saved -= max(worse, 0.0) * fits[other].weight2
        return saved > 0.0 and self._publish(list(fits), list(fits.values()), list(fits))

    def _fit_together(self) -> bool:
        """Fits all live shapes together; those whose fit is refused stand about where they are. Whether that is done:
        else nothing is."""
        live = self.slices.live
        slots = live.tolist()
        own = [slot for slot in slots if self._shapes.has_own(slot)]
        fits = dict(zip(slots, self._shapes.together(live, set(own), self.aged_ns), strict=True))
        judged = {slot: self._judge(slot, fits[slot]) for slot in own}
        refused = {slot: status for slot, status in judged.items() if status is not SliceStatus.FITTED}
        if refused:
            own = [slot for slot in own if slot not in refused]
            fits = dict(zip(slots, self._shapes.together(live, set(own), self.aged_ns), strict=True))
        if not own or any(self._judge(slot, fits[slot]) is not SliceStatus.FITTED for slot in own):
            return False
        if any(fit.code in _HELD for fit in fits.values()) or not self._publish(slots, list(fits.values()), own):
            return False
        for slot, status in refused.items():
            self.status[slot] = status
        return True

    def _publish(self, slots: list[int], fits: list[Fit], own: list[int]) -> bool:
        """Publishes slices that were fitted beside each other, all or none; those not fitted to what is their own keep
        their error and their age."""
        params = np.array([fit.params for fit in fits])
        rmse_vol = np.array(
            [fit.rmse_vol if slot in own else self.slices.rmse_vol[slot] for slot, fit in zip(slots, fits, strict=True)]
        )
        if not self.slices.put_all(np.array(slots), params, rmse_vol, self._levels.covariance):
            return False
        self.fitted_ns[own] = self.aged_ns
        self.status[own] = SliceStatus.FITTED
        return True

    def _judge(self, slot: int, fit: Fit) -> SliceStatus:
        """What becomes of a fit: it must explain what it was fitted to, and leave the level about where it is known."""
        if fit.code in _HELD:
            return _HELD[fit.code]
        if self.status[slot] == _SEEDED:
            return SliceStatus.FITTED
        level = self.slices.vol(slot, 0.0)
        if not fit.rmse_vol <= self._model.residual_limit * level:
            return SliceStatus.HELD_RESIDUAL
        a, b, rho, m, s = fit.params.tolist()
        fitted = math.sqrt((a + b * (-rho * m + math.sqrt(m * m + s * s))) / self.slices.years[slot])
        if not self._levels.may_become(slot, level, fitted):
            return SliceStatus.HELD_JUMP
        return SliceStatus.FITTED

    def points(self, slot: int) -> tuple[Floats, Floats, Floats, Ints]:
        """What the slot's shape is fitted to: log-moneyness, low and high vol at today's level, time seen."""
        seen = self._sightings.of(slot, float(self.slices.drift[slot]))
        return seen.k, seen.low, seen.high, seen.seen_ns

    def at(self, slot: int, years: float) -> Floats:
        """As `Slices.at`."""
        return self.slices.at(slot, years)

    def slots_at(self, years: Floats) -> Floats:
        """As `Slices.slots_at`."""
        return self.slices.slots_at(years)

    def vol(self, slot: int, k: float) -> float:
        """As `Slices.vol`."""
        return self.slices.vol(slot, k)

    @property
    def rmse_vol(self) -> Floats:
        """As `Slices.rmse_vol`."""
        return self.slices.rmse_vol

    def levels(self, slots: int) -> Floats:
        """At-the-money vols of the first `slots` expiries; NaN where there is no slice."""
        return self.levels_and_errors(slots, self.aged_ns)[0]

    def levels_and_errors(self, slots: int, now_ns: int) -> tuple[Floats, Floats]:
        """At-the-money vols, and one standard error of each slice as of now: level, fit, quotes; inf where none."""
        return self._levels.levels_and_errors(slots, now_ns)

    def known(self, now_ns: int) -> Known:
        """As `Levels.known`."""
        return self._levels.known(now_ns)

    def grow(self, slots: int) -> None:
        """Makes room for as many slots."""
        more = slots - len(self.status)
        self.slices.grow(slots)
        self._sightings.grow(slots)
        self._levels.grow(slots)
        self.fitted_ns, self.seen_ns, self.status = (
            np.concatenate([column, np.zeros(more, np.int64)]) for column in (self.fitted_ns, self.seen_ns, self.status)
        )
