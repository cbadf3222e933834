"""What it costs to get out, on top of what may be lost while in.

Sources     Bangia, Diebold, Schuermann and Stroughair (1999), "Modeling liquidity risk, with implications for
            traditional market risk measurement"; Almgren and Chriss (2000), "Optimal execution of portfolio
            transactions": a position wound down evenly over h has the variance σ² h / 3
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]

SPREAD_DEVIATIONS = 2.5
"""Bangia et al. found 2 to 4.5 deviations of the spread to reach its 99 % quantile, the more the fatter its tail."""


class ExitCost(NamedTuple):
    """Half of the spread as it usually is, and as it may be when it is wide, by row (n,), USD; NaN where not quoted."""

    usual_usd: Floats
    stressed_usd: Floats


def exit_cost(sizes: Floats, spreads_usd: Floats, deviations: float = SPREAD_DEVIATIONS) -> ExitCost:
    """Half of |size| times mean spread plus so many of its deviations.

    Shapes      sizes (n,); spreads_usd (n, observations) in USD per unit of size, NaN where not quoted on both sides
    """
    seen = np.isfinite(spreads_usd).sum(axis=1)
    known = np.where(np.isfinite(spreads_usd), spreads_usd, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = known.sum(axis=1) / seen
        off = np.where(np.isfinite(spreads_usd), spreads_usd - mean[:, None], 0.0)
        deviation = np.where(seen > 1, np.sqrt((off**2).sum(axis=1) / np.maximum(seen - 1, 1)), 0.0)
    return ExitCost(0.5 * np.abs(sizes) * mean, 0.5 * np.abs(sizes) * (mean + deviations * deviation))


def exit_scale(horizon_hours: float, exit_hours: float) -> float:
    """By how much VaR and ES grow where what is held over the horizon is then wound down evenly over `exit_hours`.

    Errors      BadInputError for a horizon of nothing, or an exit before now
    """
    if not (horizon_hours > 0.0 and 0.0 <= exit_hours < math.inf):
        raise BadInputError(f"an exit over {exit_hours:g} hours after {horizon_hours:g}; both must be above 0")
    return math.sqrt(1.0 + exit_hours / (3.0 * horizon_hours))
