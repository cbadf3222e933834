"""From a chain's Greeks to risk factors: what each row, and a book of them, is exposed to.

Five numbers of a row are enough for its exposures, its PRIMITIVES: the spot loading, half the dollar gamma, and vega
times one, z and z squared, z being standardised moneyness. A slot's map takes them to the risk factors.

Rows, slots and runs are those of `chain`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import BASIS, FACTORS, SPOT, SQUARED, TENORS
from flatbook.kernels.jit import Arg, inlined, kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PRIMITIVES = 5
WING = 2.5
"""Standardised moneyness is held inside ±WING in the skew and convexity loadings, so that wings stay bounded."""


def map_factors_plain(tenor_years: Floats, slot_years: Floats, factor_map: Floats) -> None:
    """Plain twin of `map_factors`."""
    factor_map[:] = 0.0
    mapped = factor_map.reshape(len(slot_years), PRIMITIVES, FACTORS)
    mapped[:, 0, SPOT] = mapped[:, 1, SQUARED] = 1.0
    mapped[:, 0, BASIS] = np.maximum(slot_years, 0.0)
    log_tenor = np.log(tenor_years)
    at = np.clip(np.log(np.maximum(slot_years, 1e-9)), log_tenor[0], log_tenor[-1])
    for bucket in range(TENORS):
        peak = np.zeros(TENORS)
        peak[bucket] = 1.0
        share = np.interp(at, log_tenor, peak)
        for kind in range(3):
            mapped[:, 2 + kind, 2 + 3 * bucket + kind] = share


@kernel(Arg.IN, Arg.IN, Arg.OUT_2D, plain=map_factors_plain)
def map_factors(tenor_years: Floats, slot_years: Floats, factor_map: Floats) -> None:
    """Fill how much of each risk factor one of each primitive is, by slot.

    Shapes      tenor_years (TENORS,) rising; slot_years (slots,); factor_map (slots, PRIMITIVES * FACTORS)
    Factors     log spot; squared log return; per tenor the vol level, the vol per unit of standardised moneyness, and
                the vol per its square (all vols per 1.00); the annual carry rate; the perpetual's premium, of which
                an option has none. Vega is shared between the two tenors around its own, linearly in log time. A
                forward moves by its years for a unit of carry rate, the index held; what that does to an option is
                what spot does, for both are net of its price
    """
    log_tenor = np.empty(TENORS)
    for bucket in range(TENORS):
        log_tenor[bucket] = math.log(tenor_years[bucket])
    for j in range(slot_years.size):
        for f in range(PRIMITIVES * FACTORS):
            factor_map[j, f] = 0.0
        factor_map[j, SPOT] = 1.0
        factor_map[j, BASIS] = max(slot_years[j], 0.0)
        factor_map[j, FACTORS + SQUARED] = 1.0
        at = math.log(min(max(slot_years[j], tenor_years[0]), tenor_years[TENORS - 1]))
        for bucket in range(TENORS):
            share = 0.0
            if bucket > 0 and log_tenor[bucket - 1] <= at <= log_tenor[bucket]:
                share = (at - log_tenor[bucket - 1]) / (log_tenor[bucket] - log_tenor[bucket - 1])
            elif bucket < TENORS - 1 and log_tenor[bucket] <= at <= log_tenor[bucket + 1]:
                share = 1 - (at - log_tenor[bucket]) / (log_tenor[bucket + 1] - log_tenor[bucket])
            for kind in range(3):
                factor_map[j, (2 + kind) * FACTORS + 2 + 3 * bucket + kind] = share


def primitives_plain(index: float, forward: Floats, moneyness: Floats, greeks: Floats) -> Floats:
    """The five primitives of each row, shape (PRIMITIVES, n)."""
    scale = index / forward
    vega, z = greeks[3] * scale, np.clip(moneyness, -WING, WING)
    half_gamma = 0.5 * greeks[2] * forward * forward * scale
    return np.stack([greeks[1] * index - greeks[0] * scale, half_gamma, vega, vega * z, vega * z * z])


@inlined
def primitives(
    index: float, forward: float, moneyness: float, price: float, delta: float, gamma: float, vega: float
) -> tuple[float, float, float, float, float]:
    """The five primitives of one row."""
    scale = index / forward
    z = min(max(moneyness, -WING), WING)
    skewed = vega * scale * z
    return (
        delta * index - price * scale,
        0.5 * gamma * forward * forward * scale,
        vega * scale,
        skewed,
        skewed * z,
    )


def load_factors_plain(
    index: float,
    slot: Ints,
    factor_map: Floats,
    forward: Floats,
    moneyness: Floats,
    greeks: Floats,
    loading: Floats,
) -> None:
    """Plain twin of `load_factors`."""
    mapped = factor_map.reshape(-1, PRIMITIVES, FACTORS)[slot]
    loading[:] = np.einsum("pn,npf->nf", primitives_plain(index, forward, moneyness, greeks), mapped)


@kernel(Arg.FLOAT, Arg.IN_INT, Arg.IN_2D, *[Arg.IN] * 2, Arg.IN_2D, Arg.OUT_2D, plain=load_factors_plain)
def load_factors(
    index: float,
    slot: Ints,
    factor_map: Floats,
    forward: Floats,
    moneyness: Floats,
    greeks: Floats,
    loading: Floats,
) -> None:
    """Fill what buying a contract of one coin at its value adds to a book's exposure to the risk factors.

    Shapes      slot, forward, moneyness (n,); factor_map as `map_factors` fills it; greeks (>= 4, n): price, delta,
                gamma, vega of Black in USD; loading (n, FACTORS)
    Units       USD per unit of factor
    Convention  a coin-settled option is worth V index / F in USD, hence the factor index / forward. It is paid for in
                coin, which is held no more: the spot loading is net of the premium
    """
    for i in range(forward.size):
        row = primitives(index, forward[i], moneyness[i], greeks[0, i], greeks[1, i], greeks[2, i], greeks[3, i])
        for f in range(FACTORS):
            total = 0.0
            for p in range(PRIMITIVES):
                total += row[p] * factor_map[slot[i], p * FACTORS + f]
            loading[i, f] = total


TOTALS = ("value_coin", "gamma_1pct_usd", "vega_usd_per_vol_pt", "theta_usd_per_day")
"""What `expose_book` adds up beside the exposures, in order."""


def expose_book_plain(
    index: float,
    slot: Ints,
    factor_map: Floats,
    forward: Floats,
    moneyness: Floats,
    greeks: Floats,
    held: Floats,
    future_usd: Floats,
    future_years: Floats,
    delivery: Floats,
    fixed_share: Floats,
    exposure: Floats,
    totals: Floats,
) -> None:
    """Plain twin of `expose_book`."""
    at = np.flatnonzero(held)
    loading = np.empty((len(at), FACTORS))
    load_factors_plain(index, slot[at], factor_map, forward[at], moneyness[at], greeks[:, at], loading)
    exposure[:] = held[at] @ loading
    scale = index / forward[at]
    totals[0] = held[at] @ (greeks[0, at] / forward[at])
    totals[1] = held[at] @ (greeks[2, at] * forward[at] ** 2 * scale) / 100
    totals[2] = held[at] @ (greeks[3, at] * scale) / 100
    totals[3] = held[at] @ (greeks[4, at] * scale) / 365
    dated = np.flatnonzero(future_usd[: len(delivery)])
    worth, fixed = future_usd[dated] * index / delivery[dated], fixed_share[dated]
    exposure[SPOT] -= worth @ fixed
    exposure[BASIS] += worth @ ((1.0 - fixed) * np.maximum(future_years[dated], 0.0))


@kernel(
    Arg.FLOAT, Arg.IN_INT, Arg.IN_2D, *[Arg.IN] * 2, Arg.IN_2D, *[Arg.IN] * 5, *[Arg.OUT] * 2, plain=expose_book_plain
)
def expose_book(
    index: float,
    slot: Ints,
    factor_map: Floats,
    forward: Floats,
    moneyness: Floats,
    greeks: Floats,
    held: Floats,
    future_usd: Floats,
    future_years: Floats,
    delivery: Floats,
    fixed_share: Floats,
    exposure: Floats,
    totals: Floats,
) -> None:
    """Fill a book's exposure to the risk factors, and the sums of its options' Greeks.

    Shapes      greeks (>= 5, n): price, delta, gamma, vega, theta; held (n,) contracts, signed; future_usd (>= slots,)
                notional of the inverse future of each expiry, signed; future_years, delivery, fixed_share (slots,) its
                years left, the price it is expected to be delivered at, and what of that no longer moves; exposure
                (FACTORS,); totals (len(TOTALS),); else as in `load_factors`
    Units       exposure in USD per unit of factor, options net of their value in coin. Of a future its carry: its
                notional is dollars, which the index does not move, but for what is fixed, which the coin's move meets
    Domain      a row or a future that is not held does not matter, whatever is known of it
    """
    exposure[:] = 0.0
    totals[:] = 0.0
    slots = factor_map.shape[0]
    by_slot, is_held = np.zeros((slots, PRIMITIVES)), np.zeros(slots, np.int8)
    for i in range(held.size):
        if held[i] == 0.0:
            continue
        scale, j = held[i] * index / forward[i], slot[i]
        row = primitives(index, forward[i], moneyness[i], greeks[0, i], greeks[1, i], greeks[2, i], greeks[3, i])
        is_held[j] = 1
        for p in range(PRIMITIVES):
            by_slot[j, p] += held[i] * row[p]
        totals[0] += held[i] * greeks[0, i] / forward[i]
        totals[1] += scale * greeks[2, i] * forward[i] * forward[i] / 100
        totals[2] += scale * greeks[3, i] / 100
        totals[3] += scale * greeks[4, i] / 365
    for j in range(slots):
        if is_held[j]:
            for p in range(PRIMITIVES):
                for f in range(FACTORS):
                    exposure[f] += by_slot[j, p] * factor_map[j, p * FACTORS + f]
    for j in range(delivery.size):
        if future_usd[j] != 0.0:
            worth = future_usd[j] * index / delivery[j]
            exposure[SPOT] -= worth * fixed_share[j]
            exposure[BASIS] += worth * (1.0 - fixed_share[j]) * max(future_years[j], 0.0)
