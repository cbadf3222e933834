"""How far a stream's own past says that it goes in so many draws: what a threshold of few false alarms is set from.

Source      Pickands (1975): excesses over a high level are Pareto in the generalised sense; Hosking and Wallis (1987)
            for its shape and scale by probability-weighted moments; Siffer et al. (2017) for thresholds of streams
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TAIL_SHARE, _LEAST_EXCESSES = 0.05, 8
"""The tail is what lies above the 95 % quantile, or the eight greatest."""

_HEAVIEST = 0.5
"""Of a shape: heavier tails have no variance."""

_SURE = 1.645
"""Deviations of its estimate by which a scale is taken for greater than it looks: 95 % sure, as by a normal law."""

_PLOT = 0.35
"""Of the plotting positions (i - 0.35) / k, by which Hosking and Wallis weight ordered excesses."""


def level_exceeded(past: Floats, probability: float) -> float:
    """The level that a draw of the same law exceeds with no more than `probability`, as far as the past tells.

    Shape and scale of the tail are taken at their upper ends, so that the level errs upward: of heavy tails seen for a
    short time it is right to within a few times the probability, of light ones far too high.

    Shapes      past (n,), of more than eight numbers
    Domain      0 < probability < 1
    """
    n = len(past)
    excesses = min(max(_LEAST_EXCESSES, round(_TAIL_SHARE * n)), n - 1)
    tail = np.sort(np.partition(past, n - excesses - 1)[n - excesses - 1 :])
    base, over = float(tail[0]), tail[1:] - tail[0]
    mean = float(over.mean())
    draws_a_tail = excesses / (n * probability)
    if mean <= 0.0 or draws_a_tail <= 1.0:
        return float(tail[-1]) if mean <= 0.0 else base
    rank = (np.arange(1, excesses + 1) - _PLOT) / excesses
    weighted = float(np.mean((1.0 - rank) * over))
    shape = 2.0 - mean / (mean - 2.0 * weighted) if mean > 2.0 * weighted else _HEAVIEST
    shape = min(max(shape + 1.0 / math.sqrt(excesses), 0.0), _HEAVIEST)
    scale = mean * (1.0 - shape) * (1.0 + _SURE / math.sqrt(excesses))
    farther = math.log(draws_a_tail)
    return base + scale * (math.expm1(shape * farther) / shape if shape > 1e-9 else farther)
