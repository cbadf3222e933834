"""Which quotes may go out: every row and side against every bound, in one pass."""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REFUSALS = ("price_band", "order_size", "position", "delta", "gamma", "vega", "reduce_only")
"""Why a side was dropped; entries of `gate_quotes`'s count, in order."""


def gate_quotes_plain(
    price_band: Floats,
    fair: Floats,
    tick: Floats,
    unit: Floats,
    book: Floats,
    bound: Floats,
    held: Floats,
    lot: Floats,
    reduce_only: bool,
    bid_ticks: Ints,
    ask_ticks: Ints,
    bid_lots: Ints,
    ask_lots: Ints,
    refused: Ints,
) -> None:
    """Plain twin of `gate_quotes`."""
    for side, ticks, lots in ((1.0, bid_ticks, bid_lots), (-1.0, ask_ticks, ask_lots)):
        live = lots > 0
        if reduce_only:
            room = np.where(side * held < 0, np.floor(np.abs(held) / lot + 0.5), 0).astype(np.int64)
            lots[:] = np.where(room > 0, np.minimum(lots, room), lots)
        size = lots * lot
        after = held + side * size
        checks = [
            np.abs(ticks * tick - fair) <= price_band,
            size <= bound[0],
            (np.abs(after) <= bound[1]) | (np.abs(after) <= np.abs(held)),
        ]
        for factor in range(3):
            moved = book[factor] + side * size * unit[factor]
            checks.append((np.abs(moved) <= bound[2 + factor]) | (np.abs(moved) <= abs(book[factor])))
        checks.append(np.abs(after) <= np.abs(held) - 0.5 * lot if reduce_only else np.ones(len(held), np.bool_))
        for reason, holds in enumerate(checks):
            refused[reason] += int((live & ~holds).sum())
            live = live & holds
        lots[:] = np.where(live, lots, 0)


@kernel(
    *[Arg.IN] * 3,
    Arg.IN_2D,
    *[Arg.IN] * 4,
    Arg.BOOL,
    *[Arg.IN_INT] * 2,
    *[Arg.OUT_INT] * 3,
    plain=gate_quotes_plain,
)
def gate_quotes(
    price_band: Floats,
    fair: Floats,
    tick: Floats,
    unit: Floats,
    book: Floats,
    bound: Floats,
    held: Floats,
    lot: Floats,
    reduce_only: bool,
    bid_ticks: Ints,
    ask_ticks: Ints,
    bid_lots: Ints,
    ask_lots: Ints,
    refused: Ints,
) -> None:
    """Zero the lots of every side that may not go out, and count why in `refused` (len(REFUSALS),).

    Shapes      unit (3, n): delta, gamma, vega per contract; book (3,): the same of the book; bound (5,): order size,
                position, then delta, gamma, vega; else (n,)
    Units       price_band, fair coin; sizes and held contracts; unit, book and bound of each kind in one currency
    Rule        a bound refuses what would end beyond it, unless it ends no farther than it began. What is not a number
                is within no bound. Where only reducing is allowed a closing side is cut to what is held
    """
    for i in range(fair.size):
        for s in range(2):
            lots = bid_lots[i] if s == 0 else ask_lots[i]
            if lots == 0:
                continue
            side = 1.0 if s == 0 else -1.0
            room = math.floor(abs(held[i]) / lot[i] + 0.5) if side * held[i] < 0.0 else 0
            if reduce_only and 0 < room < lots:
                lots = room
                if s == 0:
                    bid_lots[i] = room
                else:
                    ask_lots[i] = room
            ticks = bid_ticks[i] if s == 0 else ask_ticks[i]
            size = lots * lot[i]
            after = held[i] + side * size
            reason = -1
            if not abs(ticks * tick[i] - fair[i]) <= price_band[i]:
                reason = 0
            elif not size <= bound[0]:
                reason = 1
            elif not (abs(after) <= bound[1] or abs(after) <= abs(held[i])):
                reason = 2
            else:
                for f in range(3):
                    moved = book[f] + side * size * unit[f, i]
                    if not (abs(moved) <= bound[2 + f] or abs(moved) <= abs(book[f])):
                        reason = 3 + f
                        break
                if reason < 0 and reduce_only and not abs(after) <= abs(held[i]) - 0.5 * lot[i]:
                    reason = 6
            if reason >= 0:
                refused[reason] += 1
                if s == 0:
                    bid_lots[i] = 0
                else:
                    ask_lots[i] = 0
