"""When a standing book's delta is hedged in a crisis, and by how much: a function of what is known at that step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.best import best_hedge
from flatbook.decide.hedge.gamma_aware import GapMotion, gamma_aware
from flatbook.decide.hedge.instruments import HedgeSet
from flatbook.decide.hedge.rules import BandTerms, to_band_edge, whalley_wilmott
from flatbook.domain.errors import BadInputError
from flatbook.kernels.chain import FACTORS, PREMIUM, SPOT, SQUARED
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]

_LOT_USD = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class HedgeView:
    """What a rule may look at, of one coin.

    delta_usd, gamma_1pct_usd   of book and hedges together
    exposure                    of both, (FACTORS,) USD per unit of factor, made when asked for
    cost_rate                   of a trade's notional, impact apart; impact_per_usd: the price's move, of closing delta
    vol                         a month's, as of now
    covariance                  Σ per year as of now, (FACTORS, FACTORS); None where none is followed
    """

    coin: str
    spot_usd: float
    delta_usd: float
    gamma_1pct_usd: float
    exposure: Callable[[], Floats]
    cost_rate: float
    impact_per_usd: float
    vol: float
    covariance: Floats | None = None


Rule = Callable[[HedgeView], float]
"""USD of the coin's perpetual to buy now; below 0 to sell."""


def no_hedge(_view: HedgeView) -> float:
    """Nothing is ever traded."""
    return 0.0


def all_of_it(view: HedgeView) -> float:
    """All of the delta."""
    return -view.delta_usd


def band(risk_aversion_per_usd: float) -> Rule:
    """To the edge of Whalley and Wilmott's band, by the book's gamma as it stands."""

    def rule(view: HedgeView) -> float:
        gamma = 100.0 * view.gamma_1pct_usd / view.spot_usd**2
        terms = BandTerms(view.cost_rate, view.spot_usd, gamma, risk_aversion_per_usd, view.vol, 0.0)
        return float(to_band_edge(view.delta_usd, whalley_wilmott(terms) * view.spot_usd))

    return rule


def price_of_risk(risk_aversion_per_usd: float, horizon_hours: float) -> Rule:
    """Until R's marginal charge saved meets the marginal cost: no flow takes risk away in a crisis, so R is Σ, held.

    horizon_hours   for which a risk is held
    Errors          BadInputError, of the rule, for a coin whose Σ nobody follows
    """
    held = risk_aversion_per_usd * horizon_hours / 8760.0
    loading = np.zeros(FACTORS)
    loading[[SPOT, PREMIUM]] = 1.0

    def rule(view: HedgeView) -> float:
        sigma, exposure = view.covariance, view.exposure()
        if sigma is None:
            raise BadInputError(f"{view.coin}: no covariance to price its risk by; give what is believed of its market")
        motion = GapMotion(2.0 * float(exposure[SQUARED]), float(sigma[SPOT, SPOT]))
        charge = gamma_aware(RiskPrice(held * sigma), loading, view.cost_rate, risk_aversion_per_usd, motion)
        column = np.array([view.cost_rate])
        nothing = np.zeros(1)
        hedges = HedgeSet(
            (f"{view.coin}-PERPETUAL",),
            loading[None, :],
            lot=np.array([_LOT_USD]),
            least=nothing,
            most=np.array([1e15]),
            fee_usd=column,
            half_spread_usd=nothing,
            impact_usd=np.array([0.5 * view.impact_per_usd]),
            carry_buy_usd=nothing,
            carry_sell_usd=nothing,
        )
        return float(best_hedge(exposure, charge, hedges).size[0])

    return rule
