"""The search behind SVI fits: Levenberg-Marquardt on bands, in coordinates where the bounds are almost a box.

A slice is (p, c, a, m, s) here, with the slopes p = b (1 - rho) and c = b (1 + rho) of its wings, and so linear in
three of five. The bounds of `flatbook.kernels.svi` are 0 < p, c <= 2, s > 0 and a least variance a + s sqrt(p c) > 0. A
parameter on its bound whose step points outwards is held; where it is the least variance that is held, the step goes
along the surface of slices that have it.

What is asked of a slice, whether by a market, by its own past, by its neighbours in time or by its density, is a column
of one array: a band of vol (of Durrleman's g) with a weight, and perhaps a weak pull to a mid. Bands make the sum of
squares smooth only in pieces. So each step minimises the linearised bands themselves, choosing again and again which
of them bind, and not just those that bind where the step begins. Nothing allocates, and the loops over columns
vectorise.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import compiled, inlined
from flatbook.kernels.svi_fit_plain import (
    BUTTERFLY_POINTS,
    CONVERGED,
    MIN_S,
    MIN_SLOPE,
    OUT_OF_ITERATIONS,
    STEEPEST,
)
from flatbook.kernels.svi_plain import GRID_END, MIN_VARIANCE

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float, float]
Wings = tuple[float, float]


class Slopes(NamedTuple):
    """Of a slice's wings: the least and the greatest they may have; what they are drawn to where quotes leave them
    open, and on what share of all quotes' weight."""

    least: Wings
    most: Wings
    drawn_to: Wings
    pull: float


class Frame(NamedTuple):
    """What bounds and shapes a slice beside its columns.

    The quoted range of k: the centre m stays within its width of it. The standard deviation of the log forward by the
    quotes near the money: the slice's scale. The least and the greatest slope of each wing. The slopes that wings are
    drawn to where quotes leave them open, and the weight of that; the weight of all quotes together; and the weight of
    the condition on Durrleman's g out to GRID_END deviations, 0 for none, and the least g that it asks for.
    """

    k_lo: float
    k_hi: float
    deviation: float
    least_p: float
    most_p: float
    least_c: float
    most_c: float
    drawn_to_p: float
    drawn_to_c: float
    wing_weight: float
    total_weight: float
    butterfly_weight: float
    butterfly_margin: float


# Rows of what is asked: log-moneyness; ends of the band, infinite where absent; mid, 0 where absent; squared weights of
# the band and of the mid; the total variance a cold start aims at and its squared weight.
K, LO, HI, MID, W2, PULL, TARGET, SHARE = range(8)
# Rows of what the slice answers: the value, its derivatives, the weight of the end that binds (0: none does) and the
# value less that end.
VALUE, JP, JC, JA, JM, JS, BINDING, EXCESS = range(8, 16)
ROWS: Final = 16

# Order of a slice's parameters in steps.
P, C, A, M, S = range(5)

_SUMS: Final = 20  # the upper triangle of J'J by rows (15), J'r (5); then, in the work array,
_SCALE: Final = 20  # the diagonal of J'J as if every band bound (5)
_MOVE: Final = 25  # the step (5)
_BEST: Final = 30  # the best step so far (5)
_SYSTEM: Final = 35  # the 5 x 6 linear system
_WORK: Final = 65

COLD: Final = 1e-3
WARM: Final = 1e-5

_FLAT: Final = 1e-4  # wing slopes below this count as this where the floor's gradient divides by them
_MAX_STEPS: Final = 60
_MAX_CHOICES: Final = 8
_MAX_HALVINGS: Final = 6
_COST_TOLERANCE: Final = 3e-4  # relative, and
_VOL_TOLERANCE: Final = 2e-5  # all quotes' vols by this share: a step that promises less than either is the last


@inlined
def workspace(quotes: int) -> tuple[Floats, Floats]:
    """Room for as many quotes with the columns that shape a slice, and scratch for `search`."""
    return np.empty((ROWS, quotes + 2 + BUTTERFLY_POINTS)), np.empty(_WORK)


@inlined
def to_box(params: Floats) -> Box:
    """(p, c, a, m, s) of raw parameters, moved inside the bounds."""
    b, rho, s = params[1], params[2], max(params[4], MIN_S)
    p = min(max(b * (1.0 - rho), MIN_SLOPE), 2.0)
    c = min(max(b * (1.0 + rho), MIN_SLOPE), 2.0)
    return p, c, max(params[0], MIN_VARIANCE - s * math.sqrt(p * c)), params[3], s


@compiled
def squared_weight(table: Floats, quotes: int) -> float:
    """Sum of the squared weights of the first columns."""
    total = 0.0
    for i in range(quotes):
        total += table[W2, i]
    return total


@inlined
def to_raw(x: Box, params: Floats) -> None:
    """Fill `params[:5]` = (a, b, rho, m, s)."""
    p, c, a, m, s = x
    params[0] = a
    params[1] = 0.5 * (p + c)
    params[2] = (c - p) / (c + p)
    params[3] = m
    params[4] = s


@inlined
def frame_of(
    weight2: float,
    k_lo: float,
    k_hi: float,
    deviation: float,
    years: float,
    slopes: Slopes,
    butterfly_weight: float,
    butterfly_margin: float,
) -> Frame:
    """The frame of quotes whose squared weights sum to `weight2`: no wing steeper than STEEPEST deviations."""
    least, most, drawn_to, pull = slopes
    steepest, total_weight = min(STEEPEST * deviation, 2.0), deviation * math.sqrt(weight2 / years)
    return Frame(
        k_lo,
        k_hi,
        deviation,
        least[0],
        max(min(steepest, most[0]), least[0]),
        least[1],
        max(min(steepest, most[1]), least[1]),
        drawn_to[0],
        drawn_to[1],
        pull * total_weight,
        total_weight,
        butterfly_weight,
        butterfly_margin,
    )


@inlined
def wings_of(params: Floats) -> Wings:
    """Slopes p and c of raw parameters."""
    return params[1] * (1.0 - params[2]), params[1] * (1.0 + params[2])


@compiled
def search(
    x: Box, table: Floats, quotes: int, years: float, frame: Frame, damping: float, work: Floats
) -> tuple[Box, int, int]:
    """From `x`, where the first `quotes` columns of `table` lead: the slice, the steps taken, a code of `FIT_CODES`.

    `damping` of the first step: COLD or WARM, as far as `x` is from where it will end.
    """
    columns = _ask_for_shape(table, quotes, frame)
    unit = frame.total_weight * _VOL_TOLERANCE
    negligible = unit * unit
    steps = 0
    x = _between(x, frame)
    cost = _look(x, table, quotes, columns, years, frame, work)
    while steps < _MAX_STEPS:
        steps += 1
        trial, promised, whole = _best_step(x, table, columns, cost, damping, frame, work)
        gain_promised = cost - promised
        if whole and damping <= 1.0 and 0.0 <= gain_promised <= _COST_TOLERANCE * cost + negligible:
            return trial, steps, CONVERGED
        gain = -1.0
        if gain_promised >= 0.0:
            trial_cost = _look(trial, table, quotes, columns, years, frame, work)
            gain = cost - trial_cost
        if gain >= 0.0:
            x, cost = trial, trial_cost
            trusted = 0.1 if gain > 0.75 * gain_promised else (1.0 if gain > 0.25 * gain_promised else 4.0)
            damping *= trusted if whole else 4.0
            damping = max(damping, 1e-9)
        else:
            damping *= 8.0
            if damping > 1e8:
                return x, steps, CONVERGED
            _look(x, table, quotes, columns, years, frame, work)
    return x, steps, OUT_OF_ITERATIONS


@inlined
def _between(x: Box, frame: Frame) -> Box:
    """`x` with its wing slopes moved between their bounds."""
    p, c, a, m, s = x
    p, c = min(max(p, frame.least_p), frame.most_p), min(max(c, frame.least_c), frame.most_c)
    return p, c, max(a, MIN_VARIANCE - s * math.sqrt(p * c)), m, s


@inlined
def _look(x: Box, table: Floats, quotes: int, columns: int, years: float, frame: Frame, work: Floats) -> float:
    """Fill what the slice `x` answers, which ends bind there and the scale of steps; the weighted sum of squares."""
    for i in range(5):
        work[_MOVE + i] = 0.0
    cost = _answer_quotes(x, table, quotes, 1.0 / years, work)
    for i, slope, row in ((quotes, x[P], JP), (quotes + 1, x[C], JC)):
        table[VALUE, i] = slope / frame.deviation
        table[row, i] = 1.0 / frame.deviation
    if columns > quotes + 2:
        _answer_density(x, table, quotes + 2, columns)
    rest, _ = _bind(table, quotes, columns, work)
    _scale(table, quotes, columns, work)
    return cost + rest


@inlined
def _best_step(
    x: Box, table: Floats, columns: int, cost: float, damping: float, frame: Frame, work: Floats
) -> tuple[Box, float, bool]:
    """The damped step to the least of the linearised bands inside the bounds, the cost promised there, and whether the
    step is whole: one that was cut short promises little and means nothing by it.

    The cost is infinite where no step is found that promises no loss.
    """
    promised, found, whole = cost, False, False
    for i in range(5):
        work[_BEST + i] = 0.0
    for _ in range(_MAX_CHOICES):
        _accumulate(table, columns, work)
        _solve_for_move(x, damping, frame, work)
        there, changes = _bind(table, 0, columns, work)
        if there <= promised:
            promised, found = there, True
            for i in range(5):
                work[_BEST + i] = work[_MOVE + i]
        if changes == 0:
            whole = there <= promised
            break
    if not found:
        # Choices that run in circles: the least of a convex sum of squares still lies on the way to the last of them.
        for _ in range(_MAX_HALVINGS):
            for i in range(5):
                work[_MOVE + i] *= 0.5
            there, _ = _bind(table, 0, columns, work)
            if there <= promised:
                promised, found = there, True
                for i in range(5):
                    work[_BEST + i] = work[_MOVE + i]
                break
    return _land(x, frame, work), promised if found else math.inf, whole


@compiled
def _answer_quotes(x: Box, table: Floats, quotes: int, per_year: float, work: Floats) -> float:
    """Fill vols with their derivatives, the ends that bind and the scale; the sum of squares. One pass for all."""
    p, c, a, m, s = x
    lean, b = 0.5 * (c - p), 0.5 * (c + p)
    k, lo, hi, mid, weight2, pull = table[K], table[LO], table[HI], table[MID], table[W2], table[PULL]
    value, binding, excess = table[VALUE], table[BINDING], table[EXCESS]
    row_p, row_c, row_a, row_m, row_s = table[JP], table[JC], table[JA], table[JM], table[JS]
    cost = pp = cc = aa = mm = ss = 0.0
    for i in range(quotes):
        y = k[i] - m
        radius = math.sqrt(y * y + s * s)
        sigma = math.sqrt((a + lean * y + b * radius) * per_year)
        per_both = 1.0 / (sigma * radius)
        slope, per_radius = 0.5 * per_year * radius * per_both, sigma * per_both
        jp, jc = 0.5 * slope * (radius - y), 0.5 * slope * (radius + y)
        jm, js = -slope * (lean + b * y * per_radius), slope * b * s * per_radius
        value[i], row_p[i], row_c[i], row_a[i], row_m[i], row_s[i] = sigma, jp, jc, slope, jm, js
        over, under = sigma >= hi[i], sigma <= lo[i]
        binds = weight2[i] if over | under else 0.0
        beyond = sigma - (hi[i] if over else lo[i])
        beyond = beyond if over | under else 0.0
        binding[i], excess[i] = binds, beyond
        off_mid = sigma - mid[i]
        cost += binds * beyond * beyond + pull[i] * off_mid * off_mid
        h = weight2[i] + pull[i]
        pp += h * jp * jp
        cc += h * jc * jc
        aa += h * slope * slope
        mm += h * jm * jm
        ss += h * js * js
    work[_SCALE + P], work[_SCALE + C], work[_SCALE + A], work[_SCALE + M], work[_SCALE + S] = pp, cc, aa, mm, ss
    return cost


@compiled
def _ask_for_shape(table: Floats, quotes: int, frame: Frame) -> int:
    """Append columns that pull the wings' slopes and ask for a density; the number of columns then."""
    columns = quotes + 2
    if frame.butterfly_weight > 0.0:
        columns += BUTTERFLY_POINTS
    for i in range(quotes, columns):
        table[LO, i], table[HI, i], table[MID, i], table[W2, i], table[PULL, i] = -math.inf, math.inf, 0.0, 0.0, 0.0
    for i, slope in ((quotes, frame.drawn_to_p), (quotes + 1, frame.drawn_to_c)):
        for row in (JP, JC, JA, JM, JS):
            table[row, i] = 0.0
        table[MID, i] = slope / frame.deviation
        table[PULL, i] = frame.wing_weight * frame.wing_weight
    w2 = frame.butterfly_weight * frame.butterfly_weight / BUTTERFLY_POINTS
    for i in range(quotes + 2, columns):
        at = 2.0 * (i - quotes - 2) / (BUTTERFLY_POINTS - 1) - 1.0
        table[K, i] = frame.deviation * math.sinh(math.asinh(GRID_END) * at)
        table[LO, i] = frame.butterfly_margin
        table[W2, i] = w2
    return columns


@compiled
def _answer_density(x: Box, table: Floats, first: int, columns: int) -> None:
    """Fill Durrleman's g and its derivatives in (p, c, a, m, s)."""
    p, c, a, m, s = x
    lean, b = 0.5 * (c - p), 0.5 * (c + p)
    k_of, value = table[K, first:columns], table[VALUE, first:columns]
    jp, jc, ja = table[JP, first:columns], table[JC, first:columns], table[JA, first:columns]
    jm, js = table[JM, first:columns], table[JS, first:columns]
    for i in range(value.size):
        k = k_of[i]
        y = k - m
        radius = math.sqrt(y * y + s * s)
        w = a + lean * y + b * radius
        per_both = 1.0 / (radius * w)
        per_radius, per_w = w * per_both, radius * per_both
        cosine, sine = y * per_radius, s * per_radius
        curl = sine * sine * per_radius
        dw, d2w = lean + b * cosine, b * curl
        tilt, outer = 1.0 - 0.5 * k * dw * per_w, per_w + 0.25
        value[i] = tilt * tilt - 0.25 * dw * dw * outer + 0.5 * d2w
        g_w = (tilt * k * dw + 0.25 * dw * dw) * per_w * per_w
        g_dw = -tilt * k * per_w - 0.5 * dw * outer
        jp[i] = 0.5 * (g_w * (radius - y) + g_dw * (cosine - 1.0)) + 0.25 * curl
        jc[i] = 0.5 * (g_w * (radius + y) + g_dw * (cosine + 1.0)) + 0.25 * curl
        ja[i] = g_w
        jm[i] = -g_w * dw - g_dw * d2w + 1.5 * b * curl * cosine * per_radius
        js[i] = b * sine * (g_w - g_dw * cosine * per_radius + per_radius * per_radius * (1.0 - 1.5 * sine * sine))


@compiled
def _bind(table: Floats, first: int, columns: int, work: Floats) -> tuple[float, int]:
    """Choose the ends that bind after the step in `work`, to first order: the cost there, and how many changed."""
    value, lo, hi = table[VALUE, first:columns], table[LO, first:columns], table[HI, first:columns]
    mid, weight2, pull = table[MID, first:columns], table[W2, first:columns], table[PULL, first:columns]
    jp, jc, ja = table[JP, first:columns], table[JC, first:columns], table[JA, first:columns]
    jm, js = table[JM, first:columns], table[JS, first:columns]
    binding, excess = table[BINDING, first:columns], table[EXCESS, first:columns]
    dp, dc, da = work[_MOVE + P], work[_MOVE + C], work[_MOVE + A]
    dm, ds = work[_MOVE + M], work[_MOVE + S]
    cost, changes = 0.0, 0
    for i in range(value.size):
        shift = jp[i] * dp + jc[i] * dc + ja[i] * da + jm[i] * dm + js[i] * ds
        there = value[i] + shift
        over, under = there >= hi[i], there <= lo[i]
        binds = weight2[i] if over | under else 0.0
        beyond = value[i] - (hi[i] if over else lo[i])
        beyond = beyond if over | under else 0.0
        changes += 1 if (binds != binding[i]) | (beyond != excess[i]) else 0
        binding[i], excess[i] = binds, beyond
        off, off_mid = beyond + shift, there - mid[i]
        cost += binds * off * off + pull[i] * off_mid * off_mid
    return cost, changes


@compiled
def _scale(table: Floats, first: int, columns: int, work: Floats) -> None:
    """Add to the diagonal of J'J as if every band bound: a measure of steps that does not jump with those that do."""
    for i in range(first, columns):
        h = table[W2, i] + table[PULL, i]
        for j in range(5):
            work[_SCALE + j] += h * table[JP + j, i] * table[JP + j, i]


@compiled
def _accumulate(table: Floats, columns: int, work: Floats) -> None:
    """Fill the normal equations of the ends that bind and of the mids."""
    value, mid, pull, binding, excess = table[VALUE], table[MID], table[PULL], table[BINDING], table[EXCESS]
    row_p, row_c, row_a, row_m, row_s = table[JP], table[JC], table[JA], table[JM], table[JS]
    pp = pc = pa = pm = ps = cc = ca = cm = cs = aa = am = as_ = mm = ms = ss = 0.0
    gp = gc = ga = gm = gs = 0.0
    for i in range(columns):
        h = binding[i] + pull[i]
        r = binding[i] * excess[i] + pull[i] * (value[i] - mid[i])
        jp, jc, ja, jm, js = row_p[i], row_c[i], row_a[i], row_m[i], row_s[i]
        pp += h * jp * jp
        pc += h * jp * jc
        pa += h * jp * ja
        pm += h * jp * jm
        ps += h * jp * js
        cc += h * jc * jc
        ca += h * jc * ja
        cm += h * jc * jm
        cs += h * jc * js
        aa += h * ja * ja
        am += h * ja * jm
        as_ += h * ja * js
        mm += h * jm * jm
        ms += h * jm * js
        ss += h * js * js
        gp += r * jp
        gc += r * jc
        ga += r * ja
        gm += r * jm
        gs += r * js
    sums = (pp, pc, pa, pm, ps, cc, ca, cm, cs, aa, am, as_, mm, ms, ss, gp, gc, ga, gm, gs)
    for i in range(_SUMS):
        work[i] = sums[i]


@inlined
def _solve_for_move(x: Box, damping: float, frame: Frame, work: Floats) -> None:
    """Solve the damped normal equations and put the move, cut back to the bounds, into `work`."""
    p, c, a, m, s = x
    system = work[_SYSTEM : _SYSTEM + 30].reshape(5, 6)
    at = 0
    for i in range(5):
        for j in range(i, 5):
            system[i, j] = work[at]
            system[j, i] = work[at]
            at += 1
        system[i, 5] = -work[15 + i]
        system[i, i] += damping * work[_SCALE + i] + 1e-30
    floored = _is_floored(x) and system[A, 5] < 0.0
    if floored:
        _follow_floor(system, x)
    _hold(system, P, p <= frame.least_p, p >= frame.most_p)
    _hold(system, C, c <= frame.least_c, c >= frame.most_c)
    _hold(system, A, floored, False)
    _hold(system, S, s <= MIN_S, False)
    _solve(system)
    width = frame.k_hi - frame.k_lo
    to_p = min(max(p + system[P, 5], frame.least_p), frame.most_p)
    to_c = min(max(c + system[C, 5], frame.least_c), frame.most_c)
    to_m = min(max(m + system[M, 5], frame.k_lo - width), frame.k_hi + width)
    to_s = min(max(s + system[S, 5], 0.2 * s, MIN_S), 5.0 * s, 10.0 * (width + MIN_S))
    floor = MIN_VARIANCE - to_s * math.sqrt(to_p * to_c)
    to_a = floor if floored else max(a + system[A, 5], floor)
    work[_MOVE + P], work[_MOVE + C], work[_MOVE + A] = to_p - p, to_c - c, to_a - a
    work[_MOVE + M], work[_MOVE + S] = to_m - m, to_s - s


@inlined
def _is_floored(x: Box) -> bool:
    p, c, a, _, s = x
    return a <= MIN_VARIANCE * (1.0 + 1e-9) - s * math.sqrt(p * c)


@inlined
def _land(x: Box, frame: Frame, work: Floats) -> Box:
    """Where the best move from `x` ends."""
    p, c, a, m, s = x
    to_p = min(max(p + work[_BEST + P], frame.least_p), frame.most_p)
    to_c = min(max(c + work[_BEST + C], frame.least_c), frame.most_c)
    to_s = max(s + work[_BEST + S], MIN_S)
    to_a = max(a + work[_BEST + A], MIN_VARIANCE - to_s * math.sqrt(to_p * to_c))
    straight = to_p, to_c, to_a, m + work[_BEST + M], to_s
    if _is_floored(x) and _is_floored(straight):
        return straight
    return _bend(x, straight, min(max(0.0, frame.k_lo), frame.k_hi), frame.k_hi - frame.k_lo)


@compiled
def _bend(x: Box, straight: Box, k: float, width: float) -> Box:
    """The same step along curves on which w, w' and w'' at `k` change as it says to first order, and no more.

    A smile that is nearly a parabola over its quotes hardly tells b from s: its valley is long and straight in those
    coordinates, short of straight in raw ones. Where the curved step leaves the domain it is the straight one.
    """
    p, c, a, m, s = x
    to_p, to_c, to_a, to_m, to_s = straight
    dp, dc, da, dm, ds = to_p - p, to_c - c, to_a - a, to_m - m, to_s - s
    y, b = k - m, 0.5 * (p + c)
    radius = math.sqrt(y * y + s * s)
    cosine, sine = y / radius, s / radius
    curl = sine * sine / radius
    slope, bow = 0.5 * (c - p) + b * cosine, b * curl
    level = a + 0.5 * (c - p) * y + b * radius
    level += 0.5 * (dp * (radius - y) + dc * (radius + y)) + da - dm * slope + ds * b * sine
    bow_to = bow + 0.5 * (dp + dc) * curl
    bow_to += 3.0 * dm * bow * cosine / radius + ds * b * sine * (2.0 - 3.0 * sine * sine) / (radius * radius)
    slope += 0.5 * (dp * (cosine - 1.0) + dc * (cosine + 1.0)) - dm * bow - ds * b * cosine * sine / radius
    to_b = 0.5 * (to_p + to_c)
    to_cosine = (slope - 0.5 * (to_c - to_p)) / to_b
    if not (abs(to_cosine) < 0.999 and bow_to > 0.1 * bow and bow_to < 10.0 * bow):
        return straight
    square = 1.0 - to_cosine * to_cosine
    to_radius = to_b * square / bow_to
    to_y, new_s = to_cosine * to_radius, to_radius * math.sqrt(square)
    new_a = level - 0.5 * (to_c - to_p) * to_y - to_b * to_radius
    new_m = k - to_y
    inside = abs(new_m - k) < 2.0 * width and MIN_S < new_s < 10.0 * (width + MIN_S)
    if not (inside and new_a > MIN_VARIANCE - new_s * math.sqrt(to_p * to_c)):
        return straight
    return to_p, to_c, new_a, new_m, new_s


@compiled
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
def rms_outside(x: Box, table: Floats, quotes: int, years: float) -> float:
    """Weighted root mean square of the distance from the bands, in vol."""
    p, c, a, m, s = x
    lean, b, per_year = 0.5 * (c - p), 0.5 * (c + p), 1.0 / years
    k, lo, hi, weight2 = table[K], table[LO], table[HI], table[W2]
    square, total = 0.0, 0.0
    for i in range(quotes):
        y = k[i] - m
        sigma = math.sqrt((a + lean * y + b * math.sqrt(y * y + s * s)) * per_year)
        excess = max(sigma - hi[i], 0.0) + min(sigma - lo[i], 0.0)
        square += weight2[i] * excess * excess
        total += weight2[i]
    return math.sqrt(square / total)
