"""Funding of perpetuals by venue formula, and what futures and options say funding will be.

A rate is the share of notional that longs pay shorts per interval; negative, shorts pay. Premiums are relative to the
index. What a perpetual is worth under a constant rule is `flatbook.valuation.exotics.perpetual`'s to say.

Sources: the venues' pages on funding (Deribit, Binance, Bybit, Hyperliquid) as of 2025. Caps and dampers are
parameters that venues change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]

HOURS_PER_YEAR = 8760.0


class FundingRule(Protocol):
    """How a venue makes a rate of a premium."""

    @property
    def interval_hours(self) -> float:
        """The rate is for this long."""
        ...

    def rate(self, premium: ArrayLike) -> Floats:
        """Rate per interval at a premium, same shape; rising, where it is not flat."""
        ...

    def premiums(self, rate: float) -> tuple[float, float]:
        """The lowest and highest premium that pay `rate`, within the caps."""
        ...


@dataclass(frozen=True, slots=True)
class DamperRule:
    """Deribit: a premium within the damper costs nothing, beyond it only the excess, up to the cap.

    The rate is for `interval_hours`, and accrues continuously.
    """

    damper: float = 0.00025
    cap: float = 0.005
    interval_hours: float = 8.0

    def rate(self, premium: ArrayLike) -> Floats:
        """Rate per interval at a premium of mark over index, same shape."""
        p = np.asarray(premium, dtype=np.float64)
        beyond = np.maximum(p, self.damper) + np.minimum(p, -self.damper)
        return np.asarray(np.clip(beyond, -self.cap, self.cap))

    def premiums(self, rate: float) -> tuple[float, float]:
        """The lowest and highest premium that pay `rate`: one, but for a rate of nothing."""
        low, high = (rate + self.damper * side for side in (-1.0, 1.0))
        return (low, high) if rate == 0.0 else (low, low) if rate < 0.0 else (high, high)


@dataclass(frozen=True, slots=True)
class InterestRule:
    """Binance, Bybit, Hyperliquid: the average premium, drawn to an interest rate by no more than a clamp.

    interest, clamp     per `basis_hours`, over which the premium counts as one interval
    cap                 of the rate that is paid, per `interval_hours`
    interval_hours      between payments; a payment is this share of the `basis_hours` rate
    """

    interest: float = 0.0001
    clamp: float = 0.0005
    cap: float = 0.02
    interval_hours: float = 8.0
    basis_hours: float = 8.0

    def rate(self, average_premium: ArrayLike) -> Floats:
        """Rate per interval at an average premium, same shape."""
        p = np.asarray(average_premium, dtype=np.float64)
        drawn = p + np.clip(self.interest - p, -self.clamp, self.clamp)
        return np.asarray(np.clip(drawn * (self.interval_hours / self.basis_hours), -self.cap, self.cap))

    def premiums(self, rate: float) -> tuple[float, float]:
        """The lowest and highest premium that pay `rate`: one, but for the interest rate itself."""
        excess = rate * (self.basis_hours / self.interval_hours) - self.interest
        low, high = (self.interest + excess + self.clamp * side for side in (-1.0, 1.0))
        # A rate read from a file is the interest rate only to some rounding.
        is_interest = abs(excess) <= 1e-12
        return (low, high) if is_interest else (low, low) if excess < 0.0 else (high, high)


DERIBIT = DamperRule()
BINANCE = InterestRule()
BYBIT = InterestRule(cap=0.0075)
HYPERLIQUID = InterestRule(cap=0.04, interval_hours=1.0)


def mark_premium(mark_usd: ArrayLike, index_usd: ArrayLike) -> Floats:
    """(mark - index) / index."""
    index = np.asarray(index_usd, dtype=np.float64)
    return np.asarray((np.asarray(mark_usd, dtype=np.float64) - index) / index)


def impact_premium(impact_bid_usd: ArrayLike, impact_ask_usd: ArrayLike, index_usd: ArrayLike) -> Floats:
    """[max(0, impact bid - index) - max(0, index - impact ask)] / index: 0 while the index lies between them."""
    bid, ask, index = (np.asarray(value, dtype=np.float64) for value in (impact_bid_usd, impact_ask_usd, index_usd))
    return np.asarray((np.maximum(bid - index, 0.0) - np.maximum(index - ask, 0.0)) / index)


def average_premium(premiums: Floats, weighted_by_time: bool = True) -> float:
    """Average over an interval's samples in order; Binance and Bybit weigh the n-th by n, Hyperliquid all alike."""
    if premiums.ndim != 1 or not premiums.size:
        raise BadInputError("no premium sampled in the interval; wait for the first")
    weight = np.arange(1.0, premiums.size + 1.0) if weighted_by_time else np.ones(premiums.size)
    return float(weight @ premiums / weight.sum())


def annualised(rate: ArrayLike, interval_hours: float) -> Floats:
    """Simple annual rate of a rate per interval: times three times 365 for eight hours."""
    return np.asarray(np.asarray(rate, dtype=np.float64) * (HOURS_PER_YEAR / interval_hours))


def accrued_coin(rate: float, interval_hours: float, hours: float, position_usd: float, index_usd: float) -> float:
    """Funding in coin received by an inverse perpetual of `position_usd` (long positive) over `hours` at one rate."""
    return -rate * (hours / interval_hours) * position_usd / index_usd


class Basis(NamedTuple):
    """A future or parity forward over the index: in USD, as a share, and as a continuous annual rate."""

    usd: Floats
    share: Floats
    annual: Floats


def basis(forward_usd: ArrayLike, index_usd: ArrayLike, years: ArrayLike) -> Basis:
    """Basis of forwards; inputs broadcast, years > 0 (NaN annual rate elsewhere)."""
    forward, index, time = (np.asarray(value, dtype=np.float64) for value in (forward_usd, index_usd, years))
    positive = np.where(time > 0.0, time, np.nan)
    return Basis(
        np.asarray(forward - index), np.asarray(forward / index - 1.0), np.asarray(np.log(forward / index) / positive)
    )


@dataclass(frozen=True, slots=True, eq=False)
class CarryCurve:
    """Carry that forwards lock in: one continuous annual rate for each span between expiries, the first from now.

    Held against a perpetual at the start, a forward pays exactly these rates in exchange for funding; so they are the
    funding that the market implies, a risk premium included.
    """

    years: Floats
    rate: Floats

    def log_basis(self, years: ArrayLike) -> Floats:
        """ln(forward / start) at times from 0; beyond the last expiry its rate goes on."""
        time = np.asarray(years, dtype=np.float64)
        knots = np.concatenate(([0.0], self.years))
        total = np.concatenate(([0.0], np.cumsum(self.rate * np.diff(knots))))
        beyond = np.maximum(time - knots[-1], 0.0) * self.rate[-1]
        return np.asarray(np.interp(time, knots, total) + beyond)

    def implied_funding(self, from_years: float, to_years: float) -> float:
        """Average annual funding implied over a span."""
        if not 0.0 <= from_years < to_years:
            raise BadInputError(f"the span from {from_years:g} to {to_years:g} years must rise from 0 or later")
        near, far = self.log_basis(np.array([from_years, to_years]))
        return float((far - near) / (to_years - from_years))

    def implied_rate(self, from_years: float, interval_hours: float) -> float:
        """Rate per funding interval implied for the one that starts at `from_years`."""
        hours = interval_hours / HOURS_PER_YEAR
        return math.expm1(self.implied_funding(from_years, from_years + hours) * hours)


def carry_curve(years: Floats, forward_usd: Floats, start_usd: float) -> CarryCurve:
    """Curve of dated futures or parity forwards, shape (n,), over the perpetual's price (or the index).

    With the perpetual as the start the rates are the funding that makes holding it and holding a future alike; with
    the index they are the carry of spot.
    """
    if years.shape != forward_usd.shape or years.ndim != 1 or not years.size:
        raise BadInputError(f"{years.shape} expiries and {forward_usd.shape} forwards: one forward for each expiry")
    if not (np.all(np.diff(years, prepend=0.0) > 0.0) and np.all(forward_usd > 0.0) and start_usd > 0.0):
        raise BadInputError("a carry curve asks for rising positive times and for prices above 0")
    level = np.log(forward_usd / start_usd)
    return CarryCurve(years, np.asarray(np.diff(level, prepend=0.0) / np.diff(years, prepend=0.0)))
