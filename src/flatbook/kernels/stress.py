"""A book of options under many scenarios: every option revalued on the smile of every scenario.

When spot moves a strike keeps its vol (`market.shock`), so a raw SVI slice moves along with the forward, and a strike's
place on it does not change: of w = a + b (rho y + R), with y = ln(K/F) - m and R = hypot(y, s), the option's y and R
are the same in all scenarios; a, b and b rho are the scenario's. What is left in the inner loop is two products, a root
and Black's formula. It runs along the scenarios, so a book with one option an expiry is as fast as one with a hundred.

Prices are right to 2.5e-12 of the larger of forward and strike, and the same in each column for the same inputs, to the
last bit.
"""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import black_plain
from flatbook.kernels.jit import Arg, inlined, kernel
from flatbook.kernels.vector import INV_SQRT_2PI, exp_negative, log_ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BASE = ("forward", "m", "s")
"""Columns of what an expiry is before any scenario: its forward, and where its slice lies."""

CELLS = ("forward", "log_move", "a", "b", "slope", "scale")
"""Rows of an expiry's part of a table, a column a scenario: the forward and its log over that of before; raw SVI total
variance with slope = b rho; and what a unit of the price is worth."""

LANES = 16
"""Columns of a table come in multiples of this: then each goes through the same instructions."""

_LEAST_VARIANCE = 1e-30  # of an option that has expired: its time value is below the last digit of its strike
_FARTHEST = 1e3

# M(x) = N(-x)/n(x) = _P(x)/_Q(x) on [0, oo), so that n(x) M(x) is right to 1.2e-12 everywhere: Lawson's iteration in
# 50 digits. `vector` has one to 6.5e-17 for twice the work; a stress needs no relative digits of what is worthless.
_P = (1.2533141373183285, 0.93190395486936952, 0.34619244028891386, 0.066015383736344133, 0.0055040517162477241)
_Q = (1.0, 1.5414363388824174, 1.0061098513268428, 0.35067559751572218, 0.066097718485404625, 0.0055008092540503681)


@inlined
def _mills(x: float) -> tuple[float, float]:
    """P(x), Q(x)."""
    p = (((_P[4] * x + _P[3]) * x + _P[2]) * x + _P[1]) * x + _P[0]
    q = ((((_Q[5] * x + _Q[4]) * x + _Q[3]) * x + _Q[2]) * x + _Q[1]) * x + _Q[0]
    return p, q


@inlined
def _price(strike: float, sign: float, k: float, forward: float, w: float) -> float:
    """Undiscounted price at total variance w of a strike that is k = ln(K/F) away."""
    v = math.sqrt(_LEAST_VARIANCE if w < _LEAST_VARIANCE else w)
    centre, half_v = min(abs(k) / v, _FARTHEST), min(0.5 * v, _FARTHEST)
    near, far = centre - half_v, centre + half_v
    wide = near < 0.0
    x = abs(near)
    p, q = _mills(x)
    p_far, q_far = _mills(far)
    bound = min(forward, strike)
    density = bound * INV_SQRT_2PI * exp_negative(-0.5 * x * x) / (q * q_far)
    here, there = p * q_far, p_far * q
    tail = density * ((-here if wide else here) - there)
    return (bound if wide else 0.0) + tail + max(sign * (forward - strike), 0.0)


@inlined
def _place(base: Floats, r: int, strike: Floats, place: Floats) -> None:
    """Each strike of an expiry: ln(K/F) before any scenario, y and R."""
    forward, m, s = base[r, 0], base[r, 1], base[r, 2]
    for i in range(strike.size):
        k = log_ratio(strike[i], forward)
        y = k - m
        place[0, i] = k
        place[1, i] = y
        place[2, i] = math.sqrt(y * y + s * s)


def stress_values_plain(first: Ints, base: Floats, strike: Floats, sign: Floats, cells: Floats, value: Floats) -> None:
    """Plain twin of `stress_values`."""
    expiry = np.repeat(np.arange(len(base)), np.diff(first))
    forward, log_move, a, b, slope, scale = cells.reshape(len(base), len(CELLS), -1)[expiry].transpose(1, 0, 2)
    k = np.log(strike / base[expiry, 0])
    y = (k - base[expiry, 1])[:, None]
    w = np.maximum(a + slope * y + b * np.hypot(y, base[expiry, 2][:, None]), 0.0)
    # Black on the forward as it was, for K/F has more digits than its shocked logarithm; both scale alike.
    moved = strike[:, None] * np.exp(-log_move)
    columns = (base[expiry, :1], moved, np.sqrt(w), np.ones(1), sign[:, None])
    each = [np.broadcast_to(one, w.shape).ravel() for one in columns]
    priced = np.empty((5, w.size))
    black_plain.price_greeks(*each, *priced)
    value[:] = priced[0].reshape(w.shape) * (forward / base[expiry, :1]) * scale


@kernel(Arg.IN_INT, Arg.IN_2D, *[Arg.IN] * 2, Arg.IN_2D, Arg.OUT_2D, plain=stress_values_plain)
def stress_values(first: Ints, base: Floats, strike: Floats, sign: Floats, cells: Floats, value: Floats) -> None:
    """Fill what one contract of each option is worth in each scenario.

    Shapes      first (expiries + 1,): where each expiry's options begin, and at the end their number; base (expiries,
                len(BASE)); strike, sign (n,); cells (expiries * len(CELLS), scenarios), scenarios a multiple of LANES;
                value (n, scenarios)
    Domain      strikes and forwards above 0; an expiry that has passed has a, b and slope of 0, and is worth what it
                pays at its forward; a NaN of an expiry is NaN in its values
    """
    placed = np.empty((3, strike.size))
    for r in range(first.size - 1):
        low, high, at = first[r], first[r + 1], r * len(CELLS)
        _place(base, r, strike[low:high], placed[:, low:high])
        forward, log_move, a, b = cells[at], cells[at + 1], cells[at + 2], cells[at + 3]
        slope, scale = cells[at + 4], cells[at + 5]
        for i in range(low, high):
            struck, side, k, y, radius = strike[i], sign[i], placed[0, i], placed[1, i], placed[2, i]
            out = value[i]
            for j in range(out.size):
                w = a[j] + slope[j] * y + b[j] * radius
                out[j] = _price(struck, side, k - log_move[j], forward[j], w) * scale[j]


def stress_totals_plain(
    first: Ints, base: Floats, strike: Floats, sign: Floats, held: Floats, cells: Floats, total: Floats
) -> None:
    """Plain twin of `stress_totals`."""
    value = np.empty((len(strike), len(total)))
    stress_values_plain(first, base, strike, sign, cells, value)
    total[:] = held @ value


@kernel(Arg.IN_INT, Arg.IN_2D, *[Arg.IN] * 3, Arg.IN_2D, Arg.OUT, plain=stress_totals_plain)
def stress_totals(
    first: Ints, base: Floats, strike: Floats, sign: Floats, held: Floats, cells: Floats, total: Floats
) -> None:
    """Fill what a book of options is worth in each scenario, (scenarios,); `held` (n,) contracts, signed.

    Shapes      else as in `stress_values`
    """
    total[:] = 0.0
    placed = np.empty((3, strike.size))
    for r in range(first.size - 1):
        low, high, at = first[r], first[r + 1], r * len(CELLS)
        _place(base, r, strike[low:high], placed[:, low:high])
        forward, log_move, a, b = cells[at], cells[at + 1], cells[at + 2], cells[at + 3]
        slope, scale = cells[at + 4], cells[at + 5]
        for i in range(low, high):
            struck, side, size = strike[i], sign[i], held[i]
            k, y, radius = placed[0, i], placed[1, i], placed[2, i]
            for j in range(total.size):
                w = a[j] + slope[j] * y + b[j] * radius
                total[j] += size * (_price(struck, side, k - log_move[j], forward[j], w) * scale[j])
