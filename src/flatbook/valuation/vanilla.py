"""European and inverse contracts by column: generalised Black–Scholes values, Greeks and implied vols.

Black's formula is on the forward; what is quoted here may be the spot, and there are rates. With F = U e^{gT}, where U
is the price as quoted and g the carry for a spot and 0 for a forward, and D = e^{-rT}, a Greek by U is D times that by
F, and times e^{gT} for each derivative; time acts through D and F besides.

A coin-settled (inverse) contract is worth its USD value over the spot, in coin; its Greeks are those of the USD value,
as venues publish them: the delta of a hedge in coin is `delta` less `price`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.black import FULL_ROWS, price_full
from flatbook.kernels.implied import implied_vol
from flatbook.valuation.contracts import Contract, Style
from flatbook.valuation.measures import Measures

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int8]

_BLOCK_ROWS = 4_096  # eleven rows of Greeks and as many of scratch stay in the second-level cache


@dataclass(frozen=True, slots=True)
class VanillaColumns:
    """Contracts by column, all of shape (n,).

    `quoted` is the spot, or the forward where `is_forward`; `sign` +1.0 for a call, -1.0 for a put; `in_coin` where the
    price is in coin.
    """

    quoted: Floats
    is_forward: Flags
    strike: Floats
    years: Floats
    vol: Floats
    rate: Floats
    carry: Floats
    sign: Floats
    in_coin: Flags

    def __len__(self) -> int:
        return self.quoted.size

    def rows(self, chosen: slice) -> VanillaColumns:
        """A contiguous part."""
        return VanillaColumns(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def growth(self) -> Floats:
        """The carry by which the quoted price grows to its forward."""
        return np.where(self.is_forward, 0.0, self.carry)

    @property
    def spot(self) -> Floats:
        """The spot that goes with what was quoted."""
        return np.where(self.is_forward, self.quoted * np.exp(-self.carry * self.years), self.quoted)


def columns_of(contracts: list[Contract]) -> VanillaColumns:
    """Single contracts as columns."""
    assets = [contract.asset for contract in contracts]

    def column(values: list[float]) -> Floats:
        return np.array(values, dtype=np.float64)

    years = column([contract.years for contract in contracts])
    carry, spot = column([asset.carry for asset in assets]), column([asset.spot for asset in assets])
    is_forward = np.array([asset.is_forward for asset in assets], dtype=np.bool_)
    return VanillaColumns(
        quoted=spot * np.exp(np.where(is_forward, carry * years, 0.0)),
        is_forward=is_forward,
        strike=column([contract.strike for contract in contracts]),
        years=years,
        vol=column([asset.vol for asset in assets]),
        rate=column([contract.rate for contract in contracts]),
        carry=carry,
        sign=column([contract.sign for contract in contracts]),
        in_coin=np.array([contract.style is Style.INVERSE for contract in contracts], dtype=np.bool_),
    )


def value_columns(contracts: VanillaColumns) -> Floats:
    """Price and Greeks, shape (12, n), rows and units as `Measures`; NaN or infinite where no number exists."""
    count = len(contracts)
    out = np.empty((len(Measures._fields), count))
    for start in range(0, count, _BLOCK_ROWS):
        block = slice(start, min(start + _BLOCK_ROWS, count))
        with np.errstate(all="ignore"):
            _value_block(contracts.rows(block), out[:, block])
    return out


def implied_vol_columns(contracts: VanillaColumns, price: Floats) -> tuple[Floats, Codes]:
    """The vols that give `price`, shape (n,), NaN where the reason code (`flatbook.kernels.implied`) is not OK.

    `contracts.vol` is not read.
    """
    vol, reason = np.empty(len(contracts)), np.empty(len(contracts), dtype=np.int8)
    with np.errstate(all="ignore"):
        forward = contracts.quoted * np.exp(contracts.growth * contracts.years)
        in_usd = np.where(contracts.in_coin, price * contracts.spot, price)
        undiscounted = in_usd * np.exp(contracts.rate * contracts.years)
    implied_vol(undiscounted, forward, contracts.strike, contracts.years, contracts.sign, vol, reason)
    return vol, reason


def _value_block(c: VanillaColumns, out: Floats) -> None:
    growth, years = c.growth, c.years
    per_quote = np.exp(growth * years)
    forward = c.quoted * per_quote
    black = np.empty((len(FULL_ROWS), len(c)))
    strike, vol, time, sign = (np.ascontiguousarray(column) for column in (c.strike, c.vol, years, c.sign))
    price_full(forward, strike, vol, time, sign, black)
    black *= np.exp(-c.rate * time)
    value, delta, gamma, vega, theta, vanna, volga, charm, speed, zomma, color = black
    drift = growth * forward
    per_quote_2 = per_quote * per_quote
    # rho moves a spot's forward through the carry, whose yield stays; a forward does not move.
    moved = np.where(c.is_forward, 0.0, forward * delta)
    rows = Measures._fields.index
    out[rows("price")] = np.where(c.in_coin, value / c.spot, value)
    out[rows("delta")] = delta * per_quote
    out[rows("gamma")] = gamma * per_quote_2
    out[rows("vega")] = vega
    out[rows("theta")] = c.rate * value - drift * delta + theta
    out[rows("rho")] = years * (moved - value)
    out[rows("vanna")] = vanna * per_quote
    out[rows("volga")] = volga
    out[rows("charm")] = per_quote * ((c.rate - growth) * delta - drift * gamma + charm)
    out[rows("speed")] = speed * per_quote_2 * per_quote
    out[rows("zomma")] = zomma * per_quote_2
    out[rows("color")] = per_quote_2 * ((c.rate - 2.0 * growth) * gamma - drift * speed + color)
