"""Fit smiles by raw SVI, each expiry for itself: cold or warm, inside the no-arbitrage bounds.

Residuals are in vol. A quote is a band [vol_lo, vol_hi]: the residual is the distance to it, zero inside; a NaN end is
absent, so a one-sided quote is an inequality; equal ends are a point. What quotes leave open is closed by two weak
pulls: to the mids, and to a prior slice at five points of its own scale, so that a few ageing quotes cannot throw the
smile. The search is `flatbook.kernels.svi_search`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import svi_fit_plain
from flatbook.kernels.jit import Arg, compiled, inlined, kernel
from flatbook.kernels.svi import butterfly_free, total_variance
from flatbook.kernels.svi_fit_plain import (
    BAD_INPUT,
    BUTTERFLY_LEFT,
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
from flatbook.kernels.svi_search import (
    HI,
    LO,
    MID,
    PULL,
    ROWS,
    SHARE,
    TARGET,
    W2,
    Box,
    K,
    rms_outside,
    search,
    to_box,
    to_raw,
    workspace,
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
    "fit_slices",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int8]

_GUESS_S: Final = (0.2, 0.7, 2.0)  # curvature and
_GUESS_M: Final = (-0.6, 0.0, 0.6)  # centre tried by a cold start, in standard deviations


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
    quotes, work = np.empty((ROWS, k.size + len(PRIOR_NODES))), workspace()
    return _fit(
        k,
        vol_lo,
        vol_hi,
        vol_mid,
        weight,
        years,
        start,
        prior,
        prior_weight,
        mid_weight,
        butterfly_weight,
        quotes,
        work,
        out,
    )


@kernel(
    Arg.IN_INT,
    *[Arg.IN] * 6,
    Arg.IN_2D,
    Arg.IN_2D,
    Arg.IN,
    *[Arg.FLOAT] * 2,
    Arg.OUT_2D,
    Arg.OUT_CODE,
    plain=svi_fit_plain.fit_slices,
)
def fit_slices(
    first: Ints,
    k: Floats,
    vol_lo: Floats,
    vol_hi: Floats,
    vol_mid: Floats,
    weight: Floats,
    years: Floats,
    start: Floats,
    prior: Floats,
    prior_weight: Floats,
    mid_weight: float,
    butterfly_weight: float,
    out: Floats,
    code: Codes,
) -> None:
    """`fit_slice` for n expiries in one call: quotes `first[i]` to `first[i + 1]` belong to expiry i.

    first (n + 1); k, vol_lo, vol_hi, vol_mid, weight one entry a quote; years and prior_weight (n); start and prior
    (n, 5); out (n, FIT_SIZE) and code (n) are filled.
    """
    widest = 0
    for i in range(years.size):
        widest = max(widest, first[i + 1] - first[i])
    quotes, work = np.empty((ROWS, widest + len(PRIOR_NODES))), workspace()
    for i in range(years.size):
        part = slice(first[i], first[i + 1])
        code[i] = _fit(
            k[part],
            vol_lo[part],
            vol_hi[part],
            vol_mid[part],
            weight[part],
            years[i],
            start[i],
            prior[i],
            prior_weight[i],
            mid_weight,
            butterfly_weight,
            quotes,
            work,
            out[i],
        )


@compiled
def _fit(
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
    quotes: Floats,
    work: Floats,
    out: Floats,
) -> int:
    for i in range(FIT_SIZE):
        out[i] = np.nan
    if not (years > 0.0 and math.isfinite(years)):
        return BAD_INPUT
    used, k_lo, k_hi = pack_quotes(k, vol_lo, vol_hi, vol_mid, weight, years, mid_weight, quotes)
    if used < 0:
        return BAD_INPUT
    out[7] = used
    columns = used
    if prior_weight > 0.0 and math.isfinite(prior[0]):
        columns, k_lo, k_hi = append_prior(prior, prior_weight, years, quotes, used, k_lo, k_hi)
    if columns < 5 or used == 0:
        return TOO_FEW_POINTS
    x = to_box(start) if math.isfinite(start[0]) else cold_start(quotes, columns, years)
    x, steps, code = search(x, quotes, columns, years, k_lo, k_hi, butterfly_weight, work)
    to_raw(x, out)
    if butterfly_weight > 0.0:
        from_k, to_k = 1.5 * k_lo - 0.5 * k_hi, 1.5 * k_hi - 0.5 * k_lo
        free = butterfly_free(out, from_k, to_k, 4 * BUTTERFLY_POINTS)
        for _ in range(BUTTERFLY_ROUNDS):
            if free:
                break
            butterfly_weight *= 10.0
            x, more, code = search(x, quotes, columns, years, k_lo, k_hi, butterfly_weight, work)
            steps += more
            to_raw(x, out)
            free = butterfly_free(out, from_k, to_k, 4 * BUTTERFLY_POINTS)
        code = code if free else BUTTERFLY_LEFT
    out[5] = rms_outside(x, quotes, used, years)
    out[6] = steps
    return code


@compiled
def pack_quotes(
    k: Floats,
    vol_lo: Floats,
    vol_hi: Floats,
    vol_mid: Floats,
    weight: Floats,
    years: float,
    mid_weight: float,
    quotes: Floats,
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
            quotes[K, used] = k[i]
            quotes[LO, used] = lo if has_lo else -math.inf
            quotes[HI, used] = hi if has_hi else math.inf
            quotes[MID, used] = mid if has_mid else 0.0
            quotes[W2, used] = w2
            quotes[PULL, used] = w2 * pull if has_mid else 0.0
            quotes[TARGET, used] = variance
            quotes[SHARE, used] = w2 / variance
            k_lo, k_hi = min(k_lo, k[i]), max(k_hi, k[i])
            used += 1
    return used, k_lo, k_hi


@compiled
def append_prior(
    prior: Floats, prior_weight: float, years: float, quotes: Floats, used: int, k_lo: float, k_hi: float
) -> tuple[int, float, float]:
    """Add the prior's vols at `PRIOR_NODES` as point quotes: the number of columns and their range."""
    deviation = math.sqrt(max(total_variance(prior, 0.0), MIN_VARIANCE))
    w2 = prior_weight * prior_weight
    for j in range(len(PRIOR_NODES)):
        k = PRIOR_NODES[j] * deviation
        variance = max(total_variance(prior, k), MIN_VARIANCE)
        vol = math.sqrt(variance / years)
        quotes[K, used + j] = k
        quotes[LO, used + j] = quotes[HI, used + j] = quotes[MID, used + j] = vol
        quotes[W2, used + j] = w2
        quotes[PULL, used + j] = 0.0
        quotes[TARGET, used + j] = variance
        quotes[SHARE, used + j] = w2 / variance
        k_lo, k_hi = min(k_lo, k), max(k_hi, k)
    return used + len(PRIOR_NODES), k_lo, k_hi


@compiled
def cold_start(quotes: Floats, columns: int, years: float) -> Box:
    """The best of nine slices, each linear least squares in (a, p, c) at a trial centre m and curvature s."""
    deviation = math.sqrt(_typical_variance(quotes, columns))
    best, least = (MIN_SLOPE, MIN_SLOPE, max(deviation * deviation, MIN_VARIANCE), 0.0, deviation + MIN_S), math.inf
    for i in range(len(_GUESS_S)):
        for j in range(len(_GUESS_M)):
            m, s = _GUESS_M[j] * deviation, max(_GUESS_S[i] * deviation, MIN_S)
            x, cost = _linear_fit(quotes, columns, m, s)
            if cost < least:
                best, least = x, cost
    return best


@inlined
def _typical_variance(quotes: Floats, columns: int) -> float:
    """Mean total variance of the quotes, those nearest the money counting most."""
    farthest = 1e-12
    for i in range(columns):
        farthest = max(farthest, abs(quotes[K, i]))
    total, mass = 0.0, 0.0
    for i in range(columns):
        z = 8.0 * quotes[K, i] / farthest
        weight = 1.0 / (1.0 + z * z)
        total += weight * quotes[TARGET, i]
        mass += weight
    return total / mass


@compiled
def _linear_fit(quotes: Floats, columns: int, m: float, s: float) -> tuple[Box, float]:
    """Least squares of w = a + p (R - y)/2 + c (R + y)/2 on target variances, cut to the box; and its cost."""
    k, target, share = quotes[K], quotes[TARGET], quotes[SHARE]
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
