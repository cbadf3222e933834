"""Selling a large clip under linear impact: the schedule that is cheapest for the risk it carries meanwhile.

Names are the paper's: X units are to go in N steps of tau = T/N; a trade of n at rate v = n/tau moves the price by
gamma n for good, and is itself done epsilon + eta v below it. Expected cost E and variance V of a schedule of holdings
x_0 = X, ..., x_N = 0 are

    E = gamma X^2/2 + epsilon X + (eta~/tau) sum n_k^2,  eta~ = eta - gamma tau/2        V = sigma^2 tau sum x_k^2

and least E + lambda V decays like a hyperbolic sine, as fast as 1/kappa says, whatever X.

Source      Almgren and Chriss (2000), "Optimal execution of portfolio transactions", J. Risk 3
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Liquidation:
    """What is to be sold, by when, and what selling it does; any unit of time, price and size, the same throughout.

    size            X, positive; buying it costs the same
    horizon, steps  T and N
    deviation       sigma: of the price, per square root of a unit of time
    fixed_cost      epsilon: half-spread and fee, in price
    permanent       gamma: price per unit traded
    temporary       eta: price per unit traded per unit of time
    """

    size: float
    horizon: float
    steps: int
    deviation: float
    fixed_cost: float
    permanent: float
    temporary: float

    def __post_init__(self) -> None:
        if not (self.size > 0 and self.horizon > 0 and self.steps > 0 and self.deviation >= 0):
            raise BadInputError(
                f"cannot sell {self.size:g} in {self.horizon:g} and {self.steps} steps; size, horizon and steps "
                "are more than 0"
            )
        if self.temporary_net <= 0.0:
            raise BadInputError(
                f"temporary impact {self.temporary:g} does not exceed half the permanent one of a step, "
                f"{0.5 * self.permanent * self.tau:g}; use more steps"
            )

    @property
    def tau(self) -> float:
        """Length of a step."""
        return self.horizon / self.steps

    @property
    def temporary_net(self) -> float:
        """eta~: temporary impact less what a step's own permanent impact already counts."""
        return self.temporary - 0.5 * self.permanent * self.tau

    def kappa(self, risk_aversion: float) -> float:
        """Rate at which the holding decays; 1/kappa is the paper's half-life of the trade."""
        square = risk_aversion * self.deviation**2 / self.temporary_net
        return math.acosh(1.0 + 0.5 * square * self.tau**2) / self.tau

    def holdings(self, risk_aversion: float) -> Floats:
        """(N + 1,) units left at each step's start, and 0: least E + lambda V."""
        left = np.linspace(self.horizon, 0.0, self.steps + 1)
        kappa = self.kappa(risk_aversion)
        if kappa * self.horizon < _STRAIGHT:
            return np.asarray(self.size * left / self.horizon)
        # sinh(kappa left) / sinh(kappa T), which would overflow
        decay = np.exp(-kappa * (self.horizon - left))
        return np.asarray(self.size * decay * np.expm1(-2 * kappa * left) / math.expm1(-2 * kappa * self.horizon))

    def expected_cost(self, holdings: Floats) -> float:
        """E of a schedule of (N + 1,) holdings."""
        trades = -np.diff(holdings)
        worked = self.temporary_net / self.tau * float(trades @ trades)
        return 0.5 * self.permanent * self.size**2 + self.fixed_cost * float(np.abs(trades).sum()) + worked

    def variance(self, holdings: Floats) -> float:
        """V of a schedule of (N + 1,) holdings."""
        return self.deviation**2 * self.tau * float(holdings[1:] @ holdings[1:])

    def static_holding(self, drift: float, risk_aversion: float) -> float:
        """What a price that rises by `drift` per unit of time makes worth keeping: mu / (2 lambda sigma^2)."""
        return drift / (2.0 * risk_aversion * self.deviation**2)


_STRAIGHT = 1e-6
"""kappa T below which the schedule is a straight line to twelve digits."""


class LeastLiquidityRisk(NamedTuple):
    """The schedule of least liquidity-adjusted value at risk, the risk aversion it means, and that value."""

    risk_aversion: float
    holdings: Floats
    l_var: float


def least_l_var(liquidation: Liquidation, quantiles: float = 1.645) -> LeastLiquidityRisk:
    """Of all optimal schedules the one with least E + quantiles sqrt(V)."""

    def l_var(log_aversion: float) -> float:
        holdings = liquidation.holdings(math.exp(log_aversion))
        return liquidation.expected_cost(holdings) + quantiles * math.sqrt(liquidation.variance(holdings))

    # kappa T from a hundredth, a straight line, to a hundred, all at once
    natural = math.log(liquidation.temporary_net / (liquidation.deviation * liquidation.horizon) ** 2)
    bounds = (natural + 2 * math.log(1e-2), natural + 2 * math.log(1e2))
    found = minimize_scalar(l_var, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    aversion = math.exp(float(found.x))
    return LeastLiquidityRisk(aversion, liquidation.holdings(aversion), float(found.fun))
