"""Plain numpy twin of `flatbook.kernels.implied`: safeguarded Newton steps on the logarithm of the price."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

OK: Final = 0
BELOW_INTRINSIC: Final = 1
ABOVE_BOUND: Final = 2
NO_INFORMATION: Final = 3
BAD_INPUT: Final = 4
REASONS: Final = ("ok", "below_intrinsic", "above_bound", "no_information", "bad_input")
"""Names of the reason codes."""

NOISE: Final = 4.0 * float(np.finfo(np.float64).eps)
"""Share of the intrinsic value within which a price says nothing about time value."""

LEAST_PRICE: Final = 1e-300

_STEPS: Final = 60
_SQRT_HALF_PI: Final = float(np.sqrt(np.pi / 2.0))
_LOG_SQRT_2PI: Final = float(0.5 * np.log(2.0 * np.pi))


def implied_vol(
    price: Floats, forward: Floats, strike: Floats, years: Floats, sign: Floats, vol: Floats, reason: Codes
) -> None:
    """As `implied.implied_vol`."""
    vol[:] = np.nan
    with np.errstate(all="ignore"):
        intrinsic = np.maximum(sign * (forward - strike), 0.0)
        bound, time_value = np.minimum(forward, strike), price - intrinsic
        reason[:] = _classify(price, forward, strike, years, sign, intrinsic)
        rows = reason == OK
        x = np.abs(_log_ratio(forward[rows], strike[rows]))
        vol[rows] = _solve(x, time_value[rows] / bound[rows]) / np.sqrt(years[rows])


def _classify(
    price: Floats, forward: Floats, strike: Floats, years: Floats, sign: Floats, intrinsic: Floats
) -> NDArray[np.int64]:
    finite = np.isfinite(price) & np.isfinite(forward) & np.isfinite(strike) & np.isfinite(years)
    good = finite & (forward > 0.0) & (strike > 0.0) & (years >= 0.0) & (np.abs(sign) == 1.0)
    noise, time_value = NOISE * intrinsic, price - intrinsic
    room = np.minimum(forward, strike) - time_value
    silent = (np.minimum(time_value, room) <= noise) | (years == 0.0) | (time_value < LEAST_PRICE)
    code = np.where(silent, NO_INFORMATION, OK)
    code = np.where((room <= 0.0) & (room <= -noise), ABOVE_BOUND, code)
    code = np.where(time_value < -noise, BELOW_INTRINSIC, code)
    return np.where(good, code, BAD_INPUT)


def _solve(x: Floats, b: Floats) -> Floats:
    """v with `b` the out-of-the-money price over min(F, K): Newton on ln b, or ln(1 - b), between brackets."""
    low, high = np.full(x.size, 1e-12), np.full(x.size, 200.0)
    v = np.sqrt(2.0 * x + 1e-6)
    upper = b > _log_pair(x, v)[1]  # beyond the inflection v^2 = 2 x, 1 - b is the better conditioned side
    target = np.where(upper, np.log1p(-b), np.log(b))
    for _ in range(_STEPS):
        log_side, _, log_slope = _log_pair(x, v, upper)
        off = log_side - target
        too_high = np.where(upper, off < 0.0, off > 0.0)
        high, low = np.where(too_high, v, high), np.where(too_high, low, v)
        moved = v - off / np.where(upper, -1.0, 1.0) * np.exp(log_side - log_slope)
        settled = np.abs(moved - v) < 1e-14 * v
        v = np.where(settled, v, np.where((moved > low) & (moved < high), moved, np.sqrt(low * high)))
    return v


def _log_pair(x: Floats, v: Floats, upper: NDArray[np.bool_] | None = None) -> tuple[Floats, Floats, Floats]:
    """ln b or, where `upper`, ln(1 - b); b; and ln of db/dv."""
    near, far = x / v - 0.5 * v, x / v + 0.5 * v
    log_density = -0.5 * near * near - _LOG_SQRT_2PI
    above = _mills(np.abs(near)) + _mills(far)
    below = np.where(v < 0.05, _mills_fall(x / v, 0.5 * v), _mills(np.abs(near)) - _mills(far))
    log_rest = log_density + np.log(above)
    log_b = np.where((near < 0.0) & (v >= 0.05), np.log1p(-np.exp(log_rest)), log_density + np.log(below))
    b = np.exp(log_b)
    if upper is None:
        return log_b, b, log_density
    rest = np.where((near < 0.0) & (v >= 0.05), log_rest, np.log1p(-b))
    return np.where(upper, rest, log_b), b, log_density


def _mills(x: Floats) -> Floats:
    from scipy.special import erfcx  # loaded by the plain twin alone: a start that has numba does not pay for it

    return np.asarray(_SQRT_HALF_PI * erfcx(x * np.sqrt(0.5)), dtype=np.float64)


def _mills_fall(centre: Floats, half: Floats) -> Floats:
    """M(centre - half) - M(centre + half) for a small half: odd terms of Taylor, by M^(n+1) = c M^(n) + n M^(n-1)."""
    before, slope = _mills(centre), centre * _mills(centre) - 1.0
    total, power = np.zeros_like(centre), half
    for order in range(1, 9):
        if order % 2 == 1:
            total -= 2.0 * power * slope
        before, slope = slope, centre * slope + order * before
        power = power * half / (order + 1)
    return total


def _log_ratio(over: Floats, under: Floats) -> Floats:
    near = np.abs(over - under) < 0.5 * under
    return np.where(near, np.log1p((over - under) / under), np.log(over) - np.log(under))
