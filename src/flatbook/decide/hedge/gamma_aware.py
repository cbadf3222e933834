"""R for a book whose delta does not stay: gamma and fills move it, so a dollar of it is worth less to hedge.

R's curvature along a hedge says how long that risk is expected to stay, for the flow to take it. Gamma takes it too. A
gap y of delta that diffuses by itself, with variance ν² per year, between the edges ±h at which a trade of cost λ per
USD is worth it, costs at the margin

    R'(y) = (γσ²/ν²)(h² y - y³/3)        R'(h) = λ, hence h³ = (3/2) λ ν² / (γσ²)

which is Whalley and Wilmott's band where gamma alone moves the gap (ν = Gσ). The two leave-takings add up: the zone's
half-width is R's own λ/κ plus h, as in Zakamouline's fit, H0 + H1. All else in R, what other instruments hedge and what
none can, stays as it is.

Source      Whalley and Wilmott (1997), Math. Finance 7, the inner expansion; Zakamouline (2006)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GapMotion:
    """How the gap along a hedge moves by itself.

    dollar_gamma_usd        G: change of USD delta per unit of log price, of either sign; twice the exposure to the
                            squared return, where that is a factor
    variance_per_year       σ² of the hedge's return
    flow_variance_usd2      what fills add to the gap's variance, USD² per year
    """

    dollar_gamma_usd: float
    variance_per_year: float
    flow_variance_usd2: float = 0.0

    @property
    def gap_variance_usd2(self) -> float:
        """ν²: of the gap, USD² per year."""
        return self.dollar_gamma_usd**2 * self.variance_per_year + self.flow_variance_usd2


def moving_half_width_usd(motion: GapMotion, cost_rate: float, risk_aversion: float) -> float:
    """h, USD of delta, at a cost of `cost_rate` of a trade's notional on one side."""
    spread = motion.gap_variance_usd2 / motion.variance_per_year
    return float(np.cbrt(1.5 * cost_rate * spread / risk_aversion))


def gamma_aware(
    risk_price: RiskPrice, loading: Floats, cost_rate: float, risk_aversion: float, motion: GapMotion
) -> RiskPrice:
    """R with what `loading` can hedge charged for as long as it stays, gamma and fills moving it.

    loading     (factors,) of the hedge, per USD of notional
    Errors      BadInputError where costs, variance or risk aversion are not positive
    """
    if not (cost_rate > 0.0 and motion.variance_per_year > 0.0 and risk_aversion > 0.0):
        raise BadInputError(
            f"a gap of variance {motion.variance_per_year:g} at cost {cost_rate:g} and risk aversion "
            f"{risk_aversion:g}: use more than 0 for each"
        )
    slope = risk_price.curvature.dot(loading)
    curvature = float(loading.dot(slope))
    if curvature <= 0.0:
        return risk_price
    width = moving_half_width_usd(motion, cost_rate, risk_aversion)
    kept = 1.0 / (1.0 + width * curvature / cost_rate)
    bent = slope[:, None] * slope
    bent *= (1.0 - kept) / curvature
    return RiskPrice(risk_price.curvature - bent, risk_price.slope)
