"""The Hawkes process that some arrivals come from, by maximum likelihood: for calibration, not for the loop."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from flatbook.domain.errors import BadInputError
from flatbook.market.flow.hawkes import Hawkes, checked_times

Floats = NDArray[np.float64]

_LEAST_EVENTS = 30
_MOST_BRANCHING = 0.99


def fit_hawkes(times: Floats, end: float) -> Hawkes:
    """The process that makes the arrivals most likely.

    Errors      BadInputError for less than 30 arrivals, or times that do not rise within 0 to `end`
    """
    times = checked_times(times, end)
    if len(times) < _LEAST_EVENTS:
        raise BadInputError(f"{len(times)} arrivals tell no Hawkes process; give {_LEAST_EVENTS} or more")
    rate = len(times) / end

    def process(x: Floats) -> Hawkes:
        branching, beta = _MOST_BRANCHING / (1 + math.exp(-x[0])), math.exp(x[1])
        return Hawkes(math.exp(x[2]), branching * beta, beta)

    def loss(x: Floats) -> float:
        return -process(x).log_likelihood(times, end) / len(times)

    # The likelihood in beta has more than one hill where crowds have more than one span: from fast, even and slow.
    starts = [np.array([0.0, math.log(rate * speed), math.log(rate / 2)]) for speed in (10.0, 1.0, 0.1)]
    found = min((minimize(loss, start, method="Nelder-Mead") for start in starts), key=lambda result: float(result.fun))
    return process(found.x)
