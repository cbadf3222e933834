"""From a chain's Greeks to risk factors, and from the price of risk back to every row.

Five numbers of a row are enough for its exposures, its PRIMITIVES: the spot loading, half the dollar gamma, and vega
times one, z and z squared, z being standardised moneyness. A slot's map takes them to the risk factors. So R's
gradient and curvature, folded by slot into terms of the primitives, charge a row without its loadings being made.

Rows, slots and runs are those of `chain`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import FACTORS, TENORS
from flatbook.kernels.jit import Arg, inlined, kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PRIMITIVES = 5
FOLDED = PRIMITIVES + PRIMITIVES * (PRIMITIVES + 1) // 2
"""Numbers of a slot that charge a row: R's gradient, then its curvature's upper triangle, both by primitive."""

WING = 2.5
"""Standardised moneyness is held inside ±WING in the skew and convexity loadings, so that wings stay bounded."""


def map_factors_plain(tenor_years: Floats, slot_years: Floats, factor_map: Floats) -> None:
    """Plain twin of `map_factors`."""
    factor_map[:] = 0.0
    mapped = factor_map.reshape(len(slot_years), PRIMITIVES, FACTORS)
    mapped[:, 0, 0] = mapped[:, 1, 1] = 1.0
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
                the vol per its square (all vols per 1.00). Vega is shared between the two tenors around its own,
                linearly in log time
    """
    for j in range(slot_years.size):
        for f in range(PRIMITIVES * FACTORS):
            factor_map[j, f] = 0.0
        factor_map[j, 0] = 1.0
        factor_map[j, FACTORS + 1] = 1.0
        t = min(max(slot_years[j], tenor_years[0]), tenor_years[TENORS - 1])
        for bucket in range(TENORS):
            share = 0.0
            if bucket > 0 and tenor_years[bucket - 1] <= t <= tenor_years[bucket]:
                share = math.log(t / tenor_years[bucket - 1]) / math.log(tenor_years[bucket] / tenor_years[bucket - 1])
            elif bucket < TENORS - 1 and tenor_years[bucket] <= t <= tenor_years[bucket + 1]:
                share = 1 - math.log(t / tenor_years[bucket]) / math.log(tenor_years[bucket + 1] / tenor_years[bucket])
            for kind in range(3):
                factor_map[j, (2 + kind) * FACTORS + 2 + 3 * bucket + kind] = share


def primitives_plain(index: float, forward: Floats, moneyness: Floats, greeks: Floats) -> Floats:
    """The five primitives of each row, shape (PRIMITIVES, n)."""
    scale = index / forward
    vega, z = greeks[3] * scale, np.clip(moneyness, -WING, WING)
    half_gamma = 0.5 * greeks[2] * forward * forward * scale
    return np.stack([greeks[1] * index - greeks[0] * scale, half_gamma, vega, vega * z, vega * z * z])


@inlined
def _primitives(
    index: float, forward: float, moneyness: float, price: float, delta: float, gamma: float, vega: float
) -> tuple[float, float, float, float, float]:
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
        row = _primitives(index, forward[i], moneyness[i], greeks[0, i], greeks[1, i], greeks[2, i], greeks[3, i])
        for f in range(FACTORS):
            total = 0.0
            for p in range(PRIMITIVES):
                total += row[p] * factor_map[slot[i], p * FACTORS + f]
            loading[i, f] = total


def fold_gradient_plain(factor_map: Floats, gradient: Floats, folded: Floats) -> None:
    """Plain twin of `fold_gradient`."""
    folded[:PRIMITIVES] = (factor_map.reshape(-1, PRIMITIVES, FACTORS) @ gradient).T


@kernel(Arg.IN_2D, Arg.IN, Arg.OUT_2D, plain=fold_gradient_plain)
def fold_gradient(factor_map: Floats, gradient: Floats, folded: Floats) -> None:
    """Fill the first PRIMITIVES rows of `folded` (FOLDED, slots): R's gradient (FACTORS,) by primitive and slot."""
    for j in range(folded.shape[1]):
        for p in range(PRIMITIVES):
            total = 0.0
            for f in range(FACTORS):
                total += factor_map[j, p * FACTORS + f] * gradient[f]
            folded[p, j] = total


def fold_curvature_plain(factor_map: Floats, curvature: Floats, folded: Floats) -> None:
    """Plain twin of `fold_curvature`."""
    mapped = factor_map.reshape(-1, PRIMITIVES, FACTORS)
    bent = mapped @ curvature @ mapped.transpose(0, 2, 1)
    upper = np.triu_indices(PRIMITIVES)
    folded[PRIMITIVES:] = (bent * np.where(np.eye(PRIMITIVES), 1.0, 2.0))[:, upper[0], upper[1]].T


@kernel(Arg.IN_2D, Arg.IN_2D, Arg.OUT_2D, plain=fold_curvature_plain)
def fold_curvature(factor_map: Floats, curvature: Floats, folded: Floats) -> None:
    """Fill the other rows of `folded`: R's curvature (FACTORS, FACTORS) as a quadratic form in a slot's primitives."""
    for j in range(folded.shape[1]):
        at = PRIMITIVES
        for p in range(PRIMITIVES):
            for q in range(p, PRIMITIVES):
                total = 0.0
                for f in range(FACTORS):
                    here = factor_map[j, p * FACTORS + f]
                    if here == 0.0:
                        continue
                    for g in range(FACTORS):
                        total += here * curvature[f, g] * factor_map[j, q * FACTORS + g]
                folded[at, j] = total if p == q else 2.0 * total
                at += 1


def charge_rows_plain(
    index: float,
    order: Ints,
    first: Ints,
    run_slot: Ints,
    folded: Floats,
    forward: Floats,
    moneyness: Floats,
    greeks: Floats,
    size: float,
    shift: Floats,
    width: Floats,
) -> None:
    """Plain twin of `charge_rows`."""
    at = folded[:, np.repeat(run_slot, np.diff(first))]
    row = primitives_plain(index, forward, moneyness, greeks)[:, order]
    shift[order] = np.sum(row * at[:PRIMITIVES], axis=0)
    p, q = np.triu_indices(PRIMITIVES)
    width[order] = 0.5 * size * np.sum(row[p] * row[q] * at[PRIMITIVES:], axis=0)


@kernel(
    Arg.FLOAT,
    *[Arg.IN_INT] * 3,
    Arg.IN_2D,
    *[Arg.IN] * 2,
    Arg.IN_2D,
    Arg.FLOAT,
    *[Arg.OUT] * 2,
    plain=charge_rows_plain,
)
def charge_rows(
    index: float,
    order: Ints,
    first: Ints,
    run_slot: Ints,
    folded: Floats,
    forward: Floats,
    moneyness: Floats,
    greeks: Floats,
    size: float,
    shift: Floats,
    width: Floats,
) -> None:
    """Fill the price of risk of a trade in each row: R(x + size g) - R(x) = size (shift + width) for a purchase.

    Shapes      folded (FOLDED, slots) as `fold_gradient` and `fold_curvature` fill it; else as in `spread_slots` and
                `load_factors`
    Units       shift and width in USD per contract; size in contracts; a sale of the size costs size (width - shift)
    """
    walked = np.empty((7, order.size))
    for i in range(order.size):
        row = order[i]
        walked[0, i] = forward[row]
        walked[1, i] = moneyness[row]
        walked[2, i] = greeks[0, row]
        walked[3, i] = greeks[1, row]
        walked[4, i] = greeks[2, row]
        walked[5, i] = greeks[3, row]
    for r in range(run_slot.size):
        _charge_run(index, 0.5 * size, folded[:, run_slot[r]], walked[:, first[r] : first[r + 1]])
    for i in range(order.size):
        shift[order[i]] = walked[0, i]
        width[order[i]] = walked[1, i]


@inlined
def _charge_run(index: float, half_size: float, folded: Floats, walked: Floats) -> None:
    """Replace a run's forwards and moneyness by shifts and widths: one expiry, so its twenty numbers stay put."""
    g0, g1, g2, g3, g4 = folded[0], folded[1], folded[2], folded[3], folded[4]
    c00, c01, c02, c03, c04 = folded[5], folded[6], folded[7], folded[8], folded[9]
    c11, c12, c13, c14 = folded[10], folded[11], folded[12], folded[13]
    c22, c23, c24 = folded[14], folded[15], folded[16]
    c33, c34, c44 = folded[17], folded[18], folded[19]
    forward, moneyness, price, delta, gamma, vega = (
        walked[0],
        walked[1],
        walked[2],
        walked[3],
        walked[4],
        walked[5],
    )
    for i in range(forward.size):
        d, g, v, s, c = _primitives(index, forward[i], moneyness[i], price[i], delta[i], gamma[i], vega[i])
        forward[i] = d * g0 + g * g1 + v * g2 + s * g3 + c * g4
        bend = d * (d * c00 + g * c01 + v * c02 + s * c03 + c * c04)
        bend += g * (g * c11 + v * c12 + s * c13 + c * c14)
        bend += v * (v * c22 + s * c23 + c * c24) + s * (s * c33 + c * c34) + c * c * c44
        moneyness[i] = half_size * bend


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


@kernel(Arg.FLOAT, Arg.IN_INT, Arg.IN_2D, *[Arg.IN] * 2, Arg.IN_2D, Arg.IN, *[Arg.OUT] * 2, plain=expose_book_plain)
def expose_book(
    index: float,
    slot: Ints,
    factor_map: Floats,
    forward: Floats,
    moneyness: Floats,
    greeks: Floats,
    held: Floats,
    exposure: Floats,
    totals: Floats,
) -> None:
    """Fill a book's exposure to the risk factors, and the sums of its Greeks.

    Shapes      greeks (>= 5, n): price, delta, gamma, vega, theta; held (n,) contracts, signed; exposure (FACTORS,);
                totals (len(TOTALS),); else as in `load_factors`
    Units       exposure in USD per unit of factor, options net of their value in coin
    Domain      a row that is not held does not matter, whatever is known of it
    """
    exposure[:] = 0.0
    totals[:] = 0.0
    for i in range(held.size):
        if held[i] == 0.0:
            continue
        scale, j = held[i] * index / forward[i], slot[i]
        row = _primitives(index, forward[i], moneyness[i], greeks[0, i], greeks[1, i], greeks[2, i], greeks[3, i])
        for p in range(PRIMITIVES):
            for f in range(FACTORS):
                exposure[f] += held[i] * row[p] * factor_map[j, p * FACTORS + f]
        totals[0] += held[i] * greeks[0, i] / forward[i]
        totals[1] += scale * greeks[2, i] * forward[i] * forward[i] / 100
        totals[2] += scale * greeks[3, i] / 100
        totals[3] += scale * greeks[4, i] / 365
