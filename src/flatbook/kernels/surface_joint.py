"""All expiries of an underlying at once: SVI slices free of butterfly and of calendar arbitrage, wings included.

Each slice is first fitted for itself. Where two neighbours cross, each is fitted again with the other's total variance
as one more band on its vols: not below the nearer expiry, not above the farther, at points far into the wings, on a
weight that grows from sweep to sweep; so the quotes that are known best decide who gives way. What the last sweep
leaves is removed exactly, from the nearest expiry outwards: wings are made as steep as the nearer one's, and the slice
is lifted by the gap that remains. Both raise total variance at every strike.

The order of total variances is then certain. On a fine grid it is compared; beyond the grid's ends the nearer slice
rises no faster than its asymptote and the farther one lies above its own, so that where this one starts above and is
no less steep it stays above.

Source of the conditions: Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces", Quantitative Finance
14(1), sections 2 and 3.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import surface_joint_plain
from flatbook.kernels.calendar_plain import FINE_GRID
from flatbook.kernels.crossing import crosses, is_flatter, least_gap
from flatbook.kernels.jit import Arg, compiled, inlined, kernel
from flatbook.kernels.surface_joint_plain import (
    A_LITTLE_MORE,
    BUTTERFLY_SHARE,
    CALENDAR_LEFT,
    CALENDAR_MARGIN,
    CALENDAR_POINTS,
    CALENDAR_WEIGHTS,
    FAR_END,
    MOST_LIFT,
    SURFACE_CODES,
    SURFACE_SIZE,
)
from flatbook.kernels.svi import deviation_of, least_durrleman, total_variance
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
    MIN_SLOPE,
    PRIOR_NODES,
    STEEPEST_WINGS,
    TOO_FEW_POINTS,
    WING_SHARE,
)
from flatbook.kernels.svi_plain import GRID_END, sinh_grid
from flatbook.kernels.svi_search import (
    COLD,
    HI,
    LO,
    MID,
    PULL,
    W2,
    WARM,
    K,
    Slopes,
    frame_of,
    rms_outside,
    search,
    squared_weight,
    to_box,
    to_raw,
    wings_of,
    workspace,
)

__all__ = ["SURFACE_CODES", "SURFACE_SIZE", "check_surface", "fit_surface"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int8]

# What is kept of each expiry between sweeps: columns of quotes and of the prior, quotes, quoted range, typical standard
# deviation, sum of squared weights, slopes that open wings are drawn to.
COLUMNS, USED, K_LO, K_HI, DEVIATION, WEIGHT2, OPEN_P, OPEN_C = range(8)
KEPT: Final = 8

NEAR_GRID: Final = sinh_grid(CALENDAR_POINTS, GRID_END)
FAR_GRID: Final = sinh_grid(CALENDAR_POINTS, FAR_END)
BUTTERFLY_GRID: Final = sinh_grid(4 * BUTTERFLY_POINTS, GRID_END)


@kernel(
    Arg.IN_INT,
    *[Arg.IN] * 6,
    Arg.IN_2D,
    Arg.IN_2D,
    Arg.IN,
    Arg.FLOAT,
    Arg.OUT_2D,
    Arg.OUT_CODE,
    plain=surface_joint_plain.fit_surface,
)
def fit_surface(
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
    out: Floats,
    code: Codes,
) -> None:
    """Fit n expiries, `years` rising, to the quotes `first[i]` to `first[i + 1]` of each; as `svi_fit.fit_slices`.

    out (n, SURFACE_SIZE) gets a, b, rho, m, s, the weighted root mean square of the distance to the bands in vol, the
    steps taken, the quotes used, and by how much the slice was lifted at the money at the end, in vol; code (n) one of
    `SURFACE_CODES`. CONVERGED slices are free of arbitrage, each and together. With TOO_FEW_POINTS or BAD_INPUT a slice
    is NaN; with BUTTERFLY_LEFT, or with CALENDAR_LEFT against a slice whose quotes weigh more, it is the best there is
    and not to be used; the others do without it.
    """
    n = years.size
    widest = 0
    for i in range(n):
        widest = max(widest, first[i + 1] - first[i])
    table, work = workspace(widest + len(PRIOR_NODES) + 2 * CALENDAR_POINTS)
    tables = np.empty((n, table.shape[0], table.shape[1]))
    kept = np.zeros((n, KEPT))
    live = np.empty(n, dtype=np.int64)
    alive = 0
    for i in range(n):
        part = slice(first[i], first[i + 1])
        out[i, :] = np.nan
        out[i, 6] = 0.0
        code[i] = prepare(
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
            tables[i],
            kept[i],
            out[i],
        )
        if i > 0 and not years[i] > years[i - 1]:
            code[i] = BAD_INPUT
            out[i, :5] = np.nan
        if code[i] not in (TOO_FEW_POINTS, BAD_INPUT):
            live[alive] = i
            alive += 1
            begin = WARM if math.isfinite(start[i, 0]) else COLD
            slopes = any_slopes(kept[i])
            code[i] = refit(tables[i], kept[i], 0, years[i], slopes, begin, work, out[i])
    live = live[:alive]
    for sweep in range(len(CALENDAR_WEIGHTS)):
        last = sweep == len(CALENDAR_WEIGHTS) - 1
        weight_ = CALENDAR_WEIGHTS[sweep]
        if not _sweep(live, tables, kept, years, weight_, last, work, out, code):
            break
    _settle(live, tables, kept, years, out, code)


@compiled
def prepare(
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
    table: Floats,
    kept: Floats,
    out: Floats,
) -> int:
    """Pack one expiry's quotes and prior, and put where its search begins into `out[:5]`."""
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
    to_raw(to_box(start) if math.isfinite(start[0]) else cold_start(table, columns, years), out)
    kept[COLUMNS], kept[USED], kept[K_LO], kept[K_HI] = columns, used, k_lo, k_hi
    kept[DEVIATION], kept[WEIGHT2] = typical_deviation(table, columns), squared_weight(table, used)
    kept[OPEN_P], kept[OPEN_C] = open_wings(prior, prior_weight, kept[DEVIATION])
    return 0


@compiled
def refit(
    table: Floats,
    kept: Floats,
    extra: int,
    years: float,
    slopes: Slopes,
    damping: float,
    work: Floats,
    out: Floats,
) -> int:
    """Search from `out[:5]` with `extra` columns beside the quotes, until the density is positive: the result code."""
    x, columns = to_box(out), int(kept[COLUMNS]) + extra
    butterfly, margin, code = BUTTERFLY_SHARE * math.sqrt(kept[WEIGHT2]), BUTTERFLY_MARGIN, 0
    k_lo, k_hi, deviation = kept[K_LO], kept[K_HI], kept[DEVIATION]
    for _ in range(BUTTERFLY_ROUNDS):
        frame = frame_of(kept[WEIGHT2], k_lo, k_hi, deviation, years, slopes, butterfly, margin)
        x, steps, code = search(x, table, columns, years, frame, damping, work)
        damping = WARM
        to_raw(x, out)
        out[6] += steps
        if least_durrleman(out, deviation, BUTTERFLY_GRID) >= BUTTERFLY_RESERVE:
            break
        butterfly *= 10.0
        margin *= BUTTERFLY_RAISE
    return code


@inlined
def any_slopes(kept: Floats) -> Slopes:
    """No bounds on wings but Lee's."""
    return Slopes((MIN_SLOPE, MIN_SLOPE), STEEPEST_WINGS, (kept[OPEN_P], kept[OPEN_C]), WING_SHARE)


@compiled
def _sweep(
    live: Ints,
    tables: Floats,
    kept: Floats,
    years: Floats,
    calendar_weight: float,
    last: bool,
    work: Floats,
    out: Floats,
    code: Codes,
) -> bool:
    """Refit every slice that crosses a neighbour, with the neighbours as bands; whether any did.

    In the last sweep, outwards, wings may not be flatter than those of the slice before, which stands, and order is
    asked for to where slices are their asymptotes.
    """
    crossed = False
    for at in range(live.size):
        i = live[at]
        near = live[at - 1] if at > 0 else -1
        far = live[at + 1] if at + 1 < live.size else -1
        below = near >= 0 and crosses(out[near], out[i])
        above = far >= 0 and crosses(out[i], out[far])
        if below or above:
            crossed = True
            extra = 0
            for other, is_near in ((near, True), (far, False)):
                if other >= 0:
                    # The heavier of two neighbours is heard first.
                    share = 2.0 * kept[other, WEIGHT2] / (kept[i, WEIGHT2] + kept[other, WEIGHT2])
                    weight2 = calendar_weight * calendar_weight * kept[i, WEIGHT2] * share / CALENDAR_POINTS
                    columns = int(kept[i, COLUMNS]) + extra
                    to_the_end = last and is_near
                    ask_for_order(
                        tables[i], columns, out[other], out[i], is_near, to_the_end, CALENDAR_MARGIN, years[i], weight2
                    )
                    extra += CALENDAR_POINTS
            slopes = any_slopes(kept[i])
            if last and near >= 0:
                p, c = wings_of(out[near])
                slopes = Slopes((p * A_LITTLE_MORE, c * A_LITTLE_MORE), slopes.most, slopes.drawn_to, slopes.pull)
            code[i] = refit(tables[i], kept[i], extra, years[i], slopes, WARM, work, out[i])
    return crossed


@compiled
def ask_for_order(
    table: Floats,
    columns: int,
    other: Floats,
    own: Floats,
    is_near: bool,
    as_lift: bool,
    apart: float,
    years: float,
    weight2: float,
) -> None:
    """Append columns that keep a slice's vols on their side of a neighbour's total variance.

    Vols of far wings differ by more than any near the money as long as slopes are out of order: they weigh the less the
    farther out. `as_lift`, once slopes are bounded, weighs a gap anywhere as the vol at the money that would close it.
    `apart` is a share of total variance.
    """
    unit, grid = deviation_of(own), FAR_GRID if as_lift else NEAR_GRID
    margin = 1.0 + apart if is_near else 1.0 - apart
    for j in range(CALENDAR_POINTS):
        k = unit * grid[j]
        at = columns + j
        vol = math.sqrt(total_variance(other, k) * margin / years)
        table[K, at] = k
        table[LO, at] = vol if is_near else -math.inf
        table[HI, at] = math.inf if is_near else vol
        table[MID, at] = 0.0
        share = vol * vol * years / (unit * unit) if as_lift else 1.0 / (1.0 + grid[j] * grid[j])
        table[W2, at] = weight2 * share
        table[PULL, at] = 0.0


@compiled
def _settle(live: Ints, tables: Floats, kept: Floats, years: Floats, out: Floats, code: Codes) -> None:
    """Remove what order is still missing, from the nearest expiry outwards, and say what is not free of arbitrage.

    Where that would lift a slice by more than MOST_LIFT, the one of the two with less weight is left out instead.
    """
    standing = np.empty(live.size, dtype=np.int64)
    stands = 0
    for at in range(live.size):
        i = live[at]
        code[i] = _join(i, standing, stands, kept, years, out)
        while code[i] == CALENDAR_LEFT and kept[standing[stands - 1], WEIGHT2] < kept[i, WEIGHT2]:
            stands -= 1
            code[standing[stands]] = CALENDAR_LEFT
            code[i] = _join(i, standing, stands, kept, years, out)
        if code[i] == CONVERGED:
            standing[stands] = i
            stands += 1
        out[i, 5] = rms_outside(to_box(out[i]), tables[i], int(kept[i, USED]), years[i])


@compiled
def _join(i: int, standing: Ints, stands: int, kept: Floats, years: Floats, out: Floats) -> int:
    """Put slice i above those that stand, if it takes no more than MOST_LIFT; the code it then has."""
    a, b, rho = out[i, 0], out[i, 1], out[i, 2]
    before = total_variance(out[i], 0.0)
    code = CONVERGED
    if stands > 0:
        near = standing[stands - 1]
        _steepen(out[near], out[i])
        gap = least_gap(out[near], out[i])
        if gap < 0.0:
            out[i, 0] += -gap * (1.0 + 1e-9) + 1e-15
        if least_gap(out[near], out[i]) < 0.0:
            code = CALENDAR_LEFT
    out[i, 8] = math.sqrt(total_variance(out[i], 0.0) / years[i]) - math.sqrt(before / years[i])
    if out[i, 8] > MOST_LIFT:
        code = CALENDAR_LEFT
    if code == CALENDAR_LEFT:
        out[i, 0], out[i, 1], out[i, 2], out[i, 8] = a, b, rho, 0.0
    elif least_durrleman(out[i], deviation_of(out[i]), FINE_GRID) < 0.0:
        code = BUTTERFLY_LEFT
    return code


@compiled
def _steepen(near: Floats, far: Floats) -> None:
    """Undo what rounding did to the order of wing slopes."""
    if is_flatter(near, far):
        p = max(far[1] * (1.0 - far[2]), near[1] * (1.0 - near[2]) * A_LITTLE_MORE)
        c = max(far[1] * (1.0 + far[2]), near[1] * (1.0 + near[2]) * A_LITTLE_MORE)
        far[1] = 0.5 * (p + c)
        far[2] = (c - p) / (c + p)


@kernel(Arg.IN_2D, Arg.OUT, Arg.OUT, plain=surface_joint_plain.check_surface)
def check_surface(params: Floats, least_g: Floats, least_calendar_gap: Floats) -> None:
    """Fill each slice's least Durrleman g, and the least rise of total variance since the last known slice before it.

    params (n, 5), expiries rising, NaN rows unknown. Not negative in either: no arbitrage, at any strike for calendar
    spreads (-inf where a wing is flatter than the nearer slice's), out to a million standard deviations for
    butterflies. NaN where there is nothing to compare.
    """
    near = -1
    for i in range(least_g.size):
        least_g[i] = least_calendar_gap[i] = np.nan
        if not math.isfinite(params[i, 0]):
            continue
        least_g[i] = least_durrleman(params[i], deviation_of(params[i]), FINE_GRID)
        if near >= 0:
            flatter = is_flatter(params[near], params[i])
            least_calendar_gap[i] = -math.inf if flatter else least_gap(params[near], params[i])
        near = i
