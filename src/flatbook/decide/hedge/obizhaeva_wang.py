"""Working a clip against a book that refills: impact decays, so that what is traded when decides what it costs.

A trade of w_j moves the price by w_j G(0), of which G(t)/G(0) is left after t. Trading w at times t_i costs

    sum_i w_i (1/2 G(0) w_i + sum_(j<i) G(t_i - t_j) w_j) = 1/2 w'Kw        K_ij = G(|t_i - t_j|)

least for a given total where every trade meets the same displaced price: w goes with K^-1 1. For a book that refills at
rate rho, G(t) = exp(-rho t), that is a block, a steady trickle, and a block again, whatever the book's depth.

Source      Obizhaeva and Wang (2013), J. Financial Markets 16; for other decays Gatheral, Schied and Slynko (2012),
            Math. Finance 22, and Alfonsi, Schied and Slynko (2012), SIAM J. Financial Math. 3: convex ones give trades
            of one sign
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]


class Blocks(NamedTuple):
    """Shares of a clip: at once, per unit of time after, and at the end as much as at first."""

    first: float
    rate: float
    last: float


def refilling_blocks(resilience: float, horizon: float) -> Blocks:
    """The optimum in continuous time of a book that refills at rate `resilience` per unit of time."""
    block = 1.0 / (resilience * horizon + 2.0)
    return Blocks(block, resilience * block, block)


def exponential_decay(times: Floats, resilience: float) -> Floats:
    """(n, n) K of a book that refills at rate `resilience`, for trades at `times` (n,), rising."""
    return np.asarray(np.exp(-resilience * np.abs(np.subtract.outer(times, times))))


def power_decay(times: Floats, scale: float, exponent: float) -> Floats:
    """(n, n) K of impact with long memory, (1 + t / scale)^-exponent."""
    lag = np.abs(np.subtract.outer(times, times))
    return np.asarray((1.0 + lag / scale) ** -exponent)


def cheapest_shares(decay: Floats) -> Floats:
    """(n,) shares of a clip to trade at the times of K, summing to one, at least cost.

    Errors      BadInputError for a K with which moving the price back and forth would pay
    """
    try:
        lower = np.linalg.cholesky(decay)
    except np.linalg.LinAlgError:
        raise BadInputError(
            f"a decay of impact of shape {decay.shape} is not positive definite: round trips would earn; use one that "
            "falls and is convex, and times that differ"
        ) from None
    weights = np.linalg.solve(lower.T, np.linalg.solve(lower, np.ones(len(decay))))
    return np.asarray(weights / weights.sum())


def impact_cost(shares: Floats, decay: Floats) -> float:
    """1/2 w'Kw: what `shares` (n,) cost, in units of the impact of the whole clip at once, times the clip."""
    return float(0.5 * shares @ decay @ shares)
