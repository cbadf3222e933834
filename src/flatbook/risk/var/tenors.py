"""How factors by tenor act on an option: each expiry moves with the two tenors around it, linearly in log time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import CONVEXITIES, FACTORS, LEVELS, SKEWS
from flatbook.kernels.factors import PRIMITIVES, map_factors

Floats = NDArray[np.float64]


class SmileMoves(NamedTuple):
    """Moves of vol level, skew and convexity, (expiries, scenarios) each."""

    level: Floats
    skew: Floats
    convexity: Floats


def smile_moves(years: Floats, moves: Floats, tenor_years: Floats) -> SmileMoves:
    """How the smiles at `years` (expiries,) move where the factors move by `moves`, (scenarios, FACTORS)."""
    factor_map = np.empty((len(years), PRIMITIVES * FACTORS))
    map_factors(tenor_years, np.ascontiguousarray(years), factor_map)
    shares = factor_map.reshape(len(years), PRIMITIVES, FACTORS)[:, 2, LEVELS]
    level, skew, convexity = (shares @ moves[:, kind].T for kind in (LEVELS, SKEWS, CONVEXITIES))
    return SmileMoves(level, skew, convexity)
