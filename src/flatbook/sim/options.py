"""What options are worth in the simulated market, as they settle: in coin, at the average of the last half hour."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.instruments import ContractName
from flatbook.domain.units import NS_PER_YEAR
from flatbook.kernels.black import black
from flatbook.kernels.implied import implied_vol
from flatbook.market.settling import AVERAGING_NS
from flatbook.sim.smile import Factors, TermStructure
from flatbook.sim.world import World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_WINDOW_YEARS = AVERAGING_NS / NS_PER_YEAR
_TINY = 1e-9


class Contracts(NamedTuple):
    """Options as columns: strike in USD, sign +1 call and -1 put, expiry."""

    strike_usd: Floats
    sign: Floats
    expiry_ns: Ints


class Moment(NamedTuple):
    """When and in which state options are valued; arrays like the contracts', or scalars."""

    now_ns: Ints
    index_usd: Floats
    carry: Floats
    factors: Factors


class Values(NamedTuple):
    """Worth of each contract.

    price_coin      per contract of one coin
    vega_coin       per 1.00 of vol
    delivery_usd    what the delivery price is expected to be: the forward, and inside the window in part its past
    log_moneyness   ln(strike / forward)
    atm_vol         vol at the money of the same expiry, and `vol` at the strike
    years           to expiry
    """

    price_coin: Floats
    vega_coin: Floats
    delivery_usd: Floats
    log_moneyness: Floats
    atm_vol: Floats
    vol: Floats
    years: Floats


def value(surface: TermStructure, world: World, contracts: Contracts, moment: Moment) -> Values:
    """Values options that deliver at the average of the index over the last half hour, all arguments broadcast.

    Domain      now before expiry
    Source      an average still to come over t has a third of its variance, and one that begins later adds the wait in
                full; what is averaged already shifts the strike and shrinks the contract
    """
    strike_usd, sign, expiry_ns = contracts
    years = (expiry_ns - moment.now_ns) / NS_PER_YEAR
    forward_usd = moment.index_usd * np.exp(moment.carry * years)
    waiting = np.maximum(years - _WINDOW_YEARS, 0)
    variance_years = waiting + (years - waiting) / 3
    log_moneyness = np.log(strike_usd / forward_usd)
    total_variance = surface.total_variance(moment.factors, variance_years, log_moneyness)
    atm_vol = np.sqrt(surface.atm_total_variance(moment.factors, variance_years) / years)
    left = np.minimum(years / _WINDOW_YEARS, 1)
    averaged_usd = _averaged_usd(world, expiry_ns, moment.now_ns)
    shifted_usd = (strike_usd - (1 - left) * averaged_usd) / left
    positive_usd = np.maximum(shifted_usd, _TINY * forward_usd)
    greeks = black(forward_usd, positive_usd, np.sqrt(total_variance), np.ones_like(total_variance), sign)
    # Below a strike of zero the call is a forward and the put is nothing.
    price_usd = left * (greeks.price + np.where(sign > 0, positive_usd - shifted_usd, 0.0))
    delivery_usd = left * forward_usd + (1 - left) * averaged_usd
    vega_usd = left * greeks.vega * np.sqrt(years)
    return Values(
        price_coin=price_usd / delivery_usd,
        vega_coin=vega_usd / delivery_usd,
        delivery_usd=np.asarray(delivery_usd),
        log_moneyness=log_moneyness,
        atm_vol=atm_vol,
        vol=np.sqrt(total_variance / years),
        years=np.asarray(years),
    )


def vols_of(prices_coin: Floats, contracts: Contracts, values: Values) -> Floats:
    """Black vols of coin prices at the expected delivery price; NaN where no vol gives the price."""
    rows = np.broadcast_arrays(
        prices_coin * values.delivery_usd, values.delivery_usd, contracts.strike_usd, values.years, contracts.sign
    )
    columns = [np.ascontiguousarray(row, dtype=np.float64) for row in rows]
    price, forward, strike, years, sign = columns
    vols = np.empty(price.size)
    implied_vol(price, forward, strike, years, sign, vols, np.empty(price.size, np.int8))
    return vols


def vol_of(price_coin: float, delivery_usd: float, contract: ContractName, now_ns: int) -> float:
    """Black vol of one coin price at the expected delivery price; NaN where no vol gives the price."""
    return vols_of_one((price_coin,), delivery_usd, contract, now_ns)[0]


def vols_of_one(prices_coin: Sequence[float], delivery_usd: float, contract: ContractName, now_ns: int) -> list[float]:
    """Black vols of some coin prices of one contract, as of `vol_of`."""
    years = ((contract.expiry_ns or 0) - now_ns) / NS_PER_YEAR
    sign = contract.right.sign if contract.right else 0
    row = [delivery_usd, float(contract.strike or 0), years, float(sign)]
    rows = np.array([[price * delivery_usd, *row] for price in prices_coin], order="F")
    price, forward, strike, left, side = rows.T
    vols = np.empty(len(rows))
    implied_vol(price, forward, strike, left, side, vols, np.empty(len(rows), np.int8))
    found: list[float] = vols.tolist()
    return found


def _averaged_usd(world: World, expiry_ns: Ints, now_ns: Ints) -> Floats:
    """The index's average over what has passed of each expiry's window; the index before the window opens."""
    opening_ns = expiry_ns - AVERAGING_NS
    inside = now_ns > opening_ns
    if not np.any(inside):
        return np.asarray(world.index_at(np.asarray(now_ns)))
    from_ns = np.where(inside, opening_ns, now_ns - world.step_ns)
    return world.average_usd(from_ns, np.broadcast_to(now_ns, from_ns.shape))
