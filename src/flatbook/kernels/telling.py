"""The table of resting quotes as it becomes when a venue is told new ones, row by row in one pass."""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, kernel

Floats = NDArray[np.float64]
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


def settle_rows_plain(rows: Ints, lots: Ints, loose: Ints, filled: Ints) -> None:
    """Plain twin of `settle_rows`."""
    already = np.minimum(filled[:, rows], lots)
    filled[:, rows] -= already
    loose[:, rows] -= lots - already


@kernel(*[Arg.IN_INT], Arg.IN_INT_2D, *[Arg.OUT_INT_2D] * 2, plain=settle_rows_plain)
def settle_rows(rows: Ints, lots: Ints, loose: Ints, filled: Ints) -> None:
    """Take off `loose` what a message replaced on `rows`, less what of it was filled meanwhile, which is gone already.

    Shapes      rows (m,), each once; lots (2, m) replaced, bids and asks; loose and filled (2, >= rows)
    """
    for k in range(rows.size):
        i = rows[k]
        for s in range(2):
            already = min(filled[s, i], lots[s, k])
            filled[s, i] -= already
            loose[s, i] -= lots[s, k] - already


def keep_told_plain(rows: Ints, fair: Floats, bid: Floats, ask: Floats, kept: Floats) -> None:
    """Plain twin of `keep_told`."""
    kept[0, rows], kept[1, rows], kept[2, rows] = fair[rows], -bid[rows], ask[rows]


@kernel(Arg.IN_INT, *[Arg.IN] * 3, Arg.OUT_2D, plain=keep_told_plain)
def keep_told(rows: Ints, fair: Floats, bid: Floats, ask: Floats, kept: Floats) -> None:
    """Keep of the quotes told of `rows` (m,) what they were made of in `kept` (3, >= rows), the rest as it was.

    Fills       fair value, then what inventory added to the price of each side: `bid` (n,) was taken off, `ask` put on
    """
    for k in range(rows.size):
        i = rows[k]
        kept[0, i], kept[1, i], kept[2, i] = fair[i], -bid[i], ask[i]
