"""The search behind SVI fits: Levenberg-Marquardt over packed quotes, in coordinates where the bounds are a box.

A slice is (p, c, a, m, s) here, with the slopes p = b (1 - rho) and c = b (1 + rho) of its wings, and so linear in
three of five. The bounds of `flatbook.kernels.svi` are 0 < p, c <= 2, s > 0 and a least variance a + s sqrt(p c) > 0. A
parameter on its bound whose gradient points outwards is held for that step; where it is the least variance that is
held, the step goes along the surface of slices that have it.

Quotes are columns of one array: what is asked of a slice, whether by a market, by its own past or by its neighbours in
time, is a band of vol with a weight. No column allocates and every sum over columns vectorises.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import compiled, inlined
from flatbook.kernels.svi_fit_plain import (
    BUTTERFLY_MARGIN,
    BUTTERFLY_POINTS,
    CONVERGED,
    MIN_S,
    MIN_SLOPE,
    MIN_VARIANCE,
    OUT_OF_ITERATIONS,
)

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float, float]

# Rows of the packed quotes: log-moneyness; ends of the band, infinite where absent; mid, 0 where absent; squared
# weights of the band and of the mid; the total variance a cold start aims at and its squared weight.
K, LO, HI, MID, W2, PULL, TARGET, SHARE = range(8)
ROWS: Final = 8

# Order of a slice's parameters in steps and normal equations.
P, C, A, M, S = range(5)

_FLAT: Final = 1e-4  # wing slopes below this count as this where the floor's gradient divides by them
_SUMS: Final = 21
_COST: Final = 20
_MAX_STEPS: Final = 60
_COST_TOLERANCE: Final = 1e-7  # relative, and
_VOL_TOLERANCE: Final = 1e-8  # root mean square in vol: the step that promises less than either is the last


@inlined
def workspace() -> Floats:
    """Scratch for `search`: two sets of normal equations and a linear system."""
    return np.empty((2, _SUMS + 30))


@inlined
def to_box(params: Floats) -> Box:
    """(p, c, a, m, s) of raw parameters, moved inside the bounds."""
    b, rho, s = params[1], params[2], max(params[4], MIN_S)
    p = min(max(b * (1.0 - rho), MIN_SLOPE), 2.0)
    c = min(max(b * (1.0 + rho), MIN_SLOPE), 2.0)
    return p, c, max(params[0], MIN_VARIANCE - s * math.sqrt(p * c)), params[3], s


@inlined
def to_raw(x: Box, params: Floats) -> None:
    """Fill `params[:5]` = (a, b, rho, m, s)."""
    p, c, a, m, s = x
    params[0] = a
    params[1] = 0.5 * (p + c)
    params[2] = (c - p) / (c + p)
    params[3] = m
    params[4] = s


@compiled
def search(
    x: Box, quotes: Floats, columns: int, years: float, k_lo: float, k_hi: float, butterfly_weight: float, work: Floats
) -> tuple[Box, int, int]:
    """From `x`, where the first `columns` of `quotes` lead: the slice, the steps taken and a code of `FIT_CODES`.

    [k_lo, k_hi] is the quoted range: m stays within its width of it, and with `butterfly_weight` > 0 Durrleman's g is
    held above 0 there and half its width beyond on each side.
    """
    sums, trial_sums = work[0], work[1]
    negligible = 0.0
    for i in range(columns):
        negligible += quotes[W2, i]
    negligible *= _VOL_TOLERANCE * _VOL_TOLERANCE
    per_year, damping, steps = 1.0 / years, 1e-3, 0
    _all_sums(x, quotes, columns, per_year, k_lo, k_hi, butterfly_weight, sums)
    while steps < _MAX_STEPS:
        steps += 1
        trial, promised = _step(x, sums, damping, k_lo, k_hi)
        if damping <= 1.0 and abs(promised) <= _COST_TOLERANCE * sums[_COST] + negligible:
            return trial, steps, CONVERGED
        _all_sums(trial, quotes, columns, per_year, k_lo, k_hi, butterfly_weight, trial_sums)
        if trial_sums[_COST] <= sums[_COST]:
            x, damping = trial, max(0.1 * damping, 1e-9)
            sums, trial_sums = trial_sums, sums
        else:
            damping *= 8.0
            if damping > 1e8:
                return x, steps, CONVERGED
    return x, steps, OUT_OF_ITERATIONS


@inlined
def _all_sums(
    x: Box,
    quotes: Floats,
    columns: int,
    per_year: float,
    k_lo: float,
    k_hi: float,
    butterfly_weight: float,
    sums: Floats,
) -> None:
    for i in range(_SUMS):
        sums[i] = 0.0
    _quote_sums(x, quotes, columns, per_year, sums)
    if butterfly_weight > 0.0:
        _butterfly_sums(x, k_lo, k_hi, butterfly_weight, sums)


@inlined
def _step(x: Box, sums: Floats, damping: float, k_lo: float, k_hi: float) -> tuple[Box, float]:
    """The damped Gauss-Newton step, cut back to the bounds, and the gain that the linear model promises of it."""
    p, c, a, m, s = x
    system = sums[_SUMS : _SUMS + 30].reshape(5, 6)
    at = 0
    for i in range(5):
        for j in range(i, 5):
            system[i, j] = sums[at]
            system[j, i] = sums[at]
            at += 1
        system[i, 5] = -sums[15 + i]
    floored = a <= MIN_VARIANCE * (1.0 + 1e-9) - s * math.sqrt(p * c) and system[A, 5] < 0.0
    if floored:
        _follow_floor(system, x)
    for i in range(5):
        system[i, i] += damping * system[i, i] + 1e-30
    _hold(system, P, p <= MIN_SLOPE, p >= 2.0)
    _hold(system, C, c <= MIN_SLOPE, c >= 2.0)
    _hold(system, A, floored, False)
    _hold(system, S, s <= MIN_S, False)
    _solve(system)
    width = k_hi - k_lo
    to_p = min(max(p + system[P, 5], MIN_SLOPE), 2.0)
    to_c = min(max(c + system[C, 5], MIN_SLOPE), 2.0)
    to_m = min(max(m + system[M, 5], k_lo - width), k_hi + width)
    to_s = min(max(s + system[S, 5], 0.2 * s, MIN_S), 5.0 * s, 10.0 * (width + MIN_S))
    floor = MIN_VARIANCE - to_s * math.sqrt(to_p * to_c)
    to_a = floor if floored else max(a + system[A, 5], floor)
    moves = (to_p - p, to_c - c, to_a - a, to_m - m, to_s - s)
    promised, at = 0.0, 0
    for i in range(5):
        promised -= (2.0 * sums[15 + i] + sums[at] * moves[i]) * moves[i]
        at += 1
        for j in range(i + 1, 5):
            promised -= 2.0 * sums[at] * moves[i] * moves[j]
            at += 1
    return (to_p, to_c, to_a, to_m, to_s), promised


@inlined
def _follow_floor(system: Floats, x: Box) -> None:
    """Change coordinates so that a moves with p, c and s as the floor -s sqrt(p c) under it does."""
    p, c, _, _, s = x
    root = math.sqrt(max(p, _FLAT) / max(c, _FLAT))
    for i, fall in ((P, 0.5 * s / root), (C, 0.5 * s * root), (S, math.sqrt(p * c))):
        for j in range(6):
            system[i, j] -= fall * system[A, j]
        for j in range(5):
            system[j, i] -= fall * system[j, A]


@inlined
def _hold(system: Floats, i: int, at_least: bool, at_most: bool) -> None:
    """Take parameter `i` out of the step where it is on a bound and the step's gradient points through it."""
    if (at_least and system[i, 5] < 0.0) or (at_most and system[i, 5] > 0.0):
        for j in range(5):
            system[i, j] = 0.0
            system[j, i] = 0.0
        system[i, i] = 1.0
        system[i, 5] = 0.0


@inlined
def _solve(system: Floats) -> None:
    """Solve the symmetric positive definite 5 x 5 `system[:, :5]` for its last column, in place."""
    for i in range(5):
        pivot = 1.0 / system[i, i] if system[i, i] > 0.0 else 0.0
        for row in range(i + 1, 5):
            factor = system[row, i] * pivot
            for j in range(i, 6):
                system[row, j] -= factor * system[i, j]
    for back in range(5):
        i = 4 - back
        total = system[i, 5]
        for j in range(i + 1, 5):
            total -= system[i, j] * system[j, 5]
        system[i, 5] = total / system[i, i] if system[i, i] > 0.0 else 0.0


@compiled
def _quote_sums(x: Box, quotes: Floats, columns: int, per_year: float, sums: Floats) -> None:
    """Add the quotes' normal equations to `sums`: the upper triangle of J'J by rows (15), J'r (5), r'r."""
    p, c, a, m, s = x
    lean, b = 0.5 * (c - p), 0.5 * (c + p)
    pp = pc = pa = pm = ps = cc = ca = cm = cs = aa = am = as_ = mm = ms = ss = 0.0
    gp = gc = ga = gm = gs = cost = 0.0
    k, lo, hi, mid, weight2, pull = quotes[K], quotes[LO], quotes[HI], quotes[MID], quotes[W2], quotes[PULL]
    for i in range(columns):
        y = k[i] - m
        radius = math.sqrt(y * y + s * s)
        sigma = math.sqrt((a + lean * y + b * radius) * per_year)
        per_both = 1.0 / (sigma * radius)
        slope, per_radius = 0.5 * per_year * radius * per_both, sigma * per_both
        excess = max(sigma - hi[i], 0.0) + min(sigma - lo[i], 0.0)
        active = weight2[i] if sigma >= hi[i] or sigma <= lo[i] else 0.0
        off_mid = sigma - mid[i]
        h = slope * slope * (active + pull[i])
        r = slope * (weight2[i] * excess + pull[i] * off_mid)
        cost += weight2[i] * excess * excess + pull[i] * off_mid * off_mid
        jp = 0.5 * (radius - y)
        jc = 0.5 * (radius + y)
        jm = -(lean + b * y * per_radius)
        js = b * s * per_radius
        pp += h * jp * jp
        pc += h * jp * jc
        pa += h * jp
        pm += h * jp * jm
        ps += h * jp * js
        cc += h * jc * jc
        ca += h * jc
        cm += h * jc * jm
        cs += h * jc * js
        aa += h
        am += h * jm
        as_ += h * js
        mm += h * jm * jm
        ms += h * jm * js
        ss += h * js * js
        gp += r * jp
        gc += r * jc
        ga += r
        gm += r * jm
        gs += r * js
    _accumulate(sums, (pp, pc, pa, pm, ps, cc, ca, cm, cs, aa, am, as_, mm, ms, ss, gp, gc, ga, gm, gs, cost))


@inlined
def _accumulate(sums: Floats, added: tuple[float, ...]) -> None:
    for i in range(_SUMS):
        sums[i] += added[i]


@compiled
def _butterfly_sums(x: Box, k_lo: float, k_hi: float, penalty: float, sums: Floats) -> None:
    """Add those of penalty x min(0, g) over the quoted range and half of it beyond on each side."""
    p, c, a, m, s = x
    lean, b = 0.5 * (c - p), 0.5 * (c + p)
    pp = pc = pa = pm = ps = cc = ca = cm = cs = aa = am = as_ = mm = ms = ss = 0.0
    gp = gc = ga = gm = gs = cost = 0.0
    w2 = penalty * penalty / BUTTERFLY_POINTS
    step = 2.0 * (k_hi - k_lo) / (BUTTERFLY_POINTS - 1)
    first = k_lo - 0.5 * (k_hi - k_lo)
    for i in range(BUTTERFLY_POINTS):
        k = first + i * step
        y = k - m
        radius = math.sqrt(y * y + s * s)
        cosine = y / radius
        curl = s * s / (radius * radius * radius)
        w = a + lean * y + b * radius
        dw, d2w = lean + b * cosine, b * curl
        tilt = 1.0 - 0.5 * k * dw / w
        g = tilt * tilt - 0.25 * dw * dw * (1.0 / w + 0.25) + 0.5 * d2w - BUTTERFLY_MARGIN
        live = w2 if g < 0.0 else 0.0
        g_w = (tilt * k * dw + 0.25 * dw * dw) / (w * w)
        g_dw = -tilt * k / w - 0.5 * dw * (1.0 / w + 0.25)
        jp = g_w * (0.5 * (radius - y)) + g_dw * 0.5 * (cosine - 1.0) + 0.25 * curl
        jc = g_w * (0.5 * (radius + y)) + g_dw * 0.5 * (cosine + 1.0) + 0.25 * curl
        ja = g_w
        jm = -g_w * dw - g_dw * d2w + 1.5 * b * curl * cosine / radius
        js = g_w * (b * s / radius) - g_dw * b * s * y / (radius * radius * radius)
        js += 0.5 * b * (2.0 * s / (radius * radius * radius) - 3.0 * s * curl / (radius * radius))
        cost += live * g * g
        pp += live * jp * jp
        pc += live * jp * jc
        pa += live * jp * ja
        pm += live * jp * jm
        ps += live * jp * js
        cc += live * jc * jc
        ca += live * jc * ja
        cm += live * jc * jm
        cs += live * jc * js
        aa += live * ja * ja
        am += live * ja * jm
        as_ += live * ja * js
        mm += live * jm * jm
        ms += live * jm * js
        ss += live * js * js
        gp += live * g * jp
        gc += live * g * jc
        ga += live * g * ja
        gm += live * g * jm
        gs += live * g * js
    _accumulate(sums, (pp, pc, pa, pm, ps, cc, ca, cm, cs, aa, am, as_, mm, ms, ss, gp, gc, ga, gm, gs, cost))


@compiled
def rms_outside(x: Box, quotes: Floats, columns: int, years: float) -> float:
    """Weighted root mean square of the distance from the bands, in vol."""
    p, c, a, m, s = x
    lean, b, per_year = 0.5 * (c - p), 0.5 * (c + p), 1.0 / years
    k, lo, hi, weight2 = quotes[K], quotes[LO], quotes[HI], quotes[W2]
    square, total = 0.0, 0.0
    for i in range(columns):
        y = k[i] - m
        sigma = math.sqrt((a + lean * y + b * math.sqrt(y * y + s * s)) * per_year)
        excess = max(sigma - hi[i], 0.0) + min(sigma - lo[i], 0.0)
        square += weight2[i] * excess * excess
        total += weight2[i]
    return math.sqrt(square / total)
