"""Hedging the book's delta with the perpetual.

`price_of_risk` trades until the marginal charge saved equals the marginal cost: with R quadratic and cost proportional
the solution is a soft threshold, so the no-trade zone, and flow being left to offset flow inside it, follow from the
same R that skews the quotes. `band_and_timer` is the classical rule.

Source      reference hedging §5 (the one-instrument problem), §2 (bands: trade to the edge, not to the centre)
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.policy import HedgingPolicy
from flatbook.valuation.inventory import PERPETUAL
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HedgeInputs:
    """The book as the hedger sees it.

    exposure            (FACTORS,) USD per unit of factor; the first is the net delta
    carry_rate          funding that a long is expected to pay while the hedge is held, of its notional
    """

    exposure: Floats
    index_usd: float
    risk_price: RiskPrice
    carry_rate: float
    lot_usd: float


def hedge_usd(policy: HedgingPolicy, inputs: HedgeInputs) -> float:
    """Signed USD of the perpetual to trade now, a whole number of lots, never past the target; 0 for nothing."""
    match policy.rule:
        case "none":
            return 0.0
        case "band_and_timer":
            wanted = _to_band_edge(float(inputs.exposure[0]), policy.band_coin * inputs.index_usd)
        case "price_of_risk":
            wanted = _to_indifference(policy, inputs)
    if abs(wanted) < policy.least_usd:
        return 0.0
    clipped = math.copysign(min(abs(wanted), policy.max_clip_usd), wanted)
    return math.trunc(clipped / inputs.lot_usd) * inputs.lot_usd


def _to_band_edge(delta_usd: float, band_usd: float) -> float:
    return -math.copysign(max(abs(delta_usd) - band_usd, 0.0), delta_usd)


def _to_indifference(policy: HedgingPolicy, inputs: HedgeInputs) -> float:
    """argmin over n of R(x + n h) + cost(n), h one USD of the perpetual: -sign(g) (|g| - c)+ / (h'∇²R h + impact).

    g is R's slope and the carry of a long together: what funding pays may be reason enough to hold some delta.
    """
    bent = PERPETUAL @ inputs.risk_price.curvature
    bend = float(bent @ PERPETUAL)
    if bend <= 0.0:
        return 0.0
    slope = float(bent @ inputs.exposure) + inputs.carry_rate
    cost = policy.fee_rate + policy.half_spread_rate
    return -math.copysign(max(abs(slope) - cost, 0.0), slope) / (bend + 2 * policy.impact_rate_per_musd / 1e6)
