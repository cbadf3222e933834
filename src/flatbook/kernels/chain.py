"""A whole chain at once: from forwards and smiles by expiry to vols by row; and the factors that its risk is split by.

Rows are options, slots are expiries; `slot[i]` is row i's expiry. Raw SVI parameters are (a, b, rho, m, s) of total
variance in log-moneyness k = ln(K/F).

What a slot says is the same for all of its rows, so kernels walk the rows expiry by expiry, in the order of `order`,
each expiry a run: `first[r]` to `first[r + 1]` of it belong to slot `run_slot[r]`. A gather of a slot's numbers row by
row takes three times as long.
"""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, kernel
from flatbook.kernels.vector import log_ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TENORS = 3
"""Vega is bucketed by this many tenors; each has a level, a skew and a convexity factor."""

FACTORS = 2 + 3 * TENORS
"""Spot, squared spot, then level, skew and convexity of the nearest tenor first."""


SLOT_ROWS = ("forward", "years", "a", "b", "rho", "m", "s")
"""Rows of a table of slots, in order."""


def spread_slots_plain(
    order: Ints,
    first: Ints,
    run_slot: Ints,
    strike: Floats,
    slots: Floats,
    forward: Floats,
    years: Floats,
    vol: Floats,
    moneyness: Floats,
) -> None:
    """Plain twin of `spread_slots`."""
    forward_, years_, a, b, rho, m, s = slots[:, np.repeat(run_slot, np.diff(first))]
    k = np.log(strike / forward_)
    forward[order], years[order] = forward_, np.maximum(years_, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + s * s))
        vol[order] = np.where(years_ > 0, np.sqrt(np.maximum(variance, 0.0) / years_), 0.0)
        moneyness[order] = np.where(variance > 0, k / np.sqrt(variance), 0.0)


@kernel(*[Arg.IN_INT] * 3, Arg.IN, Arg.IN_2D, *[Arg.OUT] * 4, plain=spread_slots_plain)
def spread_slots(
    order: Ints,
    first: Ints,
    run_slot: Ints,
    strike: Floats,
    slots: Floats,
    forward: Floats,
    years: Floats,
    vol: Floats,
    moneyness: Floats,
) -> None:
    """Fill each row's forward (USD), years, vol and standardised moneyness k / sqrt(w) from its expiry's slot.

    Shapes      order (n,); first (runs + 1,); run_slot (runs,); strike (n,) in the order of `order`; slots (7, slots),
                rows SLOT_ROWS; outputs (n,)
    Domain      an expired slot (years <= 0) gets zero years and zero vol; an unfitted one (NaN parameters) NaN vol
    """
    walked = np.empty((2, order.size))
    for r in range(run_slot.size):
        j = run_slot[r]
        f, t = slots[0, j], max(slots[1, j], 0.0)
        a, b, rho, m, s = slots[2, j], slots[3, j], slots[4, j], slots[5, j], slots[6, j]
        per_year = 1.0 / t if t > 0.0 else 0.0
        strikes = strike[first[r] : first[r + 1]]
        vols, ratios = walked[0, first[r] : first[r + 1]], walked[1, first[r] : first[r + 1]]
        for i in range(strikes.size):
            k = log_ratio(strikes[i], f)
            x = k - m
            w = a + b * (rho * x + math.sqrt(x * x + s * s))
            vols[i] = math.sqrt((0.0 if w < 0.0 else w) * per_year)
            ratios[i] = k / math.sqrt(w) if w > 0.0 else 0.0
        if t == 0.0:
            vols[:] = 0.0
        for i in range(strikes.size):
            row = order[first[r] + i]
            forward[row] = f
            years[row] = t
            vol[row] = vols[i]
            moneyness[row] = ratios[i]
