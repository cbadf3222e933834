"""Scenario P&L by full revaluation: a grid of spot and vol shocks, whose zero shock is exactly zero."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import FACTORS, LEVELS, SPOT, SQUARED
from flatbook.market.settling import Settling
from flatbook.market.shock import Shock, Shocks
from flatbook.market.universe import Universe
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.inventory import Inventory
from flatbook.valuation.revaluation import Expiries, Options, Scenarios, ScenarioTable
from flatbook.valuation.settling import settled_price

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ShockGrid:
    """Relative shocks: spot -0.2 is a fall of 20 %, vol 0.5 makes 0.60 of vol 0.90. Zero is in both."""

    spot: tuple[float, ...] = (-0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3)
    vol: tuple[float, ...] = (-0.3, 0.0, 0.5)


@cache
def _scenarios(grid: ShockGrid) -> Scenarios:
    return Scenarios.of(Shocks.of([Shock(spot, vol) for spot in grid.spot for vol in grid.vol]))


def scenario_pnl_usd(grid: ShockGrid, universe: Universe, values: ChainValues, inventory: Inventory) -> Floats:
    """P&L in USD of the whole book under each shock: shape (len(spot), len(vol)).

    Every forward moves by the same ratio, every vol by the same ratio, time stands still. The unshocked book is priced
    by the same call as the shocked ones, so no rounding and no difference of formula is left at zero shock.
    """
    spot, vol = np.array(grid.spot), np.array(grid.vol)
    linear = inventory.carried_coin * values.index_usd * spot
    if inventory.linear_coin:
        linear += inventory.linear_coin * values.linear_usd * spot
    if inventory.holds_others:
        linear += other_coins_pnl_usd(inventory.others_usd(values), spot)
    pnl = np.repeat(linear[:, None], len(vol), axis=1)
    rows = np.flatnonzero(inventory.size_coin[: values.rows])
    if not len(rows):
        return pnl
    for settling, expiring in values.settling:
        at = rows[np.isin(rows, expiring)]
        pnl += _settling_pnl(grid, settling, at, universe, values, inventory)
        rows = rows[~np.isin(rows, expiring)]
    options, order = _options(universe, values, rows)
    gained = _table(grid, values).book_gains_usd(options, inventory.size_coin[rows[order]])
    return np.asarray(pnl + gained.reshape(pnl.shape))


def other_coins_pnl_usd(others_usd: Floats, spot: Floats) -> Floats:
    """What deltas in other coins, (coins,) or one, bring where ours moves by `spot`, (n,): the worse of two scenarios.

    Each coin moves with ours, one to one, or stands still, its correlation broken: so no hedge in it makes up for a
    loss of ours, and what it loses beside one counts whole.
    """
    return np.asarray(np.minimum(np.outer(spot, others_usd), 0.0).sum(axis=1))


def chain_gains_usd(grid: ShockGrid, universe: Universe, values: ChainValues) -> Floats:
    """What a contract of each option gains, paid for in coin today, (rows, scenarios); 0 where nothing is known.

    Scenarios are those of the grid, vol first. The coin that pays for it falls and rises with spot.
    """
    rows = np.arange(values.rows)
    options, order = _options(universe, values, rows)
    gained = np.empty((values.rows, len(grid.spot) * len(grid.vol)))
    gained[order] = _table(grid, values).gains_usd(options)
    paid = values.fair_coin[:, None] * values.index_usd * np.repeat(grid.spot, len(grid.vol))
    return np.asarray(np.nan_to_num(gained - paid))


def factor_moves(grid: ShockGrid, level: Floats) -> Floats:
    """Each scenario as a move of the risk factors, (scenarios, FACTORS); `level` (TENORS,) vols at the forward."""
    spot, vol = np.repeat(grid.spot, len(grid.vol)), np.tile(grid.vol, len(grid.spot))
    moves = np.zeros((len(spot), FACTORS))
    moves[:, SPOT], moves[:, SQUARED] = spot, spot * spot
    moves[:, LEVELS] = vol[:, None] * level
    return moves


def _options(universe: Universe, values: ChainValues, rows: Ints) -> tuple[Options, Ints]:
    return Options.by_expiry(values.slot[rows], values.slots.shape[1], universe.strike_usd[rows], universe.sign[rows])


def _table(grid: ShockGrid, values: ChainValues) -> ScenarioTable:
    slots = values.slots
    return ScenarioTable(Expiries(values.index_usd, slots[0], slots[1], slots[2:].T), _scenarios(grid))


def _settling_pnl(
    grid: ShockGrid, settling: Settling, rows: Ints, universe: Universe, values: ChainValues, inventory: Inventory
) -> Floats:
    """Of what is in its last hour, and pays on an average of which a part may be known."""
    spot, vol = np.array([0.0, *grid.spot]), np.array([0.0, *grid.vol])
    shape = (len(spot), len(vol), len(rows))
    forward = np.broadcast_to((1 + spot)[:, None, None] * values.forward_usd[rows], shape).ravel()
    shocked = np.broadcast_to((1 + vol)[None, :, None] * values.vol[rows], shape).ravel()
    strike, sign = (np.broadcast_to(one[rows], shape).ravel() for one in (universe.strike_usd, universe.sign))
    price = settled_price(settling, forward, strike, shocked, sign).reshape(shape)
    worth = price @ (inventory.size_coin[rows] * values.index_usd / values.forward_usd[rows])
    return np.asarray((worth - worth[0, 0])[1:, 1:])


def worst_loss_usd(pnl: Floats) -> float:
    """The largest loss of a grid, positive; zero where nothing loses."""
    return max(float(-pnl.min()), 0.0)
