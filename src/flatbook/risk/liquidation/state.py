"""A venue's books as liquidation sees them: cash and lots in integers, so that money is conserved to the unit.

    equity = cash + lots · mark

in the smallest unit of the one currency that all is settled in. Whatever is held counts by what a lot of it is worth,
be it an option, a future or a token of collateral: who bought a future here has paid its mark and owes that, so
variation margin needs no posting of its own. An inverse contract of n dollars is worth −n/P coins a lot. Contracts sum
to zero over all rows, collateral to what was deposited, cash to what was paid in: `exchanged` is the one way anything
moves, and moves it from one row to another.

Below the accounts stand three rows that are nobody's: the venue's fees, its insurance fund, and the makers who take the
other side of what is sold in the market.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.liquidation.market import VenueMarket

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEES: Final = -3
FUND: Final = -2
MAKERS: Final = -1
OWN_ROWS: Final = 3


@dataclass(frozen=True, eq=False)
class VenueState:
    """Accounts, then the venue's own rows: n = accounts + 3.

    cash        (n,) units
    lots        (n, c) signed
    entry       (n, c) units a lot, at which an account's lots were entered on average: ranks it, and is no money
    resting     (n, c) lots in working orders, unsigned: cancelled before anything is liquidated
    """

    cash: Ints
    lots: Ints
    entry: Floats
    resting: Ints

    @classmethod
    def opened(
        cls, cash: Ints, lots: Ints, entry: Floats, market: VenueMarket, fund: int = 0, makers: int = 0
    ) -> VenueState:
        """Accounts (a,), what the fund and the makers have; the makers hold the other side, entered at the marks."""
        net = np.where(market.is_asset, 0, -lots.sum(axis=0))
        own_lots = np.stack([np.zeros_like(net), np.zeros_like(net), net])
        own_cash = np.array([0, fund, makers - int(net @ market.mark)])
        held = np.concatenate([lots, own_lots])
        entered = np.concatenate([entry, np.where(own_lots != 0, market.mark, 0.0)])
        return cls(np.concatenate([cash, own_cash]).astype(np.int64), held, entered, np.zeros_like(held))

    @property
    def accounts(self) -> int:
        """How many rows are somebody's."""
        return len(self.cash) - OWN_ROWS

    def equity(self, market: VenueMarket) -> Ints:
        """Of every row (n,)."""
        return market.equity(self.cash, self.lots)

    def totals(self) -> tuple[int, Ints]:
        """All cash, and all lots of each thing held: no step changes them."""
        return int(self.cash.sum()), np.asarray(self.lots.sum(axis=0))

    def exchanged(self, rows: Ints, lots: Ints, price: Ints, other: int, units: Ints | int = 0) -> VenueState:
        """`rows` (k,), each once, take lots (k, c) from `other` at prices (c,) a lot, and pay it `units` (k,) more."""
        paid = lots @ price + units
        cash, held, entry = self.cash.copy(), self.lots.copy(), self.entry.copy()
        entry[rows] = _entry_after(held[rows], entry[rows], lots, price)
        cash[rows] -= paid
        held[rows] += lots
        cash[other] += paid.sum()
        held[other] -= lots.sum(axis=0)
        return replace(self, cash=cash, lots=held, entry=entry)

    def paid(self, rows: Ints, units: Ints, other: int) -> VenueState:
        """`rows` (k,), each once, pay `units` (k,) to `other`."""
        cash = self.cash.copy()
        cash[rows] -= units
        cash[other] += units.sum()
        return replace(self, cash=cash)

    def cancelled(self, rows: Ints) -> VenueState:
        """Working orders of `rows` are gone."""
        if not self.resting[rows].any():
            return self
        resting = self.resting.copy()
        resting[rows] = 0
        return replace(self, resting=resting)


def _entry_after(held: Ints, entry: Floats, traded: Ints, price: Ints) -> Floats:
    """Average entry price: of both where lots are added, as it was where some are closed, the new where they turn."""
    after = held + traded
    adds = held * traded >= 0
    joint = (held * entry + traded * price) / np.where(after == 0, 1, after)
    kept = np.where(np.sign(after) == np.sign(held), entry, np.broadcast_to(price, entry.shape).astype(np.float64))
    return np.where(after == 0, 0.0, np.where(traded == 0, entry, np.where(adds, joint, kept)))
