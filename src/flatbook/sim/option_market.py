"""Options as one who takes meets them: the other makers' best price, as deep as they are, and filled up again after."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.reference import Instrument
from flatbook.domain.units import NS_PER_SECOND
from flatbook.sim.perpetual import Execution

OptionTouch = Callable[[Instrument, int, int], int]
"""The best price in finest ticks that a taker of a side (+1 buys) meets at a moment of the venue; 0 for none."""


def no_touch(_instrument: Instrument, _side: int, _now_ns: int) -> int:
    """Nobody shows a price."""
    return 0


@dataclass(frozen=True, slots=True)
class OptionTerms:
    """How deep the other makers' best prices are.

    depth_coin      contracts of one coin at the best price; what is beyond does not trade
    refill_s        what we took of it comes back with this time constant
    """

    depth_coin: float = 10.0
    refill_s: float = 300.0

    def __post_init__(self) -> None:
        if not (self.depth_coin > 0.0 and self.refill_s > 0.0):
            raise ConfigurationError(
                f"options {self.depth_coin:g} coins deep that fill up in {self.refill_s:g} s; use more than 0 for both"
            )


@dataclass(slots=True)
class _Taken:
    """What we took on one side lately, in coins as of `ns`."""

    coin: float
    ns: int


class OptionMarket:
    """Takes our orders against the touch."""

    def __init__(self, terms: OptionTerms, touch: OptionTouch) -> None:
        self.touch = touch
        self._terms = terms
        self._taken: dict[tuple[str, int], _Taken] = {}

    def take(self, instrument: Instrument, side: int, size_lots: int, limit_ticks: int, now_ns: int) -> Execution:
        """Trades up to `size_lots` at the touch, as many as are left there, if `limit_ticks` allows its price."""
        price_ticks = self.touch(instrument, side, now_ns)
        if price_ticks <= 0 or side * (limit_ticks - price_ticks) < 0:
            return Execution(0, 0)
        taken = self._taken.setdefault((instrument.name, side), _Taken(0.0, now_ns))
        taken.coin *= math.exp(-(now_ns - taken.ns) / NS_PER_SECOND / self._terms.refill_s)
        taken.ns = now_ns
        left_lots = math.floor((self._terms.depth_coin - taken.coin) / instrument.lot_size * (1 + 1e-12))
        lots = min(size_lots, max(left_lots, 0))
        taken.coin += lots * instrument.lot_size
        return Execution(lots, price_ticks) if lots else Execution(0, 0)
