"""What may fill of each row's own quotes, within the bound on its position."""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import compiled, inlined

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int8]


@compiled
def near_position(
    side: float, held: Floats, position: Floats, standing: Floats, changed: Codes, lot: Floats, wanted: Ints
) -> bool:  # fmt: skip
    """Whether any row of one side comes near its position's bound: nearly always none does, and this has no branch."""
    count = 0
    for i in range(lot.size):
        free = position[i] - side * held[i] - standing[i] - 1e-9
        adds = changed[i] * wanted[i] * lot[i]
        count += 0 if (adds <= free) | (wanted[i] == 0) else 1
    return count > 0


@inlined
def _cut(
    side: float, held: float, position: float, reduce_only: bool, standing: float, through: float, lot: float
) -> int:
    """Lots that may be added on a side for the position alone."""
    space = position - side * held
    if reduce_only:
        space = abs(held) if side * held < 0.0 else 0.0
    return int(max(np.floor((space - min(standing, through)) / lot + 1e-9), 0.0))


@inlined
def _pull_beyond(
    s: int, i: int, held: float, position: float, standing: float, changed: Codes, wanted: Ints
) -> int:  # fmt: skip
    """A side that stands beyond a position's bound, which may have come nearer, is pulled; says whether it was."""
    if changed[i] or wanted[s, i] == 0 or standing <= position - (1.0 - 2.0 * s) * held + 1e-9:
        return 0
    wanted[s, i] = 0
    changed[i] = 1
    return 1


@inlined
def bound_positions(
    held: Floats, position: Floats, reduce_only: bool, standing: Floats, changed: Codes, through: float, lot: Floats,
    wanted: Ints,
) -> int:  # fmt: skip
    """Every row's sides within its position's bound; says how many gave way."""
    touched = 0
    for s in range(2):
        side = 1.0 - 2.0 * s
        for i in range(lot.size):
            touched += _pull_beyond(s, i, held[i], position[i], standing[s, i], changed, wanted)
            free = position[i] - side * held[i] - standing[s, i]
            if changed[i] and (reduce_only or not wanted[s, i] * lot[i] <= free):
                lots = _cut(side, held[i], position[i], reduce_only, standing[s, i], through, lot[i])
                touched += 1 if lots < wanted[s, i] else 0
                wanted[s, i] = min(wanted[s, i], lots)
    return touched
