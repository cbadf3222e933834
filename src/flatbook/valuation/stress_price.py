"""R's second term: what the tails of the book cost, by scenarios that are full revaluations.

    T(l) = weight temper ln( mean_s exp(-l_s / temper) )        charge(trade) = T(l + u) - T(l)

with l the book's P&L by scenario and u the trade's. T is convex in l, and so in positions, for a scenario's P&L is
linear in them; it is nothing for no book, and below `weight` times the worst loss, to which it tends as `temper` falls.
What one more unit of u costs at the margin is -weight p, where p weighs scenarios by their losses: a softmax. So a book
short of wings pays up to buy them, though their gamma and vega today are next to nothing.

A trade that is known by its exposures alone, as a hedge is, is charged by T's parabola at the book in factor space,
where a scenario is a move of the factors (`in_factors`).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StressPrice:
    """T's parameters: USD of charge a USD of loss, and the scale in USD over which a worse scenario takes over."""

    weight: float
    temper_usd: float

    def cost_usd(self, pnl_usd: Floats) -> Floats:
        """T of P&L by scenario; shape (..., scenarios) to (...)."""
        loss = -pnl_usd / self.temper_usd
        most = loss.max(axis=-1)
        return np.asarray(self.weight * self.temper_usd * (most + np.log(np.exp(loss - most[..., None]).mean(axis=-1))))

    def chances(self, pnl_usd: Floats) -> Floats:
        """p: how much each scenario counts at the margin, (scenarios,); sums to 1."""
        loss = -pnl_usd / self.temper_usd
        odds = np.exp(loss - loss.max())
        return np.asarray(odds / odds.sum())

    def charges_usd(self, pnl_usd: Floats, gains_usd: Floats, size: float) -> Floats:
        """What buying and what selling `size` contracts adds, USD a contract, (2, n); `gains_usd` (n, scenarios)."""
        here = self.cost_usd(pnl_usd)
        sides = (self.cost_usd(pnl_usd + side * size * gains_usd) - here for side in (1.0, -1.0))
        return np.stack([*sides]) / size

    def in_factors(self, core: RiskPrice, pnl_usd: Floats, moves: Floats, exposure: Floats) -> RiskPrice:
        """R with T's parabola at the book: right in value's slope and curvature there.

        Shapes      pnl_usd (scenarios,); moves (scenarios, FACTORS) of each scenario; exposure (FACTORS,) of the book
        """
        chances = self.chances(pnl_usd)
        mean = chances @ moves
        apart = moves - mean
        bend = self.weight / self.temper_usd * (apart * chances[:, None]).T @ apart
        slope = -self.weight * mean - bend @ exposure
        return replace(core, curvature=core.curvature + bend, slope=slope if core.slope is None else core.slope + slope)
