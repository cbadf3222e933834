"""A whole chain at once: from forwards and smiles by expiry to vols, and from Greeks to risk-factor loadings by row.

Rows are options, slots are expiries; `slot[i]` is row i's expiry. Raw SVI parameters are (a, b, rho, m, s) of total
variance in log-moneyness k = ln(K/F).
"""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TENORS = 3
"""Vega is bucketed by this many tenors; each has a level, a skew and a convexity factor."""

FACTORS = 2 + 3 * TENORS
"""Spot, squared spot, then level, skew and convexity of the nearest tenor first."""

WING = 2.5
"""Standardised moneyness is held inside ±WING in the skew and convexity loadings, so that wings stay bounded."""


def spread_slots_plain(
    slot: Ints,
    strike: Floats,
    slot_forward: Floats,
    slot_years: Floats,
    slot_svi: Floats,
    forward: Floats,
    years: Floats,
    vol: Floats,
    moneyness: Floats,
) -> None:
    """Plain twin of `spread_slots`."""
    forward[:] = slot_forward[slot]
    years[:] = np.maximum(slot_years[slot], 0.0)
    a, b, rho, m, s = slot_svi[slot].T
    k = np.log(strike / forward)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + s * s))
        vol[:] = np.where(years > 0, np.sqrt(np.maximum(variance, 0.0) / years), 0.0)
        moneyness[:] = np.where(variance > 0, k / np.sqrt(variance), 0.0)


@kernel(Arg.IN_INT, Arg.IN, Arg.IN, Arg.IN, Arg.IN_2D, *[Arg.OUT] * 4, plain=spread_slots_plain)
def spread_slots(
    slot: Ints,
    strike: Floats,
    slot_forward: Floats,
    slot_years: Floats,
    slot_svi: Floats,
    forward: Floats,
    years: Floats,
    vol: Floats,
    moneyness: Floats,
) -> None:
    """Fill each row's forward (USD), years, vol and standardised moneyness k / sqrt(w) from its expiry's slot.

    Shapes      slot, strike and outputs (n,); slot_forward, slot_years (slots,); slot_svi (slots, 5)
    Domain      an expired slot (years <= 0) gets zero years and zero vol; an unfitted one (NaN parameters) NaN vol
    """
    for i in range(slot.size):
        j = slot[i]
        f = slot_forward[j]
        t = max(slot_years[j], 0.0)
        x = math.log(strike[i] / f) - slot_svi[j, 3]
        variance = slot_svi[j, 0] + slot_svi[j, 1] * (slot_svi[j, 2] * x + math.sqrt(x * x + slot_svi[j, 4] ** 2))
        forward[i] = f
        years[i] = t
        vol[i] = math.sqrt(max(variance, 0.0) / t) if t > 0.0 else 0.0
        moneyness[i] = math.log(strike[i] / f) / math.sqrt(variance) if variance > 0.0 else 0.0
        if math.isnan(variance) and t > 0.0:
            vol[i] = np.nan


def load_factors_plain(
    index: float,
    tenor_years: Floats,
    forward: Floats,
    years: Floats,
    moneyness: Floats,
    greeks: Floats,
    loading: Floats,
) -> None:
    """Plain twin of `load_factors`."""
    scale = index / forward
    loading[:, 0] = greeks[1] * index - greeks[0] * scale
    loading[:, 1] = 0.5 * greeks[2] * forward * forward * scale
    log_tenor = np.log(tenor_years)
    at = np.clip(np.log(np.maximum(years, 1e-9)), log_tenor[0], log_tenor[-1])
    z = np.clip(moneyness, -WING, WING)
    for bucket in range(TENORS):
        peak = np.zeros(TENORS)
        peak[bucket] = 1.0
        vega = greeks[3] * scale * np.interp(at, log_tenor, peak)
        loading[:, 2 + 3 * bucket] = vega
        loading[:, 3 + 3 * bucket] = vega * z
        loading[:, 4 + 3 * bucket] = vega * z * z


@kernel(Arg.FLOAT, Arg.IN, Arg.IN, Arg.IN, Arg.IN, Arg.IN_2D, Arg.OUT_2D, plain=load_factors_plain)
def load_factors(
    index: float,
    tenor_years: Floats,
    forward: Floats,
    years: Floats,
    moneyness: Floats,
    greeks: Floats,
    loading: Floats,
) -> None:
    """Fill what buying a contract of one coin at its value adds to a book's exposure to the risk factors.

    Shapes      forward, years, moneyness (n,); tenor_years (TENORS,) rising; greeks (>= 4, n): price, delta, gamma,
                vega of Black in USD; loading (n, FACTORS)
    Units       USD per unit of factor. Factors: log spot; squared log return; per tenor the vol level, the vol per
                unit of standardised moneyness, and the vol per its square (all vols per 1.00)
    Convention  a coin-settled option is worth V index / F in USD, hence the factor index / forward. It is paid for in
                coin, which is held no more: the spot loading is net of the premium. Vega is shared between the two
                tenors around its own, linearly in log time
    """
    for i in range(forward.size):
        scale = index / forward[i]
        loading[i, 0] = greeks[1, i] * index - greeks[0, i] * scale
        loading[i, 1] = 0.5 * greeks[2, i] * forward[i] * forward[i] * scale
        vega = greeks[3, i] * scale
        z = min(max(moneyness[i], -WING), WING)
        t = min(max(years[i], tenor_years[0]), tenor_years[TENORS - 1])
        for bucket in range(TENORS):
            share = 0.0
            if bucket > 0 and tenor_years[bucket - 1] <= t <= tenor_years[bucket]:
                share = math.log(t / tenor_years[bucket - 1]) / math.log(tenor_years[bucket] / tenor_years[bucket - 1])
            elif bucket < TENORS - 1 and tenor_years[bucket] <= t <= tenor_years[bucket + 1]:
                share = 1 - math.log(t / tenor_years[bucket]) / math.log(tenor_years[bucket + 1] / tenor_years[bucket])
            loading[i, 2 + 3 * bucket] = vega * share
            loading[i, 3 + 3 * bucket] = vega * share * z
            loading[i, 4 + 3 * bucket] = vega * share * z * z


def charge_rows_plain(
    loading: Floats, gradient: Floats, curvature: Floats, size: Floats, shift: Floats, width: Floats
) -> None:
    """Plain twin of `charge_rows`."""
    shift[:] = loading @ gradient
    width[:] = 0.5 * size * np.einsum("if,fg,ig->i", loading, curvature, loading)


@kernel(Arg.IN_2D, Arg.IN, Arg.IN_2D, Arg.IN, Arg.OUT, Arg.OUT, plain=charge_rows_plain)
def charge_rows(
    loading: Floats, gradient: Floats, curvature: Floats, size: Floats, shift: Floats, width: Floats
) -> None:
    """Fill the price of risk of a trade in each row: R(x + size g) - R(x) = size (shift + width) for a purchase.

    Shapes      loading (n, f); gradient (f,) of R at the book's exposure; curvature (f, f); size, shift, width (n,)
    Units       shift and width in USD per contract; size in contracts; a sale of the size costs size (width - shift)
    """
    factors = gradient.size
    for i in range(size.size):
        slope = 0.0
        bend = 0.0
        for f in range(factors):
            slope += loading[i, f] * gradient[f]
            row = 0.0
            for g in range(factors):
                row += curvature[f, g] * loading[i, g]
            bend += loading[i, f] * row
        shift[i] = slope
        width[i] = 0.5 * size[i] * bend
