"""Fit one expiry's smile by raw SVI: Levenberg-Marquardt inside the no-arbitrage bounds, warm-started.

The search runs in the wing slopes p = b (1 - rho) and c = b (1 + rho), the least variance u = a + s sqrt(p c), m and
s, where the bounds of `flatbook.kernels.svi` are a box: 0 < p, c <= 2, u >= 0, s > 0. A parameter on its bound whose
gradient points outwards is held for that step.

Residuals are in vol. A quote is a band [vol_lo, vol_hi]: the residual is the distance to it, zero inside; a NaN end is
absent, so a one-sided quote is an inequality; equal ends are a point. What quotes leave open is closed by two weak
pulls: to the mids, and to a prior slice at five points of its own scale, so that a few ageing quotes cannot throw the
smile.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import svi_fit_plain
from flatbook.kernels.jit import Arg, compiled, inlined, kernel
from flatbook.kernels.svi import durrleman_min, total_variance
from flatbook.kernels.svi_fit_plain import (
    BAD_INPUT,
    BUTTERFLY_LEFT,
    BUTTERFLY_MARGIN,
    BUTTERFLY_POINTS,
    BUTTERFLY_ROUNDS,
    CONVERGED,
    FIT_CODES,
    FIT_SIZE,
    MIN_S,
    MIN_SLOPE,
    MIN_VARIANCE,
    OUT_OF_ITERATIONS,
    PRIOR_NODES,
    TOO_FEW_POINTS,
)

__all__ = [
    "BAD_INPUT",
    "BUTTERFLY_LEFT",
    "CONVERGED",
    "FIT_CODES",
    "FIT_SIZE",
    "OUT_OF_ITERATIONS",
    "PRIOR_NODES",
    "TOO_FEW_POINTS",
    "fit_slice",
]

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float, float]
SUMS: Final = 21
COST: Final = 20

_MAX_ITERATIONS: Final = 60
_COST_TOLERANCE: Final = 1e-9  # relative, and
_VOL_TOLERANCE: Final = 1e-9  # root mean square in vol: a gain below either ends the search
_GUESS_S: Final = (0.2, 0.7, 2.0)  # curvature and
_GUESS_M: Final = (-0.6, 0.0, 0.6)  # centre tried by a cold start, in standard deviations

# Rows of the workspace: a column for each usable quote, then one for each node of the prior.
_K, _LO, _HI, _MID, _W2, _PULL = range(6)


@kernel(
    *[Arg.IN] * 5,
    Arg.FLOAT,
    Arg.IN,
    Arg.IN,
    *[Arg.FLOAT] * 3,
    Arg.OUT,
    plain=svi_fit_plain.fit_slice,
)
def fit_slice(
    k: Floats,
    vol_lo: Floats,
    vol_hi: Floats,
    vol_mid: Floats,
    weight: Floats,
    years: float,
    start: Floats,
    prior: Floats,
    prior_weight: float,
    mid_weight: float,
    butterfly_weight: float,
    out: Floats,
) -> int:
    """Fit `out[:5]` = (a, b, rho, m, s) to quotes and return a code of `FIT_CODES`; `out` has length `FIT_SIZE`.

    k ln(strike/forward); vol_lo, vol_hi, vol_mid decimal vols, NaN where absent; weight >= 0 per quote, relative. A
    quote without any of the three counts for nothing. `start` (5) with NaN first asks for a cold start. `prior` (5)
    holds the slice with `prior_weight` per node (0, or NaN first: no prior); `mid_weight` multiplies the quote's
    weight in the pull to its mid. `butterfly_weight` > 0 asks for Durrleman's g >= 0 over the quoted range and half of
    it beyond on each side, by a penalty on that weight which grows until it suffices; where it does not, the code is
    BUTTERFLY_LEFT. out[5] is the weighted root mean square of the distance to the bands in vol, out[6] the
    iterations, out[7] the number of quotes used. With TOO_FEW_POINTS or BAD_INPUT the parameters are NaN.
    """
    for i in range(FIT_SIZE):
        out[i] = np.nan
    if not (years > 0.0 and math.isfinite(years)):
        return BAD_INPUT
    quotes = np.empty((6, k.size + len(PRIOR_NODES)))
    used = _pack(k, vol_lo, vol_hi, vol_mid, weight, mid_weight, quotes)
    if used < 0:
        return BAD_INPUT
    out[7] = used
    columns = used
    if prior_weight > 0.0 and math.isfinite(prior[0]):
        columns = _append_prior(prior, prior_weight, years, quotes, used)
    if columns < 5 or used == 0:
        return TOO_FEW_POINTS
    quotes = quotes[:, :columns]
    if math.isfinite(start[0]):
        x = _to_box(start[0], start[1], start[2], start[3], start[4])
    else:
        x = _cold_start(quotes, years)
    x, iterations, code = _search(x, quotes, 1.0 / years, butterfly_weight)
    _to_raw(x, out)
    for _ in range(BUTTERFLY_ROUNDS):
        if butterfly_weight <= 0.0 or _least_g(out, quotes) >= 0.0:
            break
        butterfly_weight *= 10.0
        x, more, code = _search(x, quotes, 1.0 / years, butterfly_weight)
        iterations += more
        _to_raw(x, out)
    if butterfly_weight > 0.0 and _least_g(out, quotes) < 0.0:
        code = BUTTERFLY_LEFT
    out[5] = _rms_outside(x, quotes[:, :used], 1.0 / years)
    out[6] = iterations
    return code


@inlined
def _pack(
    k: Floats, vol_lo: Floats, vol_hi: Floats, vol_mid: Floats, weight: Floats, mid_weight: float, quotes: Floats
) -> int:
    """Fill a column for each quote that says something; their number, or -1 where one of them has no strike."""
    used = 0
    for i in range(k.size):
        has_lo, has_hi, has_mid = vol_lo[i] >= 0.0, vol_hi[i] < math.inf, vol_mid[i] > 0.0
        if weight[i] > 0.0 and (has_lo or has_hi or has_mid):
            if not (math.isfinite(k[i]) and math.isfinite(weight[i])):
                return -1
            w2 = weight[i] * weight[i]
            quotes[_K, used] = k[i]
            quotes[_LO, used] = vol_lo[i] if has_lo else -math.inf
            quotes[_HI, used] = vol_hi[i] if has_hi else math.inf
            quotes[_MID, used] = vol_mid[i] if has_mid else 0.0
            quotes[_W2, used] = w2
            quotes[_PULL, used] = w2 * mid_weight * mid_weight if has_mid else 0.0
            used += 1
    return used


@inlined
def _append_prior(prior: Floats, prior_weight: float, years: float, quotes: Floats, used: int) -> int:
    """Add the prior's vols at `PRIOR_NODES` as point quotes; the number of columns."""
    deviation = math.sqrt(max(total_variance(prior, 0.0), MIN_VARIANCE))
    for j in range(len(PRIOR_NODES)):
        k = PRIOR_NODES[j] * deviation
        vol = math.sqrt(max(total_variance(prior, k), MIN_VARIANCE) / years)
        quotes[_K, used + j] = k
        quotes[_LO, used + j] = quotes[_HI, used + j] = quotes[_MID, used + j] = vol
        quotes[_W2, used + j] = prior_weight * prior_weight
        quotes[_PULL, used + j] = 0.0
    return used + len(PRIOR_NODES)


@inlined
def _to_raw(x: Box, out: Floats) -> None:
    p, c, u, m, s = x
    out[0] = u - s * math.sqrt(p * c)
    out[1] = 0.5 * (p + c)
    out[2] = (c - p) / (c + p)
    out[3] = m
    out[4] = s


@inlined
def _least_g(params: Floats, quotes: Floats) -> float:
    """Least g over the quoted range and half of it beyond on each side, on a finer grid than the penalty's."""
    k_lo, k_hi = quotes[_K, 0], quotes[_K, 0]
    for i in range(quotes.shape[1]):
        k_lo, k_hi = min(k_lo, quotes[_K, i]), max(k_hi, quotes[_K, i])
    width = k_hi - k_lo
    return durrleman_min(params, k_lo - 0.5 * width, k_hi + 0.5 * width, 4 * BUTTERFLY_POINTS)


@inlined
def _to_box(a: float, b: float, rho: float, m: float, s: float) -> Box:
    """(p, c, u, m, s) of raw parameters, moved inside the bounds."""
    s = max(s, MIN_S)
    p = min(max(b * (1.0 - rho), MIN_SLOPE), 2.0)
    c = min(max(b * (1.0 + rho), MIN_SLOPE), 2.0)
    return p, c, max(a + s * math.sqrt(p * c), MIN_VARIANCE), m, s


@inlined
def _search(x: Box, quotes: Floats, per_year: float, butterfly_weight: float) -> tuple[Box, int, int]:
    """Levenberg-Marquardt from `x`: where it ends, after how many steps, and why."""
    k_lo, k_hi = quotes[_K, 0], quotes[_K, 0]
    negligible = 0.0
    for i in range(quotes.shape[1]):
        negligible += quotes[_W2, i] * _VOL_TOLERANCE * _VOL_TOLERANCE
        k_lo, k_hi = min(k_lo, quotes[_K, i]), max(k_hi, quotes[_K, i])
    sums, trial_sums, system = np.empty(SUMS), np.empty(SUMS), np.empty((5, 6))
    _all_sums(x, quotes, per_year, k_lo, k_hi, butterfly_weight, sums)
    damping = 1e-3
    for iteration in range(1, _MAX_ITERATIONS + 1):
        trial = _step(x, sums, damping, k_lo, k_hi, system)
        _all_sums(trial, quotes, per_year, k_lo, k_hi, butterfly_weight, trial_sums)
        gain = sums[COST] - trial_sums[COST]
        if gain >= 0.0:
            done = gain <= _COST_TOLERANCE * sums[COST] + negligible
            x, damping = trial, max(0.1 * damping, 1e-9)
            sums, trial_sums = trial_sums, sums
            if done:
                return x, iteration, CONVERGED
        else:
            damping *= 8.0
            if damping > 1e8:
                return x, iteration, CONVERGED
    return x, _MAX_ITERATIONS, OUT_OF_ITERATIONS


@inlined
def _all_sums(
    x: Box, quotes: Floats, per_year: float, k_lo: float, k_hi: float, butterfly_weight: float, sums: Floats
) -> None:
    for i in range(SUMS):
        sums[i] = 0.0
    _quote_sums(x, quotes, per_year, sums)
    if butterfly_weight > 0.0:
        _butterfly_sums(x, k_lo, k_hi, butterfly_weight, sums)


@inlined
def _step(x: Box, sums: Floats, damping: float, k_lo: float, k_hi: float, system: Floats) -> Box:
    """The damped Gauss-Newton step, cut back to the box; parameters pressed against a bound stay there."""
    p, c, u, m, s = x
    at = 0
    for i in range(5):
        for j in range(i, 5):
            system[i, j] = sums[at]
            system[j, i] = sums[at]
            at += 1
        system[i, 5] = -sums[15 + i]
    for i in range(5):
        system[i, i] += damping * system[i, i] + 1e-30
    _hold(system, 0, p <= MIN_SLOPE, p >= 2.0)
    _hold(system, 1, c <= MIN_SLOPE, c >= 2.0)
    _hold(system, 2, u <= MIN_VARIANCE, False)
    _hold(system, 4, s <= MIN_S, False)
    _solve(system)
    width = k_hi - k_lo
    p = min(max(p + system[0, 5], MIN_SLOPE), 2.0)
    c = min(max(c + system[1, 5], MIN_SLOPE), 2.0)
    u = max(u + system[2, 5], MIN_VARIANCE)
    m = min(max(m + system[3, 5], k_lo - width), k_hi + width)
    s = min(max(s + system[4, 5], 0.2 * s, MIN_S), 5.0 * s, 10.0 * (width + MIN_S))
    return p, c, u, m, s


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
def _quote_sums(x: Box, quotes: Floats, per_year: float, sums: Floats) -> None:
    """Add the quotes' normal equations to `sums`: the upper triangle of J'J by rows (15), J'r (5), r'r."""
    p, c, u, m, s = x
    root, lean, b = math.sqrt(p * c), 0.5 * (c - p), 0.5 * (c + p)
    half_sp, half_sc = 0.5 * s * c / root, 0.5 * s * p / root
    pp = pc = pu = pm = ps = cc = cu = cm = cs = uu = um = us = mm = ms = ss = 0.0
    gp = gc = gu = gm = gs = cost = 0.0
    k, lo, hi, mid, weight2, pull = quotes[_K], quotes[_LO], quotes[_HI], quotes[_MID], quotes[_W2], quotes[_PULL]
    for i in range(quotes.shape[1]):
        y = k[i] - m
        radius = math.sqrt(y * y + s * s)
        sigma = math.sqrt((u - s * root + lean * y + b * radius) * per_year)
        slope = 0.5 * per_year / sigma
        excess = max(sigma - hi[i], 0.0) + min(sigma - lo[i], 0.0)
        active = weight2[i] if sigma >= hi[i] or sigma <= lo[i] else 0.0
        off_mid = sigma - mid[i]
        h = slope * slope * (active + pull[i])
        r = slope * (weight2[i] * excess + pull[i] * off_mid)
        cost += weight2[i] * excess * excess + pull[i] * off_mid * off_mid
        jp = 0.5 * (radius - y) - half_sp
        jc = 0.5 * (radius + y) - half_sc
        jm = -(lean + b * y / radius)
        js = b * s / radius - root
        pp += h * jp * jp
        pc += h * jp * jc
        pu += h * jp
        pm += h * jp * jm
        ps += h * jp * js
        cc += h * jc * jc
        cu += h * jc
        cm += h * jc * jm
        cs += h * jc * js
        uu += h
        um += h * jm
        us += h * js
        mm += h * jm * jm
        ms += h * jm * js
        ss += h * js * js
        gp += r * jp
        gc += r * jc
        gu += r
        gm += r * jm
        gs += r * js
    _accumulate(sums, (pp, pc, pu, pm, ps, cc, cu, cm, cs, uu, um, us, mm, ms, ss, gp, gc, gu, gm, gs, cost))


@inlined
def _accumulate(sums: Floats, added: tuple[float, ...]) -> None:
    for i in range(SUMS):
        sums[i] += added[i]


@compiled
def _butterfly_sums(x: Box, k_lo: float, k_hi: float, penalty: float, sums: Floats) -> None:
    """Add those of penalty x min(0, g) over the quoted range and half of it beyond on each side."""
    p, c, u, m, s = x
    root, lean, b = math.sqrt(p * c), 0.5 * (c - p), 0.5 * (c + p)
    half_sp, half_sc = 0.5 * s * c / root, 0.5 * s * p / root
    pp = pc = pu = pm = ps = cc = cu = cm = cs = uu = um = us = mm = ms = ss = 0.0
    gp = gc = gu = gm = gs = cost = 0.0
    w2 = penalty * penalty / BUTTERFLY_POINTS
    step = 2.0 * (k_hi - k_lo) / (BUTTERFLY_POINTS - 1)
    first = k_lo - 0.5 * (k_hi - k_lo)
    for i in range(BUTTERFLY_POINTS):
        k = first + i * step
        y = k - m
        radius = math.sqrt(y * y + s * s)
        cosine = y / radius
        curl = s * s / (radius * radius * radius)
        w = u - s * root + lean * y + b * radius
        dw, d2w = lean + b * cosine, b * curl
        tilt = 1.0 - 0.5 * k * dw / w
        g = tilt * tilt - 0.25 * dw * dw * (1.0 / w + 0.25) + 0.5 * d2w - BUTTERFLY_MARGIN
        live = w2 if g < 0.0 else 0.0
        g_w = (tilt * k * dw + 0.25 * dw * dw) / (w * w)
        g_dw = -tilt * k / w - 0.5 * dw * (1.0 / w + 0.25)
        jp = g_w * (0.5 * (radius - y) - half_sp) + g_dw * 0.5 * (cosine - 1.0) + 0.25 * curl
        jc = g_w * (0.5 * (radius + y) - half_sc) + g_dw * 0.5 * (cosine + 1.0) + 0.25 * curl
        ju = g_w
        jm = -g_w * dw - g_dw * d2w + 1.5 * b * curl * cosine / radius
        js = g_w * (b * s / radius - root) - g_dw * b * s * y / (radius * radius * radius)
        js += 0.5 * b * (2.0 * s / (radius * radius * radius) - 3.0 * s * curl / (radius * radius))
        cost += live * g * g
        pp += live * jp * jp
        pc += live * jp * jc
        pu += live * jp * ju
        pm += live * jp * jm
        ps += live * jp * js
        cc += live * jc * jc
        cu += live * jc * ju
        cm += live * jc * jm
        cs += live * jc * js
        uu += live * ju * ju
        um += live * ju * jm
        us += live * ju * js
        mm += live * jm * jm
        ms += live * jm * js
        ss += live * js * js
        gp += live * g * jp
        gc += live * g * jc
        gu += live * g * ju
        gm += live * g * jm
        gs += live * g * js
    _accumulate(sums, (pp, pc, pu, pm, ps, cc, cu, cm, cs, uu, um, us, mm, ms, ss, gp, gc, gu, gm, gs, cost))


@inlined
def _rms_outside(x: Box, quotes: Floats, per_year: float) -> float:
    """Weighted root mean square of the distance from the bands, in vol."""
    p, c, u, m, s = x
    root, lean, b = math.sqrt(p * c), 0.5 * (c - p), 0.5 * (c + p)
    square, total = 0.0, 0.0
    for i in range(quotes.shape[1]):
        y = quotes[_K, i] - m
        sigma = math.sqrt((u - s * root + lean * y + b * math.sqrt(y * y + s * s)) * per_year)
        excess = max(sigma - quotes[_HI, i], 0.0) + min(sigma - quotes[_LO, i], 0.0)
        square += quotes[_W2, i] * excess * excess
        total += quotes[_W2, i]
    return math.sqrt(square / total)


@inlined
def _cold_start(quotes: Floats, years: float) -> Box:
    """The best of nine slices, each linear least squares in (a, p, c) at a trial centre m and curvature s."""
    deviation = _typical_vol(quotes) * math.sqrt(years)
    best, least = (MIN_SLOPE, MIN_SLOPE, max(deviation * deviation, MIN_VARIANCE), 0.0, deviation + MIN_S), math.inf
    moments = np.empty((3, 4))
    for i in range(len(_GUESS_S)):
        for j in range(len(_GUESS_M)):
            m, s = _GUESS_M[j] * deviation, max(_GUESS_S[i] * deviation, MIN_S)
            x, cost = _linear_fit(quotes, years, m, s, moments)
            if cost < least:
                best, least = x, cost
    return best


@inlined
def _target_vol(quotes: Floats, i: int) -> float:
    """The vol a quote points at: its mid, else the middle of its band, else its one end."""
    lo, hi, mid = float(quotes[_LO, i]), float(quotes[_HI, i]), float(quotes[_MID, i])
    if mid > 0.0:
        return mid
    if hi == math.inf:
        return lo
    if lo == -math.inf:
        return hi
    return 0.5 * (lo + hi)


@inlined
def _typical_vol(quotes: Floats) -> float:
    """Mean vol of the quotes, those nearest the money counting most."""
    farthest = 1e-12
    for i in range(quotes.shape[1]):
        farthest = max(farthest, abs(quotes[_K, i]))
    total, mass = 0.0, 0.0
    for i in range(quotes.shape[1]):
        z = 8.0 * quotes[_K, i] / farthest
        weight = 1.0 / (1.0 + z * z)
        total += weight * _target_vol(quotes, i)
        mass += weight
    return total / mass


@inlined
def _linear_fit(quotes: Floats, years: float, m: float, s: float, moments: Floats) -> tuple[Box, float]:
    """Least squares of w = a + p (R - y)/2 + c (R + y)/2 on target variances, in the box, and its cost in vol."""
    moments[:] = 0.0
    for i in range(quotes.shape[1]):
        y = quotes[_K, i] - m
        radius = math.sqrt(y * y + s * s)
        vol = _target_vol(quotes, i)
        row = (1.0, 0.5 * (radius - y), 0.5 * (radius + y), vol * vol * years)
        weight = quotes[_W2, i] / (vol * vol)
        for one in range(3):
            for two in range(4):
                moments[one, two] += weight * row[one] * row[two]
    for i in range(3):
        moments[i, i] *= 1.0 + 1e-9
    for i in range(3):
        for row_at in range(i + 1, 3):
            factor = moments[row_at, i] / moments[i, i]
            for j in range(i, 4):
                moments[row_at, j] -= factor * moments[i, j]
    c = moments[2, 3] / moments[2, 2]
    p = (moments[1, 3] - moments[1, 2] * c) / moments[1, 1]
    a = (moments[0, 3] - moments[0, 1] * p - moments[0, 2] * c) / moments[0, 0]
    p, c = min(max(p, MIN_SLOPE), 2.0), min(max(c, MIN_SLOPE), 2.0)
    root = math.sqrt(p * c)
    u = max(a + s * root, MIN_VARIANCE)
    cost = 0.0
    for i in range(quotes.shape[1]):
        y = quotes[_K, i] - m
        w = u - s * root + 0.5 * (c - p) * y + 0.5 * (c + p) * math.sqrt(y * y + s * s)
        off = math.sqrt(w / years) - _target_vol(quotes, i)
        cost += quotes[_W2, i] * off * off
    return (p, c, u, m, s), cost
