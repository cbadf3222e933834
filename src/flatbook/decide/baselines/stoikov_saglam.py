"""Stoikov and Sağlam: an options dealer who weighs premiums against the variance of what is held to the next hedge.

Demand falls linearly with the premium asked over fair value. What is held loses γ times its variance over the period
ahead; a trade changes that, and the quotes pass half of the change on, as a monopolist does to linear demand.

Source      S. Stoikov, M. Sağlam (2009), "Option market making under inventory risk", Review of Derivatives Research
            12(1); theorem numbers of that paper
"""

from dataclasses import dataclass

import numpy as np

from flatbook.decide.baselines.intensity import Distances, Floats, Real, require_not_negative, require_positive


@dataclass(frozen=True, slots=True, eq=False)
class LinearDemand:
    """Trades at a premium ε: C - D ε per unit of time, a side, between no premium and C / D.

    Units       intercept C per unit of time; slope D per unit of time and of price
    Domain      both above 0; numbers, or arrays that broadcast
    """

    intercept: Real
    slope: Real

    def __post_init__(self) -> None:
        require_positive("linear demand", intercept=self.intercept, slope=self.slope)

    def rate(self, premium: Real) -> Floats:
        """Trades per unit of time."""
        return np.asarray(np.maximum(self.intercept - np.multiply(self.slope, premium), 0.0))

    def best_premium(self) -> Floats:
        """What a dealer asks to whom the trade brings no risk, C / (2 D): theorem 1, all risk hedged away."""
        return np.asarray(self.intercept / (2.0 * self.slope))

    def premiums(self, marginal_loss: Real, own_loss: Real) -> Distances:
        """Bid and ask premiums where holding more costs.

        marginal_loss   γ times the slope of the variance in what is bought: 2 γ Cov(trade, book)
        own_loss        γ times the variance of the trade by itself
        """
        best, top = self.best_premium(), np.asarray(self.intercept / self.slope)
        bid = best + 0.5 * (np.asarray(own_loss) + marginal_loss)
        ask = best + 0.5 * (np.asarray(own_loss) - marginal_loss)
        return Distances(np.asarray(np.clip(bid, 0.0, top)), np.asarray(np.clip(ask, 0.0, top)))


@dataclass(frozen=True, slots=True)
class Period:
    """The time over which inventory is held before it can be hedged again.

    Units       vol and vol of vol per square root of time, the latter of the vol itself and not of its logarithm;
                risk aversion γ of the variance of P&L, per unit of price, without a half
    """

    spot: float
    vol: float
    vol_of_vol: float
    length: float
    risk_aversion: float

    def __post_init__(self) -> None:
        what = "Stoikov-Saglam"
        require_positive(what, spot=self.spot, risk_aversion=self.risk_aversion)
        require_not_negative(what, vol=self.vol, vol_of_vol=self.vol_of_vol, length=self.length)

    def delta_variance(self) -> float:
        """Variance of one unit of the underlying, σ² S² (T - t)."""
        return self.vol**2 * self.spot**2 * self.length

    def residual_variance(self, gamma: Real, years_to_maturity: Real) -> Floats:
        """k of theorem 4: variance of one option hedged in delta at the period's start, its gamma's and its vega's.

        k = (σ² (T-t) / 2 + α² τ²) Γ² S⁴ σ² (T-t), of which the second is vega² α² (T-t), vega = Γ S² σ τ

        Units       gamma per unit of price; the option's time to maturity τ in the unit of the period's length
        """
        by_gamma, by_vega = 0.5 * self.vol**2 * self.length, np.square(np.multiply(self.vol_of_vol, years_to_maturity))
        return np.asarray((by_gamma + by_vega) * np.square(gamma) * self.spot**2 * self.delta_variance())


def delta_premiums(demand: LinearDemand, period: Period, delta: Real, net_delta: Real) -> Distances:
    """Theorem 2: an option, or at a delta of 1 the underlying, of an unhedged book whose net delta is q_s + q_o Δ."""
    weight = period.risk_aversion * period.delta_variance()
    return demand.premiums(2.0 * weight * np.multiply(delta, net_delta), weight * np.square(delta))


def residual_premiums(demand: LinearDemand, period: Period, variance: Real, inventory: Real) -> Distances:
    """Theorem 4: the option of that residual variance, `inventory` of which are held, hedged in delta every period."""
    weight = period.risk_aversion * np.asarray(variance)
    return demand.premiums(2.0 * weight * inventory, weight)


def slopes(terminal_variance: float, risk_aversion: float, demand_slope: float, step: float, steps: int) -> Floats:
    """m[i] of each of `steps` periods of quoting before one in which what is held is held: theorems 3 and 5.

    The value is m q² and a constant, m[steps] = -γ k. In a period a side's best premium earns D/4 (C/D + change)² and
    the two sides' changes are m (1 ± 2q), so

        m[i] = m[i+1] + 2 step D m[i+1]²

    Units       demand slope D per unit of time and of price, added up over instruments with their squared exposures
    Domain      2 step D γ k below 1, or premiums leave the range in which demand is linear
    """
    require_not_negative("Stoikov-Saglam", terminal_variance=terminal_variance, demand_slope=demand_slope, step=step)
    m = np.empty(steps + 1)
    m[steps] = -risk_aversion * terminal_variance
    for i in range(steps - 1, -1, -1):
        m[i] = m[i + 1] + 2.0 * step * demand_slope * m[i + 1] ** 2
    return m


def premiums_at_slope(demand: LinearDemand, slope: float, inventory: Real) -> Distances:
    """Premiums of a period after which the value is `slope` q², in which γ k of theorem 4 is -slope."""
    return demand.premiums(-2.0 * slope * np.asarray(inventory), -slope)
