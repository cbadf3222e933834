"""What one vol seen does to the levels of all slices, and what was seen of one slice as of now.

A level learns by what of a surprise is not the wing's own, and a jump waits for others to agree; what was seen earlier
is carried along with the level since, and counts the less the older it is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import seeing_plain
from flatbook.kernels.calendar import are_in_order
from flatbook.kernels.jit import Arg, kernel
from flatbook.kernels.levels import see_level
from flatbook.kernels.seeing_plain import BELIEVED, NS_PER_YEAR, OUT_OF_ORDER, REFUSED
from flatbook.kernels.svi import total_variance

__all__ = ["BELIEVED", "OUT_OF_ORDER", "REFUSED", "recall", "see_vol"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@kernel(
    Arg.IN_INT,
    Arg.INT,
    *[Arg.FLOAT] * 5,
    Arg.INT,
    *[Arg.IN] * 3,
    *[Arg.OUT_2D] * 2,
    Arg.OUT,
    *[Arg.IN] * 2,
    Arg.OUT_INT,
    plain=seeing_plain.see_vol,
)
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
    """Move every live level by a vol seen at log-moneyness `k` of `slot`: REFUSED, BELIEVED or OUT_OF_ORDER.

    Shapes      live, p, params, drift as `levels.see_level`; years, fitted_years, most, least_rise as
                `calendar.settle`; rmse (slots,) error of each fit, in vol; jumps (slots,) in a row, signed by side
    Units       vols decimal; `shape_error` in vol per deviation of moneyness
    Domain      beyond `jump_deviations` of what is expected it is refused until `jump_confirmations` in a row agree
    """
    width = math.sqrt(total_variance(params[slot], 0.0))
    fair = math.sqrt(total_variance(params[slot], k) / fitted_years[slot])
    surprise = math.log(vol / fair)
    off_shape = rmse[slot] + shape_error * abs(k) / width
    noise = (error_vol * error_vol + off_shape * off_shape) / (fair * fair)
    if surprise * surprise > jump_deviations * jump_deviations * (p[slot, slot] + noise):
        side = 1 if surprise > 0.0 else -1
        jumps[slot] = jumps[slot] + side if jumps[slot] * side > 0 else side
        if abs(jumps[slot]) < jump_confirmations:
            return REFUSED
        p[slot, slot] += surprise * surprise
    jumps[slot] = 0
    see_level(live, slot, surprise, noise, p, params, drift)
    return BELIEVED if are_in_order(live, years, fitted_years, drift, most, least_rise) else OUT_OF_ORDER


@kernel(
    Arg.IN_2D,
    Arg.IN_INT,
    *[Arg.INT] * 2,
    Arg.FLOAT,
    Arg.IN,
    *[Arg.FLOAT] * 3,
    Arg.OUT_2D,
    Arg.OUT,
    plain=seeing_plain.recall,
)
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
    """Fill what a slice is fitted to, and the slice as of now to begin from; the sum of squared weights.

    Shapes      seen (5, ring) log-moneyness, low and high vol, standard error in vol and the level's drift then, the
                first `held` in use; seen_ns (ring,); params (5,) raw SVI on `fitted_years`; asked (5, ring) log-
                moneyness, low, high and mid vol at today's level, weight per vol; start (5,) raw SVI on `years`
    Units       `wander` is the relative standard deviation of a shape per square root of a year
    """
    per_year = wander * wander * total_variance(params, 0.0) / fitted_years
    per_ns, weight2 = per_year / NS_PER_YEAR, 0.0
    for i in range(held):
        carried = math.exp(drift - seen[4, i])
        asked[0, i], asked[1, i], asked[2, i] = seen[0, i], seen[1, i] * carried, seen[2, i] * carried
        asked[3, i] = 0.5 * (asked[1, i] + asked[2, i])
        asked[4, i] = 1.0 / math.sqrt(seen[3, i] * seen[3, i] + per_ns * (now_ns - seen_ns[i]))
        weight2 += asked[4, i] * asked[4, i]
    for j in range(5):
        start[j] = params[j] * years / fitted_years if j < 2 else params[j]
    return weight2
