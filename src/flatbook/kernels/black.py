"""Undiscounted Black-76 on a forward: prices and Greeks in USD, and the coin-settled (inverse) contract's in coin.

Units, in all functions here: `forward` and `strike` USD; `vol` decimal per square-root year; `years` of 365 days;
`sign` +1.0 for a call, -1.0 for a put. Outputs per contract of one coin: price USD, delta USD per USD of forward,
gamma per USD, vega USD per 1.00 of vol (not per point), theta USD per year of calendar time (not per day).

At the edges: without variance left (`vol` or `years` zero) the price is the intrinsic value, delta steps from 0 to 1
(a put's from -1 to 0) with one half exactly at the money, and the other Greeks are 0. NaN, infinite or negative
inputs, zero forward or strike, or a sign that is not +-1 give NaN in every output of that row, and no other.

Source: Black (1976), "The pricing of commodity contracts". With d1 = (ln(F/K) + v^2/2)/v and v = vol sqrt(years),
F n(d1) = K n(d2) = E, so one exponential and two Mills ratios M(x) = N(-x)/n(x) give everything; the side that is out
of the money is E (M(x1) - M(x2)) and parity gives the other.
"""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flatbook.kernels import black_plain
from flatbook.kernels.jit import Arg, inlined, kernel

Floats = NDArray[np.float64]
Value = TypeVar("Value", float, Floats)

FULL_ROWS = ("price", "delta", "gamma", "vega", "theta", "vanna", "volga", "charm", "speed", "zomma", "color")
"""Rows of `price_full`'s output, in order."""

_INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
_SQRT_HALF = math.sqrt(0.5)


@inlined
def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x * _SQRT_HALF)


@inlined
def _is_good(forward: float, strike: float, vol: float, years: float, sign: float) -> bool:
    finite = math.isfinite(forward) and math.isfinite(strike) and math.isfinite(vol) and math.isfinite(years)
    return finite and forward > 0.0 and strike > 0.0 and vol >= 0.0 and years >= 0.0 and abs(sign) == 1.0


@kernel(*[Arg.IN] * 5, *[Arg.OUT] * 5, plain=black_plain.price_greeks)
def price_greeks(
    forward: Floats,
    strike: Floats,
    vol: Floats,
    years: Floats,
    sign: Floats,
    price: Floats,
    delta: Floats,
    gamma: Floats,
    vega: Floats,
    theta: Floats,
) -> None:
    """Fill price (USD), delta, gamma (per USD), vega (per 1.00 vol), theta (per year); 1-D contiguous, one length."""
    for i in range(price.size):
        f, k, sigma, t, phi = forward[i], strike[i], vol[i], years[i], sign[i]
        if not _is_good(f, k, sigma, t, phi):
            price[i] = delta[i] = gamma[i] = vega[i] = theta[i] = np.nan
            continue
        root = math.sqrt(t)
        v = sigma * root
        if v == 0.0:
            price[i] = max(phi * (f - k), 0.0)
            delta[i] = 0.5 * (phi + np.sign(f - k))
            gamma[i] = vega[i] = theta[i] = 0.0
            continue
        x = math.log(f / k)
        d1 = x / v + 0.5 * v
        d2 = d1 - v
        density = f * _INV_SQRT_2PI * math.exp(-0.5 * d1 * d1)
        side = 1.0 if f < k else -1.0
        price[i] = side * (f * _cdf(side * d1) - k * _cdf(side * d2)) + max(phi * (f - k), 0.0)
        delta[i] = phi * _cdf(phi * d1)
        gamma[i] = density / (f * f * v)
        vega[i] = density * root
        theta[i] = -0.5 * density * sigma / root


@kernel(*[Arg.IN] * 5, Arg.OUT_2D, plain=black_plain.price_full)
def price_full(forward: Floats, strike: Floats, vol: Floats, years: Floats, sign: Floats, out: Floats) -> None:
    """Fill `out`, shape (11, n), with the rows of `FULL_ROWS`.

    After the five of `price_greeks`: vanna, d vega/d forward; volga, d vega/d vol; charm, d delta/d calendar year;
    speed, d gamma/d forward; zomma, d gamma/d vol; color, d gamma/d calendar year. There is no rho: at a fixed
    forward the discounted price D(r) x price has rho = -years x D x price.
    """
    price_greeks(forward, strike, vol, years, sign, out[0], out[1], out[2], out[3], out[4])
    for i in range(forward.size):
        f, k, sigma, t, phi = forward[i], strike[i], vol[i], years[i], sign[i]
        if not _is_good(f, k, sigma, t, phi):
            out[5:, i] = np.nan
            continue
        v = sigma * math.sqrt(t)
        if v == 0.0:
            out[5:, i] = 0.0
            continue
        gamma, vega = out[2, i], out[3, i]
        d1 = math.log(f / k) / v + 0.5 * v
        d2 = d1 - v
        out[5, i] = -gamma * f * math.sqrt(t) * d2
        out[6, i] = vega * d1 * d2 / sigma
        out[7, i] = gamma * f * v * d2 / (2.0 * t)
        out[8, i] = -gamma / f * (d1 / v + 1.0)
        out[9, i] = gamma * (d1 * d2 - 1.0) / sigma
        out[10, i] = gamma * (1.0 - d1 * d2) / (2.0 * t)


class Greeks(NamedTuple, Generic[Value]):
    """Price and Greeks of `black` or `inverse`: floats for scalar inputs, arrays for arrays."""

    price: Value
    delta: Value
    gamma: Value
    vega: Value
    theta: Value


class FullGreeks(NamedTuple, Generic[Value]):
    """All of `black_full`: floats for scalar inputs, arrays for arrays. Units as the module says."""

    price: Value
    delta: Value
    gamma: Value
    vega: Value
    theta: Value
    rho: Value
    vanna: Value
    volga: Value
    charm: Value
    speed: Value
    zomma: Value
    color: Value


@overload
def black(forward: float, strike: float, vol: float, years: float, sign: float) -> Greeks[float]: ...
@overload
def black(
    forward: ArrayLike, strike: ArrayLike, vol: ArrayLike, years: ArrayLike, sign: ArrayLike
) -> Greeks[Floats]: ...
def black(forward: ArrayLike, strike: ArrayLike, vol: ArrayLike, years: ArrayLike, sign: ArrayLike) -> Greeks[Any]:
    """Undiscounted price and Greeks in USD of one contract; inputs broadcast, scalar in scalar out."""
    columns, shape = _columns(forward, strike, vol, years, sign)
    out = np.empty((5, columns[0].size))
    price_greeks(*columns, *out)
    return Greeks(*(_shaped(row, shape) for row in out))


@overload
def black_full(forward: float, strike: float, vol: float, years: float, sign: float) -> FullGreeks[float]: ...
@overload
def black_full(
    forward: ArrayLike, strike: ArrayLike, vol: ArrayLike, years: ArrayLike, sign: ArrayLike
) -> FullGreeks[Floats]: ...
def black_full(
    forward: ArrayLike, strike: ArrayLike, vol: ArrayLike, years: ArrayLike, sign: ArrayLike
) -> FullGreeks[Any]:
    """As `black`, with the second- and third-order Greeks of `price_full`.

    rho is that of the discounted price at a fixed forward and a discount factor of one: -years x price, USD per 1.00.
    """
    columns, shape = _columns(forward, strike, vol, years, sign)
    out = np.empty((len(FULL_ROWS), columns[0].size))
    price_full(columns[0], columns[1], columns[2], columns[3], columns[4], out)
    rho = -columns[3] * out[0]
    return FullGreeks(*(_shaped(row, shape) for row in (*out[:5], rho, *out[5:])))


@overload
def inverse(forward: float, strike: float, vol: float, years: float, sign: float) -> Greeks[float]: ...
@overload
def inverse(
    forward: ArrayLike, strike: ArrayLike, vol: ArrayLike, years: ArrayLike, sign: ArrayLike
) -> Greeks[Floats]: ...
def inverse(forward: ArrayLike, strike: ArrayLike, vol: ArrayLike, years: ArrayLike, sign: ArrayLike) -> Greeks[Any]:
    """Price and Greeks in coin of a coin-settled contract on one coin, price coin = price USD / forward.

    Coin per USD of forward, per USD squared, per 1.00 of vol and per year: derivatives of the coin price, so the delta
    is (delta_usd - price_coin) / forward. Source: pricing under the coin measure, where 1/S is a martingale.
    """
    usd, shape = _columns(*black(forward, strike, vol, years, sign), forward)
    per_usd = 1.0 / usd[5]
    price_coin = usd[0] * per_usd
    delta_coin = (usd[1] - price_coin) * per_usd
    gamma_coin = (usd[2] - 2.0 * delta_coin) * per_usd
    rows = (price_coin, delta_coin, gamma_coin, usd[3] * per_usd, usd[4] * per_usd)
    return Greeks(*(_shaped(row, shape) for row in rows))


def _columns(*inputs: ArrayLike) -> tuple[list[Floats], tuple[int, ...]]:
    """Inputs broadcast and flattened to contiguous rows, and the shape to give back."""
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in inputs))
    return [np.ascontiguousarray(array).ravel() for array in arrays], arrays[0].shape


def _shaped(row: Floats, shape: tuple[int, ...]) -> Any:
    return row.reshape(shape) if shape else float(row[0])
