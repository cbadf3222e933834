"""What each number of a book may still move by: bounds less what the book is, and less what orders may add."""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.fill_units import LINEAR
from flatbook.kernels.jit import Arg, compiled, kernel

Floats = NDArray[np.float64]

_VANNA, _VOLGA, _CONTRACTS = (LINEAR.index(name) for name in ("vanna", "volga", "contracts"))
_KNOWN = len(LINEAR)


def leave_room_plain(
    bound: Floats, book: Floats, unit: Floats, held: Floats, scenario: Floats, stress: float, through: float,
    margin: float, orders: Floats, sums: Floats, room: Floats,
) -> None:  # fmt: skip
    """Plain twin of `leave_room`."""
    known = unit[:, : len(held)]
    sums[:] = known[_VANNA] @ held, known[_VOLGA] @ held, np.abs(held).sum()
    now = np.concatenate([book, sums[:2]])
    room[0, :_CONTRACTS], room[1, :_CONTRACTS] = bound[:_CONTRACTS] - now, bound[:_CONTRACTS] + now
    left = bound[_CONTRACTS] - sums[2]
    room[:, _CONTRACTS] = np.inf if left < 0 else left if through <= left else 0.5 * left
    room[0, _KNOWN:], room[1, _KNOWN:-1], room[1, -1] = np.inf, scenario + stress, margin
    room[0, -1] = margin
    room -= orders


@compiled
def _sum_of(values: Floats, weight: Floats) -> float:
    total = 0.0
    for i in range(weight.size):
        total += values[i] * weight[i]
    return total


@compiled
def _gross(held: Floats) -> float:
    total = 0.0
    for i in range(held.size):
        total += abs(held[i])
    return total


@kernel(
    *[Arg.IN] * 2,
    Arg.IN_2D,
    *[Arg.IN] * 2,
    *[Arg.FLOAT] * 3,
    Arg.IN_2D,
    Arg.OUT,
    Arg.OUT_2D,
    plain=leave_room_plain,
)
def leave_room(
    bound: Floats, book: Floats, unit: Floats, held: Floats, scenario: Floats, stress: float, through: float,
    margin: float, orders: Floats, sums: Floats, room: Floats,
) -> None:  # fmt: skip
    """Fill `room` with what may be added to each axis, up and down, and `sums` with the book's vanna, volga and gross.

    Shapes      bound (len(LINEAR),); book (6,) what the book is on the first of them; unit (axes, >= n) as
                `fill_units`; held (n,) contracts, signed; scenario (scenarios,) the book's P&L under each, bounded
                below by -stress; orders (2, axes + 1) what they may add; room (2, axes + 1), margin last, with
                axes = len(LINEAR) + scenarios
    Rule        bids, and asks, may each add all that is left of the gross bound where no more than `through` can fill
                at once and that fits, else half of it; a book beyond it has no room to measure, it only reduces
    """
    n = held.size
    sums[0], sums[1] = _sum_of(unit[_VANNA, :n], held), _sum_of(unit[_VOLGA, :n], held)
    sums[2] = _gross(held)
    for a in range(_CONTRACTS):
        now = book[a] if a < _VANNA else sums[a - _VANNA]
        room[0, a], room[1, a] = bound[a] - now, bound[a] + now
    left = bound[_CONTRACTS] - sums[2]
    either = np.inf if left < 0.0 else (left if through <= left else 0.5 * left)
    room[0, _CONTRACTS], room[1, _CONTRACTS] = either, either
    for k in range(scenario.size):
        room[0, _KNOWN + k], room[1, _KNOWN + k] = np.inf, scenario[k] + stress
    last = room.shape[1] - 1
    room[0, last], room[1, last] = margin, margin
    for d in range(2):
        for a in range(room.shape[1]):
            room[d, a] -= orders[d, a]
