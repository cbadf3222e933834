"""Fit all expiries of a chain together, publish what is proven, and say why of the rest.

Each expiry first fits its own quotes, and those that contradict their neighbours by far are left out; then all fit
together (`flatbook.kernels.surface_joint`). A fit that fails gives up its place to the last good slice, aged to now:
as vols to be met within its grown error, so that it takes its part in the order of the others, which are fitted again.
What is older than `oldest_s`, or cannot be put in order, is not published.

A slice is held by its own past: by its shape, at the level that the quotes nearest the money have now, within an error
that grows with age. A new expiry is held by a plain smile, weakly. So a few quotes cannot throw either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.surface_joint import SURFACE_CODES, SURFACE_SIZE, check_surface, fit_surface
from flatbook.kernels.svi import svi_vol
from flatbook.kernels.svi_fit import CONVERGED
from flatbook.market.calibration.forwards import ForwardEstimate, forward_estimates
from flatbook.market.calibration.parts import CalibrationModel, Part, Past, aged_part, own_part, past_of
from flatbook.market.calibration.quality import quality_of
from flatbook.market.calibration.quotes import QuoteBands, quote_bands
from flatbook.market.calibration.slices import CalibratedSlice, Calibration, SliceStatus
from flatbook.market.chain_snapshot import ChainSnapshot

Floats = NDArray[np.float64]

_NOWHERE = np.full(5, np.nan)
_NEIGHBOURS = 2
_NOT_FITTED = {
    "too_few_points": "too few of its quotes say anything",
    "bad_input": "its quotes are not numbers",
    "butterfly_left": "no smile without butterfly arbitrage meets its quotes",
    "calendar_left": "its total variance crosses a neighbour's, whose quotes count for more",
}


class _Fit(NamedTuple):
    """Parts and their slices, a row each: parameters, miss of the bands, least g, rise since the slice before."""

    parts: Sequence[Part]
    params: Floats
    outside_vol: Floats
    least_g: Floats
    calendar_gap: Floats
    failed: Mapping[int, str]  # rows that are not to be published, and why


def calibrate(
    snapshot: ChainSnapshot, previous: Calibration | None = None, model: CalibrationModel | None = None
) -> Calibration:
    """The surface of one chain, warm from the calibration before it, which must not be later."""
    rules = model or CalibrationModel()
    forwards = forward_estimates(snapshot, rules.forwards)
    bands = quote_bands(snapshot, forwards)
    pasts = _pasts(previous, snapshot.ts_ns, rules)
    parts: list[Part] = []
    reasons: dict[int, str] = {}
    for at, expiry_ns in enumerate(bands.expiry_ns.tolist()):
        past = pasts.get(expiry_ns)
        part = own_part(at, bands, past, rules)
        if isinstance(part, str):
            reasons[at] = part
            if past and forwards[at].is_known:
                parts.append(aged_part(at, past))
        else:
            parts.append(part)
    fit = _fit_until_proven(parts, reasons, bands, rules)
    return Calibration(
        underlying=snapshot.underlying,
        settle=snapshot.settle,
        ts_ns=snapshot.ts_ns,
        index_usd=snapshot.index_usd,
        slices=tuple(
            _slice(snapshot.ts_ns, forward, bands, at, fit, reasons.get(at, "")) for at, forward in enumerate(forwards)
        ),
        bands=bands,
    )


def _pasts(previous: Calibration | None, now_ns: int, rules: CalibrationModel) -> dict[int, Past]:
    if previous is None:
        return {}
    aged = {one.expiry_ns: past_of(one, previous.ts_ns, now_ns, rules) for one in previous.published()}
    return {expiry_ns: past for expiry_ns, past in aged.items() if past}


def _fit_until_proven(parts: list[Part], reasons: dict[int, str], bands: QuoteBands, rules: CalibrationModel) -> _Fit:
    """Fits until all that is left is proven, and notes why the rest is not.

    Where a slice fails, it and its neighbours are fitted once more without their past; if it fails again, its own past
    takes its place, and if that fails, nothing.
    """
    forgot: set[int] = set()
    # Each round forgets, ages or drops at least one slice, and none comes back: it ends.
    while (fit := _fit_together(parts, rules)).failed:
        second_chance = {row for row in fit.failed if not parts[row].is_aged and parts[row].at not in forgot}
        afresh = {row + step for row in second_chance for step in range(-_NEIGHBOURS, _NEIGHBOURS + 1)}
        again = []
        for row, part in enumerate(parts):
            if row in afresh and not part.is_aged:
                forgot.add(part.at)
                fresh = own_part(part.at, bands, part.past, rules, is_held=False)
                again.append(part if isinstance(fresh, str) else fresh)
            elif row not in fit.failed:
                again.append(replace(part, start=fit.params[row]))
            elif part.is_aged:
                reasons[part.at] += f"; aged, {fit.failed[row]}"
            else:
                reasons[part.at] = fit.failed[row]
                again += [aged_part(part.at, part.past)] if part.past else []
        parts = again
    return fit


def _fit_together(parts: Sequence[Part], rules: CalibrationModel) -> _Fit:
    n = len(parts)
    out, code = np.empty((n, SURFACE_SIZE)), np.empty(n, dtype=np.int8)
    least_g, gap = np.empty(n), np.empty(n)
    fit_surface(
        np.cumsum([0, *(part.k.size for part in parts)], dtype=np.int64),
        np.concatenate([np.empty(0), *(part.k for part in parts)]),
        np.concatenate([np.empty(0), *(part.vol_lo for part in parts)]),
        np.concatenate([np.empty(0), *(part.vol_hi for part in parts)]),
        np.concatenate([np.empty(0), *(part.vol_mid for part in parts)]),
        np.concatenate([np.empty(0), *(part.weight for part in parts)]),
        np.array([part.years for part in parts]),
        np.array([part.start for part in parts]).reshape(n, 5),
        np.array([part.held_by for part in parts]).reshape(n, 5),
        np.array([part.held_weight for part in parts]),
        rules.mid_weight,
        out,
        code,
    )
    params = np.ascontiguousarray(out[:, :5])
    params[code != CONVERGED] = np.nan
    check_surface(params, least_g, gap)
    outside = out[:, 5]
    words = (
        _fault(part, SURFACE_CODES[code[row]], params[row], float(outside[row]), rules)
        or ("its check for arbitrage does not hold" if least_g[row] < 0.0 or gap[row] < 0.0 else "")
        for row, part in enumerate(parts)
    )
    return _Fit(parts, params, outside, least_g, gap, {row: word for row, word in enumerate(words) if word})


def _fault(part: Part, code: str, params: Floats, outside_vol: float, rules: CalibrationModel) -> str:
    """Why a slice is not to be published; empty where it may be."""
    if code != "converged":
        return _NOT_FITTED[code]
    vol = np.empty(1)
    svi_vol(params, np.zeros(1), part.years, vol)
    width = np.nanmedian(np.where(part.weight > 0.0, 0.5 * (part.vol_hi - part.vol_lo), np.nan))
    if part.is_aged or outside_vol <= max(rules.residual_limit * float(vol[0]), float(width)):
        return ""
    return f"misses its quotes by {100 * outside_vol:.1f} vol points at a level of {100 * float(vol[0]):.0f}"


def _slice(
    now_ns: int, forward: ForwardEstimate, bands: QuoteBands, at: int, fit: _Fit, reason: str
) -> CalibratedSlice:
    row = next((row for row, part in enumerate(fit.parts) if part.at == at), None)
    part = None if row is None else fit.parts[row]
    params = _NOWHERE if row is None else fit.params[row]
    outside_vol = math.nan if row is None else float(fit.outside_vol[row])
    quality = quality_of(bands, at, params)
    status, fitted_ns, error_vol = SliceStatus.MISSING, 0, math.nan
    if part and part.is_aged and part.past:
        status, fitted_ns, error_vol = SliceStatus.AGED, part.past.fitted_ns, part.past.error_vol
    elif part:
        error_vol = math.hypot(outside_vol, quality.level_error()) if quality.quotes else 1.0 / part.held_weight
        status, fitted_ns = SliceStatus.FITTED, now_ns
    return CalibratedSlice(
        expiry_ns=forward.expiry_ns,
        years=float(bands.years[at]),
        forward=forward,
        status=status,
        reason=reason,
        params=params,
        fitted_ns=fitted_ns,
        error_vol=error_vol,
        quality=quality,
        outside_vol=outside_vol,
        two_sided=int(np.isfinite(bands.vol_mid[bands.of(at)]).sum()),
        least_g=math.nan if row is None else float(fit.least_g[row]),
        calendar_gap=math.nan if row is None else float(fit.calendar_gap[row]),
        rows={**bands.rows[at], **(part.left_out if part else {})},
    )
