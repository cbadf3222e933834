"""Plain numpy twin of `flatbook.kernels.svi`."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRID_END: Final = 60.0
"""Standard deviations to which fits ask for the absence of arbitrage."""

CHECK_END: Final = 1e6
"""Standard deviations to which it is checked point by point: there a slice and its asymptotes are one."""

CLOSE_G: Final = 0.01
"""Where g is less than this at a point of a grid, it is looked for between its points, too."""

SHARP_BEND: Final = 0.3
BEND_POINTS: Final = 192
"""A slice with an s below this share of its deviation is looked at on its own scale, at as many points."""

MIN_VARIANCE: Final = 1e-12
"""Least total variance a slice is let have."""


def svi_total_variance(params: Floats, k: Floats, out: Floats) -> None:
    """As `svi.svi_total_variance`."""
    out[:] = _curve(params, k)[0]


def svi_vol(params: Floats, k: Floats, years: float, out: Floats) -> None:
    """As `svi.svi_vol`."""
    out[:] = np.sqrt(_curve(params, k)[0] / years)


def svi_vol_slope(params: Floats, k: Floats, years: float, vol: Floats, dvol_dk: Floats) -> None:
    """As `svi.svi_vol_slope`."""
    w, dw, _ = _curve(params, k)
    vol[:] = np.sqrt(w / years)
    dvol_dk[:] = dw / (2.0 * years * vol)


def svi_derivatives(params: Floats, k: Floats, w: Floats, dw: Floats, d2w: Floats) -> None:
    """As `svi.svi_derivatives`."""
    w[:], dw[:], d2w[:] = _curve(params, k)


def durrleman_min(params: Floats, k_lo: float, k_hi: float, n: int) -> float:
    """As `svi.durrleman_min`."""
    return float(np.min(durrleman(params, np.linspace(k_lo, k_hi, n))))


def durrleman(params: Floats, k: Floats) -> Floats:
    """Durrleman's g."""
    w, dw, d2w = _curve(params, k)
    return np.asarray((1.0 - 0.5 * k * dw / w) ** 2 - 0.25 * dw**2 * (1.0 / w + 0.25) + 0.5 * d2w)


def least_durrleman(params: Floats, deviation: float, grid: Floats) -> float:
    """As `svi.least_durrleman`, by scipy's bounded minimiser between points."""
    least = _least_around(params, deviation * grid)
    if params[4] < SHARP_BEND * deviation:
        bend = sinh_grid(BEND_POINTS, deviation / params[4])
        least = min(least, _least_around(params, params[3] + params[4] * bend))
    return least


def _least_around(params: Floats, k: Floats) -> float:
    from scipy.optimize import minimize_scalar

    g = durrleman(params, k)
    least = float(np.min(g))
    dips = 1 + np.flatnonzero((g[1:-1] <= g[:-2]) & (g[1:-1] <= g[2:]) & (g[1:-1] < CLOSE_G))
    for j in dips.tolist():
        found = minimize_scalar(
            lambda at: float(durrleman(params, np.array([at]))[0]), bounds=(k[j - 1], k[j + 1]), method="bounded"
        )
        least = min(least, float(found.fun))
    return least


def calendar_gap(params_near: Floats, params_far: Floats, k_lo: float, k_hi: float, n: int) -> float:
    """As `svi.calendar_gap`."""
    k = np.linspace(k_lo, k_hi, n)
    return float(np.min(_curve(params_far, k)[0] - _curve(params_near, k)[0]))


def _curve(params: Floats, k: Floats) -> tuple[Floats, Floats, Floats]:
    """w, w' and w'' in k."""
    a, b, rho, m, s = params
    y = k - m
    radius = np.sqrt(y * y + s * s)
    return a + b * (rho * y + radius), b * (rho + y / radius), b * s * s / radius**3


def sinh_grid(n: int, end: float) -> Floats:
    """n points from -end to end, close around 0 and wide at the ends; in standard deviations."""
    return np.asarray(np.sinh(np.arcsinh(end) * np.linspace(-1.0, 1.0, n)))
