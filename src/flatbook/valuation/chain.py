"""The whole chain valued at one instant: columns that are filled in place, and stamped."""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.black import FULL_ROWS, price_full
from flatbook.kernels.chain import FACTORS, load_factors, spread_slots
from flatbook.market.market import Market

Floats = NDArray[np.float64]

PRICE, DELTA, GAMMA, VEGA, THETA, VANNA, VOLGA = range(7)
"""Rows of `ChainValues.greeks` that are used by name; the order of `kernels.black.FULL_ROWS`."""


class ChainValues:
    """Values, Greeks and factor loadings of every option of a universe, a row each.

    Shapes      all (rows,), greeks (11, rows), loading (rows, FACTORS)
    Units       forward, Greeks in USD per contract of one coin (see kernels.black); fair in coin; vol decimal;
                loading in USD per unit of factor (see kernels.chain)
    Invariant   everything is as of `ts_ns` and `index_usd`; a row without a slice is NaN, an expired one intrinsic
    """

    def __init__(self) -> None:
        self.ts_ns = 0
        self.index_usd = np.nan
        self.rows = 0
        self._allocate(0)

    def _allocate(self, rows: int) -> None:
        self.rows = rows
        self.forward_usd: Floats = np.full(rows, np.nan)
        self.years: Floats = np.zeros(rows)
        self.vol: Floats = np.full(rows, np.nan)
        self.moneyness: Floats = np.zeros(rows)
        self.greeks: Floats = np.full((len(FULL_ROWS), rows), np.nan)
        self.fair_coin: Floats = np.full(rows, np.nan)
        self.loading: Floats = np.zeros((rows, FACTORS))

    def revalue(self, market: Market, now_ns: int) -> None:
        """Recomputes every column from the market as it is."""
        universe = market.universe
        if universe.count != self.rows:
            self._allocate(universe.count)
        used = slice(universe.count)
        years = market.years(now_ns)
        spread_slots(
            universe.slot[used],
            universe.strike_usd[used],
            market.forwards.forwards_usd(universe.slots),
            years,
            market.surface.slots_at(years),
            self.forward_usd,
            self.years,
            self.vol,
            self.moneyness,
        )
        price_full(self.forward_usd, universe.strike_usd[used], self.vol, self.years, universe.sign[used], self.greeks)
        np.divide(self.greeks[PRICE], self.forward_usd, out=self.fair_coin)
        load_factors(
            market.forwards.index_usd,
            _tenor_years(market),
            self.forward_usd,
            self.years,
            self.moneyness,
            self.greeks,
            self.loading,
        )
        self.ts_ns = now_ns
        self.index_usd = market.forwards.index_usd

    def copy_from(self, other: "ChainValues") -> None:
        """Becomes a copy of `other`, in place where the sizes agree."""
        if self.rows != other.rows:
            self._allocate(other.rows)
        self.ts_ns, self.index_usd = other.ts_ns, other.index_usd
        for mine, theirs in zip(self._columns(), other._columns(), strict=True):
            mine[...] = theirs

    def _columns(self) -> tuple[Floats, ...]:
        return (
            self.forward_usd,
            self.years,
            self.vol,
            self.moneyness,
            self.greeks,
            self.fair_coin,
            self.loading,
        )


def _tenor_years(market: Market) -> Floats:
    return np.array(market.model.covariance.tenor_days) / 365
