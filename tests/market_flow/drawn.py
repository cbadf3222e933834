"""Flow drawn from a seed with known rates, decays and knowledge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flatbook.market.flow.decays import Evidence

Floats = NDArray[np.float64]

GRID: Floats = 0.5 * np.arange(9, dtype=np.float64)


def drawn_evidence(
    seed: int, arrivals: Floats, decay: Floats, exposure: Floats, quote_depth: Floats | None = None
) -> Evidence:
    """Prints of exponential flow over `exposure` option-years; those that reach `quote_depth` meet our quote."""
    rng = np.random.default_rng(seed)
    evidence = Evidence.none(len(arrivals), len(GRID))
    evidence.exposure[:] = exposure
    rate = np.repeat(np.arange(len(arrivals)), rng.poisson(arrivals * exposure))
    depth = rng.exponential(1 / decay[rate])
    met = np.zeros(len(rate), bool)
    if quote_depth is not None:
        met = depth >= quote_depth[rate]
        depth = np.where(met, quote_depth[rate], depth)
    np.add.at(evidence.path, rate, np.minimum(depth, GRID[-1]))
    column = np.minimum(np.floor(depth / GRID[1]).astype(np.int64), len(GRID) - 1)
    np.add.at(evidence.censored, (rate[met], column[met]), 1.0)
    np.add.at(evidence.stopped, (rate[~met], column[~met]), 1.0)
    return evidence


def drawn_hits(seed: int, arrivals: Floats, decay: Floats, quoted: Floats) -> Evidence:
    """Hits of our own quotes, that rested for `quoted` (rates, depths) option-years, where no print is seen."""
    evidence = Evidence.none(len(arrivals), len(GRID))
    evidence.quoted[:] = quoted
    evidence.hits[:] = np.random.default_rng(seed).poisson(arrivals[:, None] * np.exp(-decay[:, None] * GRID) * quoted)
    return evidence
