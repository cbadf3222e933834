"""The forward that a coin-settled option's price and vol together imply."""

import math

from flatbook.kernels.jit import Arg, inlined, kernel

_SQRT_HALF = math.sqrt(0.5)
_MAX_STEPS = 20


def implied_forward_plain(price: float, strike: float, vol: float, years: float, sign: float, guess: float) -> float:
    """Plain twin of `implied_forward`."""
    return _solve(price, strike, vol, years, sign, guess)


def _solve(price: float, strike: float, vol: float, years: float, sign: float, guess: float) -> float:
    if not (price > 0.0 and strike > 0.0 and vol > 0.0 and years > 0.0 and guess > 0.0):
        return math.nan
    width = vol * math.sqrt(years)
    forward = guess
    for _ in range(_MAX_STEPS):
        d1 = math.log(forward / strike) / width + 0.5 * width
        tail = strike / forward * 0.5 * math.erfc(-sign * (d1 - width) * _SQRT_HALF)
        value = sign * (0.5 * math.erfc(-sign * d1 * _SQRT_HALF) - tail)
        slope = sign * tail / forward
        if slope == 0.0:
            return math.nan
        step = (price - value) / slope
        step = min(max(step, -0.2 * forward), 0.2 * forward)
        forward += step
        if abs(step) < 1e-12 * forward:
            return forward
    return math.nan


_inlined_solve = inlined(_solve)


@kernel(*[Arg.FLOAT] * 6, plain=implied_forward_plain)
def implied_forward(price: float, strike: float, vol: float, years: float, sign: float, guess: float) -> float:
    """Forward in USD at which an inverse option is worth `price` coin at `vol`, by Newton from `guess`.

    Units       price in coin per contract; strike, guess USD; vol decimal; sign +1 call, -1 put
    Domain      NaN for inputs that are not positive, and where twenty steps do not converge
    Source      d(coin price)/dF = sign K/F^2 N(sign d2): the premium-adjusted delta over F
    """
    return _inlined_solve(price, strike, vol, years, sign, guess)
