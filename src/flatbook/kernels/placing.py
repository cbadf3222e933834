"""A chain's quotes put on the grid: asks over intrinsic value, ticks outward, bids under their caps, whole lots."""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.caps import cap_bids, cap_bids_plain, floored_ask, may_be_capped
from flatbook.kernels.jit import Arg, kernel
from flatbook.kernels.quotes import (
    NO_ASK,
    lots_of,
    lower_bids,
    lower_bids_plain,
    outward,
    round_outward_plain,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def place_quotes_plain(
    size: float,
    bid: Floats,
    ask: Floats,
    fair: Floats,
    order: Ints,
    later: Ints,
    first: Ints,
    strike: Floats,
    sign: Floats,
    forward: Floats,
    tick: Floats,
    lot: Floats,
    above: Ints,
    coarse: Ints,
    grid: Ints,
) -> None:
    """Plain twin of `place_quotes`: its steps one by one, and every cap, whatever is bid."""
    n = len(bid)
    (bid_ticks, ask_ticks), cap = np.empty((2, n), np.int64), np.empty(n)
    floored = np.where(np.isnan(ask), ask, np.fmax(ask, sign * (1.0 - strike / forward)))
    round_outward_plain(bid, floored, tick, above, coarse, bid_ticks, ask_ticks)
    cap_bids_plain(order, later, first, strike, sign, forward, fair, tick, bid_ticks, ask_ticks, cap)
    lower_bids_plain(size, cap, tick, lot, above, coarse, bid_ticks, ask_ticks, grid)


@kernel(
    Arg.FLOAT,
    *[Arg.IN] * 3,
    *[Arg.IN_INT] * 3,
    *[Arg.IN] * 5,
    *[Arg.IN_INT] * 2,
    Arg.OUT_INT_2D,
    plain=place_quotes_plain,
)
def place_quotes(
    size: float,
    bid: Floats,
    ask: Floats,
    fair: Floats,
    order: Ints,
    later: Ints,
    first: Ints,
    strike: Floats,
    sign: Floats,
    forward: Floats,
    tick: Floats,
    lot: Floats,
    above: Ints,
    coarse: Ints,
    grid: Ints,
) -> None:
    """Fill the quote grid (4, n) as `lower_bids` from prices: asks lifted to intrinsic value, both sides rounded as
    `round_outward`, bids lowered to the caps of `cap_bids`.

    Shapes      order, later and first as in `cap_bids`; else (n,)
    Units       bid, ask and fair in coin, NaN where there is none; size and lot in contracts
    """
    n = bid.size
    is_near = 0
    for i in range(n):
        lifted = floored_ask(strike[i], sign[i], forward[i], ask[i])
        low, high = outward(bid[i], lifted, tick[i], float(above[i]), float(coarse[i]))
        has_bid, has_ask = (abs(bid[i]) < np.inf) & (low > 0.0), abs(lifted) < np.inf
        low, high, lots = (low if has_bid else 0.0), (high if has_ask else 0.0), lots_of(size, lot[i])
        grid[0, i], grid[1, i] = int(low), int(lots if has_bid else 0.0)
        grid[2, i], grid[3, i] = int(high), int(lots if has_ask else 0.0)
        is_over = may_be_capped(
            low * tick[i] - fair[i] if has_bid else -np.inf, high * tick[i] - fair[i] if has_ask else np.inf
        )
        is_near |= 1 if is_over else 0
    if is_near == 0:
        return
    bid_ticks, ask_ticks, cap = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
    for i in range(n):
        bid_ticks[i], ask_ticks[i] = grid[0, i], (grid[2, i] if grid[3, i] > 0 else NO_ASK)
    cap_bids(order, later, first, strike, sign, forward, fair, tick, bid_ticks, ask_ticks, cap)
    lower_bids(size, cap, tick, lot, above, coarse, bid_ticks, ask_ticks, grid)
