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
from flatbook.kernels.vector import INV_SQRT_2PI, MILLS_FROM, exp_negative, log_ratio, mills_terms

Floats = NDArray[np.float64]
Value = TypeVar("Value", float, Floats)

FULL_ROWS = ("price", "delta", "gamma", "vega", "theta", "vanna", "volga", "charm", "speed", "zomma", "color")
"""Rows of `price_full`'s output, in order."""

CHAIN_ROWS = FULL_ROWS[:7]
"""Those that a chain is kept by: what charges, bounds and explains the book asks for at every tick."""

_FARTHEST = 1e3  # standard deviations: clamps the tails, whose density has long been zero

Terms = tuple[float, float, float, float, float, float, float, float, float, float]


@inlined
def _is_good(forward: float, strike: float, vol: float, years: float, sign: float) -> bool:
    return (
        (min(forward, strike) + 0.0 * (forward + strike) > 0.0)
        & (min(vol, years) + 0.0 * (vol + years) >= 0.0)
        & (sign * sign == 1.0)
    )


@inlined
def _inverses(forward: float, v: float) -> tuple[float, float, float]:
    """1/(F v), 1/F and 1/v by one division; without variance v counts as 1."""
    v_divisor = v if v > 0.0 else 1.0
    per_forward_v = 1.0 / (forward * v_divisor)
    return per_forward_v, v_divisor * per_forward_v, forward * per_forward_v


@inlined
def _terms(forward: float, strike: float, vol: float, years: float, sign: float) -> Terms:
    """Price, delta, E, E/F, sqrt(years), 1/(F v), 1/F, 1/v, d1 and d2; E is NaN for a row outside the domain."""
    good = _is_good(forward, strike, vol, years, sign)
    root = math.sqrt(years)
    v = vol * root
    inverses = _inverses(forward, v)
    return _terms_at(abs(log_ratio(forward, strike)) * inverses[2], forward, strike, v, root, sign, inverses, good)


@inlined
def _terms_at(
    deviations: float,
    forward: float,
    strike: float,
    v: float,
    root: float,
    sign: float,
    inverses: tuple[float, float, float],
    good: bool,
) -> Terms:
    """`_terms` of a row whose strike is so many standard deviations from the forward, |ln(F/K)| / v."""
    live = v > 0.0
    per_forward_v, per_forward, per_v = inverses
    centre = min(deviations, _FARTHEST)
    half_v = min(0.5 * v, _FARTHEST)
    near, far = centre - half_v, centre + half_v
    # Left of the Mills ratio's range the price is not small: there it is counted down from its bound.
    wide = near < MILLS_FROM
    x = -near if wide else near
    p, q, dp, dq = mills_terms(x, far)
    gap = far - x if wide else 2.0 * half_v
    p_far, q_far = p + gap * dp, q + gap * dq
    per_q = 1.0 / (q * q_far)
    bound = min(forward, strike)
    density = bound * INV_SQRT_2PI * exp_negative(-0.5 * x * x)
    density = density if live else 0.0
    density = density if good else math.nan
    per_unit = density * per_forward
    lower = forward <= strike
    tail = per_unit * per_q * (p * q_far if lower else p_far * q)
    tail += 0.5 if (forward == strike) & (v == 0.0) else 0.0
    by_difference = density * per_q * (gap * (p * dq - dp * q))
    from_bound = bound - density * per_q * (p * q_far + p_far * q)
    intrinsic = sign * (forward - strike)
    price = (from_bound if wide else by_difference) + 0.5 * (intrinsic + abs(intrinsic))
    side = 1.0 if lower & (not wide) else -1.0  # N(d1) is the tail, or one minus it
    delta = 0.5 * (sign - side) + side * tail
    d1 = -near if lower else far
    d2 = -far if lower else near
    return price, delta, density, per_unit, root, per_forward_v, per_forward, per_v, d1, d2


@inlined
def _chain_greeks(terms: Terms, vol: float) -> tuple[float, float, float, float, float, float, float]:
    """The rows of `CHAIN_ROWS`."""
    price, delta, density, per_unit, root, per_forward_v, _, per_v, d1, d2 = terms
    vega, per_vol = density * root, root * per_v
    theta = -0.5 * density * vol * (vol * per_v)
    return price, delta, per_unit * per_forward_v, vega, theta, -per_unit * d2 * per_vol, vega * d1 * d2 * per_vol


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
        value, slope, density, per_unit, root, per_forward_v, _, per_v, _, _ = _terms(
            forward[i], strike[i], vol[i], years[i], sign[i]
        )
        price[i] = value
        delta[i] = slope
        gamma[i] = per_unit * per_forward_v
        vega[i] = density * root
        theta[i] = -0.5 * density * vol[i] * (vol[i] * per_v)


@kernel(*[Arg.IN] * 5, Arg.INT, Arg.INT, Arg.OUT_2D, plain=black_plain.price_full_part)
def price_full_part(
    forward: Floats, strike: Floats, vol: Floats, years: Floats, sign: Floats, first: int, last: int, out: Floats
) -> None:
    """As `price_full`, for the columns `first` to `last` of `out` alone: one thread's share of a large table."""
    forward, strike, sign = forward[first:last], strike[first:last], sign[first:last]
    vol, years = vol[first:last], years[first:last]
    price, delta, gamma, vega = out[0, first:last], out[1, first:last], out[2, first:last], out[3, first:last]
    theta, vanna, volga, charm = out[4, first:last], out[5, first:last], out[6, first:last], out[7, first:last]
    speed, zomma, color = out[8, first:last], out[9, first:last], out[10, first:last]
    for i in range(price.size):
        terms = _terms(forward[i], strike[i], vol[i], years[i], sign[i])
        _, _, _, per_unit, root, _, per_forward, per_v, d1, d2 = terms
        price[i], delta[i], curve, vega[i], theta[i], vanna[i], volga[i] = _chain_greeks(terms, vol[i])
        per_root = vol[i] * per_v
        per_two_years = 0.5 * per_root * per_root
        gamma[i] = curve
        charm[i] = per_unit * d2 * per_two_years
        speed[i] = -curve * per_forward * (d1 * per_v + 1.0)
        zomma[i] = curve * (d1 * d2 - 1.0) * (root * per_v)
        color[i] = curve * (1.0 - d1 * d2) * per_two_years


@kernel(*[Arg.IN] * 6, Arg.OUT, Arg.OUT_2D, plain=black_plain.price_chain)
def price_chain(
    forward: Floats,
    strike: Floats,
    moneyness: Floats,
    vol: Floats,
    years: Floats,
    sign: Floats,
    fair: Floats,
    out: Floats,
) -> None:
    """Fill `out`, shape (7, n), with the rows of `CHAIN_ROWS`, and `fair` with the price in coin, over the forward.

    Domain      as `price_full`; moneyness is ln(K/F) / (vol sqrt(years)), which a smile has made already: logarithm and
                division are a quarter of a price's time. It does not matter where there is no variance
    """
    price, delta, gamma, vega = out[0], out[1], out[2], out[3]
    theta, vanna, volga = out[4], out[5], out[6]
    for i in range(price.size):
        good = _is_good(forward[i], strike[i], vol[i], years[i], sign[i])
        root = math.sqrt(years[i])
        v = vol[i] * root
        inverses = _inverses(forward[i], v)
        terms = _terms_at(abs(moneyness[i]), forward[i], strike[i], v, root, sign[i], inverses, good)
        value, delta[i], gamma[i], vega[i], theta[i], vanna[i], volga[i] = _chain_greeks(terms, vol[i])
        price[i] = value
        fair[i] = value * inverses[1]


@kernel(*[Arg.IN] * 5, Arg.OUT_2D, plain=black_plain.price_full)
def price_full(forward: Floats, strike: Floats, vol: Floats, years: Floats, sign: Floats, out: Floats) -> None:
    """Fill `out`, shape (11, n), with the rows of `FULL_ROWS`.

    After the five of `price_greeks`: vanna, d vega/d forward; volga, d vega/d vol; charm, d delta/d calendar year;
    speed, d gamma/d forward; zomma, d gamma/d vol; color, d gamma/d calendar year. There is no rho: at a fixed
    forward the discounted price D(r) x price has rho = -years x D x price.
    """
    price_full_part(forward, strike, vol, years, sign, 0, forward.size, out)


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
