"""Futures, perpetuals and spot at a market's prices: what a position gained since its entry, and its delta.

An inverse contract of n dollars is worth n (1/entry - 1/mark) coins; a linear one of m coins m (mark - entry) of its
quote currency. A mark that the market does not quote is the forward's to expiry, or the index for a perpetual. When
spot moves the basis of mark over index is held.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument
from flatbook.market.shock import Shocks
from flatbook.market.snapshot import Markets, MarketSnapshot

Floats = NDArray[np.float64]


class LinearMark(NamedTuple):
    """One position marked; units as in `marks.Marks`. `method` says where the mark is from."""

    price: float
    value: float
    value_usd: float
    delta_coin: float
    net_delta_coin: float
    delta_usd: float
    basis_usd: float
    index_usd: float
    log_basis: float
    years: float
    method: str


def mark_linear(instrument: Instrument, size: float, entry: float, markets: Markets) -> LinearMark:
    """A future, perpetual or spot position; an `entry` of NaN is taken for the mark, so that nothing was gained yet.

    Units       size in USD for inverse futures and perpetuals, else in coins
    Errors      BadInputError where the market has no price, or the entry price is not above 0
    """
    contract = instrument.contract
    usd = 1.0 if contract.is_inverse else markets.usd_per(contract.quote)
    market = markets.of(contract.base).in_units_of(usd)
    price, method = _price(instrument, market)
    years = math.nan if contract.expiry_ns is None else market.years_to(contract.expiry_ns)
    index = market.index_usd
    basis = math.log(price / index)
    if contract.kind is Kind.SPOT:
        value = size * price
        return LinearMark(price, value, value * usd, size, size, value * usd, value * usd, index, basis, years, method)
    if math.isnan(entry):
        entry = price
    if not 0.0 < entry < math.inf:
        raise BadInputError(f"price: {entry:g} is no entry price; give one above 0, or leave it out")
    if instrument.is_reciprocal:
        # Spelled so that an entry at the mark is worth exactly nothing.
        value, hedge = size * (price - entry) / (price * entry), size / price
        return LinearMark(
            price,
            value,
            value * index,
            hedge + value,
            hedge,
            (hedge + value) * index,
            hedge * index,
            index,
            basis,
            years,
            method,
        )
    value, delta = size * (price - entry), size * price
    return LinearMark(price, value, value * usd, size, size, delta * usd, delta * usd, index, basis, years, method)


def linear_gains_usd(instrument: Instrument, size: float, entry: float, markets: Markets, shocks: Shocks) -> Floats:
    """What the position gains by each of many shocks in which no time passes, (shocks,); `entry` known, for no spot.

    Errors      BadInputError where the market has no price
    """
    contract = instrument.contract
    usd = 1.0 if contract.is_inverse else markets.usd_per(contract.quote)
    market = markets.of(contract.base).in_units_of(usd)
    before, method = _price(instrument, market)
    moved = (1.0 + shocks.spot if method == "index" else shocks.carried).ravel()
    price = before * np.concatenate([[1.0], moved])
    if contract.kind is Kind.SPOT:
        worth = size * price * usd
    elif instrument.is_reciprocal:
        worth = (
            size * (price - entry) / (price * entry) * market.index_usd * (1.0 + np.pad(shocks.spot.ravel(), (1, 0)))
        )
    else:
        worth = size * (price - entry) * usd
    return np.asarray(worth[1:] - worth[0])


def _price(instrument: Instrument, market: MarketSnapshot) -> tuple[float, str]:
    contract = instrument.contract
    quoted = market.linear_usd.get(instrument.name, math.nan)
    if quoted > 0.0:
        return quoted, "mark"
    if contract.expiry_ns is None:
        return market.index_usd, "index"
    return float(market.forward_at(max(market.years_to(contract.expiry_ns), 0.0))), "forward"
