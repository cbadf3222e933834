"""Plain twin of `flatbook.kernels.svi_between`, over scipy's least squares."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.calendar_plain import APART, log_rise, log_room, make_way, wings
from flatbook.kernels.surface_joint_plain import (
    A_LITTLE_MORE,
    BUTTERFLY_SHARE,
    CALENDAR_LEFT,
    CALENDAR_POINTS,
    kept_in_order,
    refit,
)
from flatbook.kernels.svi_fit_plain import (
    BUTTERFLY_LEFT,
    CONVERGED,
    FIT_SIZE,
    MIN_SLOPE,
    STEEPEST_WINGS,
    TYPICAL_WING,
    WING_SHARE,
    Quotes,
    ask,
    best_of_starts,
    box,
    raw,
    solve,
)

Floats = NDArray[np.float64]

ROOM: Final = FIT_SIZE
BETWEEN_SIZE: Final = FIT_SIZE + 3
"""Columns of `fit_between`'s output: those of a slice, and from ROOM on three logs of ratios."""

BETWEEN_WEIGHTS: Final = (10.0, 100.0)  # of the bands by neighbours, against all quotes of the slice
ROOM_APART: Final = 4e-3
"""Share of total variance that such a band keeps the slice apart from a neighbour by: levels move without crossing."""

OPEN_SHARE: Final = 3e-3
"""Weight of the pull on open wings, against all quotes of the slice: as WING_SHARE, and three times as much."""


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
    """As `svi_between.fit_between`."""
    out[:] = np.nan
    asked = ask(k, vol_lo, vol_hi, vol_mid, weight, years, prior, prior_weight, mid_weight)
    if isinstance(asked, int):
        return asked
    quotes, used = asked
    quotes = _between(quotes, near, far)
    weight2 = float(np.sum(quotes.weight[:used] ** 2))
    params, steps = _fit(quotes, raw(best_of_starts(quotes, start).x), weight2)
    for sweep_weight in BETWEEN_WEIGHTS:
        if min(_rises(near, params, far)) >= 0.0:
            break
        banded = quotes
        for other, is_near in ((near, True), (far, False)):
            if np.isfinite(other[0]):
                share = sweep_weight**2 * weight2 / CALENDAR_POINTS
                banded = kept_in_order(banded, params, other, ROOM_APART, share, is_near=is_near, as_lift=True)
        params, more = _fit(banded, params, weight2)
        steps += more
    if np.isfinite(near[0]) and log_rise(near, params) < 0.0:
        params, _ = make_way(near, params, A_LITTLE_MORE, upwards=True)
    out[:5] = params
    out[5:ROOM] = quotes.rms_outside(box(params), used), steps, used
    out[ROOM:] = log_room(params), *_rises(near, params, far)
    if not min(out[ROOM + 1 :]) >= 0.0:
        return CALENDAR_LEFT
    return CONVERGED if out[ROOM] >= 0.0 else BUTTERFLY_LEFT


def _between(quotes: Quotes, near: Floats, far: Floats) -> Quotes:
    """Quotes with bounds on wings and what open ones are drawn to, by the neighbours."""
    least, most = np.full(2, MIN_SLOPE), np.array(STEEPEST_WINGS)
    drawn_to = np.full(2, TYPICAL_WING * quotes.deviation)
    if np.isfinite(near[0]):
        least = wings(near) * APART
    if np.isfinite(far[0]):
        most = wings(far) / APART
    if np.isfinite(near[0]) and np.isfinite(far[0]):
        drawn_to = np.sqrt(wings(near) * wings(far))
        least, most = np.minimum(least, drawn_to), np.maximum(most, drawn_to)
    return replace(
        quotes,
        least_slopes=(float(least[0]), float(least[1])),
        most_slopes=(float(most[0]), float(most[1])),
        drawn_to=drawn_to,
        wing_weight=quotes.wing_weight * OPEN_SHARE / WING_SHARE,
    )


def _fit(quotes: Quotes, start: Floats, weight2: float) -> tuple[Floats, int]:
    solution = solve(quotes, box(start))
    params = raw(np.asarray(solution.x, dtype=np.float64))
    if log_room(params) >= 0.0:
        return params, int(solution.nfev)
    return refit(params, replace(quotes, butterfly_weight=BUTTERFLY_SHARE * float(np.sqrt(weight2))))


def _rises(near: Floats, params: Floats, far: Floats) -> tuple[float, float]:
    return (
        log_rise(near, params) if np.isfinite(near[0]) else np.inf,
        log_rise(params, far) if np.isfinite(far[0]) else np.inf,
    )
