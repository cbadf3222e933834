"""Where an option book's P&L over one step of the market came from, by Taylor's theorem and what it leaves."""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, kernel

Floats = NDArray[np.float64]

PARTS = ("delta", "gamma", "theta", "vega", "vanna", "volga", "basis", "adverse_selection", "unexplained")
"""Entries of `explain_step`'s output, in order."""

PRICE, DELTA, GAMMA, VEGA, THETA, VANNA, VOLGA = range(7)


def explain_step_plain(
    size: Floats,
    fresh: Floats,
    index: Floats,
    forward: Floats,
    vol: Floats,
    years: Floats,
    greeks: Floats,
    forward_next: Floats,
    vol_next: Floats,
    years_next: Floats,
    price_next: Floats,
    parts: Floats,
) -> None:
    """Plain twin of `explain_step`."""
    before, after = index
    move = after - before
    scale = before / forward
    d_basis = np.log(forward_next / after) - np.log(forward / before)
    d_vol = vol_next - vol
    price, delta, gamma, vega, theta, vanna, volga = greeks[:7]
    total = price_next * after / forward_next - price * scale
    by_part = np.array(
        [
            delta * move,
            0.5 * gamma / scale * move * move,
            theta * scale * (years - years_next),
            vega * scale * d_vol,
            vanna * move * d_vol,
            0.5 * volga * scale * d_vol * d_vol,
            (delta * forward - price) * scale * d_basis,
        ]
    )
    held = (size != 0) | (fresh != 0)
    aged = (size - fresh)[held]
    parts[:7] = by_part[:, held] @ aged
    parts[7] = total[held] @ fresh[held]
    parts[8] = (total[held] - by_part[:, held].sum(axis=0)) @ aged


@kernel(*[Arg.IN] * 6, Arg.IN_2D, *[Arg.IN] * 4, Arg.OUT, plain=explain_step_plain)
def explain_step(
    size: Floats,
    fresh: Floats,
    index: Floats,
    forward: Floats,
    vol: Floats,
    years: Floats,
    greeks: Floats,
    forward_next: Floats,
    vol_next: Floats,
    years_next: Floats,
    price_next: Floats,
    parts: Floats,
) -> None:
    """Fill the P&L of a coin-settled option book over one step, split by cause; `parts` sum to the revaluation.

    Shapes      index (2,): before and after; parts (9,) in the order of PARTS; greeks (11, n) before, rows of Black's
                full set in USD; all else (n,)
    Units       size and fresh in contracts, signed; parts in USD; theta per year of calendar time
    Convention  an option is worth U = V(F) I / F in USD with F = I e^basis, so delta is per USD of index at a held
                basis; `vol` is each option's own, so the smile's slide with spot is vega and vanna. What `fresh`
                contracts (bought or sold within the markout horizon) gain or lose is adverse selection, whole
    """
    before, after = index[0], index[1]
    move = after - before
    for p in range(parts.size):
        parts[p] = 0.0
    for i in range(size.size):
        if size[i] == 0.0 and fresh[i] == 0.0:
            continue
        scale = before / forward[i]
        total = price_next[i] * after / forward_next[i] - greeks[PRICE, i] * scale
        aged = size[i] - fresh[i]
        d_vol = vol_next[i] - vol[i]
        d_basis = math.log(forward_next[i] / after) - math.log(forward[i] / before)
        delta = greeks[DELTA, i] * move
        gamma = 0.5 * greeks[GAMMA, i] / scale * move * move
        theta = greeks[THETA, i] * scale * (years[i] - years_next[i])
        vega = greeks[VEGA, i] * scale * d_vol
        vanna = greeks[VANNA, i] * move * d_vol
        volga = 0.5 * greeks[VOLGA, i] * scale * d_vol * d_vol
        basis = (greeks[DELTA, i] * forward[i] - greeks[PRICE, i]) * scale * d_basis
        parts[0] += aged * delta
        parts[1] += aged * gamma
        parts[2] += aged * theta
        parts[3] += aged * vega
        parts[4] += aged * vanna
        parts[5] += aged * volga
        parts[6] += aged * basis
        parts[7] += fresh[i] * total
        parts[8] += aged * (total - delta - gamma - theta - vega - vanna - volga - basis)
