"""What is asked of a slice, as columns: quotes, its own past; and where a cold start begins.

The rows of the table are those of `flatbook.kernels.svi_search`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import compiled, inlined
from flatbook.kernels.svi import total_variance
from flatbook.kernels.svi_fit_plain import MIN_S, MIN_SLOPE, PRIOR_NODES, TYPICAL_WING
from flatbook.kernels.svi_plain import MIN_VARIANCE
from flatbook.kernels.svi_search import HI, LO, MID, PULL, SHARE, TARGET, W2, Box, K, Wings, wings_of

Floats = NDArray[np.float64]

_GUESS_LOG_S: Final = 1.2  # curvatures of a cold start: one standard deviation, and this much less and more in logs
_GUESS_M: Final = 0.6  # its centres: the money, and this many standard deviations to each side


@compiled
def pack_quotes(
    k: Floats,
    vol_lo: Floats,
    vol_hi: Floats,
    vol_mid: Floats,
    weight: Floats,
    years: float,
    mid_weight: float,
    table: Floats,
) -> tuple[int, float, float]:
    """Fill a column for each quote that says something: their number (-1: one has no strike) and their range."""
    used, k_lo, k_hi = 0, math.inf, -math.inf
    pull = mid_weight * mid_weight
    for i in range(k.size):
        lo, hi, mid = vol_lo[i], vol_hi[i], vol_mid[i]
        has_lo, has_hi, has_mid = lo >= 0.0, hi < math.inf, mid > 0.0
        if weight[i] > 0.0 and (has_lo or has_hi or has_mid):
            if not (math.isfinite(k[i]) and math.isfinite(weight[i])):
                return -1, 0.0, 0.0
            w2 = weight[i] * weight[i]
            # A cold start aims at the mid, else the middle of the band, else its one end.
            aim = mid if has_mid else (0.5 * (lo + hi) if has_lo and has_hi else (lo if has_lo else hi))
            variance = max(aim * aim * years, MIN_VARIANCE)
            table[K, used] = k[i]
            table[LO, used] = lo if has_lo else -math.inf
            table[HI, used] = hi if has_hi else math.inf
            table[MID, used] = mid if has_mid else 0.0
            table[W2, used] = w2
            table[PULL, used] = w2 * pull if has_mid else 0.0
            table[TARGET, used] = variance
            table[SHARE, used] = w2 / variance
            k_lo, k_hi = min(k_lo, k[i]), max(k_hi, k[i])
            used += 1
    return used, k_lo, k_hi


@compiled
def append_prior(
    prior: Floats, prior_weight: float, years: float, table: Floats, used: int, k_lo: float, k_hi: float
) -> tuple[int, float, float]:
    """Add the prior's vols at `PRIOR_NODES` as point quotes: the number of columns and their range."""
    deviation = math.sqrt(max(total_variance(prior, 0.0), MIN_VARIANCE))
    w2 = prior_weight * prior_weight
    for j in range(len(PRIOR_NODES)):
        k = PRIOR_NODES[j] * deviation
        variance = max(total_variance(prior, k), MIN_VARIANCE)
        vol = math.sqrt(variance / years)
        table[K, used + j] = k
        table[LO, used + j] = table[HI, used + j] = table[MID, used + j] = vol
        table[W2, used + j] = w2
        table[PULL, used + j] = 0.0
        table[TARGET, used + j] = variance
        table[SHARE, used + j] = w2 / variance
        k_lo, k_hi = min(k_lo, k), max(k_hi, k)
    return used + len(PRIOR_NODES), k_lo, k_hi


@compiled
def open_wings(prior: Floats, prior_weight: float, deviation: float) -> Wings:
    """The slopes that wings are drawn to where quotes leave them open: the prior's, else TYPICAL_WING deviations."""
    if prior_weight > 0.0 and math.isfinite(prior[0]):
        return wings_of(prior)
    return TYPICAL_WING * deviation, TYPICAL_WING * deviation


@compiled
def cold_start(table: Floats, columns: int, years: float) -> Box:
    """Linear least squares in (a, p, c) at the best of three curvatures and then of three centres, interpolated."""
    deviation = typical_deviation(table, columns)
    sizes = (-_GUESS_LOG_S, 0.0, _GUESS_LOG_S)
    low = _linear_fit(table, columns, 0.0, deviation * math.exp(sizes[0]) + MIN_S)[1]
    middle = _linear_fit(table, columns, 0.0, deviation + MIN_S)[1]
    high = _linear_fit(table, columns, 0.0, deviation * math.exp(sizes[2]) + MIN_S)[1]
    s = deviation * math.exp(_GUESS_LOG_S * _least_at(low, middle, high)) + MIN_S
    step = _GUESS_M * deviation
    left = _linear_fit(table, columns, -step, s)[1]
    centre = _linear_fit(table, columns, 0.0, s)[1]
    right = _linear_fit(table, columns, step, s)[1]
    return _linear_fit(table, columns, step * _least_at(left, centre, right), s)[0]


@inlined
def _least_at(low: float, middle: float, high: float) -> float:
    """Where a parabola through costs at -1, 0 and 1 is least, between -1 and 1."""
    bow = low - 2.0 * middle + high
    at = 0.5 * (low - high) / bow if bow > 0.0 else (1.0 if high < low else -1.0)
    return min(max(at, -1.0), 1.0)


@compiled
def typical_deviation(table: Floats, columns: int) -> float:
    """Root mean total variance of the quotes, those nearest the money counting most."""
    farthest = 1e-12
    for i in range(columns):
        farthest = max(farthest, abs(table[K, i]))
    total, mass = 0.0, 0.0
    for i in range(columns):
        z = 8.0 * table[K, i] / farthest
        weight = 1.0 / (1.0 + z * z)
        total += weight * table[TARGET, i]
        mass += weight
    return math.sqrt(total / mass)


@compiled
def _linear_fit(table: Floats, columns: int, m: float, s: float) -> tuple[Box, float]:
    """Least squares of w = a + p (R - y)/2 + c (R + y)/2 on target variances, cut to the box; and its cost."""
    k, target, share = table[K], table[TARGET], table[SHARE]
    n = sp = sc = pp = pc = cc = st = pt = ct = tt = 0.0
    for i in range(columns):
        y = k[i] - m
        radius = math.sqrt(y * y + s * s)
        g = share[i]
        low, high, w = 0.5 * g * (radius - y), 0.5 * g * (radius + y), target[i]
        n += g
        sp += low
        sc += high
        pp += low * (radius - y)
        pc += low * (radius + y)
        cc += high * (radius + y)
        st += g * w
        pt += low * w
        ct += high * w
        tt += g * w * w
    pp, pc, cc = 0.5 * pp * (1.0 + 1e-9) - sp * sp / n, 0.5 * pc - sp * sc / n, 0.5 * cc * (1.0 + 1e-9) - sc * sc / n
    pt, ct = pt - sp * st / n, ct - sc * st / n
    determinant = pp * cc - pc * pc
    p = (cc * pt - pc * ct) / determinant if determinant > 0.0 else 0.0
    c = (pp * ct - pc * pt) / determinant if determinant > 0.0 else 0.0
    p, c = min(max(p, MIN_SLOPE), 2.0), min(max(c, MIN_SLOPE), 2.0)
    a = (st - p * sp - c * sc) / n
    floored = max(a, MIN_VARIANCE - s * math.sqrt(p * c))
    shift = floored - a
    cost = tt - st * st / n - 2.0 * (p * pt + c * ct) + pp * p * p + 2.0 * pc * p * c + cc * c * c + n * shift * shift
    return (p, c, floored, m, s), cost
