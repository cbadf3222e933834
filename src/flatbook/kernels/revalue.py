"""A chain's values in one call: smiles as of now, then vols, prices, Greeks and what is not known of them, by row.

The steps are kernels of their own; together they are called once, for a call from Python costs as much as some of them.
"""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import black_plain
from flatbook.kernels.black import price_chain
from flatbook.kernels.chain import (
    age_slices,
    age_slices_plain,
    open_slots,
    open_slots_plain,
    spread_slots,
    spread_slots_plain,
)
from flatbook.kernels.factors import map_factors, map_factors_plain
from flatbook.kernels.jit import Arg, kernel
from flatbook.kernels.levels import level_errors, level_errors_plain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COLUMNS = ("forward", "years", "vol", "moneyness", "fair_coin", "vol_error")
"""Rows of `revalue`'s table of a chain's columns, in order."""

OF_SLOTS = ("level", "level_error", "delivery", "fixed_share")
"""Rows of its table of what is said of each expiry, in order."""


def revalue_plain(
    tenor_years: Floats,
    index: float,
    basis: Floats,
    expiry_ns: Ints,
    now_ns: int,
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
    of_slots: Floats,
    factor_map: Floats,
    columns: Floats,
    greeks: Floats,
) -> None:
    """Plain twin of `revalue`."""
    n, (level, level_error, delivery, fixed_share) = slots.shape[1], of_slots
    forward, years, vol, moneyness, fair, error = columns
    open_slots_plain(index, basis, expiry_ns, now_ns, slots)
    age_slices_plain(params, fitted_years, slots)
    level_errors_plain(
        params[:n], fitted_years[:n], rmse[:n], covariance, wander[:n], unseen_years, quote_error, level, level_error
    )
    map_factors_plain(tenor_years, slots[1], factor_map)
    spread_slots_plain(walk, first, run_slot, strike, slots, forward, years, vol, moneyness)
    black_plain.price_chain(forward, strike, moneyness, vol, years, sign, fair, greeks)
    error[walk] = level_error[np.repeat(run_slot, np.diff(first))]
    delivery[:], fixed_share[:] = slots[0], 0.0


@kernel(
    Arg.IN,
    Arg.FLOAT,
    Arg.IN,
    Arg.IN_INT,
    Arg.INT,
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
    index: float,
    basis: Floats,
    expiry_ns: Ints,
    now_ns: int,
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
    of_slots: Floats,
    factor_map: Floats,
    columns: Floats,
    greeks: Floats,
) -> None:
    """Fill a chain's values from its index, and its expiries' bases over it and slices as fitted.

    Shapes      slots (7, slots), rows `chain.SLOT_ROWS`; of_slots (len(OF_SLOTS), slots): at-the-money vol and its
                error, the price at which a future is delivered, which is the forward, and what of it is fixed, which is
                nothing: settlement is not looked at; columns (len(COLUMNS), n); greeks (7, n), rows `black.CHAIN_ROWS`;
                what expiries and slices are of (basis, expiry_ns, params, fitted_years, rmse, covariance, wander) may
                hold more slots; else as in the kernels that it is made of
    Units       fair in coin, the price over the forward; vol_error in vol, the error of the expiry's level
    """
    open_slots(index, basis, expiry_ns, now_ns, slots)
    age_slices(params, fitted_years, slots)
    level_errors(params, fitted_years, rmse, covariance, wander, unseen_years, quote_error, of_slots[0], of_slots[1])
    map_factors(tenor_years, slots[1], factor_map)
    forward, years, vol, moneyness, fair, error = columns[0], columns[1], columns[2], columns[3], columns[4], columns[5]
    spread_slots(walk, first, run_slot, strike, slots, forward, years, vol, moneyness)
    price_chain(forward, strike, moneyness, vol, years, sign, fair, greeks)
    for j in range(slots.shape[1]):
        of_slots[2, j], of_slots[3, j] = slots[0, j], 0.0
    for r in range(run_slot.size):
        of_slot, low, high = of_slots[1, run_slot[r]], walk[first[r]], walk[first[r + 1] - 1] + 1
        if high - low == first[r + 1] - first[r]:
            error[low:high] = of_slot
            continue
        for n in range(first[r], first[r + 1]):
            error[walk[n]] = of_slot
