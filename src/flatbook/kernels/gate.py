"""Which quotes may go out: every row and side against every bound.

Nearly all of them may, so a first pass without branches only finds the sides that some bound refuses; why is asked of
those alone.
"""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, inlined, kernel
from flatbook.kernels.vector import largest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REFUSALS = ("price_band", "order_size", "position", "delta", "gamma", "vega", "reduce_only")
"""Why a side was dropped; entries of `gate_quotes`'s count, in order."""


BOUNDS = ("band_vol", "band_coin", "order_coin", "position_coin", "delta_coin", "gamma_1pct_usd", "vega_usd")
"""Entries of `gate_quotes`'s `bounds`, in order."""

BOOK = ("delta_coin", "gamma_1pct_usd", "vega_usd")
"""Entries of its `book`, in order."""

_BAND_VOL, _BAND_COIN, _ORDER, _POSITION, _DELTA = range(5)


def gate_quotes_plain(
    index: float,
    bounds: Floats,
    book: Floats,
    reduce_only: bool,
    greeks: Floats,
    forward: Floats,
    tick: Floats,
    lot: Floats,
    held: Floats,
    grid: Ints,
    refused: Ints,
) -> None:
    """Plain twin of `gate_quotes`."""
    fair, vega = greeks[0] / forward, greeks[3] / forward
    unit = np.stack([greeks[1] - fair, greeks[2] * forward * index / 100, vega * index / 100])
    for side, ticks, lots in ((1.0, grid[0], grid[1]), (-1.0, grid[2], grid[3])):
        live = lots > 0
        if reduce_only:
            room = np.where(side * held < 0, np.floor(np.abs(held) / lot + 0.5), 0).astype(np.int64)
            lots[:] = np.where(room > 0, np.minimum(lots, room), lots)
        size = lots * lot
        after = held + side * size
        checks = [
            np.abs(ticks * tick - fair) <= bounds[_BAND_VOL] * vega + bounds[_BAND_COIN],
            size <= bounds[_ORDER],
            (np.abs(after) <= bounds[_POSITION]) | (np.abs(after) <= np.abs(held)),
        ]
        for factor in range(len(BOOK)):
            moved = book[factor] + side * size * unit[factor]
            checks.append((np.abs(moved) <= bounds[_DELTA + factor]) | (np.abs(moved) <= abs(book[factor])))
        checks.append(np.abs(after) <= np.abs(held) - 0.5 * lot if reduce_only else np.ones(len(held), np.bool_))
        for reason, holds in enumerate(checks):
            refused[reason] += int((live & ~holds).sum())
            live = live & holds
        lots[:] = np.where(live, lots, 0)
        ticks[:] = np.where(live, ticks, 0)


@inlined
def _refusal(
    side: float,
    price: float,
    size: float,
    lot: float,
    held: float,
    index: float,
    forward: float,
    value: float,
    delta: float,
    gamma: float,
    vega: float,
    bounds: Floats,
    book: Floats,
    reduce_only: bool,
) -> int:
    """The first bound that refuses a side, as a place in REFUSALS; -1 where none does. No branch, so it vectorises."""
    fair, vega_coin = value / forward, vega / forward
    after, traded = abs(held + side * size), side * size
    moved_delta = abs(book[0] + traded * (delta - fair))
    moved_gamma = abs(book[1] + traded * gamma * forward * index / 100)
    moved_vega = abs(book[2] + traded * vega_coin * index / 100)
    reason = -1
    reason = reason if (after <= abs(held) - 0.5 * lot) | (not reduce_only) else 6
    reason = reason if (moved_vega <= bounds[_DELTA + 2]) | (moved_vega <= abs(book[2])) else 5
    reason = reason if (moved_gamma <= bounds[_DELTA + 1]) | (moved_gamma <= abs(book[1])) else 4
    reason = reason if (moved_delta <= bounds[_DELTA]) | (moved_delta <= abs(book[0])) else 3
    reason = reason if (after <= bounds[_POSITION]) | (after <= abs(held)) else 2
    reason = reason if size <= bounds[_ORDER] else 1
    return reason if abs(price - fair) <= bounds[_BAND_VOL] * vega_coin + bounds[_BAND_COIN] else 0


@kernel(
    Arg.FLOAT,
    *[Arg.IN] * 2,
    Arg.BOOL,
    Arg.IN_2D,
    *[Arg.IN] * 4,
    Arg.OUT_INT_2D,
    Arg.OUT_INT,
    plain=gate_quotes_plain,
)
def gate_quotes(
    index: float,
    bounds: Floats,
    book: Floats,
    reduce_only: bool,
    greeks: Floats,
    forward: Floats,
    tick: Floats,
    lot: Floats,
    held: Floats,
    grid: Ints,
    refused: Ints,
) -> None:
    """Zero every side of `grid` that may not go out, and count why in `refused` (len(REFUSALS),).

    Shapes      grid (4, n): bid ticks, bid lots, ask ticks, ask lots; greeks (>= 4, n): price, delta, gamma, vega of
                Black in USD; bounds and book by BOUNDS and BOOK; else (n,)
    Units       prices in coin; held in contracts; the delta of a fill is net of the coin paid for it
    Rule        a bound refuses what would end beyond it, unless it ends no farther than it began. What is not a number
                is within no bound. Where only reducing is allowed a closing side is cut to what is held
    """
    reasons = np.empty(held.size, np.int64)
    for s in range(2):
        side = 1.0 - 2.0 * s
        ticks, lots = grid[2 * s], grid[2 * s + 1]
        if reduce_only:
            for i in range(held.size):
                room = int(np.floor(abs(held[i]) / lot[i] + 0.5)) if side * held[i] < 0.0 else 0
                lots[i] = min(lots[i], room) if room > 0 else lots[i]
        for i in range(held.size):
            reason = _refusal(
                side, ticks[i] * tick[i], lots[i] * lot[i], lot[i], held[i], index, forward[i],
                greeks[0, i], greeks[1, i], greeks[2, i], greeks[3, i], bounds, book, reduce_only,
            )  # fmt: skip
            reasons[i] = reason if lots[i] > 0 else -1
        for i in range(held.size):
            is_refused = reasons[i] >= 0
            ticks[i] = 0 if is_refused | (lots[i] == 0) else ticks[i]
            lots[i] = 0 if is_refused else lots[i]
            if is_refused:
                refused[reasons[i]] += 1


def largest_quote_plain(lot: Floats, grid: Ints) -> float:
    """Plain twin of `largest_quote`."""
    return float((np.maximum(grid[1], grid[3]) * lot).max(initial=0.0))


@kernel(Arg.IN, Arg.IN_INT_2D, plain=largest_quote_plain)
def largest_quote(lot: Floats, grid: Ints) -> float:
    """The most contracts that any side of `grid` (4, n) is for; lot (n,) contracts."""
    size = np.empty(lot.size)
    for i in range(lot.size):
        size[i] = max(grid[1, i], grid[3, i]) * lot[i]
    return float(largest(size))
