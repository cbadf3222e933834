"""Cartea and Jaimungal: expected wealth less a running penalty on inventory and a cost of closing it at the horizon.

Source      Á. Cartea, S. Jaimungal, J. Penalva (2015), "Algorithmic and High-Frequency Trading", section 10.2; Cartea,
            Jaimungal (2015), "Risk metrics and fine tuning of high-frequency trading strategies", Mathematical Finance
"""

import math
from dataclasses import dataclass

import numpy as np

from flatbook.decide.baselines import ladder
from flatbook.decide.baselines.intensity import Distances, Floats, require_not_negative, require_positive


@dataclass(frozen=True, slots=True)
class CarteaJaimungal:
    """A dealer who quotes one unit a side.

    buy_orders      market orders that buy, which meet our ask, per unit of time
    sell_orders     market orders that sell, which meet our bid
    decay           κ: a quote at a depth d is reached by exp(-κ d) of them; per unit of price
    running_penalty φ of the squared inventory, price per unit of time
    closing_cost    α: what is held at the horizon is sold at the mid less α per unit held, in price
    impact          how far each market order moves the mid its own way, price

    Domain      orders and decay above 0, the rest 0 or more
    """

    buy_orders: float
    sell_orders: float
    decay: float
    running_penalty: float
    closing_cost: float = 0.0
    impact: float = 0.0

    def __post_init__(self) -> None:
        what = "Cartea-Jaimungal"
        require_positive(what, buy_orders=self.buy_orders, sell_orders=self.sell_orders, decay=self.decay)
        require_not_negative(
            what, running_penalty=self.running_penalty, closing_cost=self.closing_cost, impact=self.impact
        )

    def distances(self, bound: int, time_left: float) -> Distances:
        """Depths by inventory -bound..bound, `time_left` before the horizon.

        Shapes      (2 bound + 1,) each
        """
        held = ladder.inventories(bound)
        terminal = -self.decay * self.closing_cost * held**2
        return self._about(self._ladder(held).log_value(terminal, time_left))

    def stationary_distances(self, bound: int) -> Distances:
        """The same far from any horizon, where what closing costs does not matter."""
        return self._about(self._ladder(ladder.inventories(bound)).log_ground_state())

    def _about(self, log_value: Floats) -> Distances:
        return ladder.distances(log_value, self.decay, 1.0 / self.decay + self.impact)

    def _ladder(self, held: Floats) -> ladder.Ladder:
        # Every order moves the mid, whether it meets our quote or not: a drift of impact times the orders' balance.
        drift = self.impact * (self.buy_orders - self.sell_orders)
        charge = self.decay * (self.running_penalty * held**2 - drift * held)
        seen = math.exp(-1.0 - self.decay * self.impact)
        return ladder.Ladder(np.asarray(charge), self.sell_orders * seen, self.buy_orders * seen)
