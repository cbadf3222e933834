"""What a chain says of one expiry: its forward, and its smile as bands of vol."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.events import QuoteRow
from flatbook.kernels.implied import implied_vol
from flatbook.market.calibration.parity import UNIFORM, ParityPairs, parity_regression

Floats = NDArray[np.float64]

LEAST_VOL, MOST_VOL = 0.02, 5.0
"""A vol beyond these is taken for an error of its source."""

_STATED_ERROR = 2e-5
"""Of a forward that the venue states, relative."""

_OUTLIER = 4.0
"""Deviations from the line of parity at which a strike is left out."""

_IN_THE_MONEY = 0.02
"""Log-moneyness beyond which an option in the money adds nothing to its partner out of it."""

_WIDEST = 0.2
"""A band wider than this share of its vol teaches a smile nothing."""

_FARTHEST = 10.0
"""Standard deviations: quotes farther out are one tick wide, or stale."""


class Bands(NamedTuple):
    """Quoted vols of one expiry, strikes rising: log-moneyness, low and high, decimal."""

    k: Floats
    low: Floats
    high: Floats

    @property
    def level(self) -> float:
        """The middle of the band nearest the money."""
        at = int(np.argmin(np.abs(self.k)))
        return 0.5 * float(self.low[at] + self.high[at])


class ExpiryQuotes:
    """The rows of a chain that expire together, coin-settled: prices in coin, vols decimal, NaN where absent."""

    def __init__(self, strike_usd: Floats, sign: Floats, rows: Sequence[QuoteRow]) -> None:
        self._strike_usd = strike_usd
        self._sign = sign
        columns = np.array([(row.bid, row.ask, row.bid_iv, row.ask_iv, row.forward_usd) for row in rows], np.float64)
        bid, ask, bid_iv, ask_iv, forward = columns.T
        self._bid, self._ask = np.where(bid > 0.0, bid, np.nan), np.where(ask > 0.0, ask, np.nan)
        self._bid_iv, self._ask_iv = np.where(bid_iv > 0.0, bid_iv, np.nan), np.where(ask_iv > 0.0, ask_iv, np.nan)
        self._stated_usd = np.where(forward > 0.0, forward, np.nan)

    def forward(self) -> tuple[float, float] | None:
        """USD and relative error: the venue's where it states one, else by parity; None where neither tells."""
        if not np.isnan(self._stated_usd).all():
            return float(np.nanmedian(self._stated_usd)), _STATED_ERROR
        return self.parity()

    def parity(self) -> tuple[float, float] | None:
        """The forward by put and call alone, USD and relative error; None where they do not tell."""
        found = parity_regression(self._pairs(), _OUTLIER)
        return (math.exp(found[0].log), found[0].deviation) if found is not None else None

    def _pairs(self) -> ParityPairs:
        calls, puts = np.flatnonzero(self._sign > 0.0), np.flatnonzero(self._sign < 0.0)
        strike, at_call, at_put = np.intersect1d(self._strike_usd[calls], self._strike_usd[puts], return_indices=True)
        call, put = calls[at_call], puts[at_put]
        gap = 0.5 * (self._bid[call] + self._ask[call] - self._bid[put] - self._ask[put])
        width = self._ask - self._bid
        forward = strike / np.where(gap < 1.0, 1.0 - gap, np.nan)
        deviation = forward / strike * UNIFORM * np.hypot(width[call], width[put])
        good = (width[call] > 0.0) & (width[put] > 0.0) & np.isfinite(deviation)
        return ParityPairs(forward[good], deviation[good], is_relative=False)

    def bands(self, forward_usd: float, years: float) -> tuple[Bands, int]:
        """Of options quoted on both sides, out of the money or about at it; and how many rows are crossed.

        A side for which the venue gives a price and no vol has the vol of that price.
        """
        k = np.log(self._strike_usd / forward_usd)
        low = np.where(np.isnan(self._bid_iv), self._vols(self._bid, forward_usd, years), self._bid_iv)
        high = np.where(np.isnan(self._ask_iv), self._vols(self._ask, forward_usd, years), self._ask_iv)
        crossed = low > high
        good = (low > LEAST_VOL) & (high < MOST_VOL) & (high - low <= _WIDEST * high) & ~crossed
        good &= self._sign * k >= -_IN_THE_MONEY
        if good.any():
            money = int(np.argmin(np.where(good, np.abs(k), np.inf)))
            good &= np.abs(k) <= np.maximum(_FARTHEST * high[money] * math.sqrt(years), abs(k[money]))
        order = np.flatnonzero(good)[np.argsort(k[good], kind="stable")]
        return Bands(k[order], low[order], high[order]), int(crossed.sum())

    def _vols(self, price_coin: Floats, forward_usd: float, years: float) -> Floats:
        vol, n = np.full(price_coin.size, np.nan), price_coin.size
        if np.isnan(price_coin).all():
            return vol
        forward = np.where(np.isnan(self._stated_usd), forward_usd, self._stated_usd)
        code = np.empty(n, np.int8)
        implied_vol(price_coin * forward, forward, self._strike_usd, np.full(n, years), self._sign, vol, code)
        return vol
