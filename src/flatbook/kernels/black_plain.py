"""Plain numpy twin of `flatbook.kernels.black`: the same functions, the same units, the same answers at the edges."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SQRT_HALF = float(np.sqrt(0.5))
_SQRT_HALF_PI = float(np.sqrt(np.pi / 2.0))
_INV_SQRT_2PI = float(1.0 / np.sqrt(2.0 * np.pi))


class _Terms(NamedTuple):
    """What every output is made of, on the whole array."""

    good: NDArray[np.bool_]  # inputs inside the domain
    flat: NDArray[np.bool_]  # no variance left
    d1: Floats
    d2: Floats
    density_usd: Floats  # F n(d1) = K n(d2), USD
    price: Floats
    delta: Floats


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
    """As `black.price_greeks`."""
    with np.errstate(all="ignore"):
        t = _terms(forward, strike, vol, years, sign)
        price[:] = t.price
        delta[:] = t.delta
        _fill(gamma, t, t.density_usd / (forward * forward * vol * np.sqrt(years)))
        _fill(vega, t, t.density_usd * np.sqrt(years))
        _fill(theta, t, -0.5 * t.density_usd * vol / np.sqrt(years))


def price_full(forward: Floats, strike: Floats, vol: Floats, years: Floats, sign: Floats, out: Floats) -> None:
    """As `black.price_full`."""
    price_greeks(forward, strike, vol, years, sign, out[0], out[1], out[2], out[3], out[4])
    with np.errstate(all="ignore"):
        t = _terms(forward, strike, vol, years, sign)
        root = np.sqrt(years)
        gamma, vega, d1d2 = out[2], out[3], t.d1 * t.d2
        _fill(out[5], t, -t.density_usd * t.d2 / (forward * vol))
        _fill(out[6], t, vega * d1d2 / vol)
        _fill(out[7], t, t.density_usd * t.d2 / (2.0 * forward * years))
        _fill(out[8], t, -gamma / forward * (t.d1 / (vol * root) + 1.0))
        _fill(out[9], t, gamma * (d1d2 - 1.0) / vol)
        _fill(out[10], t, gamma * (1.0 - d1d2) / (2.0 * years))


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
    """As `black.price_chain`; moneyness is made anew."""
    full = np.empty((11, len(forward)))
    price_full(forward, strike, vol, years, sign, full)
    out[:] = full[: len(out)]
    fair[:] = out[0] / forward


def price_full_part(
    forward: Floats, strike: Floats, vol: Floats, years: Floats, sign: Floats, first: int, last: int, out: Floats
) -> None:
    """As `black.price_full_part`."""
    rows = slice(first, last)
    price_full(forward[rows], strike[rows], vol[rows], years[rows], sign[rows], out[:, rows])


def _terms(forward: Floats, strike: Floats, vol: Floats, years: Floats, sign: Floats) -> _Terms:
    finite = np.isfinite(forward) & np.isfinite(strike) & np.isfinite(vol) & np.isfinite(years)
    good = finite & (forward > 0.0) & (strike > 0.0) & (vol >= 0.0) & (years >= 0.0) & (np.abs(sign) == 1.0)
    v = vol * np.sqrt(years)
    flat = good & (v == 0.0)
    log_moneyness = _log_ratio(forward, strike)
    d1 = log_moneyness / v + 0.5 * v
    d2 = log_moneyness / v - 0.5 * v
    density_usd = forward * _INV_SQRT_2PI * np.exp(-0.5 * d1 * d1)
    tail1 = _INV_SQRT_2PI * np.exp(-0.5 * d1 * d1) * _mills(np.abs(d1))
    cdf1 = np.where(d1 < 0.0, tail1, 1.0 - tail1)
    call_delta = np.where(flat, 0.5 * (1.0 + np.sign(forward - strike)), cdf1)
    put_delta = np.where(flat, call_delta - 1.0, np.where(d1 < 0.0, tail1 - 1.0, -tail1))
    price = np.where(flat, 0.0, _time_value(log_moneyness, v, density_usd, forward, strike))
    price = price + np.maximum(sign * (forward - strike), 0.0)
    delta = np.where(sign > 0.0, call_delta, put_delta)
    return _Terms(good, flat, d1, d2, density_usd, _only(good, price), _only(good, delta))


def _time_value(log_moneyness: Floats, v: Floats, density_usd: Floats, forward: Floats, strike: Floats) -> Floats:
    """Price of the out-of-the-money side, USD: E (M(x1) - M(x2)) with E = F n(d1) and M the Mills ratio."""
    x1 = np.abs(log_moneyness) / v - 0.5 * v
    x2 = np.abs(log_moneyness) / v + 0.5 * v
    lesser = np.minimum(forward, strike)
    wide = lesser - density_usd * (_mills(np.abs(x1)) + _mills(x2))
    return np.where(x1 < 0.0, wide, density_usd * (_mills(x1) - _mills(x2)))


def _mills(x: Floats) -> Floats:
    """N(-x)/n(x) for x >= 0."""
    from scipy.special import erfcx  # loaded by the plain twin alone: a start that has numba does not pay for it

    return np.asarray(_SQRT_HALF_PI * erfcx(x * _SQRT_HALF), dtype=np.float64)


def _log_ratio(forward: Floats, strike: Floats) -> Floats:
    """ln(F/K), to the last digits also near the money, where F/K has lost them."""
    near = np.abs(forward - strike) < 0.5 * strike
    return np.where(near, np.log1p((forward - strike) / strike), np.log(forward) - np.log(strike))


def _only(good: NDArray[np.bool_], value: Floats) -> Floats:
    return np.where(good, value, np.nan)


def _fill(out: Floats, terms: _Terms, value: Floats) -> None:
    out[:] = np.where(terms.good, np.where(terms.flat, 0.0, value), np.nan)
