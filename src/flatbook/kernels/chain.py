"""A whole chain at once: from forwards and smiles by expiry to vols by row; and the factors that its risk is split by.

Rows are options, slots are expiries; `slot[i]` is row i's expiry. Raw SVI parameters are (a, b, rho, m, s) of total
variance in log-moneyness k = ln(K/F).

What a slot says is the same for all of its rows, so kernels walk the rows expiry by expiry, in the order of `walk`,
each expiry a run: `first[r]` to `first[r + 1]` of it belong to slot `run_slot[r]`. A gather of a slot's numbers row by
row takes three times as long. Where a run's rows are neighbours they are worked on in place, else picked and put back.
"""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, inlined, kernel
from flatbook.kernels.vector import log_ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TENORS = 3
"""Vega is bucketed by this many tenors; each has a level, a skew and a convexity factor."""

SPOT, SQUARED = 0, 1
LEVELS, SKEWS, CONVEXITIES = (slice(2 + kind, 2 + 3 * TENORS, 3) for kind in range(3))
BASIS, PREMIUM = 2 + 3 * TENORS, 3 + 3 * TENORS
FACTORS = 4 + 3 * TENORS
"""Log spot; its square; level, skew and convexity of the vols of the nearest tenor first; the annual carry rate of all
forwards; the log premium of the perpetual over the index, as far as its moves last."""

SLOT_ROWS = ("forward", "years", "a", "b", "rho", "m", "s")
"""Rows of a table of slots, in order."""


def open_slots_plain(index: float, basis: Floats, expiry_ns: Ints, now_ns: int, slots: Floats) -> None:
    """Plain twin of `open_slots`."""
    n = slots.shape[1]
    slots[0], slots[1] = index * np.exp(basis[:n]), (expiry_ns[:n] - now_ns) / _NS_PER_YEAR


_NS_PER_YEAR = 365 * 86_400 * 10**9


@kernel(Arg.FLOAT, Arg.IN, Arg.IN_INT, Arg.INT, Arg.OUT_2D, plain=open_slots_plain)
def open_slots(index: float, basis: Floats, expiry_ns: Ints, now_ns: int, slots: Floats) -> None:
    """Fill the forwards and the years left of a table of slots, from log bases over the index and expiry times.

    Shapes      basis, expiry_ns (>= slots,); slots (7, slots), rows SLOT_ROWS
    Units       index and forwards USD; times ns; years of 365 days, negative once past
    """
    for j in range(slots.shape[1]):
        slots[0, j] = index * math.exp(basis[j])
        slots[1, j] = (expiry_ns[j] - now_ns) / _NS_PER_YEAR


def age_slices_plain(params: Floats, fitted_years: Floats, slots: Floats) -> None:
    """Plain twin of `age_slices`."""
    n = slots.shape[1]
    slots[2:] = params[:n].T
    slots[2:4] *= np.maximum(slots[1], 0.0) / np.maximum(fitted_years[:n], _LEAST_YEARS)


_LEAST_YEARS = 1e-12


@kernel(Arg.IN_2D, Arg.IN, Arg.OUT_2D, plain=age_slices_plain)
def age_slices(params: Floats, fitted_years: Floats, slots: Floats) -> None:
    """Fill the smiles of a table of slots: slices as fitted so many years before expiry, on the time that is left.

    Shapes      params (>= slots, 5) raw SVI; fitted_years (>= slots,); slots (7, slots), rows SLOT_ROWS, years given
    Domain      an expired slice is scaled to nothing; one that is NaN stays so
    """
    for j in range(slots.shape[1]):
        left = max(slots[1, j], 0.0) / max(fitted_years[j], _LEAST_YEARS)
        slots[2, j], slots[3, j] = params[j, 0] * left, params[j, 1] * left
        for p in range(2, 5):
            slots[2 + p, j] = params[j, p]


def spread_slots_plain(
    walk: Ints,
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
    k = np.log(strike[walk] / forward_)
    forward[walk], years[walk] = forward_, np.maximum(years_, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + s * s))
        vol[walk] = np.where(years_ > 0, np.sqrt(np.maximum(variance, 0.0) / years_), 0.0)
        moneyness[walk] = np.where(variance > 0, k / np.sqrt(variance), 0.0)


@inlined
def _spread_run(slots: Floats, j: int, strike: Floats, vol: Floats, moneyness: Floats) -> None:
    """Vols and moneyness of rows of one expiry: its numbers stay put, so the loop vectorises."""
    f, t = slots[0, j], slots[1, j]
    a, b, rho, m, s = slots[2, j], slots[3, j], slots[4, j], slots[5, j], slots[6, j]
    per_root_year = 1.0 / math.sqrt(t) if t > 0.0 else 0.0
    for i in range(strike.size):
        k = log_ratio(strike[i], f)
        x = k - m
        w = a + b * (rho * x + math.sqrt(x * x + s * s))
        v = math.sqrt(0.0 if w < 0.0 else w)
        vol[i] = v * per_root_year
        moneyness[i] = k / v if w > 0.0 else 0.0
    if t <= 0.0:
        vol[:] = 0.0


@kernel(*[Arg.IN_INT] * 3, Arg.IN, Arg.IN_2D, *[Arg.OUT] * 4, plain=spread_slots_plain)
def spread_slots(
    walk: Ints,
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

    Shapes      walk (n,); first (runs + 1,); run_slot (runs,); slots (7, slots), rows SLOT_ROWS; else (n,)
    Domain      an expired slot (years <= 0) gets zero years and zero vol; an unfitted one (NaN parameters) NaN vol
    """
    picked = np.empty((3, walk.size))
    for r in range(run_slot.size):
        j, start, end = run_slot[r], first[r], first[r + 1]
        rows, low = walk[start:end], walk[start]
        high = low + rows.size
        if rows[rows.size - 1] == high - 1:
            _spread_run(slots, j, strike[low:high], vol[low:high], moneyness[low:high])
            forward[low:high] = slots[0, j]
            years[low:high] = max(slots[1, j], 0.0)
            continue
        for i in range(rows.size):
            picked[0, i] = strike[rows[i]]
        _spread_run(slots, j, picked[0, : rows.size], picked[1, : rows.size], picked[2, : rows.size])
        for i in range(rows.size):
            forward[rows[i]] = slots[0, j]
            years[rows[i]] = max(slots[1, j], 0.0)
            vol[rows[i]] = picked[1, i]
            moneyness[rows[i]] = picked[2, i]
