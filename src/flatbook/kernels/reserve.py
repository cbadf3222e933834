"""Room for the worst that our quotes may do: what all of them could fill at once stays inside every bound.

A quote that was replaced may still fill until the venue acknowledges what replaced it, and so may the one on its way;
so what may fill on a side is every version that is not yet known to be gone. On each axis the worst is the sum of all
fills that push it one way and none that push it back; or, where the venue itself stops our quotes after so many
contracts, that many of the heaviest.
"""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, compiled, inlined, kernel
from flatbook.kernels.reserve_plain import SLOT_AXES, reserve_plain
from flatbook.kernels.reserve_position import bound_positions, near_position
from flatbook.kernels.worst_fill import at_most, bound_of, heaviest, push_of, worst_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int8]


@compiled
def _load(standing: Floats, changed: Codes, wanted: Ints, lot: Floats, coin: Floats) -> None:
    """What may fill: what stands, and of rows that change what is wanted as well."""
    for s in range(2):
        for i in range(lot.size):
            coin[s, i] = standing[s, i] + changed[i] * wanted[s, i] * lot[i]


@compiled
def _fits_without(
    count: int, ranked: Ints, kept: Ints, push: Floats, heavy: Ints, base: Floats, coin: Floats, left: float,
    through: float, lot: Floats, wanted: Ints,
) -> bool:  # fmt: skip
    """Whether it fits with the first `count` of `ranked` dropped; `wanted` and `coin` are left so."""
    n = lot.size
    for k in range(ranked.size):
        s, i = ranked[k] // n, ranked[k] % n
        wanted[s, i] = 0 if k < count else kept[k]
        coin[s, i] = base[s, i] + wanted[s, i] * lot[i]
    return heaviest(push, heavy, coin, through) <= left


@compiled
def _drop(
    ranked: Ints, push: Floats, heavy: Ints, base: Floats, coin: Floats, left: float, through: float, lot: Floats,
    wanted: Ints, shrinks: bool,
) -> int:  # fmt: skip
    """Drop the fewest of `ranked`, from its first, that make it fit; the last of them only shrinks where it may."""
    n = lot.size
    kept = np.empty(ranked.size, np.int64)
    for k in range(ranked.size):
        kept[k] = wanted[ranked[k] // n, ranked[k] % n]
    low, high = 0, ranked.size
    while low < high:
        middle = (low + high) // 2
        if _fits_without(middle, ranked, kept, push, heavy, base, coin, left, through, lot, wanted):
            high = middle
        else:
            low = middle + 1
    fits = _fits_without(low, ranked, kept, push, heavy, base, coin, left, through, lot, wanted)
    if not (shrinks and fits and low > 0):
        return low
    s, i = ranked[low - 1] // n, ranked[low - 1] % n
    few, many = 0, kept[low - 1]
    while few < many:
        lots = (few + many + 1) // 2
        coin[s, i] = base[s, i] + lots * lot[i]
        if heaviest(push, heavy, coin, through) <= left:
            few = lots
        else:
            many = lots - 1
    wanted[s, i] = few
    coin[s, i] = base[s, i] + few * lot[i]
    return low


@compiled
def _fit(
    push: Floats, standing: Floats, changed: Codes, left: float, through: float, worth: Floats, lot: Floats,
    wanted: Ints, coin: Floats,
) -> int:  # fmt: skip
    """Make the worst of one axis fit by dropping what is worth least for its push; says how many sides gave way.

    Sides that would go out anew give way first, down to nothing. Where what stands is too much all the same, as after a
    move of the market, rows that would have stayed are pulled whole, until what is left once that is known will fit.
    """
    if worst_of(push, coin, through) <= left:
        return 0
    n, heavy = lot.size, np.argsort(-push)
    ratio = np.empty(2 * n)
    for at in range(2 * n):
        ratio[at] = worth[at % n] / max(push[at], 1e-300)
    order = np.argsort(ratio, kind="mergesort")
    fresh, old = np.empty(2 * n, np.int64), np.empty(2 * n, np.int64)
    freshes, olds = 0, 0
    for at in order:
        s, i = at // n, at % n
        if push[at] > 0.0 and wanted[s, i] > 0:
            if changed[i]:
                fresh[freshes] = at
                freshes += 1
            else:
                old[olds] = at
                olds += 1
    touched = _drop(fresh[:freshes], push, heavy, standing, coin, left, through, lot, wanted, True)
    if heaviest(push, heavy, coin, through) <= left:
        return touched
    nothing, later = np.zeros((2, n)), np.empty((2, n))
    _load(nothing, np.ones(n, np.int8), wanted, lot, later)
    pulled = _drop(old[:olds], push, heavy, nothing, later, left, through, lot, wanted, False)
    for k in range(pulled):
        wanted[0, old[k] % n] = 0
        wanted[1, old[k] % n] = 0
    return touched + pulled


@compiled
def _compare(told: Ints, unsure: Codes, grid: Ints, changed: Codes) -> None:
    for i in range(changed.size):
        same = (told[0, i] == grid[0, i]) & (told[1, i] == grid[1, i])
        same = same & (told[2, i] == grid[2, i]) & (told[3, i] == grid[3, i]) & (unsure[i] == 0)
        changed[i] = 0 if same else 1


@compiled
def _stand(told: Ints, loose: Ints, lot: Floats, standing: Floats) -> None:
    """Contracts of one side that may fill whatever is sent."""
    for i in range(lot.size):
        standing[i] = (told[i] + loose[i]) * lot[i]


@compiled
def _bound_slots(
    unit: Floats, reach: Floats, slot: Ints, slot_limit: Floats, held: Floats, standing: Floats, changed: Codes,
    through: float, worth: Floats, lot: Floats, wanted: Ints, coin: Floats, push: Floats,
) -> int:  # fmt: skip
    """The bounds by expiry; says how many sides gave way."""
    touched, slots = 0, slot_limit.shape[1]
    book, pushed, heaviest = np.zeros((SLOT_AXES, slots)), np.empty((2, slots)), np.empty((2, slots))
    for i in range(held.size):
        if held[i] != 0.0:
            for a in range(SLOT_AXES):
                book[a, slot[i]] += unit[a, i] * held[i]
    for a in range(SLOT_AXES):
        is_near = False
        for j in range(slots):
            is_near |= not at_most(through, reach[a]) <= slot_limit[a, j] - abs(book[a, j])
        if not is_near:
            continue
        pushed[:] = 0.0
        heaviest[:] = 0.0
        for i in range(held.size):
            u = unit[a, i]
            for d in range(2):
                side = d if u > 0.0 else 1 - d
                if coin[side, i] > 0.0:
                    pushed[d, slot[i]] += abs(u) * coin[side, i]
                    heaviest[d, slot[i]] = max(heaviest[d, slot[i]], abs(u))
        for j in range(slots):
            for d in range(2):
                sign = 1.0 - 2.0 * d
                left = slot_limit[a, j] - sign * book[a, j]
                if not (pushed[d, j] <= left or at_most(through, heaviest[d, j]) <= left):
                    push_of(unit[a], sign, slot, j, push)
                    touched += _fit(push, standing, changed, left, through, worth, lot, wanted, coin)
    return touched


@compiled
def _bound_axes(
    unit: Floats, reach: Floats, room: Floats, slot: Ints, standing: Floats, changed: Codes, through: float,
    worth: Floats, lot: Floats, wanted: Ints, coin: Floats, push: Floats, gives_way: bool, worst: Floats,
    refused: Ints,
) -> None:  # fmt: skip
    """Fill the worst of each axis each way; where it `gives_way`, sides do until it fits."""
    n = lot.size
    for a in range(unit.shape[0]):
        for d in range(2):
            sign = 1.0 - 2.0 * d
            worst[d, a] = bound_of(unit[a, :n], sign, reach[a], coin, room[d, a], through)
            if not worst[d, a] <= room[d, a]:
                push_of(unit[a], sign, slot, -1, push)
                worst[d, a] = worst_of(push, coin, through)
            if gives_way and not worst[d, a] <= room[d, a]:
                refused[a] += _fit(push, standing, changed, room[d, a], through, worth, lot, wanted, coin)


@compiled
def _bound_margin(
    cost: Floats, room: float, standing: Floats, changed: Codes, through: float, worth: Floats, lot: Floats,
    wanted: Ints, coin: Floats,
) -> int:  # fmt: skip
    """What margin is asked for at most fits; says how many sides gave way."""
    if room == np.inf or worst_of(cost, coin, through) <= room:
        return 0
    return _fit(cost, standing, changed, room, through, worth, lot, wanted, coin)


@inlined
def _least_of(room: Floats, worst: Floats, least: Floats) -> None:
    """Keep in `least` what was left of each bound when it was least; what is not a number stays so."""
    for a in range(least.size):
        for d in range(2):
            left = room[d, a] - worst[d, a] if room[d, a] < np.inf else np.inf
            least[a] = least[a] if not (left < least[a] or np.isnan(left)) else left


@kernel(
    Arg.IN_2D,
    Arg.IN,
    Arg.IN_2D,
    Arg.IN,
    Arg.IN_INT,
    Arg.IN_2D,
    *[Arg.IN] * 3,
    Arg.BOOL,
    Arg.FLOAT,
    Arg.IN,
    *[Arg.IN_INT_2D] * 2,
    Arg.IN_CODE,
    Arg.OUT_INT_2D,
    Arg.OUT_2D,
    Arg.OUT,
    Arg.OUT_INT,
    plain=reserve_plain,
)
def reserve(
    unit: Floats,
    reach: Floats,
    room: Floats,
    cost: Floats,
    slot: Ints,
    slot_limit: Floats,
    lot: Floats,
    held: Floats,
    position: Floats,
    reduce_only: bool,
    through: float,
    worth: Floats,
    told: Ints,
    loose: Ints,
    unsure: Codes,
    grid: Ints,
    worst: Floats,
    least: Floats,
    refused: Ints,
) -> None:
    """Shrink and drop wanted sides of `grid` until the worst that may fill fits every bound; fill that in `worst`.

    Shapes      unit (axes, n) what a contract bought adds; reach (axes,) its largest magnitude; cost (2 n,) margin that
                a contract bought, then one sold, asks for; room (2, axes + 1) left up and down, negative beyond a
                bound, and of margin last, the same twice; slot_limit (SLOT_AXES, slots); worth (n,) of a contract's
                quote; told (4, rows) and grid (4, n): bid ticks, bid lots, ask ticks, ask lots; loose (2, rows) lots
                of earlier versions that may still fill; unsure (rows,); worst (2, axes + 1); least (axes + 1,) what was
                left of each bound when it was least, as of before and then of now as well; else (n,)
    Rule        rows that differ from what was told go out anew, so both versions count. Sides give way by `worth` per
                unit of what they push, least first. A position is bounded by row; where only reducing is allowed, no
                more than is held may fill. `through` bounds the contracts that can fill before the venue stops all
                quotes. What is not a number is within no bound
    Counts      refused (axes + 3,): sides that gave way, by axis, margin, then for the position, for an expiry's bound
    Gives       worst is exact beyond its bound, and an upper bound of itself within
    """
    n, axes = held.size, unit.shape[0]
    standing, coin, push = np.empty((2, n)), np.empty((2, n)), np.empty(2 * n)
    changed, wanted = np.empty(n, np.int8), np.empty((2, n), np.int64)
    _compare(told, unsure, grid, changed)
    if reduce_only:
        for i in range(n):
            opens = (grid[1, i] > 0) & (held[i] >= 0.0) | (grid[3, i] > 0) & (held[i] <= 0.0)
            changed[i] |= 1 if opens else 0
    is_near = reduce_only
    for s in range(2):
        _stand(told[2 * s + 1], loose[s], lot, standing[s])
        wanted[s] = grid[2 * s + 1]
        is_near |= near_position(1.0 - 2.0 * s, held, position, standing[s], changed, lot, wanted[s])
    before = refused.sum()
    if is_near:
        refused[axes + 1] += bound_positions(held, position, reduce_only, standing, changed, through, lot, wanted)
    _load(standing, changed, wanted, lot, coin)
    _bound_axes(
        unit, reach, room, slot, standing, changed, through, worth, lot, wanted, coin, push, True, worst, refused
    )
    refused[axes] += _bound_margin(cost, room[0, axes], standing, changed, through, worth, lot, wanted, coin)
    refused[axes + 2] += _bound_slots(
        unit, reach, slot, slot_limit, held, standing, changed, through, worth, lot, wanted, coin, push
    )
    gave_way = refused.sum() > before
    if gave_way:
        for s in range(2):
            for i in range(n):
                grid[2 * s + 1, i] = wanted[s, i]
                grid[2 * s, i] = 0 if wanted[s, i] == 0 else grid[2 * s, i]
        _bound_axes(
            unit, reach, room, slot, standing, changed, through, worth, lot, wanted, coin, push, False, worst, refused
        )
    worst[:, axes] = worst_of(cost, coin, through) if room[0, axes] < np.inf else 0.0
    _least_of(room, worst, least)
