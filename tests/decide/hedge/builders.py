"""Prices of risk, books and hedge sets that the tests of the hedger share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.instruments import Carry, HedgeSet, TradingTerms, delta_one, loading_row
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]

FACTOR_NAMES = ("spot", "squared", "basis", "premium", "level", "skew")
"""Names of the tests' own: nothing in the hedger knows how many factors there are, or which."""

INDEX_USD = 80_000.0


def risk_price(seed: int = 0, factors: int = len(FACTOR_NAMES)) -> RiskPrice:
    """A curvature of the size that production's has, with every cross term."""
    root = np.random.default_rng(seed).normal(0.0, 1e-4, (factors, factors))
    return RiskPrice(root @ root.T + 1e-10 * np.eye(factors))


def diagonal(**curvature: float) -> RiskPrice:
    """Risk in the named factors alone, each for itself."""
    return RiskPrice(np.diag([curvature.get(name, 0.0) for name in FACTOR_NAMES]))


def book(**exposure: float) -> Floats:
    """A book by factor."""
    return loading_row(FACTOR_NAMES, exposure)


def perpetual(
    name: str = "PERP", fee: float = 5e-4, lot: float = 10.0, impact: float = 0.0, carry: Carry | None = None
) -> HedgeSet:
    """An inverse perpetual of one USD a unit."""
    terms = TradingTerms(fee_rate=fee, half_spread_rate=0.0, impact_rate_per_musd=impact, lot=lot)
    return delta_one(name, book(spot=1.0), 1.0, terms, carry or Carry())


def random_set(seed: int, count: int, factors: int = len(FACTOR_NAMES)) -> HedgeSet:
    """Instruments of every kind of cost: some alike, some coarse, some that earn to hold on one side."""
    draw = np.random.default_rng(seed)
    loading = draw.normal(0.0, 1.0, (count, factors)) * 10 ** draw.uniform(0, 2, (count, 1))
    if count > 1:
        loading[1] = loading[0] * draw.choice([1.0, 0.999, -1.0])
    size = np.abs(loading).max(axis=1)
    fee = size * 10 ** draw.uniform(-4, -2, count)
    carry = fee * draw.uniform(-2, 2, count)
    lot = 10 ** draw.uniform(-1, 4, count) / size
    return HedgeSet(
        name=tuple(f"I{j}" for j in range(count)),
        loading=loading,
        lot=lot,
        least=np.where(draw.random(count) < 0.3, 3 * lot, 0.0),
        most=lot * np.maximum(np.round(10 ** draw.uniform(1, 6, count) / size / lot), 1.0),
        fee_usd=fee,
        half_spread_usd=0.3 * fee,
        impact_usd=size**2 * draw.choice([0.0, 1e-11, 1e-9], count),
        carry_buy_usd=carry,
        carry_sell_usd=-carry,
    )
