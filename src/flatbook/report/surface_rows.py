"""A calibration as one JSON document: what the command prints, what the page shows, what a script reads."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_DAY, format_utc
from flatbook.market.analytics.skew import COIN_CONVENTION, SmileShape, smile_shape
from flatbook.market.analytics.strikes import Atm, DeltaConvention
from flatbook.market.analytics.vix import THIRTY_DAYS_YEARS
from flatbook.market.calibration.gate import arbitrages_of
from flatbook.market.calibration.parts import CalibrationModel
from flatbook.market.calibration.slices import CalibratedSlice, Calibration, SliceStatus
from flatbook.report import formats

Row = dict[str, Any]

SVI: Final = ("a", "b", "rho", "m", "s")


def surface_document(calibration: Calibration) -> Row:
    """The calibration and its rows, nearest expiry first; None where a number is not known.

    Units       forwards and strikes USD, errors of forwards in basis points, vols decimal, variances total
    `holds`     whether every expiry quoted enough to be fitted is, and what is published admits no arbitrage
    """
    rows = [_row(calibration, one) for one in calibration.slices]
    arbitraged = arbitrages_of(calibration)
    fewest = CalibrationModel().fewest_two_sided
    quoted = [one for one in calibration.slices if one.two_sided >= fewest]
    fitted = sum(one.status is SliceStatus.FITTED for one in quoted)
    return {
        "underlying": calibration.underlying,
        "settle": calibration.settle,
        "time": format_utc(calibration.ts_ns),
        "index_usd": _known(calibration.index_usd),
        "slices": len(quoted),
        "fitted": fitted,
        "arbitrage": [formats.expiry(expiry_ns) for expiry_ns in arbitraged],
        "holds": fitted == len(quoted) and not arbitraged,
        "rmse_vol": _median([one.quality.rmse_vol for one in quoted]),
        "half_spread_vol": _median([one.quality.half_spread_vol for one in quoted]),
        "vol_30d": _known(float(calibration.term().vol(0.0, THIRTY_DAYS_YEARS))),
        "expiries": rows,
    }


def _row(calibration: Calibration, one: CalibratedSlice) -> Row:
    shape = _shape(calibration, one)
    age_s = one.age_s(calibration.ts_ns) if one.is_published else math.nan
    return {
        "expiry": formats.expiry(one.expiry_ns),
        "expiry_time": format_utc(one.expiry_ns),
        "days": round((one.expiry_ns - calibration.ts_ns) / NS_PER_DAY, 6),
        "status": one.status.value,
        "reason": one.reason,
        "age_s": _known(age_s),
        "forward_usd": _known(one.forward.forward_usd),
        "forward_error_bp": _known(1e4 * one.forward.relative_error),
        "forward_sources": [
            {
                "name": source.name,
                "forward_usd": source.forward_usd,
                "error_bp": 1e4 * source.relative_error,
                "weight": source.weight,
            }
            for source in one.forward.sources
        ],
        "svi": dict(zip(SVI, (_known(value) for value in one.params.tolist()), strict=True)),
        "atm_vol": _known(one.atm_vol),
        "error_vol": _known(one.error_vol),
        "risk_reversal_25_vol": _known(shape.risk_reversal_25) if shape else None,
        "butterfly_25_vol": _known(shape.butterfly_25) if shape else None,
        "rmse_vol": _known(one.quality.rmse_vol),
        "weighted_rmse_vol": _known(one.quality.weighted_rmse_vol),
        "half_spread_vol": _known(one.quality.half_spread_vol),
        "least_g": _known(one.least_g),
        "calendar_gap": _known(one.calendar_gap),
        "two_sided_strikes": one.two_sided,
        "rows": dict(one.rows),
    }


def _shape(calibration: Calibration, one: CalibratedSlice) -> SmileShape | None:
    """Level, skew and convexity in the terms of the contract; None where its wings reach no such delta."""
    if not one.is_published:
        return None
    coin = calibration.settle == calibration.underlying
    convention = COIN_CONVENTION if coin else DeltaConvention.FORWARD
    try:
        return smile_shape(one.smile(), convention, Atm.FORWARD)
    except BadInputError:
        return None


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _median(values: list[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return float(np.median(known)) if known else None
