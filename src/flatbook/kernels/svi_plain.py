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
    k = np.linspace(k_lo, k_hi, n)
    w, dw, d2w = _curve(params, k)
    g = (1.0 - 0.5 * k * dw / w) ** 2 - 0.25 * dw**2 * (1.0 / w + 0.25) + 0.5 * d2w
    return float(np.min(g))


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
