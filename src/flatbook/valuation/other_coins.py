"""Risk in other coins' prices: what of it is ours, and what is left of it as factors of R.

A perpetual in another coin moves with ours by its beta, and by a rest that has nothing to do with our factors
(`market.other_coins`). So a USD of it loads beta on our spot, where quotes, hedges and limits meet it, and 1 on its
rest. No flow of ours takes a rest away, and Σ and D are blocks in these factors: the Riccati equation's solution is R
as it was, and of the rests γ τ times their covariance, held to the horizon τ.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import FACTORS, SPOT
from flatbook.valuation.inventory import BookMeasures
from flatbook.valuation.limit_price import LimitCharge
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]


def with_others(book: BookMeasures, beta: Floats | None, others_usd: Floats) -> BookMeasures:
    """The book with its deltas in other coins, (coins,) USD: what of them is delta in ours is in its exposure.

    None        before it is known how they move with ours
    """
    if beta is None:
        return book._replace(others_usd=others_usd)
    exposure = book.exposure.copy()
    exposure[SPOT] += float(beta @ others_usd)
    return book._replace(exposure=exposure, others_usd=others_usd)


def priced_with_rests(price: RiskPrice, rest: Floats, risk_aversion_per_usd: float, horizon_years: float) -> RiskPrice:
    """R over our factors and then the rests of other coins, whose covariance per year is `rest` (coins, coins)."""
    coins = len(rest)
    curvature = np.zeros((FACTORS + coins, FACTORS + coins))
    curvature[:FACTORS, :FACTORS] = price.curvature
    curvature[FACTORS:, FACTORS:] = risk_aversion_per_usd * horizon_years * rest
    slope = None if price.slope is None else np.pad(price.slope, (0, coins))
    return replace(price, curvature=curvature, slope=slope)


def bounded_with_rests(charge: LimitCharge, exposure: Floats) -> LimitCharge:
    """What bounds add to R, at a book's exposure to our factors and the rests: those are on none of its axes."""
    coins = len(exposure) - FACTORS
    return replace(charge, direction=np.pad(charge.direction, ((0, 0), (0, coins))), exposure=exposure)
