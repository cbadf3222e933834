"""How the total variances of two slices stand to each other at every strike: their least ratio and gap, their wings."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.calendar_plain import FINE_GRID
from flatbook.kernels.jit import compiled, inlined
from flatbook.kernels.svi import deviation_of, sinh_grid, total_variance
from flatbook.kernels.svi_plain import BEND_POINTS, SHARP_BEND

Floats = NDArray[np.float64]

CLOSE: Final = 0.05
"""As a share: what is nearer than this to the least is looked at between grid points, too."""

_POLISH_STEPS: Final = 6


@compiled
def log_rise(near: Floats, far: Floats) -> float:
    """Log of the least w_far / w_near over all k: not negative if and only if the two are in calendar order."""
    unit, s = deviation_of(near), far[4]
    least = _ratio_around(near, far, 0.0, unit, FINE_GRID)
    if s < SHARP_BEND * unit:
        least = min(least, _ratio_around(near, far, far[3], s, sinh_grid(BEND_POINTS, unit / s)))
    least = min(least, far[1] * (1.0 - far[2]) / (near[1] * (1.0 - near[2])))
    least = min(least, far[1] * (1.0 + far[2]) / (near[1] * (1.0 + near[2])))
    return math.log(least) if least > 0.0 else -math.inf


@compiled
def _ratio_around(near: Floats, far: Floats, centre: float, unit: float, grid: Floats) -> float:
    """The least w_far / w_near at every point of a grid and, where that binds, between them."""
    n = grid.size
    ratio, least = np.empty(n), math.inf
    for j in range(n):
        k = centre + unit * grid[j]
        ratio[j] = total_variance(far, k) / total_variance(near, k)
    for j in range(n):
        least = ratio[j] if not ratio[j] >= least else least
    close = (1.0 + CLOSE) * least
    for j in range(1, n - 1):
        # By more than rounding: where two slices are of one shape, every point is as low as its neighbours.
        if ratio[j] < close and ratio[j] < (1.0 - 1e-14) * ratio[j - 1] and ratio[j] <= (1.0 + 1e-14) * ratio[j + 1]:
            lo, k, hi = centre + unit * grid[j - 1], centre + unit * grid[j], centre + unit * grid[j + 1]
            least = min(least, _least_ratio(near, far, lo, k, hi))
    return least


@compiled
def _least_ratio(near: Floats, far: Floats, lo: float, k: float, hi: float) -> float:
    """w_far / w_near at its local minimum in (lo, hi), from `k`, by Newton's steps or halves."""
    least = math.inf
    for _ in range(_POLISH_STEPS):
        one, rise_one, bow_one = curve(near, k)
        two, rise_two, bow_two = curve(far, k)
        least = min(least, two / one)
        rise, bow = rise_two * one - two * rise_one, bow_two * one - two * bow_one
        lo, hi = (k, hi) if rise < 0.0 else (lo, k)
        newton = k - rise / bow if bow > 0.0 else lo
        k = newton if lo < newton < hi else 0.5 * (lo + hi)
    return min(least, total_variance(far, k) / total_variance(near, k))


@compiled
def crosses(near: Floats, far: Floats) -> bool:
    """Whether total variance falls from `near` to `far` at a point of the grid, or in a wing's slope."""
    unit = deviation_of(near)
    below = 0
    for j in range(FINE_GRID.size):
        k = unit * FINE_GRID[j]
        below += 1 if total_variance(far, k) < total_variance(near, k) else 0
    return below > 0 or is_flatter(near, far)


@compiled
def is_flatter(near: Floats, far: Floats) -> bool:
    """Whether a wing of `far` is flatter than the same wing of `near`."""
    left = far[1] * (1.0 - far[2]) < near[1] * (1.0 - near[2])
    return bool(left or far[1] * (1.0 + far[2]) < near[1] * (1.0 + near[2]))


@compiled
def least_gap(near: Floats, far: Floats) -> float:
    """A lower bound of w_far - w_near over all k if it is not negative, given wings no less steep in `far`."""
    unit, s = deviation_of(near), far[4]
    least = _gap_around(near, far, 0.0, unit, FINE_GRID)
    if s < SHARP_BEND * unit:
        least = min(least, _gap_around(near, far, far[3], s, sinh_grid(BEND_POINTS, unit / s)))
    for side in (-1.0, 1.0):
        k = side * unit * FINE_GRID[FINE_GRID.size - 1]
        slope = far[1] * (side + far[2])
        asymptote = far[0] + slope * (k - far[3])
        least = min(least, asymptote - total_variance(near, k))
    return least


@compiled
def _gap_around(near: Floats, far: Floats, centre: float, unit: float, grid: Floats) -> float:
    """The least w_far - w_near at every point of a grid and, where the two are close, between them."""
    n = grid.size
    least, close = math.inf, 0
    for j in range(n):
        k = centre + unit * grid[j]
        w = total_variance(near, k)
        gap = total_variance(far, k) - w
        least = min(least, gap)
        close += 1 if gap < CLOSE * w else 0
    if close > 0:
        # Neighbours that touch may cross between two points.
        for j in range(1, n - 1):
            lo, k, hi = centre + unit * grid[j - 1], centre + unit * grid[j], centre + unit * grid[j + 1]
            least = min(least, _gap_between(near, far, lo, k, hi))
    return least


@compiled
def _gap_between(near: Floats, far: Floats, before: float, k: float, after: float) -> float:
    """w_far - w_near at its least in [before, after] where that is a local minimum around `k`; else at k."""
    at, rise_before, _ = _gap(near, far, before)
    gap, _, _ = _gap(near, far, k)
    end, rise_after, _ = _gap(near, far, after)
    if not (rise_before < 0.0 < rise_after) or min(at, end) < gap:
        return gap
    lo, hi = before, after
    for _ in range(_POLISH_STEPS):
        value, rise, bow = _gap(near, far, k)
        gap = min(gap, value)
        lo, hi = (k, hi) if rise < 0.0 else (lo, k)
        newton = k - rise / bow if bow > 0.0 else lo
        k = newton if lo < newton < hi else 0.5 * (lo + hi)
    return min(gap, _gap(near, far, k)[0])


@inlined
def _gap(near: Floats, far: Floats, k: float) -> tuple[float, float, float]:
    """w_far - w_near and its first two derivatives."""
    one, rise_one, bow_one = curve(near, k)
    two, rise_two, bow_two = curve(far, k)
    return two - one, rise_two - rise_one, bow_two - bow_one


@inlined
def curve(params: Floats, k: float) -> tuple[float, float, float]:
    """w and its first two derivatives."""
    a, b, rho, m, s = params[0], params[1], params[2], params[3], params[4]
    y = k - m
    radius = math.sqrt(y * y + s * s)
    return a + b * (rho * y + radius), b * (rho + y / radius), b * s * s / (radius * radius * radius)
