"""Raw SVI slices: total variance, vol and slope, and checks for butterfly and calendar arbitrage.

w(k) = a + b (rho (k - m) + R), R = sqrt((k - m)^2 + s^2), with k = ln(strike / forward) and w = vol^2 x years.
`params` is the array (a, b, rho, m, s) everywhere. Inside the bounds b >= 0, |rho| < 1, s > 0,
a + b s sqrt(1 - rho^2) >= 0 and b (1 + |rho|) <= 2 total variance is positive and no wing is steeper than Lee allows.

Sources: Gatheral (2004); Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces", Quantitative Finance
14(1); Lee (2004), "The moment formula for implied volatility at extreme strikes". The functions here can be called
from compiled code as well as from Python.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import svi_plain
from flatbook.kernels.jit import Arg, compiled, inlined, kernel

Floats = NDArray[np.float64]

_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
_GOLDEN_STEPS = 20  # an interval's width falls 15,000 times; its least g, by the square of that


@kernel(Arg.IN, Arg.IN, Arg.OUT, plain=svi_plain.svi_total_variance)
def svi_total_variance(params: Floats, k: Floats, out: Floats) -> None:
    """Fill total variance w(k), dimensionless."""
    a, b, rho, m, s = params[0], params[1], params[2], params[3], params[4]
    for i in range(out.size):
        y = k[i] - m
        out[i] = a + b * (rho * y + math.sqrt(y * y + s * s))


@kernel(Arg.IN, Arg.IN, Arg.FLOAT, Arg.OUT, plain=svi_plain.svi_vol)
def svi_vol(params: Floats, k: Floats, years: float, out: Floats) -> None:
    """Fill implied vol (decimal per square-root year) at expiry `years` > 0."""
    a, b, rho, m, s = params[0], params[1], params[2], params[3], params[4]
    per_year = 1.0 / years
    for i in range(out.size):
        y = k[i] - m
        out[i] = math.sqrt((a + b * (rho * y + math.sqrt(y * y + s * s))) * per_year)


@kernel(Arg.IN, Arg.IN, Arg.FLOAT, Arg.OUT, Arg.OUT, plain=svi_plain.svi_vol_slope)
def svi_vol_slope(params: Floats, k: Floats, years: float, vol: Floats, dvol_dk: Floats) -> None:
    """Fill implied vol and its slope d vol / d k."""
    a, b, rho, m, s = params[0], params[1], params[2], params[3], params[4]
    per_year = 1.0 / years
    for i in range(vol.size):
        y = k[i] - m
        radius = math.sqrt(y * y + s * s)
        sigma = math.sqrt((a + b * (rho * y + radius)) * per_year)
        vol[i] = sigma
        dvol_dk[i] = 0.5 * per_year * b * (rho + y / radius) / sigma


@kernel(Arg.IN, Arg.IN, Arg.OUT, Arg.OUT, Arg.OUT, plain=svi_plain.svi_derivatives)
def svi_derivatives(params: Floats, k: Floats, w: Floats, dw: Floats, d2w: Floats) -> None:
    """Fill total variance and its first two derivatives in k."""
    a, b, rho, m, s = params[0], params[1], params[2], params[3], params[4]
    for i in range(w.size):
        y = k[i] - m
        radius = math.sqrt(y * y + s * s)
        w[i] = a + b * (rho * y + radius)
        dw[i] = b * (rho + y / radius)
        d2w[i] = b * s * s / (radius * radius * radius)


@inlined
def total_variance(params: Floats, k: float) -> float:
    """w at one k."""
    y = k - params[3]
    w: float = params[0] + params[1] * (params[2] * y + math.sqrt(y * y + params[4] * params[4]))
    return w


@inlined
def durrleman(w: float, dw: float, d2w: float, k: float) -> float:
    """Durrleman's g(k): the slice's density is non-negative where g is."""
    lean = 1.0 - 0.5 * k * dw / w
    return lean * lean - 0.25 * dw * dw * (1.0 / w + 0.25) + 0.5 * d2w


@kernel(Arg.IN, Arg.FLOAT, Arg.FLOAT, Arg.INT, plain=svi_plain.durrleman_min)
def durrleman_min(params: Floats, k_lo: float, k_hi: float, n: int) -> float:
    """Least g over n >= 2 equally spaced points of [k_lo, k_hi]; below 0 the slice has butterfly arbitrage there."""
    least = math.inf
    step = (k_hi - k_lo) / (n - 1)
    for i in range(n):
        g = durrleman_at(params, k_lo + i * step)
        if not g >= least:
            least = g
    return least


@compiled
def sinh_grid(n: int, end: float) -> Floats:
    """n points from -end to end, close around 0 and wide at the ends; in standard deviations.

    Its exponentials by products of one ratio: a sinh a point cost more than all that is looked at there.
    """
    grid, reach = np.empty(n), math.asinh(end)
    ratio, power = math.exp(2.0 * reach / (n - 1)), math.exp(reach * (2.0 * (n // 2) / (n - 1) - 1.0))
    for j in range(n // 2, n):
        grid[j] = 0.5 * (power - 1.0 / power)
        grid[n - 1 - j] = -grid[j]
        power *= ratio
    return grid


@compiled
def deviation_of(params: Floats) -> float:
    """Standard deviation of the log forward by a slice's vol at the money."""
    return math.sqrt(max(total_variance(params, 0.0), svi_plain.MIN_VARIANCE))


@inlined
def durrleman_at(params: Floats, k: float) -> float:
    """g of raw parameters."""
    a, b, rho, m, s = params[0], params[1], params[2], params[3], params[4]
    y = k - m
    radius = math.sqrt(y * y + s * s)
    per_radius = 1.0 / radius
    curl = s * per_radius
    return durrleman(a + b * (rho * y + radius), b * (rho + y * per_radius), b * curl * curl * per_radius, k)


@compiled
def least_durrleman(params: Floats, deviation: float, grid: Floats) -> float:
    """Least g at `deviation` times the points of a grid, and between them where it is close to 0; inside kernels.

    A slice that bends more sharply than the grid is looked at around its bend, too, on the bend's own scale.
    """
    least = _least_around(params, 0.0, deviation, grid)
    if params[4] < svi_plain.SHARP_BEND * deviation:
        bend = sinh_grid(svi_plain.BEND_POINTS, deviation / params[4])
        least = min(least, _least_around(params, params[3], params[4], bend))
    return least


@compiled
def _least_around(params: Floats, centre: float, unit: float, grid: Floats) -> float:
    least = math.inf
    for i in range(grid.size):
        least = min(least, durrleman_at(params, centre + unit * grid[i]))
    if not least < svi_plain.CLOSE_G:
        return least
    for i in range(1, grid.size - 1):
        lo, at, hi = centre + unit * grid[i - 1], centre + unit * grid[i], centre + unit * grid[i + 1]
        g = durrleman_at(params, at)
        if g < svi_plain.CLOSE_G and g <= durrleman_at(params, lo) and g <= durrleman_at(params, hi):
            least = min(least, _least_between(params, lo, hi))
    return least


@compiled
def _least_between(params: Floats, lo: float, hi: float) -> float:
    """Least g of an interval with one dip, by golden section."""
    left, right = hi - _GOLDEN * (hi - lo), lo + _GOLDEN * (hi - lo)
    g_left, g_right = durrleman_at(params, left), durrleman_at(params, right)
    for _ in range(_GOLDEN_STEPS):
        if g_left < g_right:
            hi, right, g_right = right, left, g_left
            left = hi - _GOLDEN * (hi - lo)
            g_left = durrleman_at(params, left)
        else:
            lo, left, g_left = left, right, g_right
            right = lo + _GOLDEN * (hi - lo)
            g_right = durrleman_at(params, right)
    return min(g_left, g_right)


@kernel(Arg.IN, Arg.IN, Arg.FLOAT, Arg.FLOAT, Arg.INT, plain=svi_plain.calendar_gap)
def calendar_gap(params_near: Floats, params_far: Floats, k_lo: float, k_hi: float, n: int) -> float:
    """Least w_far - w_near over n >= 2 equally spaced points; below 0 the two expiries have calendar arbitrage."""
    least = math.inf
    step = (k_hi - k_lo) / (n - 1)
    for i in range(n):
        k = k_lo + i * step
        gap = total_variance(params_far, k) - total_variance(params_near, k)
        if not gap >= least:
            least = gap
    return least
