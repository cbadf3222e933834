"""Smiles for a picture: the fitted curve and the observed vols beside it, per expiry at several times."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flatbook.report import formats
from flatbook.report.tables import SmileRow

Floats = NDArray[np.float64]

TIMES_PER_EXPIRY = 12
CURVE_POINTS = 61
NS_PER_MS = 1_000_000


def svi_vol(k: Floats, fit: SmileRow) -> Floats:
    """Vol (a decimal) of a raw SVI slice at log-moneyness `k` = ln(strike / forward); NaN at negative total variance.

    Source      Gatheral, raw parametrisation: w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + s^2)), vol = sqrt(w / years)
    """
    x = k - fit.m
    variance = fit.a + fit.b * (fit.rho * x + np.sqrt(x * x + fit.s * fit.s))
    return np.sqrt(np.where(variance >= 0, variance, np.nan) / fit.years)


def smile_curve(fit: SmileRow, strikes: Floats) -> tuple[Floats, Floats]:
    """Strikes and vols of the fitted curve, a little beyond `strikes`, or over 2.5 deviations where there are none."""
    k = np.log(strikes / fit.forward_usd)
    if k.size:
        margin = 0.05 * (k.max() - k.min()) + 0.01
        low, high = min(k.min(), 0.0) - margin, max(k.max(), 0.0) + margin
    else:
        at_forward = np.nan_to_num(svi_vol(np.zeros(1), fit), nan=0.5)[0]
        high = 2.5 * at_forward * np.sqrt(fit.years)
        low = -high
    curve = np.linspace(low, high, CURVE_POINTS)
    return fit.forward_usd * np.exp(curve), svi_vol(curve, fit)


def smile_pictures(smiles: pl.DataFrame, points: pl.DataFrame) -> list[dict[str, Any]]:
    """One entry an expiry, nearest first: the slices at up to `TIMES_PER_EXPIRY` times, each with its points.

    Points are those of the last sample at or before the slice's own time: never later than what the fit knew.
    """
    by_expiry = {key[0]: part.sort("ts_ns") for key, part in points.group_by("expiry_ns")}
    out = []
    for expiry_ns in smiles["expiry_ns"].unique().sort():
        fits = smiles.filter(pl.col("expiry_ns") == expiry_ns).sort("ts_ns")
        chosen = np.unique(np.linspace(0, fits.height - 1, min(TIMES_PER_EXPIRY, fits.height)).round().astype(np.int64))
        mine = by_expiry.get(expiry_ns, points.clear())
        slices = [_slice(SmileRow(*fits.row(int(number))), mine) for number in chosen]
        out.append({"expiry": formats.expiry(expiry_ns), "slices": slices})
    return out


def _slice(fit: SmileRow, points: pl.DataFrame) -> dict[str, Any]:
    times = points["ts_ns"]
    last = int(np.searchsorted(times.to_numpy(), fit.ts_ns, side="right")) - 1
    seen = points.filter(times == times[last]) if last >= 0 else points.clear()
    strikes, vols = smile_curve(fit, seen["strike"].to_numpy())
    low, high = seen["vol_low"].to_numpy(), seen["vol_high"].to_numpy()
    return {
        "t": fit.ts_ns // NS_PER_MS,
        "forward": fit.forward_usd,
        "status": fit.status,
        "rmse": 100 * fit.rmse_vol,
        "age": fit.age_s,
        "strike": strikes.round(1).tolist(),
        "vol": (100 * vols).round(3).tolist(),
        "points": {
            "strike": seen["strike"].to_list(),
            "mid": (50 * (low + high)).round(3).tolist(),
            "half": (50 * (high - low)).round(3).tolist(),
            "age": seen["age_s"].round(1).to_list(),
        },
    }
