"""R(x), the single price of risk: what the book's exposure costs, and what any trade adds to it.

    R(x) = 1/2 sqrt(gamma) x' Γ x        charge(trade) = R(x + g) - R(x)

Γ solves the Riccati equation of market making in factor space, over a horizon τ:

    Γ = Σ^1/2 N^-1/2 tanh(τ sqrt(gamma) N^1/2) Σ^1/2        N = Σ^1/2 D Σ^1/2,  D = sum_i 2 A_i k_i C_i z_i V_i V_i'

which is Γ D Γ = Σ for a long one, and τ sqrt(gamma) Σ for a risk that no flow takes away: it is held to the horizon.
Σ is the factors' covariance per year, V_i option i's loadings per contract, z_i the size we quote in it, A_i the rate
per year at which it trades on one side at zero distance, k_i the decay of that rate per USD of distance, and C_i the
constant of exponential utility. Where flow is plentiful (D large) risk is cheap, for it will leave by itself.

Source      Bergault, Evangelista, Guéant, Vieira (2021), arXiv 1810.04383, in the factor form of reference quoting §11
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import FACTORS

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RiskPrice:
    """R's curvature sqrt(gamma) Γ, in 1/USD: everything that decides asks this one object.

    Shapes      curvature (FACTORS, FACTORS), symmetric positive semi-definite
    slope       (FACTORS,) of a part that is linear in exposures; None where R is its quadratic alone
    """

    curvature: Floats
    slope: Floats | None = None

    def cost_usd(self, exposure: Floats) -> float:
        """R(x) of an exposure in USD per unit of factor."""
        bent = float(0.5 * exposure @ self.curvature @ exposure)
        return bent if self.slope is None else bent + float(self.slope @ exposure)

    def gradient(self, exposure: Floats) -> Floats:
        """∇R(x): what one more unit of each factor costs at the margin."""
        bent: Floats = self.curvature.dot(exposure)
        return bent if self.slope is None else bent + self.slope

    def charge_usd(self, exposure: Floats, trade: Floats) -> float:
        """R(x + g) - R(x): negative where the trade relieves the book."""
        return float(self.gradient(exposure) @ trade) + float(0.5 * trade @ self.curvature @ trade)


@dataclass(frozen=True, slots=True)
class Liquidity:
    """What flow each option sees at our quotes.

    Shapes      all (n,)
    Units       arrivals_per_year one side at zero distance; decay_per_usd of distance per contract; size in contracts
    """

    arrivals_per_year: Floats
    decay_per_usd: Floats
    size: Floats


def quadratic_risk_price(
    covariance: Floats,
    loading: Floats,
    liquidity: Liquidity,
    risk_aversion_per_usd: float,
    horizon_years: float = math.inf,
) -> RiskPrice:
    """R's quadratic core from Σ, the chain's loadings and the flow.

    Shapes      covariance (f, f) per year; loading (n, f); liquidity (n,)
    Domain      risk aversion, horizon and all of the liquidity positive
    """
    z, k = liquidity.size, liquidity.decay_per_usd
    ratio = risk_aversion_per_usd * z / k
    constant = np.exp(-(1 + 1 / ratio) * np.log1p(ratio))
    weight = 2 * liquidity.arrivals_per_year * k * constant * z
    flow = (loading * weight[:, None]).T @ loading
    return RiskPrice(
        math.sqrt(risk_aversion_per_usd) * riccati(covariance, flow, math.sqrt(risk_aversion_per_usd) * horizon_years)
    )


def riccati(covariance: Floats, flow: Floats, reach: float = math.inf) -> Floats:
    """Σ^1/2 N^-1/2 tanh(reach N^1/2) Σ^1/2 with N = Σ^1/2 D Σ^1/2: the symmetric Γ with Γ D Γ = Σ where reach is long.

    `reach` is sqrt(gamma) times the horizon; D is `flow`, positive semi-definite, and definite where reach is infinite
    """
    scale = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T * scale
    inner, axes = np.linalg.eigh(root @ flow @ root.T)
    # What is this small beside the rest is no flow but rounding.
    rate = np.sqrt(np.maximum(inner, max(1e-14 * inner[-1], 1e-300)))
    priced = np.tanh(reach * rate) / rate
    gamma = root.T @ (axes * priced) @ axes.T @ root
    return np.asarray(0.5 * (gamma + gamma.T))


def no_risk_price() -> RiskPrice:
    """R = 0: for policies that do not charge for risk."""
    return RiskPrice(np.zeros((FACTORS, FACTORS)))
