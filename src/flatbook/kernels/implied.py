"""Implied Black vol to machine precision, with a reason where there is none.

With x = |ln(F/K)|, v = vol sqrt(years), near = x/v - v/2, far = x/v + v/2 and M the Mills ratio, the out-of-the-money
option is worth min(F, K) b, where b = n(near) (M(near) - M(far)), or 1 - b = n(near) (M(-near) + M(far)) when near is
negative. Either logarithm needs no exponential, and db/dv = n(near) makes its derivatives rational in the two ratios:
fourth-order Householder steps on it, from the inverse of Bachelier's formula, reach the last digits in two steps
almost everywhere. The loop over rows is without branches; the few rows that need more are taken up afterwards.

Sources: Jaeckel (2015), "Let's be rational", Wilmott; Jaeckel (2017), "Implied normal volatility", Wilmott.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import implied_plain
from flatbook.kernels.implied_plain import ABOVE_BOUND, BAD_INPUT, BELOW_INTRINSIC, NO_INFORMATION, OK, REASONS
from flatbook.kernels.jit import Arg, compiled, inlined, kernel
from flatbook.kernels.vector import LOG_SQRT_2PI, MILLS_FROM, log_ratio, mills_terms

__all__ = ["ABOVE_BOUND", "BAD_INPUT", "BELOW_INTRINSIC", "NO_INFORMATION", "OK", "REASONS", "implied_vol"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

_UNFINISHED: Final = 5
_NOISE: Final = implied_plain.NOISE
_LEAST_PRICE: Final = implied_plain.LEAST_PRICE
_SETTLED: Final = 3e-5  # a relative step this small was the last one needed: the next is its fourth power
_MAX_STEPS: Final = 30

# (h/L)^2 in L = ln(1 + 1/c), where c = n(h)/h - N(-h) is Bachelier's price over moneyness; 5e-4 of h for h <= 38.
_BACHELIER_P: Final = (0.1590066767759561, 0.02454149895715745, 0.0017604472234293656)
_BACHELIER_Q: Final = (1.0, 0.15035376998161473, 0.02069854757581338, 0.0008841195187441045)

# (y/t)^2 in t = -ln(2 N(-y)), 8e-4 of y for y <= 8.3.
_QUANTILE_P: Final = (1.56836779, 0.47115745)
_QUANTILE_Q: Final = (1.0, 1.27586197, 0.23947917)


@kernel(*[Arg.IN] * 5, Arg.OUT, Arg.OUT_CODE, plain=implied_plain.implied_vol)
def implied_vol(
    price: Floats, forward: Floats, strike: Floats, years: Floats, sign: Floats, vol: Floats, reason: Codes
) -> None:
    """Fill `vol` (decimal per square-root year) and `reason`, a code of `REASONS`; where it is not OK, vol is NaN.

    Undiscounted `price` in USD of a call (`sign` +1.0) or put (-1.0) on `forward`, `years` to expiry. BELOW_INTRINSIC:
    the price is less than max(sign (F - K), 0). ABOVE_BOUND: it is F or more for a call, K or more for a put.
    NO_INFORMATION: any vol gives it (no time left), or what it has above intrinsic or below the bound is within the
    rounding of the price itself, or below 1e-300. BAD_INPUT: NaN, infinite, a forward or strike that is not positive,
    negative years, or a sign that is not +-1.
    """
    for i in range(vol.size):
        f, k = forward[i], strike[i]
        intrinsic = sign[i] * (f - k)
        intrinsic = 0.5 * (intrinsic + abs(intrinsic))
        bound, time_value = min(f, k), price[i] - intrinsic
        code = _classify(price[i], f, k, years[i], sign[i], intrinsic)
        x = abs(log_ratio(f, k))
        guess = _guess(x, math.sqrt(f * k), time_value)
        upper = x < guess * (MILLS_FROM + 0.5 * guess)
        target = log_ratio(bound - time_value if upper else time_value, bound)
        v = guess * _correction(x, guess, target, upper)
        last = _correction(x, v, target, upper)
        settled = abs(last - 1.0) < _SETTLED
        reason[i] = (OK if settled else _UNFINISHED) if code == OK else code
        vol[i] = v * last / math.sqrt(years[i]) if code == OK else math.nan
    for i in range(vol.size):
        if reason[i] == _UNFINISHED:
            bound = min(forward[i], strike[i])
            time_value = price[i] - max(sign[i] * (forward[i] - strike[i]), 0.0)
            vol[i] = _finish(abs(log_ratio(forward[i], strike[i])), bound, time_value) / math.sqrt(years[i])
            reason[i] = OK


@inlined
def _classify(price: float, forward: float, strike: float, years: float, sign: float, intrinsic: float) -> int:
    good = (
        (min(forward, strike) + 0.0 * (forward + strike) > 0.0)
        & (years + 0.0 * price >= 0.0)
        & (years < math.inf)
        & (sign * sign == 1.0)
    )
    noise = _NOISE * intrinsic
    time_value = price - intrinsic
    room = min(forward, strike) - time_value
    code = NO_INFORMATION if (time_value <= noise) | (room <= noise) | (years == 0.0) else OK
    code = NO_INFORMATION if time_value < _LEAST_PRICE else code
    code = ABOVE_BOUND if (room <= 0.0) & (room <= -noise) else code
    code = BELOW_INTRINSIC if time_value < -noise else code
    return code if good else BAD_INPUT


@inlined
def _guess(x: float, middle: float, time_value: float) -> float:
    """v of Bachelier's formula on ln F with the option's value over `middle` = sqrt(F K), corrected to Black's."""
    moneyness = max(x * middle, 1e-8 * time_value)
    length = log_ratio(time_value + moneyness, time_value)
    p = (_BACHELIER_P[2] * length + _BACHELIER_P[1]) * length + _BACHELIER_P[0]
    q = ((_BACHELIER_Q[3] * length + _BACHELIER_Q[2]) * length + _BACHELIER_Q[1]) * length + _BACHELIER_Q[0]
    v = moneyness * math.sqrt(p * q) / (middle * length * p)
    v2 = v * v
    return v * (1.0 + v2 * v2 / (24.0 * v2 + 8.0 * x * x))


@inlined
def _correction(x: float, v: float, target: float, upper: bool) -> float:
    """The factor that a fourth-order Householder step on ln b, or on ln(1 - b) where `upper`, puts on v."""
    per_v = 1.0 / v
    centre, half_v = x * per_v, 0.5 * v
    near, far = centre - half_v, centre + half_v
    start = -near if upper else near
    p, q, dp, dq = mills_terms(start, far)
    gap = far - start
    p_far, q_far = p + gap * dp, q + gap * dq
    qq = q * q_far
    slope = -(p * q_far + p_far * q) * per_v if upper else p * dq - dp * q
    per = 1.0 / (qq * slope)
    width, steep = slope * slope * per, qq * qq * per  # b/(v b'), or -(1 - b)/(v b'), and its inverse
    excess = log_ratio(v * abs(slope), qq) - 0.5 * near * near - LOG_SQRT_2PI - target
    nu = -excess * width
    m = near * far
    second = m - steep
    third = m * m - 3.0 * centre * centre - half_v * half_v - 3.0 * m * steep + 2.0 * steep * steep
    return 1.0 + nu * (1.0 + 0.5 * second * nu) / (1.0 + nu * (second + third * nu * (1.0 / 6.0)))


@compiled
def _finish(x: float, bound: float, time_value: float) -> float:
    """v of one row by as many steps as it takes, from the normal quantile where b is near 1."""
    v = _guess(x, bound * math.exp(0.5 * x), time_value)
    t = log_ratio(bound, bound - time_value)
    y2 = t * t * (_QUANTILE_P[1] * t + _QUANTILE_P[0]) / ((_QUANTILE_Q[2] * t + _QUANTILE_Q[1]) * t + _QUANTILE_Q[0])
    if v > 1.5 and v * v > 2.0 * x:
        v = math.sqrt(y2) + math.sqrt(y2 + 2.0 * x)
    for _ in range(_MAX_STEPS):
        upper = x < v * (MILLS_FROM + 0.5 * v)
        target = log_ratio(bound - time_value if upper else time_value, bound)
        factor = min(max(_correction(x, v, target, upper), 0.5), 2.0)
        v *= factor
        if abs(factor - 1.0) < _SETTLED:
            break
    return v
