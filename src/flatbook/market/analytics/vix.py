"""Vol indices of 30 days: the VIX method on listed strikes, and a continuous index in the manner of DVOL.

Sources: Cboe, "Cboe Volatility Index" (VIX white paper); Deribit, "DVOL: Deribit implied volatility index". What DVOL
leaves out is not published in full. Recorded chains say that it takes little beyond 2.2 standard deviations: with all
wings the index of July 2026 comes out 2.4 vol points too high, with that cut within 0.15. A cut at five delta does as
well in July, but drifts with the skew; cuts by price, by strike over forward, and interpolating vol instead of
variance do worse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.market.analytics.smile import Smile
from flatbook.market.analytics.variance import smile_variance_between

Floats = NDArray[np.float64]

THIRTY_DAYS_YEARS = 30.0 / 365.0
DVOL_REACH = 2.2
"""Standard deviations of the log forward to which DVOL's options reach: one constant, chosen by recorded chains."""


@dataclass(frozen=True, slots=True, eq=False)
class OptionStrip:
    """Best quotes of one expiry by strike, shape (n,) each, strikes rising; 0 or NaN is no quote. One price unit."""

    strike_usd: Floats
    call_bid: Floats
    call_ask: Floats
    put_bid: Floats
    put_ask: Floats

    def __post_init__(self) -> None:
        shapes = {column.shape for column in (self.call_bid, self.call_ask, self.put_bid, self.put_ask)}
        rising = self.strike_usd.ndim == 1 and self.strike_usd.size >= 2 and np.all(np.diff(self.strike_usd) > 0.0)
        if not rising or shapes != {self.strike_usd.shape}:
            raise BadInputError("a strip of quotes needs two or more rising strikes and four quotes for each")

    def call_mid(self) -> Floats:
        """Middle of the calls' quotes, NaN where a side is absent."""
        return _mid(self.call_bid, self.call_ask)

    def put_mid(self) -> Floats:
        """Middle of the puts' quotes, NaN where a side is absent."""
        return _mid(self.put_bid, self.put_ask)


def _mid(bid: Floats, ask: Floats) -> Floats:
    return np.where((bid > 0.0) & (ask > 0.0), 0.5 * (bid + ask), np.nan)


def vix_forward(strip: OptionStrip, growth: float = 1.0) -> float:
    """Forward by parity at the strike where call and put are closest: K + growth (C - P); quotes in USD."""
    gap = strip.call_mid() - strip.put_mid()
    if not np.isfinite(gap).any():
        raise BadInputError("no strike of the strip has a call and a put quoted on both sides; give the forward")
    at = int(np.nanargmin(np.abs(gap)))
    return float(strip.strike_usd[at] + growth * gap[at])


def vix_variance(strip: OptionStrip, forward_usd: float, years: float, growth: float = 1.0) -> float:
    """Variance per year of one expiry by the VIX method.

    Quotes in USD, discounted by 1/growth, growth = e^(R T). From the first strike K0 at or below the forward outwards,
    options without a bid are left out, and all beyond two of them in a row; at K0 put and call are averaged.
    """
    centre = int(np.searchsorted(strip.strike_usd, forward_usd, side="right")) - 1
    if centre < 0:
        raise BadInputError(f"no strike at or below the forward of {forward_usd:g} USD")
    price = np.where(np.arange(strip.strike_usd.size) < centre, strip.put_mid(), strip.call_mid())
    price[centre] = 0.5 * (strip.put_mid()[centre] + strip.call_mid()[centre])
    used = np.sort(
        np.concatenate(
            (
                _until_two_without_bid(strip.put_bid, np.arange(centre - 1, -1, -1)),
                [centre],
                _until_two_without_bid(strip.call_bid, np.arange(centre + 1, strip.strike_usd.size)),
            )
        )
    ).astype(np.int64)
    used = used[np.isfinite(price[used])]
    if used.size < 3 or centre not in used:
        raise BadInputError(f"only {used.size} quoted options around the forward of {forward_usd:g} USD; three needed")
    strike = strip.strike_usd[used]
    spacing = np.empty(strike.size)
    spacing[1:-1] = 0.5 * (strike[2:] - strike[:-2])
    spacing[0], spacing[-1] = strike[1] - strike[0], strike[-1] - strike[-2]
    paid = float(np.sum(spacing / strike**2 * price[used])) * growth
    return (2.0 * paid - (forward_usd / float(strip.strike_usd[centre]) - 1.0) ** 2) / years


def _until_two_without_bid(bid: Floats, outward: NDArray[np.int64]) -> NDArray[np.int64]:
    has_bid = bid[outward] > 0.0
    pair = np.flatnonzero(~has_bid[1:] & ~has_bid[:-1])
    end = int(pair[0]) if pair.size else outward.size
    return outward[:end][has_bid[:end]]


def index_vol_points(
    near_variance: float, near_years: float, far_variance: float, far_years: float, years: float = THIRTY_DAYS_YEARS
) -> float:
    """Index in vol points: total variance of two expiries, linear in time between them, at `years`.

    Beyond the two expiries the line is extended, as the VIX once did; a negative variance there is refused.
    """
    if not 0.0 < near_years < far_years:
        raise BadInputError(f"expiries at {near_years:g} and {far_years:g} years: the near one must come first")
    share = (far_years - years) / (far_years - near_years)
    total = share * near_variance * near_years + (1.0 - share) * far_variance * far_years
    if total < 0.0:
        raise BadInputError(f"variance extended to {years:g} years is negative; take expiries around it")
    return 100.0 * math.sqrt(total / years)


@dataclass(frozen=True, slots=True, eq=False)
class CoinStrip:
    """Quotes in coin of one expiry and the smile fitted to it."""

    quotes: OptionStrip
    smile: Smile


def continuous_variance(strip: CoinStrip, reach: float = DVOL_REACH) -> float:
    """Variance per year that options within `reach` standard deviations pay, without steps as strikes come and go.

    The smile's own integral, plus the trapezoid of what listed mids differ from it: the smile fills the strikes that
    nobody quotes, and the curvature between strikes. A standard deviation is by the smile's vol at the money.
    """
    smile, quotes = strip.smile, strip.quotes
    end = reach * smile.deviation()
    k = np.log(quotes.strike_usd / smile.forward_usd)
    mid = np.where(k < 0.0, quotes.put_mid(), quotes.call_mid())
    seen = np.isfinite(mid) & (np.abs(k) < end)
    excess = (mid[seen] - smile.otm_price(k[seen])) * np.exp(-k[seen])
    knots = np.concatenate(([-end], k[seen], [end]))
    correction = float(np.trapezoid(np.concatenate(([0.0], excess, [0.0])), knots))
    return smile_variance_between(smile, -end, end) + 2.0 * correction / smile.years


def dvol_like(near: CoinStrip, far: CoinStrip, reach: float = DVOL_REACH) -> float:
    """30-day index in vol points of the two expiries around 30 days."""
    return index_vol_points(
        continuous_variance(near, reach), near.smile.years, continuous_variance(far, reach), far.smile.years
    )


def expected_move(index_vol_points: float, days: float = 1.0) -> float:
    """One standard deviation of the price over some days, as a share of it, at an index level in vol points."""
    return 0.01 * index_vol_points * math.sqrt(days / 365.0)
