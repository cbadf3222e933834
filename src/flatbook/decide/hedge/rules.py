"""The classical answers to hedging one option book at a proportional cost: bands, timers, and what they leave.

In here a delta is in coins, gamma in coins per USD, and `cost_rate` is what one side of a trade costs of its notional
(fee and half-spread). All arguments broadcast.

Source      Leland (1985), J. Finance 40; Whalley and Wilmott (1997), Math. Finance 7; Zakamouline (2006), European
            Financial Management 12; Derman and Kamal (1999), "When you cannot hedge continuously"
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Values = float | Floats


class BandTerms(NamedTuple):
    """What a band depends on, each a number or (n,).

    cost_rate           one side's cost of its notional
    spot_usd, gamma     of the book: d delta / d spot, coins per USD
    risk_aversion       absolute, per USD
    vol, years          decimal per square-root year, and time left
    rate                continuous, annual
    """

    cost_rate: Values
    spot_usd: Values
    gamma: Values
    risk_aversion: Values
    vol: Values
    years: Values
    rate: Values = 0.0


class ZakamoulineBand(NamedTuple):
    """Half-width `fixed` + `by_gamma` around the delta at `vol` times sqrt(1 + vol_adjustment).

    fixed               H0: what is left alone even where delta does not move by itself
    by_gamma            H1
    vol_adjustment      K of a short gamma; that of a long one is its negative
    """

    fixed: Floats
    by_gamma: Floats
    vol_adjustment: Floats

    def half_width(self) -> Floats:
        """Coins of delta on either side."""
        return self.fixed + self.by_gamma

    def hedging_vol(self, vol: Values, gamma: Values) -> Floats:
        """The vol whose delta is the middle of the band, by the sign of the book's gamma.

        1 + K is held to a quarter and more: the fit behind K was to stocks, and far from those it may say anything.
        """
        adjustment = np.where(np.asarray(gamma) < 0.0, self.vol_adjustment, -self.vol_adjustment)
        return np.asarray(vol * np.sqrt(np.maximum(1.0 + adjustment, 0.25)))


def whalley_wilmott(terms: BandTerms) -> Floats:
    """Half-width of the band around Black's delta, coins: (3/2 e^-rT c S Γ² / γ)^(1/3), optimal for small costs."""
    scale = 1.5 * np.exp(-terms.rate * terms.years) * terms.cost_rate * terms.spot_usd
    return np.asarray(np.cbrt(scale * np.square(terms.gamma) / terms.risk_aversion))


def zakamouline(terms: BandTerms) -> ZakamoulineBand:
    """The band fitted to the numerical optimum of exponential utility.

    Domain      vol and years > 0; the fit is over a year or less, and costs of some percent or less
    """
    cost, spot, gamma, aversion, vol, years, rate = (np.asarray(value) for value in terms)
    discounted = np.exp(-rate * years) / vol
    fixed = cost / (aversion * spot * vol * vol * years)
    by_gamma = 1.12 * cost**0.31 * years**0.05 * discounted**0.25 * np.sqrt(np.abs(gamma) / aversion)
    width = (aversion * spot * spot * np.abs(gamma)) ** 0.15
    adjustment = -4.76 * cost**0.78 / years**0.02 * discounted**0.25 * width
    return ZakamoulineBand(fixed, by_gamma, adjustment)


def leland_number(round_trip_rate: Values, vol: Values, years_between: Values) -> Floats:
    """sqrt(2/π) k / (σ sqrt(dt)), of a round trip's cost k and hedges dt years apart."""
    return np.asarray(math.sqrt(2 / math.pi) * round_trip_rate / (vol * np.sqrt(years_between)))


def leland_vol(vol: Values, number: Values, gamma: Values) -> Floats:
    """The vol at which an option pays for its own hedging: higher for a short gamma, lower for a long one.

    NaN where a long option's gamma is not worth its hedging at that pace (number > 1).
    """
    signed = np.where(np.asarray(gamma) < 0.0, number, -number)
    with np.errstate(invalid="ignore"):
        return np.asarray(vol * np.sqrt(1.0 + signed))


def discrete_hedging_deviation(vega: Values, vol: Values, hedges: Values) -> Floats:
    """Standard deviation of P&L that hedging at equal times leaves of an option at the money, in vega's currency.

    vega per 1.00 of vol
    """
    return np.asarray(math.sqrt(math.pi / 4) * vega * vol / np.sqrt(hedges))


def to_band_edge(gap: Values, half_width: Values) -> Floats:
    """The trade that brings a gap of delta back to the nearest edge of its band, 0 inside it."""
    return np.asarray(-np.sign(gap) * np.maximum(np.abs(gap) - half_width, 0.0))


def to_band_centre(gap: Values, half_width: Values) -> Floats:
    """The trade that closes a gap of delta once it is outside its band: a plain threshold."""
    return np.asarray(np.where(np.abs(gap) > half_width, -np.asarray(gap), 0.0))


class ClipTerms(NamedTuple):
    """Sizes that may be sent: at least `least_usd`, at most `most_usd` at a time, in lots of `lot_usd`."""

    least_usd: float
    most_usd: float
    lot_usd: float


def band_clip_usd(delta_usd: float, band_usd: float, terms: ClipTerms) -> float:
    """What of the way to the band's edge is sent now: whole lots, never past it; 0 for nothing, or a delta of NaN."""
    wanted = float(to_band_edge(delta_usd, band_usd))
    if not abs(wanted) >= terms.least_usd:
        return 0.0
    clipped = math.copysign(min(abs(wanted), terms.most_usd), wanted)
    return math.trunc(clipped / terms.lot_usd) * terms.lot_usd
