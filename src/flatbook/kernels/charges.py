"""What the price of risk charges every row of a chain: R(x + g) - R(x).

R's gradient and curvature are folded by slot into terms of the primitives of `factors`, so that a row is charged
without its loadings being made.
"""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import FACTORS
from flatbook.kernels.factors import PRIMITIVES, primitives, primitives_plain
from flatbook.kernels.jit import Arg, inlined, kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDED = PRIMITIVES + PRIMITIVES * (PRIMITIVES + 1) // 2
"""Numbers of a slot that charge a row: R's gradient, then its curvature's upper triangle, both by primitive."""


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
    # Most of a map is nothing: a primitive is of one or two factors.
    bent = np.empty((PRIMITIVES, FACTORS))
    for j in range(folded.shape[1]):
        mapped = factor_map[j]
        bent[:] = 0.0
        for p in range(PRIMITIVES):
            for f in range(FACTORS):
                share = mapped[p * FACTORS + f]
                if share != 0.0:
                    for g in range(FACTORS):
                        bent[p, g] += share * curvature[f, g]
        at = PRIMITIVES
        for p in range(PRIMITIVES):
            for q in range(p, PRIMITIVES):
                total = 0.0
                for f in range(FACTORS):
                    total += bent[p, f] * mapped[q * FACTORS + f]
                folded[at, j] = total if p == q else 2.0 * total
                at += 1


def charge_rows_plain(
    index: float,
    walk: Ints,
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
    row = primitives_plain(index, forward, moneyness, greeks)[:, walk]
    shift[walk] = np.sum(row * at[:PRIMITIVES], axis=0)
    p, q = np.triu_indices(PRIMITIVES)
    width[walk] = 0.5 * size * np.sum(row[p] * row[q] * at[PRIMITIVES:], axis=0)


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
    walk: Ints,
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
    picked = np.empty((8, walk.size))
    for r in range(run_slot.size):
        rows, low, coefficients = walk[first[r] : first[r + 1]], walk[first[r]], folded[:, run_slot[r]]
        n, high = rows.size, low + rows.size
        if rows[n - 1] == high - 1:
            _charge_run(
                index, 0.5 * size, coefficients, forward[low:high], moneyness[low:high], greeks[0, low:high],
                greeks[1, low:high], greeks[2, low:high], greeks[3, low:high], shift[low:high], width[low:high],
            )  # fmt: skip
            continue
        for i in range(n):
            picked[0, i], picked[1, i] = forward[rows[i]], moneyness[rows[i]]
            for g in range(4):
                picked[2 + g, i] = greeks[g, rows[i]]
        _charge_run(
            index, 0.5 * size, coefficients, picked[0, :n], picked[1, :n], picked[2, :n],
            picked[3, :n], picked[4, :n], picked[5, :n], picked[6, :n], picked[7, :n],
        )  # fmt: skip
        for i in range(n):
            shift[rows[i]] = picked[6, i]
            width[rows[i]] = picked[7, i]


@inlined
def _charge_run(
    index: float,
    half_size: float,
    folded: Floats,
    forward: Floats,
    moneyness: Floats,
    price: Floats,
    delta: Floats,
    gamma: Floats,
    vega: Floats,
    shift: Floats,
    width: Floats,
) -> None:
    """Shifts and widths of rows of one expiry: its twenty numbers stay put, so the loop vectorises."""
    g0, g1, g2, g3, g4 = folded[0], folded[1], folded[2], folded[3], folded[4]
    c00, c01, c02, c03, c04 = folded[5], folded[6], folded[7], folded[8], folded[9]
    c11, c12, c13, c14 = folded[10], folded[11], folded[12], folded[13]
    c22, c23, c24 = folded[14], folded[15], folded[16]
    c33, c34, c44 = folded[17], folded[18], folded[19]
    for i in range(forward.size):
        d, g, v, s, c = primitives(index, forward[i], moneyness[i], price[i], delta[i], gamma[i], vega[i])
        shift[i] = d * g0 + g * g1 + v * g2 + s * g3 + c * g4
        bend = d * (d * c00 + g * c01 + v * c02 + s * c03 + c * c04)
        bend += g * (g * c11 + v * c12 + s * c13 + c * c14)
        bend += v * (v * c22 + s * c23 + c * c24) + s * (s * c33 + c * c34) + c * c * c44
        width[i] = half_size * bend
