"""Options of an expiry in its last hour, valued as the average that they pay on.

With a share a of the window passed at an average A, an option is worth 1 - a of one on the average of the rest, struck
at K' = (K - a A) / (1 - a). It is paid in coin at the delivery price, which is expected to be E = a A + (1 - a) F. So

    coin = (1 - a) B(F, K', vol, variance years) / E                B being Black's price on the forward F

The chain takes a coin price for USD over the forward. So F coin(F) is its price here, and its Greeks are that one's
derivatives: the book's delta, the explanation of its gains and the price of its risk are then right by the same
formulas as every other row's, and fade to nothing with the window: what is paid in coin at a price that is known has
no delta over the coin.

Source      pricing_surface: the settlement window; `market.analytics.settlement` for the average and its variance
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.black import CHAIN_ROWS, FULL_ROWS, price_full
from flatbook.market.settling import Settling

Floats = NDArray[np.float64]


class _Open(NamedTuple):
    """What is open of an expiry, and of each strike: the share, the shifted strikes, the expected delivery price."""

    share: float
    strike_usd: Floats
    delivery_usd: Floats


def _open(settling: Settling, forward_usd: Floats, strike_usd: Floats) -> _Open:
    passed = settling.window.passed_share
    share = 1.0 - passed
    fixed = passed * settling.window.average_usd if passed > 0.0 else 0.0
    shifted = (strike_usd - fixed) / share if share > 0.0 else np.full_like(strike_usd, np.nan)
    return _Open(share, shifted, fixed + share * forward_usd)


def expected_delivery_usd(settling: Settling, forward_usd: float) -> tuple[float, float]:
    """E, and the share of it that is fixed: what is averaged already, of the whole."""
    passed = settling.window.passed_share
    fixed_usd = passed * settling.window.average_usd if passed > 0.0 else 0.0
    delivery_usd = fixed_usd + (1.0 - passed) * forward_usd
    return delivery_usd, fixed_usd / delivery_usd


def _open_greeks(settling: Settling, forward_usd: Floats, strike_usd: Floats, vol: Floats, sign: Floats) -> Floats:
    """Black's Greeks, (11, n), of the average of the rest; of a strike below 0 a call is the forward, a put nothing."""
    years = np.full_like(forward_usd, settling.window.variance_years)
    greeks = np.empty((len(FULL_ROWS), len(forward_usd)))
    price_full(forward_usd, strike_usd, settling.stretch * vol, years, sign, greeks)
    certain = strike_usd <= 0.0
    greeks[:, certain] = 0.0
    called = np.where(sign[certain] > 0.0, 1.0, 0.0)
    greeks[0, certain] = called * (forward_usd - strike_usd)[certain]
    greeks[1, certain] = called
    return greeks


def settled_price(settling: Settling, forward_usd: Floats, strike_usd: Floats, vol: Floats, sign: Floats) -> Floats:
    """F coin(F) of options of an expiry that settles, USD; shapes all (n,), `vol` the slice's."""
    share, strike, delivery = _open(settling, forward_usd, strike_usd)
    if share == 0.0:
        paid = np.maximum(sign * (settling.window.average_usd - strike_usd), 0.0)
    else:
        paid = share * _open_greeks(settling, forward_usd, strike, vol, sign)[0]
    return np.asarray(paid * forward_usd / delivery)


def settle_greeks(
    settling: Settling,
    index_usd: float,
    forward_usd: Floats,
    strike_usd: Floats,
    vol: Floats,
    sign: Floats,
) -> Floats:
    """F coin(F) of options of an expiry that settles and its derivatives: (7, n) in the order of `CHAIN_ROWS`.

    Units       as `price_full`; per unit of the slice's `vol`
    """
    share, strike, delivery = _open(settling, forward_usd, strike_usd)
    out = np.zeros((len(CHAIN_ROWS), len(forward_usd)))
    if share == 0.0:
        out[0] = settled_price(settling, forward_usd, strike_usd, vol, sign)
        out[1] = out[0] / forward_usd
        return out
    open_ = _open_greeks(settling, forward_usd, strike, vol, sign)
    price, delta, gamma, vega, theta, vanna, volga = share * open_[: len(CHAIN_ROWS)]
    stretch = settling.stretch
    # F / E and its first two derivatives to F.
    fixed = delivery - share * forward_usd
    ratio, slope = forward_usd / delivery, fixed / delivery**2
    bend = -2.0 * fixed * share / delivery**3
    out[0] = price * ratio
    out[1] = delta * ratio + price * slope
    out[2] = gamma * ratio + 2.0 * delta * slope + price * bend
    out[3] = stretch * vega * ratio
    fixing = 1.0 / settling.window.window_years if settling.window.years_left < settling.window.window_years else 0.0
    passing = theta / 3.0 - _fixed_by_time(index_usd, forward_usd, strike, open_) * fixing if fixing else theta
    out[4] = passing * ratio - price * forward_usd * (index_usd - forward_usd) * fixing / delivery**2
    out[5] = stretch * (vanna * ratio + vega * slope)
    out[6] = stretch * stretch * volga * ratio
    return out


def _fixed_by_time(index_usd: float, forward_usd: Floats, strike_usd: Floats, open_: Floats) -> Floats:
    """What an option loses as one more unit of the window is fixed at the index: F B_F + I B_K, by homogeneity."""
    by_strike = np.where(strike_usd > 0.0, (open_[0] - forward_usd * open_[1]) / strike_usd, -open_[1])
    return np.asarray(forward_usd * open_[1] + index_usd * by_strike)
