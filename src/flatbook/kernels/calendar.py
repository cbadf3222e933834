"""Calendar order: total variance at a log-moneyness must not fall from one expiry to the next."""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, inlined, kernel
from flatbook.kernels.svi import durrleman, total_variance
from flatbook.kernels.svi_plain import calendar_gap, durrleman_min

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POINTS = 49
"""Points between ±reach at which two slices are compared."""

MOST_LOWERED = 0.05
"""A slice is lowered by no more than this share of its variance at the money: a wing's crossing is not its level's."""

_MARGIN = 1.001
"""A slice is moved by this much more than the gap found, so that rounding leaves none."""


def order_slices_plain(
    order: Ints, left: Floats, doubt: Floats, deviations: float, params: Floats, drift: Floats
) -> None:
    """Plain twin of `order_slices`."""

    def variance(slot: int, k: float) -> float:
        a, b, rho, m, s = params[slot]
        return float(a + b * (rho * (k - m) + math.sqrt((k - m) ** 2 + s * s)))

    def reach_and_gap(near: int, far: int) -> tuple[float, float]:
        reach = deviations * math.sqrt(variance(near, 0.0) * left[near])
        remaining = [params[slot] * np.array([left[slot], left[slot], 1, 1, 1]) for slot in (near, far)]
        return reach, calendar_gap(remaining[0], remaining[1], -reach, reach, POINTS)

    def move(slot: int, by: float) -> None:
        before = variance(slot, 0.0)
        params[slot, 0] += by
        drift[slot] += 0.5 * math.log(variance(slot, 0.0) / before)

    pairs = list(pairwise(order))
    for near, far in reversed(pairs):
        reach, gap = reach_and_gap(near, far)
        if gap < 0 and doubt[near] > doubt[far] and -gap < MOST_LOWERED * variance(near, 0.0) * left[near]:
            lowered = params[near] * np.array([left[near], left[near], 1, 1, 1])
            lowered[0] += _MARGIN * gap
            a, b, rho, _, s = lowered
            if a + b * s * math.sqrt(1 - rho * rho) > 0 and durrleman_min(lowered, -reach, reach, POINTS) >= 0:
                move(near, _MARGIN * gap / left[near])
    for near, far in pairs:
        _, gap = reach_and_gap(near, far)
        if gap < 0:
            move(far, -_MARGIN * gap / left[far])


@inlined
def _gap(params: Floats, left: Floats, near: int, far: int, reach: float) -> float:
    least = math.inf
    for i in range(POINTS):
        k = reach * (2.0 * i / (POINTS - 1) - 1.0)
        gap = left[far] * total_variance(params[far], k) - left[near] * total_variance(params[near], k)
        if not gap >= least:
            least = gap
    return least


@inlined
def _may_lower(params: Floats, left: float, by: float, reach: float) -> bool:
    """Whether a slice keeps its level, positive and free of butterflies, when its remaining variance falls by `by`."""
    if not by < _MARGIN * MOST_LOWERED * left * total_variance(params, 0.0):
        return False
    a, b, rho, m, s = left * params[0] - by, left * params[1], params[2], params[3], params[4]
    if not a + b * s * math.sqrt(1.0 - rho * rho) > 0.0:
        return False
    for i in range(POINTS):
        k = reach * (2.0 * i / (POINTS - 1) - 1.0)
        y = k - m
        radius = math.sqrt(y * y + s * s)
        w = a + b * (rho * y + radius)
        if not durrleman(w, b * (rho + y / radius), b * s * s / (radius * radius * radius), k) >= 0.0:
            return False
    return True


@inlined
def _move(params: Floats, drift: Floats, slot: int, by: float) -> None:
    before = total_variance(params[slot], 0.0)
    params[slot, 0] += by
    drift[slot] += 0.5 * math.log(total_variance(params[slot], 0.0) / before)


@kernel(Arg.IN_INT, Arg.IN, Arg.IN, Arg.FLOAT, Arg.OUT_2D, Arg.OUT, plain=order_slices_plain)
def order_slices(order: Ints, left: Floats, doubt: Floats, deviations: float, params: Floats, drift: Floats) -> None:
    """Move slices in parallel until the total variance that remains rises from each expiry to the next.

    Where two cross, the nearer is lowered if it is known less well, a little is enough, and it stays free of
    butterflies; whatever crosses then is ended by lifting the farther. So the order holds on every point compared.

    Shapes      order (m,) slots by expiry, those with a slice; params (slots, 5) raw SVI; left (slots,) the share of
                each slice's variance that remains; doubt (slots,) variance of each's log vol; drift (slots,)
    Units       `deviations` of log-moneyness at the nearer slice's level are compared; `drift` adds up log vol moves
    """
    for n in range(order.size - 1, 0, -1):
        near, far = order[n - 1], order[n]
        reach = deviations * math.sqrt(total_variance(params[near], 0.0) * left[near])
        gap = _gap(params, left, near, far, reach)
        if gap < 0.0 and doubt[near] > doubt[far] and _may_lower(params[near], left[near], -_MARGIN * gap, reach):
            _move(params, drift, near, _MARGIN * gap / left[near])
    for n in range(1, order.size):
        near, far = order[n - 1], order[n]
        reach = deviations * math.sqrt(total_variance(params[near], 0.0) * left[near])
        gap = _gap(params, left, near, far, reach)
        if gap < 0.0:
            _move(params, drift, far, -_MARGIN * gap / left[far])
