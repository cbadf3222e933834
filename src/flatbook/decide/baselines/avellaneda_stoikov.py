"""Avellaneda and Stoikov: quotes about a reservation price that leans against the inventory, until a horizon.

Source      M. Avellaneda, S. Stoikov (2008), "High-frequency trading in a limit order book", Quantitative Finance 8(3);
            equation numbers of the working paper
"""

from dataclasses import dataclass

import numpy as np

from flatbook.decide.baselines.intensity import (
    Distances,
    ExponentialIntensity,
    Floats,
    Real,
    require_not_negative,
    require_positive,
)


@dataclass(frozen=True, slots=True, eq=False)
class AvellanedaStoikov:
    """A dealer of exponential utility in one asset, whose inventory is taken to stay as it is until the horizon.

    Units       vol in price per square root of time; fills of a quote of one unit; risk aversion per unit of price
    Domain      all above 0, the vol 0 or more; numbers, or arrays that broadcast, an asset each
    """

    vol: Real
    fills: ExponentialIntensity
    risk_aversion: Real

    def __post_init__(self) -> None:
        require_not_negative("Avellaneda-Stoikov", vol=self.vol)
        require_positive("Avellaneda-Stoikov", risk_aversion=self.risk_aversion)

    def reservation_shift(self, inventory: Real, time_left: Real) -> Floats:
        """How far the reservation price lies over the mid, -q γ σ² (T - t): eq. 3.17."""
        return np.asarray(-np.multiply(inventory, self._charge(time_left)))

    def spread(self, time_left: Real) -> Floats:
        """Ask less bid, γ σ² (T - t) + (2/γ) ln(1 + γ/k): eq. 3.18."""
        return np.asarray(self._charge(time_left) + 2.0 * self.fills.spread(self.risk_aversion))

    def distances(self, inventory: Real, time_left: Real) -> Distances:
        """Bid and ask about the reservation price; a side may lie through the mid, its distance below 0.

        These are also the exact optimum at a frozen inventory, eqs. 3.6 and 3.7: for exponential fills the two agree.
        """
        shift, half = self.reservation_shift(inventory, time_left), 0.5 * self.spread(time_left)
        return Distances(half - shift, half + shift)

    def _charge(self, time_left: Real) -> Floats:
        require_not_negative("Avellaneda-Stoikov", time_left=time_left)
        return np.asarray(self.risk_aversion * np.square(self.vol) * time_left)
