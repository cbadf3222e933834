"""The worst that fills may push one axis one way: exactly, and bounds on it that cost less.

A side is a row's bids (first half of `push`) or asks (second); `coin` (2, n) is what of each may fill.
"""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import compiled, inlined

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@compiled
def all_of(unit: Floats, sign: float, coin: Floats) -> float:
    """All that may fill and pushes that way."""
    total = 0.0
    for i in range(unit.size):
        u = sign * unit[i]
        total += (u if u > 0.0 else 0.0) * coin[0, i] + (-u if u < 0.0 else 0.0) * coin[1, i]
    return total


@compiled
def heaviest(push: Floats, heavy: Ints, coin: Floats, through: float) -> float:
    """The most that `through` contracts of what may fill push; sides in `heavy` are in the order of their push."""
    total, filled, n = 0.0, 0.0, coin.shape[1]
    for at in heavy:
        more = min(coin[at // n, at % n], through - filled)
        total += more * push[at]
        filled += more
        if filled >= through:
            break
    return total


_KEPT = 128
"""So many of the heaviest are kept in order as they come; of more, all are sorted."""


@compiled
def worst_of(push: Floats, coin: Floats, through: float) -> float:
    """As `heaviest`, of sides in any order: only those are put in order that could be among the heaviest."""
    n, total, filled, kept = coin.shape[1], 0.0, 0.0, 0
    if through == np.inf:
        for s in range(2):
            for i in range(n):
                total += push[s * n + i] * coin[s, i]
        return total
    weight, contracts = np.empty(_KEPT), np.empty(_KEPT)
    for at in range(2 * n):
        p = push[at]
        if not p > 0.0 or (filled >= through and p <= weight[kept - 1]):
            continue
        more = coin[at // n, at % n]
        if not more > 0.0:
            continue
        if kept == _KEPT:
            return heaviest(push, np.argsort(-push), coin, through)
        place = kept
        while place > 0 and weight[place - 1] < p:
            weight[place], contracts[place] = weight[place - 1], contracts[place - 1]
            place -= 1
        weight[place], contracts[place] = p, more
        kept, filled = kept + 1, filled + more
        while filled - contracts[kept - 1] >= through:
            kept -= 1
            filled -= contracts[kept]
    for k in range(kept):
        total += min(contracts[k], through) * weight[k]
        through -= min(contracts[k], through)
    return total


@compiled
def push_of(unit: Floats, sign: float, slot: Ints, here: int, push: Floats) -> None:
    """What a contract bought (first half) or sold (second) pushes that way; of one slot alone unless `here` is -1."""
    n = slot.size
    for i in range(n):
        u = sign * unit[i] if (here < 0) | (slot[i] == here) else 0.0
        push[i] = u if u > 0.0 else 0.0
        push[n + i] = -u if u < 0.0 else 0.0


@inlined
def at_most(through: float, reach: float) -> float:
    """What the contracts that can fill before the venue stops us may push at most."""
    return through * reach if reach > 0.0 else 0.0


@compiled
def largest_live(unit: Floats, sign: float, bids: Floats, asks: Floats) -> float:
    """The largest push of a side that may fill at all."""
    most = 0.0
    for i in range(unit.size):
        u = sign * unit[i]
        up, down = (u if bids[i] > 0.0 else 0.0), (-u if asks[i] > 0.0 else 0.0)
        here = up if up > down else down
        most = here if here > most else most
    return most


@compiled
def bound_of(
    unit: Floats, sign: float, reach: float, coin: Floats, room: float, through: float
) -> float:  # fmt: skip
    """The first of three bounds on what may be pushed that fits, from the cheapest on; else the last of them."""
    most = at_most(through, reach)
    if not most <= room:
        most = at_most(through, largest_live(unit, sign, coin[0], coin[1]))
    if not most <= room:
        most = all_of(unit, sign, coin)
    return most
