"""Marks of options, of many at once: a price in coin, and Greeks at its vol."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.black import black
from flatbook.sim.options import Contracts
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Mark

Floats = NDArray[np.float64]


def mark_options(
    exchange: Exchange, names: Sequence[str], contracts: Contracts, forward_usd: Floats, vol: Floats, years: Floats
) -> None:
    """Marks inverse options at their vols; a row without a vol or a forward keeps the mark it has."""
    greeks = black(forward_usd, contracts.strike_usd, vol, years, contracts.sign)
    # USD per point of a rate that the forward grows by, as the venue shows it.
    rho = 0.01 * contracts.sign * contracts.strike_usd * years * np.clip(contracts.sign * greeks.delta, 0.0, 1.0)
    columns = (
        greeks.price / forward_usd, forward_usd, vol,
        greeks.delta, greeks.gamma, greeks.vega / 100, greeks.theta / 365, rho,
    )  # fmt: skip
    for name, price, *rest in zip(names, *(np.asarray(column).tolist() for column in columns), strict=True):
        if price == price:
            exchange.listings[name].mark = Mark(round(price, 6), *rest)
            exchange.touched[name] = None
