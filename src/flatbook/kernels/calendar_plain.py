"""Plain numpy twin of `flatbook.kernels.calendar` and `flatbook.kernels.crossing`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.svi_plain import BEND_POINTS, CHECK_END, MIN_VARIANCE, SHARP_BEND, sinh_grid, svi_derivatives

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

IN_ORDER: Final = 0
MENDED: Final = 1
STUCK: Final = 2

APART: Final = 1.01
"""Wings that give way are left this much apart, as a ratio, so that not every move of a level turns them again."""

MOST_SHIFT: Final = 0.02
"""A slice gives way by no more than this share of its variance at the money: more is for its quotes to say."""

LEAST_SHARE: Final = 0.01
"""A slice whose variance falls below this share of that at the money is none to quote on."""

ROUNDING: Final = 1e-12
"""Of a log scale: what sums of moves are off by."""

FINE_GRID: Final = sinh_grid(512, CHECK_END)
"""Where the absence of arbitrage is checked, in standard deviations."""


def limit_scales(order: Ints, slot: int, drift: Floats, params: Floats, most: Floats, least_rise: Floats) -> None:
    """As `calendar.limit_scales`."""
    for near, i in zip([-1, *order.tolist()], order.tolist(), strict=False):
        if slot in (-1, i):
            most[i] = 2.0 * drift[i] + log_room(params[i])
        if near >= 0 and slot in (-1, i, near):
            least_rise[i] = 2.0 * (drift[i] - drift[near]) - log_rise(params[near], params[i])


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
    """As `calendar.settle`."""
    if are_in_order(order, years, fitted_years, drift, most, least_rise):
        return IN_ORDER
    left = years[order] / fitted_years[order]
    scale = 2.0 * drift[order] + np.log(left)
    if not (scale <= most[order] + ROUNDING).all():
        return STUCK
    rise = np.diff(scale) - least_rise[order[1:]]
    now = params[order] * np.column_stack([left, left, *np.ones((3, len(order)))])
    money = np.array([deviation(one) for one in now]) ** 2
    doubt = np.diag(covariance)[order] + rmse[order] ** 2 * years[order] / money
    moved = _order(now, doubt, rise)
    if moved is None:
        return STUCK
    for at, i in enumerate(order.tolist()):
        if moved[at]:
            drift[i] += np.log(deviation(now[at]) / np.sqrt(money[at]))
            params[i] = now[at] / np.array([left[at], left[at], 1.0, 1.0, 1.0])
            limit_scales(order, i, drift, params, most, least_rise)
    return MENDED


def are_in_order(
    order: Ints, years: Floats, fitted_years: Floats, drift: Floats, most: Floats, least_rise: Floats
) -> bool:
    """As `calendar.are_in_order`."""
    scale = 2.0 * drift[order] + np.log(years[order] / fitted_years[order])
    rise = np.diff(scale) - least_rise[order[1:]]
    return bool((scale <= most[order] + ROUNDING).all() and (rise >= -ROUNDING).all())


def _order(now: Floats, doubt: Floats, rise: Floats) -> NDArray[np.bool_] | None:
    """Which slices gave way; None where one may not. `rise` is what the pairs had before any did."""
    moved = np.zeros(len(now), np.bool_)

    def crosses_at(at: int) -> bool:
        known = not (moved[at - 1] or moved[at])
        return bool((rise[at - 1] if known else log_rise(now[at - 1], now[at])) < -ROUNDING)

    pairs = range(1, len(now))
    for at in reversed(pairs):
        if crosses_at(at) and doubt[at - 1] > doubt[at]:
            lowered = _given_way(now[at], now[at - 1], upwards=False)
            if lowered is not None:
                now[at - 1], moved[at - 1] = lowered, True
    for at in pairs:
        if crosses_at(at):
            raised = _given_way(now[at - 1], now[at], upwards=True)
            if raised is None:
                return None
            now[at], moved[at] = raised, True
    return moved


def _given_way(fixed: Floats, moving: Floats, *, upwards: bool) -> Floats | None:
    out, shift = make_way(fixed, moving, APART, upwards=upwards)
    if abs(shift) > MOST_SHIFT * deviation(moving) ** 2:
        return None
    rise = log_rise(fixed, out) if upwards else log_rise(out, fixed)
    return out if rise >= 0.0 and log_room(out) >= 0.0 else None


def make_way(fixed: Floats, moving: Floats, apart: float, *, upwards: bool) -> tuple[Floats, float]:
    """As `calendar.make_way`, on a copy: the slice, and the shift."""
    out = moving.copy()
    own, bound = wings(moving), wings(fixed)
    to = np.where(own < bound, bound * apart, own) if upwards else np.where(own > bound, bound / apart, own)
    if (to != own).any():
        before = variance(out, np.zeros(1))
        out[1], out[2] = 0.5 * to.sum(), (to[1] - to[0]) / to.sum()
        out[0] += float((before - variance(out, np.zeros(1)))[0])
    gap = least_gap(fixed, out) if upwards else least_gap(out, fixed)
    shift = (-gap * (1.0 + 1e-9) + 1e-15) * (1.0 if upwards else -1.0) if gap < 0.0 else 0.0
    out[0] += shift
    return out, shift


def log_room(params: Floats) -> float:
    """As `calendar.log_room`."""
    a, b, rho, m, s = params[:5]
    unit = deviation(params)
    if not a + b * s * np.sqrt(1.0 - rho * rho) > LEAST_SHARE * unit**2:
        return -np.inf
    room = min(2.0 / (b * (1.0 + abs(rho))), _least(lambda k: _room(params, k), unit * FINE_GRID))
    if s < SHARP_BEND * unit:
        room = min(room, _least(lambda k: _room(params, k), m + s * sinh_grid(BEND_POINTS, unit / s)))
    return float(np.log(room)) if room > 0.0 else -np.inf


def _room(params: Floats, k: Floats) -> Floats:
    """The greatest c with A + c B - c^2 C >= 0, by the quadratic formula."""
    w, dw, bow = np.empty((3, k.size))
    svi_derivatives(params[:5], k, w, dw, bow)
    one, two, three = (1.0 - 0.5 * k * dw / w) ** 2, 0.5 * bow - 0.25 * dw**2 / w, dw**2 / 16.0
    root = np.sqrt(two**2 + 4.0 * one * three)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(two >= 0.0, (two + root) / (2.0 * three), 2.0 * one / (root - two)))


def log_rise(near: Floats, far: Floats) -> float:
    """As `crossing.log_rise`."""
    ratio = min(_least(lambda k: variance(far, k) / variance(near, k), k) for k in _looked_at(near, far))
    least = min(ratio, float(np.min(wings(far) / wings(near))))
    return float(np.log(least)) if least > 0.0 else -np.inf


def least_gap(near: Floats, far: Floats) -> float:
    """As `crossing.least_gap`."""
    ends = np.array([-1.0, 1.0])
    at_ends = ends * deviation(near) * CHECK_END
    asymptotes = far[0] + far[1] * (ends + far[2]) * (at_ends - far[3])
    least = min(_least(lambda k: variance(far, k) - variance(near, k), k) for k in _looked_at(near, far))
    return min(least, float(np.min(asymptotes - variance(near, at_ends))))


def _looked_at(near: Floats, far: Floats) -> list[Floats]:
    """Grids on the nearer slice's scale and, where it is sharp, on that of the farther one's bend."""
    unit, m, s = deviation(near), far[3], far[4]
    around_bend = [m + s * sinh_grid(BEND_POINTS, unit / s)] if s < SHARP_BEND * unit else []
    return [unit * FINE_GRID, *around_bend]


def _least(function: Callable[[Floats], Floats], k: Floats) -> float:
    """The least over a grid, looked at closer and closer around the least of it."""
    for _ in range(4):
        value = function(k)
        at = int(np.clip(np.argmin(value), 1, k.size - 2))
        least, k = float(value.min()), np.sort(np.append(k, np.linspace(k[at - 1], k[at + 1], 65)))
    return least


def crosses(near: Floats, far: Floats) -> bool:
    """As `crossing.crosses`."""
    k = deviation(near) * FINE_GRID
    return bool(np.any(variance(far, k) < variance(near, k))) or is_flatter(near, far)


def is_flatter(near: Floats, far: Floats) -> bool:
    """As `crossing.is_flatter`."""
    return bool(np.any(wings(far) < wings(near)))


def wings(params: Floats) -> Floats:
    """Slopes of both wings, the left first."""
    return np.asarray(params[1] * (1.0 + np.array([-1.0, 1.0]) * params[2]))


def variance(params: Floats, k: Floats) -> Floats:
    """w at each k."""
    a, b, rho, m, s = params[:5]
    return np.asarray(a + b * (rho * (k - m) + np.hypot(k - m, s)))


def deviation(params: Floats) -> float:
    """Standard deviation of the log forward by the vol at the money."""
    return float(np.sqrt(max(float(variance(params, np.zeros(1))[0]), MIN_VARIANCE)))
