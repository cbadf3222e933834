"""The table of resting quotes as it becomes when a venue is told new ones, row by row in one pass."""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, kernel

Ints = NDArray[np.int64]
Codes = NDArray[np.int8]


def tell_rows_plain(
    rows: Ints, wanted: Ints, grid: Ints, loose: Ints, lost: Ints, unsure: Codes, replaced: Ints, told: Ints
) -> None:
    """Plain twin of `tell_rows`."""
    rested = grid[1::2, rows]
    loose[:, rows] += rested
    replaced[:] = rested + lost[:, rows]
    lost[:, rows] = 0
    told[:] = wanted[:, rows]
    grid[:, rows] = told
    unsure[rows] = 0


@kernel(Arg.IN_INT, Arg.IN_INT_2D, *[Arg.OUT_INT_2D] * 3, Arg.OUT_CODE, *[Arg.OUT_INT_2D] * 2, plain=tell_rows_plain)
def tell_rows(
    rows: Ints, wanted: Ints, grid: Ints, loose: Ints, lost: Ints, unsure: Codes, replaced: Ints, told: Ints
) -> None:
    """Put the wanted quotes of `rows` into `grid`; what rested there may still fill.

    Shapes      rows (m,), each once; wanted and grid (4, >= rows): bid ticks, bid lots, ask ticks, ask lots; loose and
                lost (2, >= rows) lots, bids and asks; unsure (>= rows,); replaced (2, m) and told (4, m) are filled
    Fills       `replaced` with the lots that the venue's acknowledgement will end, those lost before among them; `told`
                with the columns that are told; `lost` and `unsure` are cleared
    """
    for k in range(rows.size):
        i = rows[k]
        for s in range(2):
            rested = grid[2 * s + 1, i]
            loose[s, i] += rested
            replaced[s, k] = rested + lost[s, i]
            lost[s, i] = 0
        for side in range(4):
            told[side, k] = wanted[side, i]
            grid[side, i] = wanted[side, i]
        unsure[i] = 0
