"""Fit smiles by raw SVI, each expiry for itself: cold or warm, inside the no-arbitrage bounds.

Residuals are in vol. A quote is a band [vol_lo, vol_hi]: the residual is the distance to it, zero inside; a NaN end is
absent, so a one-sided quote is an inequality; equal ends are a point. What quotes leave open is closed by two weak
pulls: to the mids, and to a prior slice at five points of its own scale, so that a few ageing quotes cannot throw the
smile. The search is `flatbook.kernels.svi_search`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import svi_fit_plain
from flatbook.kernels.jit import Arg, compiled, kernel
from flatbook.kernels.svi import least_durrleman, sinh_grid
from flatbook.kernels.svi_columns import append_prior, cold_start, open_wings, pack_quotes, typical_deviation
from flatbook.kernels.svi_fit_plain import (
    BAD_INPUT,
    BUTTERFLY_LEFT,
    BUTTERFLY_MARGIN,
    BUTTERFLY_POINTS,
    BUTTERFLY_RAISE,
    BUTTERFLY_RESERVE,
    BUTTERFLY_ROUNDS,
    CONVERGED,
    FIT_CODES,
    FIT_SIZE,
    MIN_SLOPE,
    OUT_OF_ITERATIONS,
    PRIOR_NODES,
    STEEPEST_WINGS,
    TOO_FEW_POINTS,
    WING_SHARE,
)
from flatbook.kernels.svi_plain import GRID_END
from flatbook.kernels.svi_search import (
    COLD,
    WARM,
    Slopes,
    frame_of,
    rms_outside,
    search,
    squared_weight,
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
    weight in the pull to its mid. `butterfly_weight` > 0 asks for Durrleman's g >= 0 out to 60 standard deviations,
    by a penalty on that weight which grows until it suffices; where it does not, the code is BUTTERFLY_LEFT. Wings
    that quotes leave open are drawn to the prior's slopes, else to one standard deviation, and none is steeper than
    four. out[5] is the weighted root mean square of the distance to the bands in vol, out[6] the steps, out[7] the
    number of quotes used. With TOO_FEW_POINTS or BAD_INPUT the parameters are NaN.
    """
    table, work = workspace(k.size + len(PRIOR_NODES))
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
        table,
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
    table, work = workspace(widest + len(PRIOR_NODES))
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
            table,
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
    table: Floats,
    work: Floats,
    out: Floats,
) -> int:
    for i in range(FIT_SIZE):
        out[i] = np.nan
    if not (years > 0.0 and math.isfinite(years)):
        return BAD_INPUT
    used, k_lo, k_hi = pack_quotes(k, vol_lo, vol_hi, vol_mid, weight, years, mid_weight, table)
    if used < 0:
        return BAD_INPUT
    out[7] = used
    columns = used
    if prior_weight > 0.0 and math.isfinite(prior[0]):
        columns, k_lo, k_hi = append_prior(prior, prior_weight, years, table, used, k_lo, k_hi)
    if columns < 5 or used == 0:
        return TOO_FEW_POINTS
    is_warm = math.isfinite(start[0])
    x = to_box(start) if is_warm else cold_start(table, columns, years)
    deviation = typical_deviation(table, columns)
    weight2, wings, margin = squared_weight(table, used), open_wings(prior, prior_weight, deviation), BUTTERFLY_MARGIN
    slopes = Slopes((MIN_SLOPE, MIN_SLOPE), STEEPEST_WINGS, wings, WING_SHARE)
    frame = frame_of(weight2, k_lo, k_hi, deviation, years, slopes, butterfly_weight, margin)
    x, steps, code = search(x, table, columns, years, frame, WARM if is_warm else COLD, work)
    to_raw(x, out)
    if butterfly_weight > 0.0:
        grid = sinh_grid(4 * BUTTERFLY_POINTS, GRID_END)
        least_g = least_durrleman(out, deviation, grid)
        for _ in range(BUTTERFLY_ROUNDS):
            if least_g >= BUTTERFLY_RESERVE:
                break
            butterfly_weight *= 10.0
            margin *= BUTTERFLY_RAISE
            frame = frame_of(weight2, k_lo, k_hi, deviation, years, slopes, butterfly_weight, margin)
            x, more, code = search(x, table, columns, years, frame, WARM, work)
            steps += more
            to_raw(x, out)
            least_g = least_durrleman(out, deviation, grid)
        code = code if least_g >= 0.0 else BUTTERFLY_LEFT
    out[5] = rms_outside(x, table, used, years)
    out[6] = steps
    return code
