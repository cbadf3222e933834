"""The book as columns: what the ledger says we hold, as floats in the chain's rows, for everything that measures risk.

The initial collateral is not part of the book: its coin is the numéraire the maker was given, and it is held apart.
"""

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import FACTORS, PREMIUM, SPOT
from flatbook.kernels.explain import HEDGING, MAKING, STRATEGIES
from flatbook.kernels.factors import TOTALS, expose_book
from flatbook.market.universe import MOST_SLOTS
from flatbook.valuation.chain import ChainValues

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

STRATEGY_NAMES = ("making", "hedging")
"""Whose a position is, in the order of `kernels.explain`'s cells."""

CELLS = STRATEGIES * (MOST_SLOTS + 1)
"""How many cells a book can have: strategies times expiries and none (see `kernels.explain`)."""


NO_COINS: Floats = np.zeros(0)
NO_COINS.setflags(write=False)


class Inventory:
    """Options by row, the perpetual, and the coin earned or spent.

    size_coin       (capacity,) contracts held, signed
    fresh_coin      (capacity,) of those, what was traded within the markout horizon
    hedged_coin     (capacity,) of those, what is held as a hedge
    perp_usd        USD notional of the inverse perpetual, signed; it is worth -perp_usd / price in coin
    away_usd        the same of the one at another venue
    future_usd      (capacity,) the same of the dated future of each expiry, by slot: there are no more than rows
    linear_coin     coins of the dollar-settled perpetual, signed
    others_coin     (coins,) the same of other coins that may hedge, each in its own; `holds_others` where any is held
    dollars         USD beyond the deposits, less what open dollar-settled perpetuals were entered at
    carried_coin    coin beyond the deposits, less what open perpetuals and futures were entered at
    cells_coin      (CELLS,) the same coin by whose positions earned or spent it
    fees_coin       (CELLS,) fees paid so far, which are part of that
    Invariant       sizes and coin equal the ledger's whenever the engine is between events
    """

    def __init__(self, capacity: int, other_coins: int = 0) -> None:
        self.size_coin: Floats = np.zeros(capacity)
        self.fresh_coin: Floats = np.zeros(capacity)
        self.hedged_coin: Floats = np.zeros(capacity)
        self.cells_coin: Floats = np.zeros(CELLS)
        self.fees_coin: Floats = np.zeros(CELLS)
        self.perp_usd = 0.0
        self.away_usd = 0.0
        self.future_usd: Floats = np.zeros(capacity)
        self.linear_coin = 0.0
        self.others_coin: Floats = np.zeros(other_coins)
        self.holds_others = False
        self.dollars = 0.0
        self.carried_coin = 0.0
        self._fresh: deque[tuple[int, int, float]] = deque()

    def grow(self, capacity: int) -> None:
        """Makes room for more rows."""
        more = np.zeros(capacity - len(self.size_coin))
        self.size_coin = np.concatenate([self.size_coin, more])
        self.fresh_coin = np.concatenate([self.fresh_coin, more])
        self.hedged_coin = np.concatenate([self.hedged_coin, more])
        self.future_usd = np.concatenate([self.future_usd, more])

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

    def equity_coin(self, values: ChainValues, perp_price_usd: float) -> float:
        """What the book is worth in coin: coin carried, options at fair value, perpetual and futures at their price."""
        held = self.size_coin[: values.rows]
        at = np.flatnonzero(held)
        options = float(held[at] @ values.fair_coin[at])
        linear = self.perp_usd / perp_price_usd + self._away_coin(values)
        if (slots := self.future_slots(values)).size:
            linear += float(np.sum(self.future_usd[slots] / values.delivery_usd[slots]))
        return self.carried_coin + options - linear + self._dollars_worth(values) / values.index_usd

    def _away_coin(self, values: ChainValues) -> float:
        """Coins that the other venue's perpetual stands for; its price is asked for only by what is held."""
        return self.away_usd / values.away_usd if self.away_usd else 0.0

    def _dollars_worth(self, values: ChainValues) -> float:
        """What is held in dollars, USD; a price is asked for only by what is held."""
        dollars = self.dollars + (self.linear_coin * values.linear_usd if self.linear_coin else 0.0)
        return dollars + float(self.others_usd(values).sum()) if self.holds_others else dollars

    def hold_others(self, coins: Floats) -> None:
        """So much is held of each other coin's perpetual now."""
        self.others_coin, self.holds_others = coins, bool(coins.any())

    def others_usd(self, values: ChainValues) -> Floats:
        """(coins,) what is held of each other coin's perpetual, as USD at its price, which is its delta."""
        held = self.others_coin
        return np.multiply(held, values.others_usd, out=np.zeros_like(held), where=held != 0.0)

    def others_gained_usd(self, before: ChainValues, after: ChainValues) -> tuple[float, float]:
        """What perpetuals of other coins gained by their index, and by their premium over it."""
        held = np.flatnonzero(self.others_coin)
        coins = self.others_coin[held]
        index = after.others_index_usd[held] - before.others_index_usd[held]
        price = after.others_usd[held] - before.others_usd[held]
        return float(coins @ index), float(coins @ (price - index))

    def future_slots(self, values: ChainValues) -> Ints:
        """The expiries whose dated future is held."""
        return self.future_usd[: len(values.delivery_usd)].nonzero()[0]

    def held_coin(self, cells: int) -> Floats:
        """(cells,) of the first what moves as coin does: coin carried, and coins of the dollar-settled perpetual."""
        held: Floats = self.cells_coin[:cells].copy()
        held[HEDGING] += self.linear_coin
        return held

    def beside_coin(self, values: ChainValues, otc_usd: float, cells: int) -> Floats:
        """What the first cells hold beside the chain's options and `held_coin`, as coin, (cells,).

        Contracts over the counter are making's.
        """
        beside = np.zeros(cells)
        beside[MAKING] = otc_usd / values.index_usd
        dollars = self._dollars_worth(values) / values.index_usd - self.linear_coin
        beside[HEDGING] = dollars - self.perp_usd / values.perp_usd - self._away_coin(values)
        if (slots := self.future_slots(values)).size:
            beside[STRATEGIES * (slots + 1) + HEDGING] = -self.future_usd[slots] / values.delivery_usd[slots]
        return beside

    def basis_gained_usd(self, before: ChainValues, after: ChainValues, cells: int) -> Floats:
        """What a held perpetual gained by its premium over the index, and futures by theirs, of the first (cells,)."""
        gained = np.zeros(cells)
        gained[HEDGING] = self.perp_usd * (before.index_usd / before.perp_usd - after.index_usd / after.perp_usd)
        if self.away_usd:
            gained[HEDGING] += self.away_usd * (before.index_usd / before.away_usd - after.index_usd / after.away_usd)
        if self.linear_coin:
            over = (after.linear_usd - after.index_usd) - (before.linear_usd - before.index_usd)
            gained[HEDGING] += self.linear_coin * over
        if self.holds_others:
            gained[HEDGING] += self.others_gained_usd(before, after)[1]
        if (slots := self.future_slots(before)).size:
            ratio = before.index_usd / before.delivery_usd[slots] - after.index_usd / after.delivery_usd[slots]
            gained[STRATEGIES * (slots + 1) + HEDGING] = self.future_usd[slots] * ratio
        return gained

    def measure(self, values: ChainValues) -> "BookMeasures":
        """Exposures and Greeks of the book, coin and perpetual included.

        Options load net of their value in coin, which is part of what the book is worth in coin; so their value and
        the coin carried make up the rest. The carried coin's USD delta holds the perpetual's: what was paid in coin at
        entry is owed in coin, while the notional itself is dollars. Its premium is a risk of the notional alone, as is
        a dated future's carry; what is fixed of a delivery price no longer makes up for the coin's move.
        """
        exposure, totals = np.empty(FACTORS), np.empty(len(TOTALS))
        expose_book(
            values.index_usd,
            values.slot,
            values.factor_map,
            values.forward_usd,
            values.moneyness,
            values.greeks,
            self.size_coin[: values.rows],
            self.future_usd,
            values.slots[1],
            values.delivery_usd,
            values.fixed_share,
            exposure,
            totals,
        )
        options_coin, gamma, vega, theta = totals.tolist()
        exposure[SPOT] += (self.carried_coin + options_coin) * values.index_usd
        exposure[PREMIUM] += self.perp_usd * values.index_usd / values.perp_usd
        if self.away_usd:
            exposure[PREMIUM] += self.away_usd * values.index_usd / values.away_usd
        if self.linear_coin:
            exposure[SPOT] += self.linear_coin * values.linear_usd
            exposure[PREMIUM] += self.linear_coin * values.linear_usd
        return BookMeasures(exposure, gamma, vega, theta)


class BookMeasures(NamedTuple):
    """What the book risks.

    exposure                (FACTORS,) USD per unit of factor (see kernels.chain)
    gamma_1pct_usd          change of USD delta per 1 %
    vega_usd_per_vol_pt, theta_usd_per_day      of the options
    others_usd              (coins,) delta in other coins that may hedge; what of it moves with ours is in `exposure`
    """

    exposure: Floats
    gamma_1pct_usd: float
    vega_usd_per_vol_pt: float
    theta_usd_per_day: float
    others_usd: Floats = NO_COINS


NOTHING_HELD = BookMeasures(np.zeros(FACTORS), 0.0, 0.0, 0.0)

PERPETUAL: Floats = np.bincount([SPOT, PREMIUM], minlength=FACTORS).astype(np.float64)
"""What a USD of the inverse perpetual, bought, adds to a book's exposure: spot, and the premium it is bought at."""
PERPETUAL.setflags(write=False)
