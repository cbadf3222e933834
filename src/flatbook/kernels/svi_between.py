"""One expiry fitted between its neighbours, which stand: the slice is free of arbitrage by itself and against both.

Wings may be no flatter than the nearer expiry's and no steeper than the farther one's, from the start; where quotes
leave them open they are drawn to the middle between, which leaves the neighbours room. What still crosses is asked for
by bands on the slice's vols, as in `flatbook.kernels.surface_joint`, and then removed by a shift.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import svi_between_plain
from flatbook.kernels.calendar import log_room, make_way
from flatbook.kernels.calendar_plain import APART
from flatbook.kernels.crossing import log_rise
from flatbook.kernels.jit import Arg, compiled, kernel
from flatbook.kernels.surface_joint import (
    COLUMNS,
    DEVIATION,
    K_HI,
    K_LO,
    KEPT,
    USED,
    WEIGHT2,
    ask_for_order,
    prepare,
    refit,
)
from flatbook.kernels.surface_joint_plain import A_LITTLE_MORE, CALENDAR_LEFT, CALENDAR_POINTS
from flatbook.kernels.svi_between_plain import BETWEEN_SIZE, BETWEEN_WEIGHTS, OPEN_SHARE, ROOM, ROOM_APART
from flatbook.kernels.svi_fit_plain import (
    BAD_INPUT,
    BUTTERFLY_LEFT,
    MIN_SLOPE,
    PRIOR_NODES,
    STEEPEST_WINGS,
    TOO_FEW_POINTS,
    TYPICAL_WING,
)
from flatbook.kernels.svi_search import (
    COLD,
    WARM,
    Slopes,
    Wings,
    frame_of,
    rms_outside,
    search,
    to_box,
    to_raw,
    wings_of,
    workspace,
)

__all__ = ["BETWEEN_SIZE", "ROOM", "fit_between"]

Floats = NDArray[np.float64]


@kernel(
    *[Arg.IN] * 5,
    Arg.FLOAT,
    *[Arg.IN] * 2,
    *[Arg.FLOAT] * 2,
    *[Arg.IN] * 2,
    Arg.OUT,
    plain=svi_between_plain.fit_between,
)
def fit_between(
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
    near: Floats,
    far: Floats,
    out: Floats,
) -> int:
    """Fit `out[:FIT_SIZE]` as `svi_fit.fit_slice` does, above the slice `near` and below `far`: one of SURFACE_CODES.

    near and far (5) are raw SVI as of now, NaN first where there is none. out (BETWEEN_SIZE) gets, after that, the logs
    of how far the slice could grow before it had butterflies, of its least ratio to `near` and of that of `far` to it,
    inf where there is none: none is negative with CONVERGED and OUT_OF_ITERATIONS. With BUTTERFLY_LEFT and
    CALENDAR_LEFT one is, and the slice not to be used.
    """
    table, work = workspace(k.size + len(PRIOR_NODES) + 2 * CALENDAR_POINTS)
    kept = np.zeros(KEPT)
    out[:] = np.nan
    out[6] = 0.0
    code = prepare(k, vol_lo, vol_hi, vol_mid, weight, years, start, prior, prior_weight, mid_weight, table, kept, out)
    if code in (TOO_FEW_POINTS, BAD_INPUT):
        return code
    slopes = _slopes_between(near, far, kept[DEVIATION])
    code = _fit(table, kept, 0, years, slopes, WARM if math.isfinite(start[0]) else COLD, work, out)
    _look_at_neighbours(near, far, out)
    for sweep in range(len(BETWEEN_WEIGHTS)):
        if out[ROOM + 1] >= 0.0 and out[ROOM + 2] >= 0.0:
            break
        weight2 = BETWEEN_WEIGHTS[sweep] * BETWEEN_WEIGHTS[sweep] * kept[WEIGHT2] / CALENDAR_POINTS
        extra = 0
        for other, is_near in ((near, True), (far, False)):
            if math.isfinite(other[0]):
                columns = int(kept[COLUMNS]) + extra
                ask_for_order(table, columns, other, out, is_near, True, ROOM_APART, years, weight2)
                extra += CALENDAR_POINTS
        code = _fit(table, kept, extra, years, slopes, WARM, work, out)
        _look_at_neighbours(near, far, out)
    if out[ROOM + 1] < 0.0:
        make_way(near, out, True, A_LITTLE_MORE)
        out[ROOM] = log_room(out)
        _look_at_neighbours(near, far, out)
    out[5] = rms_outside(to_box(out), table, int(kept[USED]), years)
    if not min(out[ROOM + 1], out[ROOM + 2]) >= 0.0:
        return CALENDAR_LEFT
    return code if out[ROOM] >= 0.0 else BUTTERFLY_LEFT


@compiled
def _fit(
    table: Floats, kept: Floats, extra: int, years: float, slopes: Slopes, damping: float, work: Floats, out: Floats
) -> int:
    """Search from `out[:5]` with `extra` columns beside the quotes, and with that on its density where it binds."""
    weight2, k_lo, k_hi, deviation = kept[WEIGHT2], kept[K_LO], kept[K_HI], kept[DEVIATION]
    frame = frame_of(weight2, k_lo, k_hi, deviation, years, slopes, 0.0, 0.0)
    x, steps, code = search(to_box(out), table, int(kept[COLUMNS]) + extra, years, frame, damping, work)
    to_raw(x, out)
    out[6] += steps
    out[ROOM] = log_room(out)
    if not out[ROOM] >= 0.0:
        code = refit(table, kept, extra, years, slopes, WARM, work, out)
        out[ROOM] = log_room(out)
    return code


@compiled
def _look_at_neighbours(near: Floats, far: Floats, out: Floats) -> None:
    out[ROOM + 1] = log_rise(near, out) if math.isfinite(near[0]) else math.inf
    out[ROOM + 2] = log_rise(out, far) if math.isfinite(far[0]) else math.inf


@compiled
def _slopes_between(near: Floats, far: Floats, deviation: float) -> Slopes:
    """Bounds on wings a little apart from the neighbours', or in the middle where there is no room, and where to draw
    open ones."""
    least, most = (MIN_SLOPE, MIN_SLOPE), STEEPEST_WINGS
    drawn_to = (TYPICAL_WING * deviation, TYPICAL_WING * deviation)
    has_near, has_far = math.isfinite(near[0]), math.isfinite(far[0])
    if has_near:
        least = _times(wings_of(near), APART)
    if has_far:
        most = _times(wings_of(far), 1.0 / APART)
    if has_near and has_far:
        one, two = wings_of(near), wings_of(far)
        drawn_to = (math.sqrt(one[0] * two[0]), math.sqrt(one[1] * two[1]))
        least = (min(least[0], drawn_to[0]), min(least[1], drawn_to[1]))
        most = (max(most[0], drawn_to[0]), max(most[1], drawn_to[1]))
    return Slopes(least, most, drawn_to, OPEN_SHARE)


@compiled
def _times(wings: Wings, factor: float) -> Wings:
    return wings[0] * factor, wings[1] * factor
