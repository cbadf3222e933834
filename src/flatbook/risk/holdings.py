"""What is held of each option, in each expiry and in all, beside its bounds: numbers of the book that are no sums of
risk factors.

Concentration is measured by gross vega: the sum over options of what each would move by a vol point, whatever its sign.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.fill_units import LINEAR
from flatbook.risk.limits import LimitPolicy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

VEGA, VANNA, VOLGA = (LINEAR.index(name) for name in ("vega", "vanna", "volga"))

BY_EXPIRY = 3
"""So many of `kernels.fill_units.LINEAR`'s first are bounded by expiry: delta, gamma, vega."""


class Standing(NamedTuple):
    """How far the book stands on an axis, or on the fullest of several that have one bound, without its sign."""

    name: str
    value: float
    bound: float


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """What is held, and what a contract of each row adds.

    Shapes      held_coin, slot (rows,); unit (>= len(LINEAR), rows) by LINEAR; nets (BY_EXPIRY, slots) of what is held
    gross_vega_usd      per vol point
    """

    held_coin: Floats
    slot: Ints
    unit: Floats
    nets: Floats
    gross_coin: float
    gross_vega_usd: float

    @classmethod
    def of(cls, held_coin: Floats, unit: Floats, slot: Ints, slots: int) -> "Holdings":
        """Sums over the rows that are held, by expiry and in all."""
        at = np.flatnonzero(held_coin)
        held, adds, here = held_coin[at], unit[:BY_EXPIRY, at], slot[at]
        nets = np.stack([sums_by(here, adds[axis] * held, slots) for axis in range(BY_EXPIRY)])
        gross_vega = float(np.abs(unit[VEGA, at] * held).sum())
        return cls(held_coin, slot, unit, nets, float(np.abs(held).sum()), gross_vega)

    def standings(self, limits: LimitPolicy) -> tuple[Standing, ...]:
        """The fullest axis of each kind."""
        at = np.flatnonzero(self.held_coin)
        held, unit = self.held_coin[at], self.unit[:, at]
        expiries = np.abs(self.nets).max(axis=1, initial=0.0).tolist()
        shared = max(self.gross_vega_usd, limits.concentration_free_usd)
        found = [
            Standing("vanna", abs(float(unit[VANNA] @ held)), limits.vanna_usd),
            Standing("volga", abs(float(unit[VOLGA] @ held)), limits.volga_usd),
            Standing("position", float(np.abs(held).max(initial=0.0)), limits.position_coin),
            Standing("contracts", self.gross_coin, limits.gross_coin),
            Standing("expiry_delta", expiries[0], limits.expiry_delta_coin),
            Standing("expiry_gamma", expiries[1], limits.expiry_gamma_1pct_usd),
            Standing("expiry_vega", expiries[2], limits.expiry_vega_usd),
        ]
        if limits.concentration_option < 1.0:
            largest = float(np.abs(unit[VEGA] * held).max(initial=0.0))
            found.append(Standing("concentration_option", largest, limits.concentration_option * shared))
        if limits.concentration_expiry < 1.0:
            found.append(Standing("concentration_expiry", expiries[2], limits.concentration_expiry * shared))
        return tuple(found)


def sums_by(group: Ints, added: Floats, groups: int) -> Floats:
    """Sums of `added` (n,) by `group` (n,), (groups,)."""
    return np.bincount(group, added, minlength=groups).astype(np.float64)
