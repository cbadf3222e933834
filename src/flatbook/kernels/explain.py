"""Where a book's P&L over one step of the market came from, by Taylor's theorem and what it leaves, cell by cell.

A cell is a strategy's contracts of one expiry, or what it holds that has none: number STRATEGIES (slot + 1) + strategy,
with slot -1 for no expiry.
"""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, inlined, kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PARTS = ("delta", "gamma", "theta", "vega", "vanna", "volga", "basis", "adverse_selection", "unexplained")
"""The first columns of `explain_step`'s output, in order."""

STRATEGIES = 2
MAKING, HEDGING = range(STRATEGIES)

PRICE, DELTA, GAMMA, VEGA, THETA, VANNA, VOLGA = range(7)
_DELTA, _BASIS, _ADVERSE, _UNEXPLAINED = 0, 6, 7, 8


def value_cells_plain(
    size: Floats,
    hedged: Floats,
    slot: Ints,
    price: Floats,
    forward: Floats,
    carried: Floats,
    beside: Floats,
    worth: Floats,
) -> None:
    """Plain twin of `value_cells`."""
    worth[:] = carried + beside
    held = np.flatnonzero((size != 0) | (hedged != 0))
    fair = price[held] / forward[held]
    first = STRATEGIES * (slot[held] + 1)
    np.add.at(worth, first + MAKING, (size - hedged)[held] * fair)
    np.add.at(worth, first + HEDGING, hedged[held] * fair)


@kernel(*[Arg.IN] * 2, Arg.IN_INT, *[Arg.IN] * 4, Arg.OUT, plain=value_cells_plain)
def value_cells(
    size: Floats,
    hedged: Floats,
    slot: Ints,
    price: Floats,
    forward: Floats,
    carried: Floats,
    beside: Floats,
    worth: Floats,
) -> None:
    """Fill what each cell is worth in coin: coin carried, what is held beside the chain, options at fair value.

    Shapes      carried, beside and worth (cells,); else (n,)
    Units       size in contracts, signed, of which hedging holds `hedged`; price and forward USD; else coin
    """
    for c in range(worth.size):
        worth[c] = carried[c] + beside[c]
    for i in range(size.size):
        if size[i] == 0.0 and hedged[i] == 0.0:
            continue
        fair, first = price[i] / forward[i], STRATEGIES * (slot[i] + 1)
        worth[first + MAKING] += (size[i] - hedged[i]) * fair
        worth[first + HEDGING] += hedged[i] * fair


def explain_step_plain(
    index: Floats,
    size: Floats,
    hedged: Floats,
    fresh: Floats,
    slot: Ints,
    forward: Floats,
    vol: Floats,
    years: Floats,
    greeks: Floats,
    forward_next: Floats,
    vol_next: Floats,
    years_next: Floats,
    price_next: Floats,
    carried: Floats,
    basis_usd: Floats,
    beside: Floats,
    worth: Floats,
    usd: Floats,
    coin: Floats,
) -> float:
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
    step = np.zeros((len(worth), len(PARTS)))
    held = np.flatnonzero((size != 0) | (hedged != 0) | (fresh != 0))
    for strategy, aged in ((MAKING, size - hedged - fresh), (HEDGING, hedged)):
        cell = STRATEGIES * (slot[held] + 1) + strategy
        np.add.at(step[:, :7], cell, (by_part[:, held] * aged[held]).T)
        np.add.at(step[:, _UNEXPLAINED], cell, (total - by_part.sum(axis=0))[held] * aged[held])
        if strategy == MAKING:
            np.add.at(step[:, _ADVERSE], cell, total[held] * fresh[held])
    step[:, _DELTA] += carried * move
    step[:, _BASIS] += basis_usd
    usd[:, : len(PARTS)] += step
    coin[:, : len(PARTS)] += step / after
    coin[:, _DELTA] -= worth * move / after
    value_cells_plain(size, hedged, slot, price_next, forward_next, carried, beside, worth)
    usd[:, _UNEXPLAINED] += worth * after - usd.sum(axis=1)
    coin[:, _UNEXPLAINED] += worth - coin.sum(axis=1)
    return float(np.abs(step.sum(axis=0)).sum())


@kernel(
    *[Arg.IN] * 4,
    Arg.IN_INT,
    *[Arg.IN] * 3,
    Arg.IN_2D,
    *[Arg.IN] * 7,
    Arg.OUT,
    *[Arg.OUT_2D] * 2,
    plain=explain_step_plain,
)
def explain_step(
    index: Floats,
    size: Floats,
    hedged: Floats,
    fresh: Floats,
    slot: Ints,
    forward: Floats,
    vol: Floats,
    years: Floats,
    greeks: Floats,
    forward_next: Floats,
    vol_next: Floats,
    years_next: Floats,
    price_next: Floats,
    carried: Floats,
    basis_usd: Floats,
    beside: Floats,
    worth: Floats,
    usd: Floats,
    coin: Floats,
) -> float:
    """Add the P&L of a coin-settled book over one step to `usd` and `coin`, split by cell and cause.

    Shapes      index (2,): before and after; greeks (>= 7, n) before, rows of Black's full set in USD; carried,
                basis_usd, beside and worth (cells,); usd and coin (cells, parts), of which the first columns are PARTS;
                all else (n,)
    Units       size, hedged and fresh in contracts, signed; carried, beside (after) and worth in coin, as in
                `value_cells`; basis_usd is what futures and perpetuals gained by their basis over the index; theta per
                year of calendar time
    Returns     the step's gross: the sum over PARTS of the USD put under each, without sign
    Invariant   `worth` is what cells are worth before, and after; rows of `usd` and `coin` sum to it afterwards where
                they did before, what is put beside included: rounding goes to the unexplained
    Convention  an option is worth U = V(F) I / F in USD with F = I e^basis, so delta is per USD of index at a held
                basis; `vol` is each option's own, so the smile's slide with spot is vega and vanna. What `fresh`
                contracts (bought or sold within the markout horizon) gain or lose is adverse selection, whole. In coin
                a part is its USD over the index after, and delta less what the worth before gained in USD by being
                held in coin: U'/I' - U/I = (U' - U)/I' - U/I (I' - I)/I'
    """
    before, after = index[0], index[1]
    move = after - before
    step = np.zeros((worth.size, len(PARTS)))
    for i in range(size.size):
        if size[i] == 0.0 and hedged[i] == 0.0 and fresh[i] == 0.0:
            continue
        scale = before / forward[i]
        total = price_next[i] * after / forward_next[i] - greeks[PRICE, i] * scale
        d_vol = vol_next[i] - vol[i]
        d_basis = math.log(forward_next[i] / after) - math.log(forward[i] / before)
        delta = greeks[DELTA, i] * move
        gamma = 0.5 * greeks[GAMMA, i] / scale * move * move
        theta = greeks[THETA, i] * scale * (years[i] - years_next[i])
        vega = greeks[VEGA, i] * scale * d_vol
        vanna = greeks[VANNA, i] * move * d_vol
        volga = 0.5 * greeks[VOLGA, i] * scale * d_vol * d_vol
        basis = (greeks[DELTA, i] * forward[i] - greeks[PRICE, i]) * scale * d_basis
        rest = total - delta - gamma - theta - vega - vanna - volga - basis
        first = STRATEGIES * (slot[i] + 1)
        step[first + MAKING, _ADVERSE] += fresh[i] * total
        for strategy in range(STRATEGIES):
            aged = hedged[i] if strategy == HEDGING else size[i] - hedged[i] - fresh[i]
            cell = step[first + strategy]
            cell[0] += aged * delta
            cell[1] += aged * gamma
            cell[2] += aged * theta
            cell[3] += aged * vega
            cell[4] += aged * vanna
            cell[5] += aged * volga
            cell[6] += aged * basis
            cell[8] += aged * rest
    for c in range(worth.size):
        step[c, _DELTA] += carried[c] * move
        step[c, _BASIS] += basis_usd[c]
        coin[c, _DELTA] -= worth[c] * move / after
    value_cells(size, hedged, slot, price_next, forward_next, carried, beside, worth)
    gross = 0.0
    for p in range(len(PARTS)):
        of_part = 0.0
        for c in range(worth.size):
            of_part += step[c, p]
            usd[c, p] += step[c, p]
            coin[c, p] += step[c, p] / after
        gross += abs(of_part)
    _settle_rounding(worth, after, usd)
    _settle_rounding(worth, 1.0, coin)
    return gross


@inlined
def _settle_rounding(worth: Floats, per_coin: float, parts: Floats) -> None:
    """What neither Taylor nor its remainder holds is nothing but float rounding, so it belongs to the unexplained."""
    for c in range(worth.size):
        total = 0.0
        for p in range(parts.shape[1]):
            total += parts[c, p]
        parts[c, _UNEXPLAINED] += worth[c] * per_coin - total
