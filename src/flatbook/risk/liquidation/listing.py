"""What a venue of the study lists: a perpetual, and options of a few expiries and strikes; and their marks in a crash.

All settle in dollars, and the perpetual stands at the index. Smiles are flat, a strike keeps its vol: an expiry's vol
moves as a whole with the crash, nearer ones farther, by the term twist of `market.shock`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.kernels.black import black
from flatbook.market.shock import TERM_DAYS
from flatbook.risk.margin.contracts import MarginContracts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SHORTEST_DAYS = 1.0


@dataclass(frozen=True)
class OptionMenu:
    """Of each expiry a put so far below the index at the start, and a call as far above, by distance.

    days        to expiry at the start; more than the crash lasts
    distances   shares of the index, 0 or more and less than 1
    implied_vol at the start, of all
    """

    days: tuple[float, ...] = (7.0, 30.0)
    distances: tuple[float, ...] = (0.0, 0.1, 0.2)
    implied_vol: float = 0.6
    perpetual_lot_coin: float = 0.001
    option_lot_coin: float = 0.01

    def __post_init__(self) -> None:
        if not all(0.0 <= distance < 1.0 for distance in self.distances) or not all(day > 0.0 for day in self.days):
            raise BadInputError(f"{self}: distances must be from 0 to less than 1, and days above 0")


@dataclass(frozen=True, eq=False)
class Listing:
    """The perpetual and, where there are any, n pairs of options: columns 0, then put and call of each pair.

    Shapes      strike_usd, sign, days (2 n,)
    """

    menu: OptionMenu
    strike_usd: Floats
    sign: Floats
    days: Floats

    @classmethod
    def of(cls, menu: OptionMenu, index_usd: float) -> Listing:
        """Struck around an index."""
        sign = np.tile([-1.0, 1.0], len(menu.days) * len(menu.distances))
        distance = np.tile(np.repeat(menu.distances, 2), len(menu.days))
        return cls(menu, index_usd * (1.0 + sign * distance), sign, np.repeat(menu.days, 2 * len(menu.distances)))

    @classmethod
    def perpetual_alone(cls) -> Listing:
        """Without options."""
        nothing = np.zeros(0)
        return cls(OptionMenu(), nothing, nothing, nothing)

    @property
    def pairs(self) -> int:
        """How many pairs of options."""
        return len(self.sign) // 2

    @cached_property
    def lot_coin(self) -> Floats:
        """Coins a lot of each contract."""
        return np.append(self.menu.perpetual_lot_coin, np.full(len(self.sign), self.menu.option_lot_coin))

    def contracts(self, index_usd: float, log_rise: float, term: float, elapsed_days: float) -> MarginContracts:
        """At an index, a month's vol `log_rise` over the start's and terms twisted by `term`, so much later.

        As `MarketSnapshot.shocked` has it: a term is twisted by its days at the start.
        """
        count = 1 + len(self.sign)
        is_option = np.arange(count) > 0
        years = np.maximum(self.days - elapsed_days, 0.0) / 365.0
        twist = (TERM_DAYS / np.maximum(self.days, _SHORTEST_DAYS)) ** term
        vol = self.menu.implied_vol * math.exp(log_rise) * twist
        forward = np.full(count, index_usd)
        worth = black(forward[1:], self.strike_usd, vol, years, self.sign)
        return MarginContracts(
            underlying="BTC",
            index_usd=index_usd,
            names=("BTC_USDC-PERPETUAL", *(f"option {number}" for number in range(1, count))),
            is_option=is_option,
            in_coin=np.zeros(count, dtype=np.bool_),
            strike_usd=np.append(math.nan, self.strike_usd),
            sign=np.append(0.0, self.sign),
            years=np.append(0.0, years),
            forward_usd=forward,
            vol=np.append(0.0, vol),
            mark_usd=np.append(index_usd, worth.price),
            delta=np.append(1.0, worth.delta),
            rate=np.zeros(count),
        )
