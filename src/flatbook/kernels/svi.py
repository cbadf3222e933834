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
    a, b, rho, m, s = params[0], params[1], params[2], params[3], params[4]
    least = math.inf
    step = (k_hi - k_lo) / (n - 1)
    for i in range(n):
        k = k_lo + i * step
        y = k - m
        radius = math.sqrt(y * y + s * s)
        w = a + b * (rho * y + radius)
        g = durrleman(w, b * (rho + y / radius), b * s * s / (radius * radius * radius), k)
        if not g >= least:
            least = g
    return least


@compiled
def sinh_grid(n: int, end: float) -> Floats:
    """n points from -end to end, close around 0 and wide at the ends; in standard deviations."""
    grid = np.empty(n)
    for j in range(n):
        grid[j] = math.sinh(math.asinh(end) * (2.0 * j / (n - 1) - 1.0))
    return grid


@compiled
def deviation_of(params: Floats) -> float:
    """Standard deviation of the log forward by a slice's vol at the money."""
    return math.sqrt(max(total_variance(params, 0.0), svi_plain.MIN_VARIANCE))


@compiled
def butterfly_free(params: Floats, deviation: float, grid: Floats) -> bool:
    """Whether g >= 0 at `deviation` times every point of the grid; for callers inside kernels."""
    a, b, rho, m, s = params[0], params[1], params[2], params[3], params[4]
    negative = 0
    for i in range(grid.size):
        k = deviation * grid[i]
        y = k - m
        radius = math.sqrt(y * y + s * s)
        per_radius = 1.0 / radius
        w = a + b * (rho * y + radius)
        curl = s * per_radius
        g = durrleman(w, b * (rho + y * per_radius), b * curl * curl * per_radius, k)
        negative += 0 if g >= 0.0 else 1
    return negative == 0


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
