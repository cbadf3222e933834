"""What a venue's contracts and collateral are worth at a moment, a lot each, and what margin they need.

The same account is asked about in two markets: the one that its venue's engine believes in, and the one there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class VenueMarket:
    """What a lot of each of c things held is worth at a moment, as somebody sees it.

    mark, notional  (c,) units a lot: its worth, and that of the underlying it is on, which fees are shares of
    is_linear, is_option  (c,) futures and perpetuals, options; what is neither is collateral
    haircut         (c,) share of what is held long that does not count; debts count in full
    counts          (c,) whether its worth is part of the margin balance: standard rules leave options out
    maintenance     lots (k, c) to the requirement (k,), units
    """

    mark: Ints
    notional: Ints
    is_linear: Flags
    is_option: Flags
    haircut: Floats
    counts: Flags
    maintenance: Callable[[Ints], Ints]

    def equity(self, cash: Ints, lots: Ints) -> Ints:
        """What (k,) accounts would have left if all were closed at the marks."""
        return np.asarray(cash + lots @ self.mark, dtype=np.int64)

    def balance(self, cash: Ints, lots: Ints) -> Ints:
        """The margin balance (k,): equity less haircuts and what does not count."""
        worth = lots * self.mark
        cut = np.ceil(np.maximum(worth, 0) @ np.where(self.counts, self.haircut, 0.0))
        return np.asarray(cash + worth @ self.counts.astype(np.int64) - cut.astype(np.int64), dtype=np.int64)

    def surplus(self, cash: Ints, lots: Ints) -> Ints:
        """Margin balance over maintenance (k,); below zero an account is liquidated."""
        return np.asarray(self.balance(cash, lots) - self.maintenance(lots), dtype=np.int64)

    @cached_property
    def is_asset(self) -> Flags:
        """Which of what is held is collateral."""
        return ~(self.is_linear | self.is_option)

    def valuing_assets_at(self, share: float) -> VenueMarket:
        """The same market in the eyes of who takes collateral for 1 + `share` times its worth."""
        seen = np.where(self.is_asset, np.rint(self.mark * (1.0 + share)), self.mark).astype(np.int64)
        return replace(self, mark=seen)


@dataclass(frozen=True, eq=False)
class Asset:
    """A collateral: USD a lot, and the share of that which a venue does not count."""

    usd_per_lot: float
    haircut: float


def market_of(
    contracts: MarginContracts, lot_coin: Floats, asset: Asset, model: MarginModel, units_per_usd: float
) -> VenueMarket:
    """A venue's listed contracts, in lots of `lot_coin` (c,) coins, then one collateral, under a margin model.

    Domain      contracts settled in dollars; units are of dollars
    """
    usd = contracts.mark_usd * contracts.usd_per_mark * lot_coin
    mark = np.append(usd, asset.usd_per_lot) * units_per_usd
    notional = np.append(contracts.index_usd * lot_coin, asset.usd_per_lot) * units_per_usd
    is_option = np.append(contracts.is_option, False)
    requirement = model.requirement(contracts)

    def maintenance(lots: Ints) -> Ints:
        needed = requirement.margins(lots[:, :-1] * lot_coin).maintenance
        return np.asarray(np.ceil(needed * units_per_usd).astype(np.int64))

    return VenueMarket(
        mark=np.rint(mark).astype(np.int64),
        notional=np.rint(notional).astype(np.int64),
        is_linear=np.append(~contracts.is_option, False),
        is_option=is_option,
        haircut=np.append(np.zeros(len(contracts)), asset.haircut),
        counts=~is_option | model.counts_option_value,
        maintenance=maintenance,
    )
