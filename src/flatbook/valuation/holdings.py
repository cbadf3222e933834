"""The book as columns: what the ledger says we hold, as floats in the chain's rows, for everything that measures risk.

The initial collateral is not part of the book: its coin is the numéraire the maker was given, and it is held apart.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import FACTORS
from flatbook.valuation.chain import DELTA, GAMMA, THETA, VEGA, ChainValues

Floats = NDArray[np.float64]


class Holdings:
    """Options by row, the perpetual, and the coin earned or spent.

    size_coin       (capacity,) contracts held, signed
    fresh_coin      (capacity,) of those, what was traded within the markout horizon
    perp_usd        USD notional of the inverse perpetual, signed
    perp_cost_coin  its booked cost: coin P&L at price P is -perp_usd / P - perp_cost_coin
    cash_coin       coin beyond the deposits
    Invariant       sizes and cash equal the ledger's whenever the engine is between events
    """

    def __init__(self, capacity: int) -> None:
        self.size_coin: Floats = np.zeros(capacity)
        self.fresh_coin: Floats = np.zeros(capacity)
        self.perp_usd = 0.0
        self.perp_cost_coin = 0.0
        self.cash_coin = 0.0
        self._fresh: deque[tuple[int, int, float]] = deque()

    def grow(self, capacity: int) -> None:
        """Makes room for more rows."""
        more = np.zeros(capacity - len(self.size_coin))
        self.size_coin = np.concatenate([self.size_coin, more])
        self.fresh_coin = np.concatenate([self.fresh_coin, more])

    def add_fresh(self, row: int, size_coin: float, until_ns: int) -> None:
        """A fill is fresh until the markout horizon has passed."""
        self.fresh_coin[row] += size_coin
        self._fresh.append((until_ns, row, size_coin))

    def age(self, now_ns: int) -> None:
        """Fills whose horizon has passed are fresh no more."""
        while self._fresh and self._fresh[0][0] <= now_ns:
            _, row, size_coin = self._fresh.popleft()
            self.fresh_coin[row] -= size_coin
            if abs(self.fresh_coin[row]) < 1e-9:
                self.fresh_coin[row] = 0.0

    def drop_fresh(self, row: int) -> None:
        """An expired option is fresh no more."""
        self.fresh_coin[row] = 0.0
        self._fresh = deque(entry for entry in self._fresh if entry[1] != row)

    def perp_value_coin(self, perp_price_usd: float) -> float:
        """The perpetual's unsettled P&L in coin."""
        return -self.perp_usd / perp_price_usd - self.perp_cost_coin if self.perp_usd else -self.perp_cost_coin

    def equity_coin(self, values: ChainValues, perp_price_usd: float) -> float:
        """What the book is worth in coin: cash, options at fair value, unsettled perpetual P&L."""
        held = self.size_coin[: values.rows]
        at = np.flatnonzero(held)
        options = float(held[at] @ values.fair_coin[at])
        return self.cash_coin + options + self.perp_value_coin(perp_price_usd)

    def exposure(self, values: ChainValues, perp_price_usd: float) -> Floats:
        """Exposure to the risk factors in USD per unit (see kernels.chain), coin balance and perpetual included."""
        held = self.size_coin[: values.rows]
        at = np.flatnonzero(held)
        x = np.zeros(FACTORS)
        if len(at):
            x += held[at] @ values.loading[at]
        x[0] += self.linear_delta_usd(values.index_usd, perp_price_usd)
        return x

    def linear_delta_usd(self, index_usd: float, perp_price_usd: float) -> float:
        """USD delta of the coin balance and the perpetual: its coin P&L, and its notional over the price."""
        coin = self.cash_coin + self.perp_value_coin(perp_price_usd)
        return coin * index_usd + self.perp_usd * index_usd / perp_price_usd


def greeks_usd(holdings: Holdings, values: ChainValues) -> tuple[float, float, float]:
    """The options' gamma (change of USD delta per 1 %), vega (USD per vol point), theta (USD a day)."""
    held = holdings.size_coin[: values.rows]
    at = np.flatnonzero(held)
    if not len(at):
        return 0.0, 0.0, 0.0
    size, forward = held[at], values.forward_usd[at]
    scale = values.index_usd / forward
    gamma = float(size @ (values.greeks[GAMMA, at] * forward * forward * scale)) / 100
    vega = float(size @ (values.greeks[VEGA, at] * scale)) / 100
    theta = float(size @ (values.greeks[THETA, at] * scale)) / 365
    return gamma, vega, theta


def black_delta_coin(holdings: Holdings, values: ChainValues) -> float:
    """The options' Black delta in coin, without the coin balance."""
    held = holdings.size_coin[: values.rows]
    at = np.flatnonzero(held)
    return float(held[at] @ values.greeks[DELTA, at]) if len(at) else 0.0
