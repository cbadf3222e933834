"""Slices fitted to what was seen of them: one between its neighbours, several together, or one not seen yet."""

import math
from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_YEAR
from flatbook.kernels.seeing import recall
from flatbook.kernels.surface_joint import SURFACE_SIZE, fit_surface
from flatbook.kernels.svi_between import BETWEEN_SIZE, ROOM, fit_between
from flatbook.kernels.svi_fit import CONVERGED, OUT_OF_ITERATIONS
from flatbook.market.sightings import RING, Sightings
from flatbook.market.slices import Slices
from flatbook.market.surface_model import SurfaceModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FIRST_FIT_POINTS = 4
"""A slot that holds fewer observations has no shape of its own."""

SEED_RMSE_VOL = 0.05
"""Error of a slice that is read and not fitted, in vol."""

_MID_WEIGHT = 0.05
_NODES = np.linspace(-2.5, 2.5, 11)
"""Where a slice that was not seen yet is read, in standard deviations."""


class Fit(NamedTuple):
    """What came of a fit.

    code        of kernels.surface_joint.SURFACE_CODES
    params      (5,) raw SVI as of now
    rmse_vol    residual, in vol
    weight2     sum of the observations' squared weights, per squared vol
    room        of kernels.svi_between; empty where slices were fitted together
    """

    code: int
    params: Floats
    rmse_vol: float
    weight2: float
    room: Sequence[float]


class Shapes:
    """Fits, all warm from the slices in place and held by them, to the observations of a surface."""

    def __init__(self, model: SurfaceModel, slices: Slices, sightings: Sightings) -> None:
        self._model = model
        self._slices = slices
        self._sightings = sightings
        self._asked: Floats = np.zeros((5, RING))

    def has_own(self, slot: int) -> bool:
        """Whether enough was seen of a slot to fit it."""
        return bool(self._sightings.count[slot] >= FIRST_FIT_POINTS)

    def between(self, slot: int, near: Floats, far: Floats, now_ns: int, *, is_cold: bool = False) -> Fit:
        """One slot's fit above `near` and below `far`, NaN where there is none.

        A cold fit begins from nothing, and takes what was seen as it was.
        """
        slices, model, sightings = self._slices, self._model, self._sightings
        years, drift = float(slices.years[slot]), float(slices.drift[slot])
        if is_cold:
            sightings.forget_drift(slot, drift)
        seen, seen_ns, held = sightings.held(slot)
        wander, start, asked = model.shape_share * model.wander_at(years), np.empty(5), self._asked
        params, fitted_years = slices.params[slot], float(slices.fitted_years[slot])
        weight2 = recall(seen, seen_ns, held, now_ns, drift, params, fitted_years, years, wander, asked, start)
        if is_cold:
            start[:] = np.nan
        k, low, high, mid, weight = asked if held == RING else asked[:, :held]
        pull = 0.0 if is_cold else 1.0 / (model.prior_error + 2.0 * float(slices.rmse_vol[slot]))
        out = np.empty(BETWEEN_SIZE)
        code = fit_between(k, low, high, mid, weight, years, start, start, pull, _MID_WEIGHT, near, far, out)
        return Fit(code, out[:5], float(out[5]), weight2, out[ROOM:].tolist())

    def together(self, slots: Ints, own: Container[int], now_ns: int) -> list[Fit]:
        """The joint fit of neighbouring slots; those not in `own` are held about where they are, as far as known."""
        slices, model = self._slices, self._model
        years, now = slices.years[slots], slices.slots_at(slices.years)[slots]
        level = np.array([slices.vol(slot, 0.0) for slot in slots.tolist()])
        k, low, high, own_error, seen_ns = self._sightings.of_all(slots, slices.drift[slots])
        wander = model.shape_share * level * model.wander(years)
        error = np.sqrt(own_error**2 + wander[:, None] ** 2 / NS_PER_YEAR * (now_ns - seen_ns))
        for at, slot in enumerate(slots.tolist()):
            if slot not in own:
                k[at, : len(_NODES)] = _NODES * level[at] * math.sqrt(years[at])
                vols = [slices.vol(slot, moneyness) for moneyness in k[at, : len(_NODES)].tolist()]
                low[at, : len(_NODES)] = high[at, : len(_NODES)] = vols
                held = model.prior_error + float(slices.rmse_vol[slot])
                error[at] = np.where(np.arange(RING) < len(_NODES), held, np.nan)
        weight = np.nan_to_num(1.0 / error)
        out, code = np.empty((len(slots), SURFACE_SIZE)), np.empty(len(slots), np.int8)
        fit_surface(
            np.arange(0, RING * len(slots) + 1, RING),
            k.ravel(),
            low.ravel(),
            high.ravel(),
            (0.5 * (low + high)).ravel(),
            weight.ravel(),
            years,
            now,
            now,
            1.0 / (model.prior_error + 2.0 * slices.rmse_vol[slots]),
            _MID_WEIGHT,
            out,
            code,
        )
        weight2 = np.sum(weight**2, axis=1)
        return [Fit(int(code[at]), out[at, :5], float(out[at, 5]), float(weight2[at]), ()) for at in range(len(slots))]

    def unseen(self, slot: int) -> Fit:
        """A slice for an expiry of which nothing was seen, read from those that live, one at least: between two of them
        in time, beyond the last at the last one's vols in its own standard deviations. Always free of arbitrage."""
        slices = self._slices
        years, none = float(slices.years[slot]), np.full(5, np.nan)
        near, far = slices.neighbours(slot)
        if near >= 0 and far < 0:
            stretch = math.sqrt(years / slices.years[near])
            money = slices.vol(near, 0.0) * math.sqrt(slices.years[near])
            vol = np.array([slices.vol(near, k) for k in (_NODES * money).tolist()])
            k = _NODES * money * stretch
        else:
            term = slices.term()
            k = _NODES * math.sqrt(float(term.total_variance(0.0, years)))
            vol = term.vol(k, years)
        weight, out = np.full(len(k), 1.0 / SEED_RMSE_VOL), np.empty(BETWEEN_SIZE)
        sides = slices.current(near), slices.current(far)
        code = fit_between(k, vol, vol, vol, weight, years, none, none, 0.0, _MID_WEIGHT, *sides, out)
        weight2 = float(weight @ weight)
        if code in (CONVERGED, OUT_OF_ITERATIONS):
            return Fit(code, out[:5], SEED_RMSE_VOL, weight2, out[ROOM:].tolist())
        params, room = slices.scaled_between(slot)
        return Fit(CONVERGED, params, SEED_RMSE_VOL, weight2, room)
