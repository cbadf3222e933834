"""Plain twin of `flatbook.kernels.surface_joint`: the same sweeps over scipy's least squares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import svi_fit_plain
from flatbook.kernels.calendar_plain import FINE_GRID, crosses, deviation, is_flatter, least_gap, variance
from flatbook.kernels.svi_fit_plain import (
    BAD_INPUT,
    BUTTERFLY_LEFT,
    BUTTERFLY_RESERVE,
    BUTTERFLY_ROUNDS,
    CONVERGED,
    FIT_CODES,
    FIT_SIZE,
    Quotes,
    best_of_starts,
    box,
    raw,
    solve,
)
from flatbook.kernels.svi_plain import GRID_END, least_durrleman, sinh_grid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int8]

CALENDAR_LEFT: Final = 5
SURFACE_CODES: Final = (*FIT_CODES, "calendar_left")
"""Names of `fit_surface`'s result codes."""

SURFACE_SIZE: Final = FIT_SIZE + 1
"""Columns of `fit_surface`'s output: those of a slice, then its lift in vol."""

CALENDAR_POINTS: Final = 48
CALENDAR_WEIGHTS: Final = (1.0, 3.0, 10.0, 30.0, 100.0)  # of the bands by neighbours, against all quotes of a slice
CALENDAR_MARGIN: Final = 4e-4  # of total variance: what sweeps keep neighbours apart by
BUTTERFLY_SHARE: Final = 0.1  # weight of the density condition, against all quotes of a slice
FAR_END: Final = 1e4
A_LITTLE_MORE: Final = 1.0 + 1e-12  # outlasts the rounding of b and rho
MOST_LIFT: Final = 0.005  # vol: more than this is not rounding off but fitting


@dataclass
class _Slice:
    """One expiry between sweeps."""

    quotes: Quotes
    used: int
    params: Floats
    weight2: float
    steps: int = 0
    lift: float = 0.0
    code: int = CONVERGED


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
    """As `surface_joint.fit_surface`."""
    out[:] = np.nan
    slices: dict[int, _Slice] = {}
    for i in range(years.size):
        part = slice(int(first[i]), int(first[i + 1]))
        columns = (k[part], vol_lo[part], vol_hi[part], vol_mid[part], weight[part])
        asked = svi_fit_plain.ask(*columns, float(years[i]), prior[i], float(prior_weight[i]), mid_weight)
        disordered = i > 0 and not years[i] > years[i - 1]
        if isinstance(asked, int) or disordered:
            code[i] = BAD_INPUT if disordered or not isinstance(asked, int) else asked
            continue
        quotes, used = asked
        weight2 = float(np.sum(quotes.weight[:used] ** 2))
        quotes = replace(quotes, butterfly_weight=BUTTERFLY_SHARE * float(np.sqrt(weight2)))
        slices[i] = _Slice(quotes, used, raw(best_of_starts(quotes, start[i]).x), weight2)
        _refit(slices[i], quotes)
    ordered = list(slices.values())
    for calendar_weight in CALENDAR_WEIGHTS:
        if not _sweep(ordered, calendar_weight, last=calendar_weight == CALENDAR_WEIGHTS[-1]):
            break
    _settle(ordered)
    for i, one in slices.items():
        code[i] = one.code
        out[i, :5] = one.params
        out[i, 5:] = one.quotes.rms_outside(box(one.params), one.used), one.steps, one.used, one.lift


def check_surface(params: Floats, least_g: Floats, least_calendar_gap: Floats) -> None:
    """As `surface_joint.check_surface`."""
    least_g[:] = least_calendar_gap[:] = np.nan
    known = [i for i in range(len(params)) if np.isfinite(params[i, 0])]
    for near, i in zip([-1, *known], known, strict=False):
        least_g[i] = _least_g(params[i])
        if near >= 0:
            flatter = is_flatter(params[near], params[i])
            least_calendar_gap[i] = -np.inf if flatter else least_gap(params[near], params[i])


def refit(params: Floats, quotes: Quotes) -> tuple[Floats, int]:
    """The slice that quotes ask for, from `params` on and until its density is positive; and the steps."""
    at, steps = box(params), 0
    for _ in range(BUTTERFLY_ROUNDS):
        solution = solve(quotes, at)
        at = np.asarray(solution.x, dtype=np.float64)
        steps += int(solution.nfev)
        if quotes.least_g(at) >= BUTTERFLY_RESERVE:
            break
        quotes = quotes.sterner()
    return raw(at), steps


def _refit(one: _Slice, quotes: Quotes) -> None:
    one.params, steps = refit(one.params, quotes)
    one.steps += steps


def _sweep(slices: list[_Slice], calendar_weight: float, *, last: bool) -> bool:
    crossed = False
    for at, one in enumerate(slices):
        near = slices[at - 1] if at > 0 else None
        far = slices[at + 1] if at + 1 < len(slices) else None
        below = near is not None and crosses(near.params, one.params)
        above = far is not None and crosses(one.params, far.params)
        if below or above:
            crossed = True
            quotes = one.quotes
            if near is not None:
                quotes = _with_order(quotes, one, near, calendar_weight, is_near=True, as_lift=last)
            if far is not None:
                quotes = _with_order(quotes, one, far, calendar_weight, is_near=False, as_lift=False)
            if last and near is not None:
                least = box(near.params)[:2] * A_LITTLE_MORE
                quotes = replace(quotes, least_slopes=(float(least[0]), float(least[1])))
            _refit(one, quotes)
    return crossed


def _with_order(
    quotes: Quotes, one: _Slice, other: _Slice, calendar_weight: float, *, is_near: bool, as_lift: bool
) -> Quotes:
    share = 2.0 * other.weight2 / (one.weight2 + other.weight2)
    weight2 = calendar_weight**2 * share * one.weight2 / CALENDAR_POINTS
    order = {"is_near": is_near, "as_lift": as_lift}
    return kept_in_order(quotes, one.params, other.params, CALENDAR_MARGIN, weight2, **order)


def kept_in_order(
    quotes: Quotes, own: Floats, other: Floats, apart: float, weight2: float, *, is_near: bool, as_lift: bool
) -> Quotes:
    """Quotes with bands that keep a slice on its side of another; see `surface_joint.ask_for_order`."""
    z = sinh_grid(CALENDAR_POINTS, FAR_END if as_lift else GRID_END)
    unit = deviation(own)
    k = unit * z
    asked = variance(other, k) * (1.0 + apart if is_near else 1.0 - apart)
    vol, nothing = np.sqrt(asked / quotes.years), np.full(k.size, np.inf)
    share = asked / unit**2 if as_lift else 1.0 / (1.0 + z * z)
    return quotes.with_bands(k, vol if is_near else -nothing, nothing if is_near else vol, np.sqrt(weight2 * share))


def _settle(slices: list[_Slice]) -> None:
    standing: list[_Slice] = []
    for one in slices:
        one.code = _join(one, standing)
        while one.code == CALENDAR_LEFT and standing[-1].weight2 < one.weight2:
            standing.pop().code = CALENDAR_LEFT
            one.code = _join(one, standing)
        if one.code == CONVERGED:
            standing.append(one)


def _join(one: _Slice, standing: list[_Slice]) -> int:
    params, code = one.params.copy(), CONVERGED
    if standing:
        near = standing[-1].params
        if is_flatter(near, params):
            p, c = np.maximum(box(params)[:2], box(near)[:2] * A_LITTLE_MORE)
            params[1], params[2] = 0.5 * (p + c), (c - p) / (c + p)
        gap = least_gap(near, params)
        if gap < 0.0:
            params[0] += -gap * (1.0 + 1e-9) + 1e-15
        code = CALENDAR_LEFT if least_gap(near, params) < 0.0 else CONVERGED
    lift = (deviation(params) - deviation(one.params)) / float(np.sqrt(one.quotes.years))
    if code == CALENDAR_LEFT or lift > MOST_LIFT:
        return CALENDAR_LEFT
    one.params, one.lift = params, lift
    return BUTTERFLY_LEFT if _least_g(params) < 0.0 else code


def _least_g(params: Floats) -> float:
    return least_durrleman(params, deviation(params), FINE_GRID)
