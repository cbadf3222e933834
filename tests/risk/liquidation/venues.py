"""A venue of a perpetual, a call, a put and a token of collateral, in any market, and accounts that use it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.liquidation.incremental import Depth
from flatbook.risk.liquidation.market import Asset, VenueMarket, market_of
from flatbook.risk.liquidation.state import VenueState
from flatbook.venues.margin import editions
from tests.risk.margin.columns import Row, contracts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PERPETUAL, CALL, PUT, TOKEN = range(4)
LOT_COIN = np.array([0.001, 0.1, 0.1])
UNITS = 1_000_000.0


def market(index_usd: float, vol: float = 0.6, model: str = "deribit_pm", token_usd: float = 1.0) -> VenueMarket:
    """Everything settles in dollars, in units of a millionth."""
    options = (Row(sign, strike, 0.1, index_usd, vol, in_coin=False) for sign, strike in ((1.0, 90e3), (-1.0, 70e3)))
    listed = contracts([Row(forward=index_usd, in_coin=False), *options], index_usd)
    return market_of(listed, LOT_COIN, Asset(token_usd, 0.05), editions(model)[-1].model, UNITS)


def opened(rng: np.random.Generator, at: VenueMarket, accounts: int, fund: int = 0) -> VenueState:
    """Accounts of dollars or tokens, whose maintenance takes from a third to all of their balance."""
    lots = np.zeros((accounts, 4), dtype=np.int64)
    lots[:, :TOKEN] = rng.integers(-60, 60, (accounts, 3)) * (rng.random((accounts, 3)) < 0.6)
    lots[:, PERPETUAL] *= 100
    needed = at.maintenance(lots) + 1
    margin = (needed * rng.uniform(1.0, 3.0, accounts)).astype(np.int64)
    has_token = rng.random(accounts) < 0.4
    lots[:, TOKEN] = np.where(has_token, -(-2 * margin // int(at.mark[TOKEN])), 0)
    contracts_cost = lots[:, :TOKEN] @ at.mark[:TOKEN]
    cash = np.where(has_token, 0, margin) - contracts_cost
    entry = np.broadcast_to(at.mark.astype(np.float64), lots.shape)
    net = np.abs(lots[:, :TOKEN].sum(axis=0)) @ at.notional[:TOKEN]
    books = VenueState.opened(cash, lots, entry, at, fund, makers=100 * int(net) + 10**13)
    resting = np.zeros_like(books.lots)
    resting[:accounts, PERPETUAL] = rng.integers(0, 5, accounts)
    return VenueState(books.cash, books.lots, books.entry, resting)


def depth(lots: int = 500) -> Depth:
    """The same of everything on both sides."""
    return Depth(np.full((2, 4), lots, dtype=np.int64), np.full(4, 0.0005), np.array([0.02, 0.02, 0.02, 0.0]))
