"""One asset with exponential fills, exactly: the inventories -Q..Q as rungs, between which fills move.

Where fills decay alike on both sides, v = exp(k θ / size) of the value θ solves a linear system, backwards in time:

    dv/dt = M v      M[q, q] = charge[q]      M[q, q+1] = -buying      M[q, q-1] = -selling

so v is a matrix exponential of what it is at the horizon, and far from the horizon the ground state of M. The price of
one more unit is ln(v[q] / v[q+1]) / k, that of one less ln(v[q] / v[q-1]) / k.

Source      Guéant, Lehalle, Fernandez-Tapia (2013); Cartea, Jaimungal, Penalva (2015), section 10.2
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.baselines.intensity import Distances, Floats, require_not_negative, require_positive
from flatbook.domain.errors import BadInputError


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """M, above.

    Shapes      charge (2Q + 1,), by inventory from -Q up
    Units       all per unit of time; inventory in quote sizes
    Domain      buying and selling above 0; Q of 1 or more
    """

    charge: Floats
    buying: float
    selling: float

    def __post_init__(self) -> None:
        require_positive("inventory ladder", buying=self.buying, selling=self.selling)

    def log_value(self, log_terminal: Floats, time_left: float) -> Floats:
        """ln v by inventory when `time_left` is, up to a constant, from ln v at the horizon."""
        from scipy.linalg import expm  # a start that quotes by no such model does not pay for scipy

        require_not_negative("inventory ladder", time_left=time_left)
        rungs = len(self.charge)
        growth = self.buying * np.eye(rungs, k=1) + self.selling * np.eye(rungs, k=-1) - np.diag(self.charge)
        # Less its growth rate the exponential neither overflows nor vanishes, however long the horizon.
        grown = expm((growth + self._lowest() * np.eye(rungs)) * time_left)
        return np.asarray(np.log(grown @ np.exp(log_terminal - np.max(log_terminal))))

    def log_ground_state(self) -> Floats:
        """ln v by inventory far from any horizon, up to a constant.

        From either end to the cheapest rung the ratio of neighbours follows M's rows, a contraction: where v is too
        small for an eigenvector's digits the ratios, which are all that quotes need, are still right.
        """
        charge, cheapest = self.charge - self._lowest(), int(np.argmin(self.charge))
        under = _ratios(charge[:cheapest], self.buying, self.selling)
        over = _ratios(charge[:cheapest:-1], self.selling, self.buying)
        below, above = np.cumsum(np.log(under[::-1])), np.cumsum(np.log(over[::-1]))
        return np.concatenate([-below[::-1], [0.0], -above])

    def _lowest(self) -> float:
        from scipy.linalg import eigvalsh_tridiagonal  # as above

        coupling = np.full(len(self.charge) - 1, np.sqrt(self.buying * self.selling))
        return float(eigvalsh_tridiagonal(self.charge, coupling, select="i", select_range=(0, 0))[0])


def distances(log_value: Floats, decay: float, spread: float) -> Distances:
    """Bid and ask distances by inventory: `spread` and the price of inventory; no quote beyond the ladder's ends."""
    rises = np.diff(log_value) / decay
    return Distances(np.append(spread - rises, np.inf), np.append(np.inf, spread + rises))


def inventories(bound: int) -> Floats:
    """-Q..Q in quote sizes."""
    if bound < 1:
        raise BadInputError(f"inventory ladder: a bound of {bound} must be 1 or more")
    return np.arange(-bound, bound + 1, dtype=np.float64)


def _ratios(charge: Floats, inward: float, outward: float) -> Floats:
    """v one rung inward over v here, from the end of a ladder on."""
    ratios = np.empty(len(charge))
    last = np.inf
    for rung in range(len(charge)):
        last = (charge[rung] - outward / last) / inward
        ratios[rung] = last
    return ratios


def stationary_falls(ratio: Floats, lots: Floats, bound: int) -> Floats:
    """ln(v(q) / v(q + 1)) far from any horizon, of many ladders at once, each at its own inventory.

    The ladders are symmetric: charge ratio q², buying and selling 1. Their falls come from a table made once per bound,
    by straight lines between rungs and between the logarithms of ratios.

    Shapes      ratio, lots and the result (n,); lots need not be whole
    Domain      ratio within `RATIOS`, or it is taken as the nearer end. Infinite where q + 1 is beyond the bound; a
                q under it is taken as -bound
    """
    rungs = inventories(bound)
    place = (np.log(ratio) - np.log(RATIOS[0])) / _ratio_step()
    place = np.clip(place, 0.0, _RATIOS_TABLED - 1.0)
    row = np.minimum(place.astype(np.intp), _RATIOS_TABLED - 2)
    table, within = _log_falls(bound), place - row
    column = np.clip(lots - rungs[0], 0.0, 2.0 * bound - 1.0)
    left = np.minimum(column.astype(np.intp), max(2 * bound - 2, 0))

    def fall(at: NDArray[np.intp]) -> Floats:
        # Falls are odd about the rung pair in the middle: v(-1) / v(0) is v(1) / v(0).
        up = np.where(at >= bound, at - bound, bound - 1 - at)
        size = np.exp((1.0 - within) * table[row, up] + within * table[row + 1, up])
        return np.asarray(np.where(at >= bound, size, -size))

    share = column - left
    between = (1.0 - share) * fall(left) + share * fall(np.minimum(left + 1, 2 * bound - 1))
    return np.asarray(np.where(lots + 1.0 > bound * (1.0 + 1e-12), np.inf, between))


RATIOS = (1e-9, 1e6)
"""Least and greatest charge of a rung against its couplings that `stationary_falls` has tabled."""

_RATIOS_TABLED = 301


def _ratio_step() -> float:
    return float(np.log(RATIOS[1] / RATIOS[0])) / (_RATIOS_TABLED - 1)


@cache
def _log_falls(bound: int) -> Floats:
    """ln ln(v(q) / v(q + 1)) by ratio and q from 0: a rising line of slope 1/2 in ln ratio where ratios are small."""
    rungs = inventories(bound)
    falls = [
        -np.diff(Ladder(ratio * rungs**2, 1.0, 1.0).log_ground_state())[bound:]
        for ratio in np.geomspace(*RATIOS, _RATIOS_TABLED)
    ]
    return np.log(np.array(falls))
