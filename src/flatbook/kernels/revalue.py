"""A chain's values in one call: smiles as of now, then vols, prices, Greeks and what is not known of them, by row.

The steps are kernels of their own; together they are called once, for a call from Python costs as much as some of them.
"""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import black_plain
from flatbook.kernels.black import price_full
from flatbook.kernels.chain import age_slices, age_slices_plain, spread_slots, spread_slots_plain
from flatbook.kernels.factors import map_factors, map_factors_plain
from flatbook.kernels.jit import Arg, kernel
from flatbook.kernels.levels import level_errors, level_errors_plain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COLUMNS = ("forward", "years", "vol", "moneyness", "fair_coin", "vol_error")
"""Rows of `revalue`'s table of a chain's columns, in order."""


def revalue_plain(
    tenor_years: Floats,
    params: Floats,
    fitted_years: Floats,
    rmse: Floats,
    covariance: Floats,
    wander: Floats,
    unseen_years: float,
    quote_error: float,
    walk: Ints,
    first: Ints,
    run_slot: Ints,
    strike: Floats,
    sign: Floats,
    slots: Floats,
    levels: Floats,
    factor_map: Floats,
    columns: Floats,
    greeks: Floats,
) -> None:
    """Plain twin of `revalue`."""
    n, (level, level_error) = slots.shape[1], levels
    forward, years, vol, moneyness, fair, error = columns
    age_slices_plain(params, fitted_years, slots)
    level_errors_plain(
        params[:n], fitted_years[:n], rmse[:n], covariance, wander[:n], unseen_years, quote_error, level, level_error
    )
    map_factors_plain(tenor_years, slots[1], factor_map)
    spread_slots_plain(walk, first, run_slot, strike, slots, forward, years, vol, moneyness)
    black_plain.price_full(forward, strike, vol, years, sign, greeks)
    fair[:] = greeks[0] / forward
    error[walk] = level_error[np.repeat(run_slot, np.diff(first))]


@kernel(
    Arg.IN,
    Arg.IN_2D,
    *[Arg.IN] * 2,
    Arg.IN_2D,
    Arg.IN,
    *[Arg.FLOAT] * 2,
    *[Arg.IN_INT] * 3,
    *[Arg.IN] * 2,
    *[Arg.OUT_2D] * 5,
    plain=revalue_plain,
)
def revalue(
    tenor_years: Floats,
    params: Floats,
    fitted_years: Floats,
    rmse: Floats,
    covariance: Floats,
    wander: Floats,
    unseen_years: float,
    quote_error: float,
    walk: Ints,
    first: Ints,
    run_slot: Ints,
    strike: Floats,
    sign: Floats,
    slots: Floats,
    levels: Floats,
    factor_map: Floats,
    columns: Floats,
    greeks: Floats,
) -> None:
    """Fill a chain's values from the forwards and the years left of its expiries, and their slices as fitted.

    Shapes      slots (7, slots), rows `chain.SLOT_ROWS`, of which forwards and years are given and the rest is filled;
                levels (2, slots): at-the-money vol and its error; columns (len(COLUMNS), n); greeks (11, n), rows
                `black.FULL_ROWS`; what slices are of (params, fitted_years, rmse, covariance, wander) may hold more
                slots; else as in the kernels that it is made of
    Units       fair in coin, the price over the forward; vol_error in vol, the error of the expiry's level
    """
    age_slices(params, fitted_years, slots)
    level_errors(params, fitted_years, rmse, covariance, wander, unseen_years, quote_error, levels[0], levels[1])
    map_factors(tenor_years, slots[1], factor_map)
    forward, years, vol, fair, error = columns[0], columns[1], columns[2], columns[4], columns[5]
    spread_slots(walk, first, run_slot, strike, slots, forward, years, vol, columns[3])
    price_full(forward, strike, vol, years, sign, greeks)
    price = greeks[0]
    for i in range(forward.size):
        fair[i] = price[i] / forward[i]
    for r in range(run_slot.size):
        of_slot = levels[1, run_slot[r]]
        for n in range(first[r], first[r + 1]):
            error[walk[n]] = of_slot
