"""Static arbitrage among one expiry's quotes, found by a linear programme."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

Floats = NDArray[np.float64]


def arbitrage_coin(strike: Floats, sign: Floats, forward: float, bid: Floats, ask: Floats) -> float:
    """What a counterparty can surely earn from quotes for one contract each, in coin; 0.0 where nothing.

    It buys at asks (+inf: none), sells at bids (0: none), and trades the forward at its price and coin at par, without
    limit; its payoff must be nowhere negative. Payoffs are piecewise linear in the delivery price, so the strikes, zero
    and the slope beyond the last strike are enough.
    """
    at = np.concatenate([[0.0], np.unique(strike)])
    pays = np.maximum(sign * (at[:, None] - strike), 0.0)
    slope = (sign > 0).astype(float)
    offered, wanted = np.isfinite(ask), bid > 0
    rows = np.column_stack([pays, -pays, at - forward, np.ones(len(at))])
    beyond = np.concatenate([slope, -slope, [1.0, 0.0]])
    costs = np.concatenate([np.where(offered, ask, 0.0), -bid, [0.0, 1.0 / forward]])
    limits = [(0, int(there)) for there in (*offered, *wanted)] + [(None, None)] * 2
    found = linprog(costs, A_ub=-np.vstack([rows / forward, beyond]), b_ub=np.zeros(len(at) + 1), bounds=limits)
    assert found.fun is not None, found.message
    return max(-float(found.fun), 0.0)
