"""Scenario P&L by full revaluation: a grid of spot and vol shocks, whose zero shock is exactly zero."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.black import price_greeks
from flatbook.market.universe import Universe
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.inventory import Inventory
from flatbook.valuation.settling import settled_price

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ShockGrid:
    """Relative shocks: spot -0.2 is a fall of 20 %, vol 0.5 makes 0.60 of vol 0.90. Zero is in both."""

    spot: tuple[float, ...] = (-0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3)
    vol: tuple[float, ...] = (-0.3, 0.0, 0.5)


def scenario_pnl_usd(grid: ShockGrid, universe: Universe, values: ChainValues, inventory: Inventory) -> Floats:
    """P&L in USD of the whole book under each shock: shape (len(spot), len(vol)).

    Every forward moves by the same ratio, every vol by the same ratio, time stands still. The unshocked book is priced
    by the same call as the shocked ones, so no rounding and no difference of formula is left at zero shock.
    """
    spot, vol = np.array(grid.spot), np.array(grid.vol)
    linear = inventory.carried_coin * values.index_usd * spot
    pnl = np.repeat(linear[:, None], len(vol), axis=1)
    rows = np.flatnonzero(inventory.size_coin[: values.rows])
    if not len(rows):
        return pnl
    shape = (len(spot), len(vol), len(rows))
    forward = np.broadcast_to((1 + spot)[:, None, None] * values.forward_usd[rows], shape).ravel()
    shocked = np.broadcast_to((1 + vol)[None, :, None] * values.vol[rows], shape).ravel()
    strike, years, sign = (
        np.broadcast_to(column[rows], shape).ravel() for column in (universe.strike_usd, values.years, universe.sign)
    )
    price = np.empty(forward.size)
    unused = [np.empty(forward.size) for _ in range(4)]
    price_greeks(forward, strike, shocked, years, sign, price, *unused)
    for settling, expiring in values.settling:
        at = np.flatnonzero(np.broadcast_to(np.isin(rows, expiring), shape).ravel())
        price[at] = settled_price(settling, forward[at], strike[at], shocked[at], sign[at])
    weight = inventory.size_coin[rows] * values.index_usd / values.forward_usd[rows]
    options = price.reshape(shape) @ weight
    zero = options[grid.spot.index(0.0), grid.vol.index(0.0)]
    return np.asarray(pnl + (options - zero))


def worst_loss_usd(pnl: Floats) -> float:
    """The largest loss of a grid, positive; zero where nothing loses."""
    return max(float(-pnl.min()), 0.0)
