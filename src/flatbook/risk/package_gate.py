"""The gate for packages: what a quote for one may do to the book, beside everything else that may fill.

One side of an answer can trade, so on each axis of the reservation it counts by the worse of its sides. Quotes give way
to answers that stand, as they do to orders; a new answer goes out only into the room that all that rests now leaves.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.gate import BookRisk, Gate
from flatbook.risk.loss_stop import Stage

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PackageRisk:
    """What buying the whole of a package adds, all packages of it.

    Shapes      size_coin, held_coin, resting_coin (n,) contracts of each option leg, signed; held before; and what our
                quotes in it could add on either side
                bound_coin (n,) on what is held of each; None where nothing is known but the policy's
                axes (axes,) as of `Reservation.added`
    """

    size_coin: Floats
    held_coin: Floats
    resting_coin: Floats
    axes: Floats
    bound_coin: Floats | None = None

    def of_side(self, side: int) -> "PackageRisk":
        """What selling it adds, where `side` is -1."""
        return self if side > 0 else replace(self, size_coin=-self.size_coin, axes=-self.axes)


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """What is left on each axis, up and down, (2, axes): `worst` of quotes and of answers, and what it may be."""

    worst: Floats
    room: Floats


def worst_of(answers: Iterable[tuple[PackageRisk, bool, bool]], axes: int) -> Floats:
    """What standing answers may add up and down at most, (2, axes); each by whether it bids, and asks."""
    worst = np.zeros((2, axes))
    for risk, bids, asks in answers:
        if len(risk.axes) == axes:
            up, down = risk.axes.clip(min=0.0), (-risk.axes).clip(min=0.0)
            worst[0] += np.maximum(up * bids, down * asks)
            worst[1] += np.maximum(down * bids, up * asks)
    return worst


def package_refusal(gate: Gate, package: PackageRisk, risk: BookRisk, left: Room) -> str | None:
    """Why a side may not be quoted; None where it may."""
    limits, held, size = gate.limits, package.held_coin, package.size_coin
    if risk.stage >= Stage.FLAT:
        return risk.stage.name.lower()
    if not risk.index_age_s <= limits.max_index_age_s:
        return "stale_index"
    after = np.abs(held + size)
    bound = limits.position_coin if package.bound_coin is None else package.bound_coin
    if not np.all((after + package.resting_coin <= bound) | (after <= np.abs(held))):
        return "position"
    if gate.only_reduces(risk) and not np.all(after < np.abs(held)):
        return "reduce_only"
    push = np.stack([package.axes, -package.axes]).clip(min=0.0)
    beyond = ~((push == 0.0) | (left.worst + push <= left.room))
    if beyond.any():
        return gate.reservation.names[int(np.argmax(beyond.any(axis=0)))]
    return None
