"""Plain numpy twin of `flatbook.kernels.seeing`."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.calendar_plain import are_in_order, variance
from flatbook.kernels.levels import see_level_plain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REFUSED: Final = 0
BELIEVED: Final = 1
OUT_OF_ORDER: Final = 2
"""Believed, and slices are not free of arbitrage any more."""

NS_PER_YEAR: Final = 365 * 86_400 * 10**9


def see_vol(
    live: Ints,
    slot: int,
    k: float,
    vol: float,
    error_vol: float,
    shape_error: float,
    jump_deviations: float,
    jump_confirmations: int,
    years: Floats,
    fitted_years: Floats,
    rmse: Floats,
    p: Floats,
    params: Floats,
    drift: Floats,
    most: Floats,
    least_rise: Floats,
    jumps: Ints,
) -> int:
    """As `seeing.see_vol`."""
    fair, money = np.sqrt(variance(params[slot], np.array([k, 0.0])) / fitted_years[slot]).tolist()
    surprise = math.log(vol / fair)
    off_shape = float(rmse[slot]) + shape_error * abs(k) / (money * math.sqrt(fitted_years[slot]))
    noise = (error_vol * error_vol + off_shape * off_shape) / (fair * fair)
    if surprise * surprise > jump_deviations**2 * (float(p[slot, slot]) + noise):
        side = 1 if surprise > 0 else -1
        jumps[slot] = jumps[slot] + side if jumps[slot] * side > 0 else side
        if abs(int(jumps[slot])) < jump_confirmations:
            return REFUSED
        p[slot, slot] += surprise * surprise
    jumps[slot] = 0
    see_level_plain(live, slot, surprise, noise, p, params, drift)
    return BELIEVED if are_in_order(live, years, fitted_years, drift, most, least_rise) else OUT_OF_ORDER


def recall(
    seen: Floats,
    seen_ns: Ints,
    held: int,
    now_ns: int,
    drift: float,
    params: Floats,
    fitted_years: float,
    years: float,
    wander: float,
    asked: Floats,
    start: Floats,
) -> float:
    """As `seeing.recall`."""
    k, low, high, error, then = seen[:, :held]
    carried = np.exp(drift - then)
    per_year = wander**2 * float(variance(params, np.zeros(1))[0]) / fitted_years
    asked[0, :held], asked[1, :held], asked[2, :held] = k, low * carried, high * carried
    asked[3, :held] = 0.5 * (asked[1, :held] + asked[2, :held])
    asked[4, :held] = 1.0 / np.sqrt(error**2 + per_year / NS_PER_YEAR * (now_ns - seen_ns[:held]))
    start[:] = params
    start[:2] *= years / fitted_years
    return float(asked[4, :held] @ asked[4, :held])
