"""What the page of a calibrated surface draws: curves and bands rounded, by expiry and over the whole surface."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_DAY
from flatbook.kernels.svi import svi_total_variance
from flatbook.kernels.svi_plain import durrleman
from flatbook.market.analytics.skew import forward_vols
from flatbook.market.calibration.slices import CalibratedSlice, Calibration
from flatbook.report import formats

Floats = NDArray[np.float64]
Chart = dict[str, Any]

_CURVE_POINTS = 81
_CHECK_POINTS = 161
_CHECK_REACH = 5.0  # deviations shown of Durrleman's g, of the density and of the rise from slice to slice
_GRID_REACH = 2.5  # deviations of the surface in three dimensions
_GRID: Final = (41, 36)
_MARGIN = 1.08


def surface_chart(calibration: Calibration) -> Chart:
    """Everything that the page's script needs; vols in percent, NaN for unknown."""
    return {
        "smiles": [_smile(calibration, at) for at in range(len(calibration.slices))],
        "grid": _grid(calibration),
        "checks": _checks(calibration),
        "term": _term(calibration),
        "forwards": _forwards(calibration),
    }


def _smile(calibration: Calibration, at: int) -> Chart:
    """One expiry: its bands, and the fit over the strikes that are quoted, as far as they are of interest."""
    one, bands = calibration.slices[at], calibration.bands
    of = bands.of(at)
    k, lo, hi, mid = bands.k[of], bands.vol_lo[of], bands.vol_hi[of], bands.vol_mid[of]
    quoted = ~np.isnan(mid)
    reach = _reach(one, k[quoted])
    curve = np.linspace(*reach, _CURVE_POINTS)
    shown = (k >= reach[0] * _MARGIN) & (k <= reach[1] * _MARGIN)
    forward = one.forward.forward_usd
    return {
        "expiry": formats.expiry(one.expiry_ns),
        "days": _days(calibration, one),
        "status": one.status.value,
        "reason": one.reason,
        "forward": round(forward, 2),
        "atm": _percent(one.atm_vol),
        "miss": _percent(one.quality.rmse_vol),
        "half": _percent(one.quality.half_spread_vol),
        "curve": {"x": _strikes(forward, curve), "y": _percents(one.vol(curve))},
        "band": {
            "x": _round(bands.strike_usd[of][shown & quoted], 2),
            "lo": _percents(lo[shown & quoted]),
            "hi": _percents(hi[shown & quoted]),
        },
        "bids": _points(bands.strike_usd[of], lo, shown & ~quoted & ~np.isnan(lo)),
        "asks": _points(bands.strike_usd[of], hi, shown & ~quoted & ~np.isnan(hi)),
        "range": _vol_range(one, curve, lo[shown & quoted], hi[shown & quoted]),
    }


def _reach(one: CalibratedSlice, quoted: Floats) -> tuple[float, float]:
    """Log-moneyness to show: what is quoted on both sides, to six deviations at most and one at least."""
    deviation = one.atm_vol * math.sqrt(one.years) if one.is_published else 0.1
    low, high = (float(quoted.min()), float(quoted.max())) if quoted.size else (-deviation, deviation)
    return max(min(low, -deviation), -6.0 * deviation), min(max(high, deviation), 6.0 * deviation)


def _vol_range(one: CalibratedSlice, curve: Floats, lo: Floats, hi: Floats) -> list[float] | None:
    """Vols to show: the fit with room, and bands as far as they lie near it; None leaves it to the chart."""
    vol = one.vol(curve)
    if not np.isfinite(vol).all():
        return None
    low, high = float(vol.min()), float(vol.max())
    near = np.concatenate([lo[lo > 0.6 * low], hi[hi < 1.4 * high], vol])
    room = 0.06 * float(near.max() - near.min())
    return [_percent(float(near.min()) - room), _percent(float(near.max()) + room)]


def _grid(calibration: Calibration) -> Chart:
    """The surface read between its slices, by deviations and log time; and the slices on it."""
    published = calibration.published()
    if len(published) < 2:
        return {"z": []}
    term = calibration.term()
    deviations = np.linspace(-_GRID_REACH, _GRID_REACH, _GRID[0])
    years = np.geomspace(published[0].years, published[-1].years, _GRID[1])
    unit = np.sqrt(term.total_variance(0.0, years))
    vol = term.vol(deviations[None, :] * unit[:, None], years[:, None])
    return {
        "x": _round(deviations, 3),
        "y": _round(365.0 * years, 4),
        "z": [_percents(row) for row in vol],
        "slices": [
            {
                "expiry": formats.expiry(one.expiry_ns),
                "days": _days(calibration, one),
                "vol": _percents(one.vol(deviations * one.atm_vol * math.sqrt(one.years))),
            }
            for one in published
        ],
    }


def _checks(calibration: Calibration) -> list[Chart]:
    """Of each slice: Durrleman's g, the density it makes, total variance, and its rise over the slice before."""
    out = []
    before: CalibratedSlice | None = None
    z = np.linspace(-_CHECK_REACH, _CHECK_REACH, _CHECK_POINTS)
    for one in calibration.published():
        k = z * one.atm_vol * math.sqrt(one.years)
        w, g = _variance_and_g(one, k)
        d2 = -k / np.sqrt(w) - 0.5 * np.sqrt(w)
        # Of ln(S/F) in units of its deviation, so that expiries compare.
        density = g / np.sqrt(2.0 * math.pi * w) * np.exp(-0.5 * d2 * d2) * one.atm_vol * math.sqrt(one.years)
        rise = None if before is None else _round(100.0 * (w / _variance_and_g(before, k)[0] - 1.0), 3)
        out.append(
            {
                "expiry": formats.expiry(one.expiry_ns),
                "days": _days(calibration, one),
                "z": _round(z, 3),
                "k": _round(k, 5),
                "g": _round(g, 5),
                "density": _round(density, 5),
                "variance": _round(w, 7),
                "rise": rise,
            }
        )
        before = one
    return out


def _variance_and_g(one: CalibratedSlice, k: Floats) -> tuple[Floats, Floats]:
    w = np.empty(k.size)
    svi_total_variance(one.params, k, w)
    return w, durrleman(one.params, k)


def _term(calibration: Calibration) -> Chart:
    """Vol at the money by expiry with its error, and the forward vol of each span."""
    published = calibration.published()
    years = np.array([one.years for one in published])
    vol = np.array([one.atm_vol for one in published])
    spans = forward_vols(years, vol) if len(published) else np.empty(0)
    return {
        "expiry": [formats.expiry(one.expiry_ns) for one in published],
        "days": [_days(calibration, one) for one in published],
        "vol": _percents(vol),
        "error": _percents(np.array([one.error_vol for one in published])),
        "aged": [one.reason for one in published],
        "forward_vol": _percents(spans),
    }


def _forwards(calibration: Calibration) -> Chart:
    """Annual carry of each forward over the index, or where that is not known over the nearest; and its error."""
    known = [one for one in calibration.slices if one.forward.is_known]
    base_usd, base_years = calibration.index_usd, 0.0
    if known and not base_usd > 0.0:
        base_usd, base_years = known[0].forward.forward_usd, known[0].years
        known = known[1:]
    spans = [one.years - base_years for one in known]
    rate = [math.log(one.forward.forward_usd / base_usd) / span for one, span in zip(known, spans, strict=True)]
    error = [one.forward.relative_error / span for one, span in zip(known, spans, strict=True)]
    return {
        "expiry": [formats.expiry(one.expiry_ns) for one in known],
        "days": [_days(calibration, one) for one in known],
        "rate": _percents(np.array(rate)),
        "error": _percents(np.array(error)),
    }


def _days(calibration: Calibration, one: CalibratedSlice) -> float:
    return round((one.expiry_ns - calibration.ts_ns) / NS_PER_DAY, 4)


def _strikes(forward: float, k: Floats) -> list[float]:
    return _round(forward * np.exp(k), 2)


def _points(strike: Floats, vol: Floats, which: NDArray[np.bool_]) -> Chart:
    return {"x": _round(strike[which], 2), "y": _percents(vol[which])}


def _percent(vol: float) -> float:
    return round(100.0 * vol, 3)


def _percents(vol: Floats) -> list[float]:
    return _round(100.0 * vol, 3)


def _round(values: Floats, digits: int) -> list[float]:
    rounded: list[float] = np.round(values, digits).tolist()
    return rounded
