"""What hedging looks at, and what it finds: rows of a `HedgeSet` with what each is and how it is ordered."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.impact import SquareRootLaw
from flatbook.decide.hedge.instruments import HedgeSet
from flatbook.decide.policy import HedgingPolicy
from flatbook.domain.reference import Instrument
from flatbook.domain.ticks import ceil_tick, floor_tick
from flatbook.market.market import Market
from flatbook.market.other_coins import Comovement, OtherCoin
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.inventory import Inventory

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


LEAST_HOURS = 48.0
"""Nothing that expires sooner is offered: a hedge is not to turn into a delivery."""


@dataclass(frozen=True, slots=True)
class DollarHedges:
    """What is paid in dollars: its perpetual, and spot as far as the venue's balances go, in coins and in USD."""

    linear: Instrument
    spot: Instrument
    coins: float
    usd: float


@dataclass(frozen=True, slots=True, eq=False)
class OtherHedges:
    """Perpetuals of other coins, as far as those are known to move with ours.

    coins           in the order of every array
    comovement      what of their moves is ours
    held_usd        (coins,) delta held in each, of which no more than `most_usd` is wanted either way
    laws            what an order in each is believed to move
    """

    coins: tuple[OtherCoin, ...]
    comovement: Comovement
    held_usd: Floats
    most_usd: float
    laws: tuple[SquareRootLaw, ...]


@dataclass(frozen=True, slots=True)
class HedgeScene:
    """What hedging looks at: the market, the chain as valued, what is held, and what an order is believed to move.

    dollars         what of it is paid in dollars; None where that is not to hedge
    others          other coins that may hedge; None where none may, or none is known yet
    """

    policy: HedgingPolicy
    market: Market
    values: ChainValues
    inventory: Inventory
    perpetual: Instrument
    law: SquareRootLaw
    dollars: DollarHedges | None = None
    others: OtherHedges | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Rows that may hedge.

    instruments     an instrument a row
    row             (m,) its row in the chain where it is an option, -1 else
    unit_usd        (m,) what a unit of its size comes to, USD: a coin for options, for others what it is worth
    mark            (m,) what it is worth, in its own price
    limits          (2, m) the worst price that an order to buy and one to sell may take
    """

    instruments: tuple[Instrument, ...]
    row: Ints
    unit_usd: Floats
    mark: Floats
    limits: Floats
    hedge_set: HedgeSet

    def limit_ticks(self, at: int, side: int) -> int:
        """The limit of an order of `side` in row `at`, on the contract's grid."""
        instrument = self.instruments[at]
        steps, exact = instrument.spec.ticks, self.limits[0 if side > 0 else 1, at] / instrument.tick_size
        return ceil_tick(steps, exact) if side > 0 else max(floor_tick(steps, exact), 1)

    def pays(self, gradient: Floats) -> bool:
        """Whether the first unit of anything would save more of R, whose slope is `gradient`, than it costs."""
        offered = self.hedge_set
        slope = offered.loading.dot(gradient)
        return bool(((slope + offered.buy_usd < 0.0) | (slope - offered.sell_usd > 0.0)).any())
