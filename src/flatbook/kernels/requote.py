"""A chain's quotes in one call: what risk charges them, prices and parts, ticks, caps, sizes.

The steps are kernels of their own; together they are called once, for a call from Python costs as much as some of them.
"""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.charges import (
    FOLDED,
    charge_rows,
    charge_rows_plain,
    fold_curvature,
    fold_curvature_plain,
    fold_gradient,
    fold_gradient_plain,
)
from flatbook.kernels.jit import Arg, kernel
from flatbook.kernels.placing import place_quotes, place_quotes_plain
from flatbook.kernels.quotes import quote_prices, quote_prices_plain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def requote_plain(
    index: float,
    size: float,
    terms: Floats,
    chosen: NDArray[np.int8],
    charges_risk: bool,
    gradient: Floats,
    curvature: Floats,
    factor_map: Floats,
    walk: Ints,
    order: Ints,
    later: Ints,
    first: Ints,
    run_slot: Ints,
    strike: Floats,
    sign: Floats,
    tick: Floats,
    lot: Floats,
    above: Ints,
    coarse: Ints,
    forward: Floats,
    moneyness: Floats,
    greeks: Floats,
    error: Floats,
    held: Floats,
    takers: Floats,
    parts: Floats,
    grid: Ints,
) -> None:
    """Plain twin of `requote`."""
    n = len(held)
    shift, width, bid, ask = np.empty((4, n))
    if charges_risk:
        folded = np.empty((FOLDED, len(factor_map)))
        fold_gradient_plain(factor_map, gradient, folded)
        fold_curvature_plain(factor_map, curvature, folded)
        charge_rows_plain(index, walk, first, run_slot, folded, forward, moneyness, greeks, size, shift, width)
    quote_prices_plain(
        index, terms, charges_risk, chosen, greeks, forward, error, held, takers, shift, width, parts, bid, ask
    )
    columns = (strike, sign, forward, tick, lot, above, coarse)
    place_quotes_plain(size, bid, ask, parts[0], order, later, first, *columns, grid)


@kernel(
    *[Arg.FLOAT] * 2,
    Arg.IN,
    Arg.IN_CODE,
    Arg.BOOL,
    Arg.IN,
    *[Arg.IN_2D] * 2,
    *[Arg.IN_INT] * 5,
    *[Arg.IN] * 4,
    *[Arg.IN_INT] * 2,
    *[Arg.IN] * 2,
    Arg.IN_2D,
    *[Arg.IN] * 2,
    Arg.IN_2D,
    Arg.OUT_2D,
    Arg.OUT_INT_2D,
    plain=requote_plain,
)
def requote(
    index: float,
    size: float,
    terms: Floats,
    chosen: NDArray[np.int8],
    charges_risk: bool,
    gradient: Floats,
    curvature: Floats,
    factor_map: Floats,
    walk: Ints,
    order: Ints,
    later: Ints,
    first: Ints,
    run_slot: Ints,
    strike: Floats,
    sign: Floats,
    tick: Floats,
    lot: Floats,
    above: Ints,
    coarse: Ints,
    forward: Floats,
    moneyness: Floats,
    greeks: Floats,
    error: Floats,
    held: Floats,
    takers: Floats,
    parts: Floats,
    grid: Ints,
) -> None:
    """Fill `parts` (6, n) as `quote_prices` and `grid` (4, n) as `place_quotes`, from R's gradient and curvature.

    Shapes      everything as in the kernels that it is made of
    """
    n = held.size
    made = np.empty((4, n))
    if charges_risk:
        folded = np.empty((FOLDED, factor_map.shape[0]))
        fold_gradient(factor_map, gradient, folded)
        fold_curvature(factor_map, curvature, folded)
        charge_rows(index, walk, first, run_slot, folded, forward, moneyness, greeks, size, made[0], made[1])
    quote_prices(
        index,
        terms,
        charges_risk,
        chosen,
        greeks,
        forward,
        error,
        held,
        takers,
        made[0],
        made[1],
        parts,
        made[2],
        made[3],
    )
    place_quotes(
        size, made[2], made[3], parts[0], order, later, first, strike, sign, forward, tick, lot, above, coarse, grid
    )
