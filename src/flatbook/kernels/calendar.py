"""Slices that move as wholes, kept free of arbitrage: how far each may go, and which gives way where one must.

Between fits a slice changes nothing but its scale: its level moves, and time takes variance. At c times its total
variance Durrleman's g is A + c B - c^2 C with A, C >= 0, so a slice is free of butterflies up to a greatest scale and
at every smaller one; and two slices are in calendar order while the ratio of their scales stays above a least value.
So a move of levels is checked against one number a slice and one a pair, and time alone breaks neither: of two
expiries it takes the greater share from the nearer.

Where a move would cross, wings are turned about the money until they are in order, and what crosses then is ended by a
shift of the whole slice: the nearer one's where it is doubted more, else the farther one's.

Source of the conditions: Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces", Quantitative Finance
14(1), sections 2 and 3.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import calendar_plain
from flatbook.kernels.calendar_plain import APART, FINE_GRID, IN_ORDER, LEAST_SHARE, MENDED, MOST_SHIFT, ROUNDING, STUCK
from flatbook.kernels.crossing import CLOSE, curve, least_gap, log_rise
from flatbook.kernels.jit import Arg, compiled, inlined, kernel
from flatbook.kernels.svi import deviation_of, sinh_grid, total_variance
from flatbook.kernels.svi_plain import BEND_POINTS, SHARP_BEND

__all__ = ["IN_ORDER", "MENDED", "STUCK", "are_in_order", "limit_scales", "settle"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ZOOMS: Final = 3
_ZOOM_POINTS: Final = 17


@kernel(Arg.IN_INT, Arg.INT, Arg.IN, Arg.IN_2D, *[Arg.OUT] * 2, plain=calendar_plain.limit_scales)
def limit_scales(order: Ints, slot: int, drift: Floats, params: Floats, most: Floats, least_rise: Floats) -> None:
    """Fill the greatest log scale of `slot`, and the least rise of log scales within each pair that it is one of.

    Shapes      order (m,) slots by expiry, `slot` among them, or -1 for all of them; params (slots, 5) raw SVI; the
                others (slots,)
    Units       the log scale of a slice is 2 drift plus the log of the share of its variance that is left; the rise of
                a slot is over the slot before it in `order`
    """
    for at in range(order.size):
        i, near = order[at], order[max(at - 1, 0)]
        if slot in (-1, i):
            most[i] = 2.0 * drift[i] + log_room(params[i])
        if at > 0 and slot in (-1, i, near):
            least_rise[i] = 2.0 * (drift[i] - drift[near]) - log_rise(params[near], params[i])


@kernel(Arg.IN_INT, *[Arg.IN] * 3, Arg.IN_2D, Arg.OUT_2D, *[Arg.OUT] * 3, plain=calendar_plain.settle)
def settle(
    order: Ints,
    years: Floats,
    fitted_years: Floats,
    rmse: Floats,
    covariance: Floats,
    params: Floats,
    drift: Floats,
    most: Floats,
    least_rise: Floats,
) -> int:
    """Make slices whose scales moved free of arbitrage again: IN_ORDER if they are, MENDED, or STUCK and untouched.

    Shapes      as `limit_scales`, whose numbers are kept up; years, fitted_years, rmse (slots,): time left, time left
                at the fit, its error in vol; covariance (>= slots, >= slots) of the log levels
    Domain      STUCK where a slice would have butterflies, or would have to shift by more than MOST_SHIFT of its
                variance at the money; `drift` moves along with what is shifted
    """
    if are_in_order(order, years, fitted_years, drift, most, least_rise):
        return IN_ORDER
    m = order.size
    scale, rise, moved = np.empty(m), np.empty(m), np.zeros(m, np.bool_)
    for at in range(m):
        i = order[at]
        scale[at] = 2.0 * drift[i] + math.log(years[i] / fitted_years[i])
        if not scale[at] <= most[i] + ROUNDING:
            return STUCK
        rise[at] = scale[at] - scale[at - 1] - least_rise[i] if at > 0 else 0.0
    now, doubt = np.empty((m, 5)), np.empty(m)
    for at in range(m):
        i = order[at]
        now[at] = params[i]
        now[at, :2] *= years[i] / fitted_years[i]
        doubt[at] = covariance[i, i] + rmse[i] * rmse[i] * years[i] / total_variance(now[at], 0.0)
    if not _order(now, rise, moved, doubt):
        return STUCK
    for at in range(m):
        i = order[at]
        if moved[at]:
            left = years[i] / fitted_years[i]
            drift[i] += 0.5 * math.log(total_variance(now[at], 0.0) / (left * total_variance(params[i], 0.0)))
            scale[at] = 2.0 * drift[i] + math.log(left)
            most[i] = scale[at] + log_room(now[at])
            params[i] = now[at]
            params[i, :2] /= left
        if at > 0 and (moved[at] or moved[at - 1]):
            least_rise[i] = scale[at] - scale[at - 1] - rise[at]
    return MENDED


@compiled
def are_in_order(
    order: Ints, years: Floats, fitted_years: Floats, drift: Floats, most: Floats, least_rise: Floats
) -> bool:
    """Whether no slice's scale is beyond its greatest, and no pair's rise below its least."""
    before = -math.inf
    for at in range(order.size):
        i = order[at]
        scale = 2.0 * drift[i] + math.log(years[i] / fitted_years[i])
        if not scale <= most[i] + ROUNDING or (at > 0 and scale - before - least_rise[i] < -ROUNDING):
            return False
        before = scale
    return True


@compiled
def _order(now: Floats, rise: Floats, moved: NDArray[np.bool_], doubt: Floats) -> bool:
    """Let slices give way, inwards where the nearer is doubted more, then outwards; whether that ended all crossing."""
    m = doubt.size
    trial = np.empty(5)
    for at in range(m - 1, 0, -1):
        if rise[at] < -ROUNDING and doubt[at - 1] > doubt[at] and _give_way(now[at], now[at - 1], False, trial):
            now[at - 1], moved[at - 1] = trial, True
            rise[at] = log_rise(now[at - 1], now[at])
            if at > 1:
                rise[at - 1] = log_rise(now[at - 2], now[at - 1])
    for at in range(1, m):
        if rise[at] < -ROUNDING:
            if not _give_way(now[at - 1], now[at], True, trial):
                return False
            now[at], moved[at] = trial, True
            rise[at] = log_rise(now[at - 1], now[at])
            if at + 1 < m:
                rise[at + 1] = log_rise(now[at], now[at + 1])
    return True


@compiled
def _give_way(fixed: Floats, moving: Floats, upwards: bool, out: Floats) -> bool:
    """Fill `out` with a slice moved above (or below) `fixed`; whether it may stay there."""
    out[:] = moving
    if not abs(make_way(fixed, out, upwards, APART)) <= MOST_SHIFT * total_variance(moving, 0.0):
        return False
    rise = log_rise(fixed, out) if upwards else log_rise(out, fixed)
    return rise >= 0.0 and log_room(out) >= 0.0


@compiled
def make_way(fixed: Floats, moving: Floats, upwards: bool, apart: float) -> float:
    """Turn a slice's wings about the money until they are in order with those of `fixed`, `apart` as a ratio where they
    were not; then shift it by the gap that is left: the shift, in total variance."""
    p, c = moving[1] * (1.0 - moving[2]), moving[1] * (1.0 + moving[2])
    p_fixed, c_fixed = fixed[1] * (1.0 - fixed[2]), fixed[1] * (1.0 + fixed[2])
    if upwards:
        p_to, c_to = p_fixed * apart if p < p_fixed else p, c_fixed * apart if c < c_fixed else c
    else:
        p_to, c_to = p_fixed / apart if p > p_fixed else p, c_fixed / apart if c > c_fixed else c
    if p_to != p or c_to != c:
        before = total_variance(moving, 0.0)
        moving[1], moving[2] = 0.5 * (p_to + c_to), (c_to - p_to) / (c_to + p_to)
        moving[0] += before - total_variance(moving, 0.0)
    gap = least_gap(fixed, moving) if upwards else least_gap(moving, fixed)
    if not gap < 0.0:
        return 0.0
    shift = -gap * (1.0 + 1e-9) + 1e-15
    shift = shift if upwards else -shift
    moving[0] += shift
    return shift


@compiled
def log_room(params: Floats) -> float:
    """Log of the greatest scale at which a slice is free of butterflies, over the whole axis; -inf where there is none.

    That is Lee's bound on its wings, and Durrleman's g; a slice whose variance nearly vanishes somewhere has no room.
    """
    b, rho, m, s = params[1], params[2], params[3], params[4]
    if not params[0] + b * s * math.sqrt(1.0 - rho * rho) > LEAST_SHARE * total_variance(params, 0.0):
        return -math.inf
    unit = deviation_of(params)
    room = min(2.0 / (b * (1.0 + abs(rho))), _room_around(params, 0.0, unit, FINE_GRID))
    if s < SHARP_BEND * unit:
        room = min(room, _room_around(params, m, s, sinh_grid(BEND_POINTS, unit / s)))
    return math.log(room) if room > 0.0 else -math.inf


@compiled
def _room_around(params: Floats, centre: float, unit: float, grid: Floats) -> float:
    """The greatest scale that leaves g >= 0 at every point of a grid and, where that binds, between them."""
    n = grid.size
    room, least = np.empty(n), math.inf
    for j in range(n):
        room[j] = _room_at(params, centre + unit * grid[j])
    for j in range(n):
        least = room[j] if not room[j] >= least else least
    close = (1.0 + CLOSE) * least
    for j in range(1, n - 1):
        if room[j] < close and room[j] <= room[j - 1] and room[j] <= room[j + 1]:
            least = min(least, _least_room(params, centre + unit * grid[j - 1], centre + unit * grid[j + 1]))
    return least


@compiled
def _least_room(params: Floats, lo: float, hi: float) -> float:
    """The least of `_room_at` in an interval with one dip, looked at closer and closer."""
    least = math.inf
    for _ in range(_ZOOMS):
        step, at = (hi - lo) / (_ZOOM_POINTS - 1), lo
        for j in range(_ZOOM_POINTS):
            room = _room_at(params, lo + step * j)
            if room < least:
                least, at = room, lo + step * j
        lo, hi = at - step, at + step
    return least


@inlined
def _room_at(params: Floats, k: float) -> float:
    """The greatest c with A + c B - c^2 C >= 0 at one k."""
    w, dw, bow = curve(params, k)
    lean = 1.0 - 0.5 * k * dw / w
    one, two, three = lean * lean, 0.5 * bow - 0.25 * dw * dw / w, 0.0625 * dw * dw
    root = math.sqrt(two * two + 4.0 * one * three) + abs(two)
    return root / (2.0 * three) if two >= 0.0 else 2.0 * one / root
