"""Skew of one smile, and term structure across several."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flatbook.domain.errors import BadInputError
from flatbook.market.analytics.smile import Smile
from flatbook.market.analytics.strikes import Atm, DeltaConvention, atm_log_moneyness, log_moneyness_at_delta

Floats = NDArray[np.float64]

COIN_CONVENTION = DeltaConvention.PREMIUM_ADJUSTED_FORWARD
"""Of coin-settled options: the premium is paid in the asset, and the delta that is hedged is net of it."""


class Wings(NamedTuple):
    """Vols of a call and a put of one delta against the vol at the money."""

    call_vol: float
    put_vol: float
    atm_vol: float

    @property
    def risk_reversal(self) -> float:
        """What the call's vol has over the put's."""
        return self.call_vol - self.put_vol

    @property
    def butterfly(self) -> float:
        """What the mean of the wings has over the vol at the money."""
        return 0.5 * (self.call_vol + self.put_vol) - self.atm_vol


class SmileShape(NamedTuple):
    """One expiry in the terms of a vol desk.

    atm_vol             by the chosen convention
    risk_reversal_25, butterfly_25, risk_reversal_10, butterfly_10   in vol
    skew                d vol / d ln K at the forward
    normalised_skew     skew times sqrt(T): a change of vol per standard deviation is this times atm_vol; comparable
                        across tenors
    curvature           d2 vol / d (ln K)^2 at the forward
    """

    atm_vol: float
    risk_reversal_25: float
    butterfly_25: float
    risk_reversal_10: float
    butterfly_10: float
    skew: float
    normalised_skew: float
    curvature: float


def wings(smile: Smile, delta: float, convention: DeltaConvention, atm: Atm) -> Wings:
    """Vols at the strikes of the call of `delta` and the put of `-delta`, and at the money; 0 < delta < 1."""
    if not 0.0 < delta < 1.0:
        raise BadInputError(f"the wings' delta of {delta:g} must lie between 0 and 1, as 0.25 does")
    k = np.array(
        [
            log_moneyness_at_delta(smile, delta, convention),
            log_moneyness_at_delta(smile, -delta, convention),
            atm_log_moneyness(smile, atm),
        ]
    )
    call_vol, put_vol, atm_vol = (float(vol) for vol in smile.vol(k))
    return Wings(call_vol, put_vol, atm_vol)


def smile_shape(
    smile: Smile,
    convention: DeltaConvention = COIN_CONVENTION,
    atm: Atm = Atm.DELTA_NEUTRAL_PREMIUM_ADJUSTED,
) -> SmileShape:
    """Level, skew and convexity of a smile."""
    inner, outer = wings(smile, 0.25, convention, atm), wings(smile, 0.10, convention, atm)
    step = 1e-3 * smile.deviation()
    slopes = smile.vol_slope(np.array([-step, 0.0, step]))
    skew = float(slopes[1])
    return SmileShape(
        atm_vol=inner.atm_vol,
        risk_reversal_25=inner.risk_reversal,
        butterfly_25=inner.butterfly,
        risk_reversal_10=outer.risk_reversal,
        butterfly_10=outer.butterfly,
        skew=skew,
        normalised_skew=skew * float(np.sqrt(smile.years)),
        curvature=float(slopes[2] - slopes[0]) / (2.0 * step),
    )


def forward_vols(years: Floats, vol: Floats) -> Floats:
    """Vol of each span from the expiry before, the first from now; shape (n,), times rising and positive.

    NaN where total variance falls with time: no forward vol makes that, and the spans next to it stay good.
    """
    total = _total_variance(years, vol)
    variance = np.diff(total, prepend=0.0) / np.diff(years, prepend=0.0)
    return np.sqrt(np.where(variance >= 0.0, variance, np.nan))


def vol_at(years: Floats, vol: Floats, tenor_years: ArrayLike) -> Floats:
    """Vol at tenors, total variance linear in time between expiries; flat in vol before the first.

    Beyond the last expiry the last forward variance goes on, or 0 where that is negative.
    """
    tenor = np.asarray(tenor_years, dtype=np.float64)
    if not np.all(tenor > 0.0):
        raise BadInputError("tenors must be above 0 years")
    total = _total_variance(years, vol)
    rate = vol[-1] ** 2 if years.size == 1 else max((total[-1] - total[-2]) / (years[-1] - years[-2]), 0.0)
    inside = np.interp(tenor, np.concatenate(([0.0], years)), np.concatenate(([0.0], total)))
    beyond = np.maximum(tenor - years[-1], 0.0) * rate
    return np.asarray(np.sqrt((inside + beyond) / tenor))


def term_slope(years: Floats, vol: Floats, near_years: float, far_years: float) -> float:
    """Far less near constant-maturity vol: positive in contango; negative when the market is under stress."""
    near, far = vol_at(years, vol, np.array([near_years, far_years]))
    return float(far - near)


def _total_variance(years: Floats, vol: Floats) -> Floats:
    if years.shape != vol.shape or years.ndim != 1 or not years.size:
        raise BadInputError(f"{years.shape} expiries and {vol.shape} vols: one vol for each expiry")
    if not (np.all(np.diff(years, prepend=0.0) > 0.0) and np.all(vol >= 0.0)):
        raise BadInputError("a term structure asks for rising positive times and vols of 0 or more")
    return np.asarray(vol * vol * years)
