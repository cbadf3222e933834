"""What one more contract of each option gains under each shock: what a fill may do to the book's stress loss."""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.black import price_greeks
from flatbook.market.universe import Universe
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.scenarios import ShockGrid
from flatbook.valuation.settling import settled_price

Floats = NDArray[np.float64]


def unit_pnl_usd(grid: ShockGrid, universe: Universe, values: ChainValues) -> Floats:
    """P&L in USD of a contract bought at fair value under each shock: shape (len(spot) * len(vol), rows).

    The coin that was paid is short from then on, and gains where the coin falls. Shocks are those of `scenarios`, full
    revaluation; a row that cannot be valued is NaN, and no shock is no profit to the last bit.
    """
    rows, shocks = values.rows, len(grid.spot) * len(grid.vol)
    spot = np.repeat(np.array(grid.spot), len(grid.vol))[:, None]
    vol = np.tile(np.array(grid.vol), len(grid.spot))[:, None]
    forward = ((1 + spot) * values.forward_usd).ravel()
    shocked = ((1 + vol) * values.vol).ravel()
    strike, years, sign = (
        np.tile(column[:rows], shocks) for column in (universe.strike_usd, values.years, universe.sign)
    )
    price = np.empty(forward.size)
    price_greeks(forward, strike, shocked, years, sign, price, *np.empty((4, forward.size)))
    for settling, expiring in values.settling:
        at = (np.arange(shocks)[:, None] * rows + expiring).ravel()
        price[at] = settled_price(settling, forward[at], strike[at], shocked[at], sign[at])
    worth = price.reshape(shocks, rows)
    zero = worth[grid.spot.index(0.0) * len(grid.vol) + grid.vol.index(0.0)]
    gained = (worth - zero) * values.index_usd / values.forward_usd
    return np.asarray(gained - spot * (values.fair_coin * values.index_usd))
