"""Guéant, Lehalle and Fernandez-Tapia: one asset and a bound on inventory, exactly and in closed form.

Source      O. Guéant, C.-A. Lehalle, J. Fernandez-Tapia (2013), "Dealing with the inventory risk: a solution to the
            market making problem", Mathematics and Financial Economics 7; without aversion to the fills themselves,
            "model B" of Guéant (2017), arXiv 1605.01862
"""

from dataclasses import dataclass

import numpy as np

from flatbook.decide.baselines import ladder
from flatbook.decide.baselines.intensity import (
    Distances,
    ExponentialIntensity,
    Floats,
    Real,
    require_not_negative,
    require_positive,
)


@dataclass(frozen=True, slots=True, eq=False)
class Glft:
    """A dealer in one asset.

    vol             price per square root of time
    fills           of a quote of one unit, alike on both sides
    risk_aversion   γ, per unit of price; quotes of a size z are those of one unit at γ z, inventory counted in sizes
    drift           of the mid, price per unit of time
    impact          how far each of our fills moves the mid against us, in price
    is_cara         exponential utility; else expected P&L less γ/2 of its variance, without aversion to the fills

    Domain      vol, risk aversion and fills above 0, impact 0 or more; numbers, in the closed form also arrays
    """

    vol: Real
    fills: ExponentialIntensity
    risk_aversion: Real
    drift: Real = 0.0
    impact: Real = 0.0
    is_cara: bool = True

    def __post_init__(self) -> None:
        require_positive("GLFT", vol=self.vol, risk_aversion=self.risk_aversion)
        require_not_negative("GLFT", impact=self.impact)

    def distances(self, bound: int, time_left: float) -> Distances:
        """The optimum by inventory -bound..bound, `time_left` before a horizon at which inventory is worth the mid.

        Shapes      (2 bound + 1,) each
        """
        held = ladder.inventories(bound)
        terminal = -0.5 * self.fills.decay * self.impact * held**2
        return self._about(self._ladder(held).log_value(np.asarray(terminal), time_left))

    def stationary_distances(self, bound: int) -> Distances:
        """The same far from any horizon."""
        return self._about(self._ladder(ladder.inventories(bound)).log_ground_state())

    def closed_form_distances(self, inventory: Real) -> Distances:
        """The same without a bound, approximately: a constant spread, and a skew that goes with the inventory.

        Domain      inventory some five sizes inside the bound that is really meant, for near it the optimum bends
        """
        shift = self.slope() * (inventory - self.drift / (self.risk_aversion * np.square(self.vol)))
        half = self._spread() + 0.5 * self.slope()
        return Distances(np.asarray(half + shift), np.asarray(half - shift))

    def slope(self) -> Floats:
        """How far the closed form's quotes shift per unit of inventory: σ sqrt(γ / (2 k A C exp(-k impact/2)))."""
        weight = 2.0 * self.fills.decay * self._coupling()
        return np.asarray(self.vol * np.sqrt(self.risk_aversion / weight))

    def _about(self, log_value: Floats) -> Distances:
        return ladder.distances(log_value, float(self.fills.decay), float(self._spread()))

    def _ladder(self, held: Floats) -> ladder.Ladder:
        k = self.fills.decay
        charge = k * (0.5 * self.risk_aversion * np.square(self.vol) * held**2 - self.drift * held)
        return ladder.Ladder(np.asarray(charge), float(self._coupling()), float(self._coupling()))

    def _spread(self) -> Floats:
        # With θ = φ + impact q²/2 every fill costs impact/2 and nothing else: the bid's loss on what is held included.
        return self.fills.spread(self._trade_aversion) + 0.5 * self.impact

    def _coupling(self) -> Floats:
        fills = self.fills
        return fills.arrivals * fills.constant(self._trade_aversion) * np.exp(-0.5 * fills.decay * self.impact)

    @property
    def _trade_aversion(self) -> Real:
        return self.risk_aversion if self.is_cara else 0.0
