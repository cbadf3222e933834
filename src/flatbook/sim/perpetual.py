"""The perpetual as a hedger meets it: a price beside the index, a spread, and impact; and the funding it pays."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.reference import Instrument
from flatbook.domain.ticks import ceil_tick, floor_tick
from flatbook.domain.units import NS_PER_SECOND
from flatbook.market.analytics.funding import DERIBIT

BASIS_POINT = 1e-4


@dataclass(frozen=True, slots=True)
class PerpetualTerms:
    """What trading the perpetual costs, beside the fee that reference data gives.

    premium_bp          perpetual over index, basis points of the index
    half_spread_bp      half the best bid-ask, basis points of the perpetual's mid
    impact_y            Y of the square-root law, of order one
    daily_vol           sigma_D of that law: the standard deviation of a day's return
    daily_volume_usd    V_D of that law: a day's volume of all linked venues, which trade as one
    impact_memory_s     what we traded on a side counts against us there, decaying with this time constant

    The law charges an order of Q by Y sigma_D sqrt(Q / V_D) in full: the two thirds of it that a patiently worked
    order pays on average are not for one that takes at once. Without memory a concave law would pay for slicing.

    Source      Toth et al. (2011); Donier and Bonart (2015) for bitcoin
    """

    premium_bp: float = 0.0
    half_spread_bp: float = 0.5
    impact_y: float = 1.0
    daily_vol: float = 0.03
    daily_volume_usd: float = 2e10
    impact_memory_s: float = 300.0

    def __post_init__(self) -> None:
        for name in ("half_spread_bp", "impact_y", "daily_vol", "impact_memory_s"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"perpetual {name} is {getattr(self, name)}; use 0 or more")
        if self.daily_volume_usd <= 0:
            raise ConfigurationError(f"perpetual daily_volume_usd is {self.daily_volume_usd}; use more than 0")


@dataclass(frozen=True, slots=True)
class Execution:
    """Lots that traded at once, all at one price in finest ticks; no lots where the limit allowed none."""

    size_lots: int
    price_ticks: int


@dataclass(slots=True)
class _Pressure:
    """What we traded on one side lately, in USD as of `ns`."""

    usd: float = 0.0
    ns: int = 0


class PerpetualMarket:
    """The perpetuals of a venue: prices from the index, and the memory of our own impact.

    `premium` is that of every perpetual (a fraction of its index) but those with their own in `premium_of`, by name; so
    are `terms`, with `terms_of`.
    """

    def __init__(self, terms: PerpetualTerms) -> None:
        self.terms = terms
        self.premium = terms.premium_bp * BASIS_POINT
        self.premium_of: dict[str, float] = {}
        self.terms_of: dict[str, PerpetualTerms] = {}
        self._pressure: dict[tuple[str, int], _Pressure] = {}

    def mid_usd(self, name: str, index_usd: float) -> float:
        """The perpetual's mid in USD."""
        return index_usd * (1 + self.premium_of.get(name, self.premium))

    def touch_usd(self, name: str, index_usd: float, side: int) -> float:
        """The best price a taker of `side` meets (+1: the ask), USD."""
        half_spread_bp = self.terms_of.get(name, self.terms).half_spread_bp
        return self.mid_usd(name, index_usd) * (1 + side * half_spread_bp * BASIS_POINT)

    def shown_ticks(self, instrument: Instrument, index_usd: float) -> tuple[int, int]:
        """The best bid and ask as the venue shows them: on the grid, rounded outward."""
        bid, ask = (self.touch_usd(instrument.name, index_usd, side) / instrument.tick_size for side in (-1, 1))
        steps = instrument.spec.ticks
        return floor_tick(steps, bid), ceil_tick(steps, ask)

    def take(
        self, instrument: Instrument, side: int, size_lots: int, limit_ticks: int, index_usd: float, now_ns: int
    ) -> Execution:
        """Trades up to `size_lots` at once, as many as `limit_ticks` allows, at a price rounded against us."""
        mid_usd = self.mid_usd(instrument.name, index_usd)
        lot_usd = instrument.lot_size if instrument.is_reciprocal else instrument.lot_size * mid_usd
        limit_cost = side * (limit_ticks * instrument.tick_size / mid_usd - 1)
        terms = self.terms_of.get(instrument.name, self.terms)
        pressure = self._relaxed(instrument.name, side, now_ns)
        lots = min(size_lots, _lots_within(terms, limit_cost, pressure.usd, lot_usd))
        if lots == 0:
            return Execution(0, 0)
        pressure.usd += lots * lot_usd
        exact_ticks = mid_usd * (1 + side * _cost(terms, pressure.usd)) / instrument.tick_size
        steps = instrument.spec.ticks
        if side > 0:
            return Execution(lots, min(ceil_tick(steps, exact_ticks), limit_ticks))
        return Execution(lots, max(floor_tick(steps, exact_ticks), limit_ticks))

    def _relaxed(self, name: str, side: int, now_ns: int) -> _Pressure:
        pressure = self._pressure.setdefault((name, side), _Pressure(ns=now_ns))
        if self.terms.impact_memory_s > 0:
            age_s = (now_ns - pressure.ns) / NS_PER_SECOND
            pressure.usd *= math.exp(-age_s / self.terms.impact_memory_s)
        else:
            pressure.usd = 0.0
        pressure.ns = now_ns
        return pressure


def _cost(terms: PerpetualTerms, traded_usd: float) -> float:
    """Distance from the mid, as a fraction, at which an order ends that brings our pressure to `traded_usd`."""
    impact = terms.impact_y * terms.daily_vol * math.sqrt(traded_usd / terms.daily_volume_usd)
    return terms.half_spread_bp * BASIS_POINT + impact


def _lots_within(terms: PerpetualTerms, limit_cost: float, traded_usd: float, lot_usd: float) -> int:
    """The most lots whose cost stays within `limit_cost` (fraction of the mid): the inverse of `_cost`."""
    room = limit_cost - terms.half_spread_bp * BASIS_POINT
    slope = terms.impact_y * terms.daily_vol
    if room < 0:
        return 0
    if slope == 0:
        return 2**62
    most_usd = terms.daily_volume_usd * (room / slope) ** 2
    return max(int((most_usd - traded_usd) / lot_usd * (1 + 1e-12)), 0)


def funding_rate_8h(premium: ArrayLike) -> NDArray[np.float64]:
    """The 8-hour funding rate at a premium (fraction of the index); longs pay shorts where it is positive.

    Source      the venue's rule: max(0.025 %, p) + min(-0.025 %, p), within 0.5 % either way
    """
    return DERIBIT.rate(premium)
