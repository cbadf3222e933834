"""SVI: twelve expiries of sixty quotes, each for itself and all together, cold and warm, against MINPACK."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import leastsq

from bench.measure import Bar, Work, local
from flatbook.kernels.surface_joint import SURFACE_SIZE, fit_surface
from flatbook.kernels.svi import svi_vol
from flatbook.kernels.svi_fit import FIT_SIZE, fit_slices

Floats = NDArray[np.float64]

EXPIRIES, STRIKES = 12, 60
MINPACK = "MINPACK with a Jacobian"


def works() -> list[Work]:
    """Point quotes with a tenth of a vol point of noise; warm from a fit to quotes two tenths away."""
    years, first, k, vol = chain()
    none, zero = np.full((EXPIRIES, 5), np.nan), np.zeros(EXPIRIES)
    weight = np.ones(k.size)
    out, code = np.empty((EXPIRIES, FIT_SIZE)), np.empty(EXPIRIES, dtype=np.int8)
    joint, joint_code = np.empty((EXPIRIES, SURFACE_SIZE)), np.empty(EXPIRIES, dtype=np.int8)

    def slices(quoted: Floats, start: Floats) -> None:
        fit_slices(first, k, quoted, quoted, quoted, weight, years, start, none, zero, 0.0, 0.0, out, code)

    def surface(lo: Floats, hi: Floats, mid: Floats, start: Floats) -> None:
        fit_surface(first, k, lo, hi, mid, weight, years, start, none, zero, 0.2, joint, joint_code)

    slices(vol, none)
    before = out[:, :5].copy()
    surface(vol - 0.004, vol + 0.004, vol, none)
    surface_before = joint[:, :5].copy()
    moved = vol + 0.002
    guesses = [guess(k[i:j], vol[i:j], t) for (i, j), t in zip(pairwise(first), years, strict=True)]
    bands = (moved - 0.004, moved + 0.004, moved)
    return [
        Work(
            "SVI, 12 expiries of 60 quotes, cold",
            [
                local("flatbook, serial", lambda: slices(vol, none)),
                local(MINPACK, minpack(years, first, k, vol, guesses)),
            ],
            EXPIRIES,
            "ms",
            [Bar(MINPACK, 50.0)],
            most_seconds=1e-4,
        ),
        Work(
            "SVI, 12 expiries of 60 quotes, warm",
            [
                local("flatbook, serial", lambda: slices(moved, before)),
                local(MINPACK, minpack(years, first, k, moved, list(before))),
            ],
            EXPIRIES,
            "ms",
            [Bar(MINPACK, 50.0)],
            most_seconds=3e-5,
        ),
        Work(
            "surface free of arbitrage, 12 by 60 bands, cold",
            [local("flatbook, serial", lambda: surface(vol - 0.004, vol + 0.004, vol, none))],
            EXPIRIES,
            "ms",
            most_seconds=5e-3,
        ),
        Work(
            "surface free of arbitrage, 12 by 60 bands, warm",
            [local("flatbook, serial", lambda: surface(*bands, surface_before))],
            EXPIRIES,
            "ms",
            most_seconds=1e-3,
        ),
    ]


def chain() -> tuple[Floats, NDArray[np.int64], Floats, Floats]:
    """Years, first quotes, log-moneyness and vols, from a day to a year; two expiries nearly cross."""
    rng = np.random.default_rng(7)
    years = np.array([1, 2, 3, 7, 14, 21, 35, 63, 91, 154, 245, 364]) / 365.0
    level = np.array([0.55, 0.62, 0.5, 0.52, 0.53, 0.53, 0.54, 0.55, 0.56, 0.57, 0.58, 0.58])
    ks, vols = [], []
    for t, sigma in zip(years, level, strict=True):
        deviation = sigma * np.sqrt(t)
        params = np.array([0.55 * deviation**2, 0.45 * deviation, -0.25, 0.1 * deviation, deviation])
        k = np.linspace(-3.0, 3.0, STRIKES) * deviation
        out = np.empty(STRIKES)
        svi_vol(params, k, t, out)
        ks.append(k)
        vols.append(out + rng.normal(0.0, 0.001, STRIKES))
    return years, np.arange(EXPIRIES + 1) * STRIKES, np.concatenate(ks), np.concatenate(vols)


def guess(k: Floats, vol: Floats, years: float) -> Floats:
    """A start for MINPACK: the smile's level and scale."""
    deviation = float(np.interp(0.0, k, vol)) * np.sqrt(years)
    return np.array([0.5 * deviation**2, 0.5 * deviation, -0.1, 0.0, deviation])


def minpack(
    years: Floats, first: NDArray[np.int64], k: Floats, vol: Floats, starts: list[Floats]
) -> Callable[[], object]:
    """scipy's leastsq (MINPACK's lmder) on vols in raw parameters, its tolerances as they come, expiry by expiry."""
    parts = [slice(int(i), int(j)) for i, j in pairwise(first)]

    def residual(x: Floats, k: Floats, vol: Floats, t: float) -> Floats:
        a, b, rho, m, s = x
        variance = a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + s * s))
        return np.asarray(np.sqrt(np.maximum(variance, 1e-12) / t) - vol)

    def jacobian(x: Floats, k: Floats, vol: Floats, t: float) -> Floats:
        a, b, rho, m, s = x
        y = k - m
        radius = np.sqrt(y * y + s * s)
        w = np.maximum(a + b * (rho * y + radius), 1e-12)
        slope = 0.5 / np.sqrt(w * t)
        rows = (np.ones_like(k), rho * y + radius, b * y, -b * (rho + y / radius), b * s / radius)
        return np.asarray(slope * np.stack(rows))

    def run() -> None:
        for part, t, start in zip(parts, years, starts, strict=True):
            leastsq(residual, start, args=(k[part], vol[part], t), Dfun=jacobian, col_deriv=True)

    return run
