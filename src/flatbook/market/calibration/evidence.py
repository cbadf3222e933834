"""What several sources say of one number: joined by inverse variance, without those that the others contradict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np


class Observed(NamedTuple):
    """A log forward, or log ratio of forwards, with its standard deviation, and who says so."""

    name: str
    log: float
    deviation: float


class Joined(NamedTuple):
    """What sources say together, and which of them it stands on; NaN with an infinite deviation for none."""

    log: float
    deviation: float
    names: tuple[str, ...]


NOBODY: Final = Joined(math.nan, math.inf, ())


def combine(observed: Sequence[Observed], outlier: float) -> Joined:
    """The inverse-variance mean of what was observed.

    A source is thrown out, worst first, where the others' mean contradicts it by more than `outlier` deviations, and
    two of them by half as many each: of two sources nobody knows which is wrong. What then still scatters by more than
    its errors has its error enlarged by the Birge ratio.
    """
    left = list(observed)
    while len(left) > 2:
        off = [_contradiction(one, [other for other in left if other is not one], outlier) for one in left]
        worst = int(np.argmax(off))
        if off[worst] <= outlier:
            break
        del left[worst]
    if not left:
        return NOBODY
    mean = _mean(left)
    chi2 = sum(((one.log - mean.log) / one.deviation) ** 2 for one in left)
    return Joined(mean.log, birge_ratio(chi2, len(left)) * mean.deviation, tuple(one.name for one in left))


def birge_ratio(chi2: float, observations: int) -> float:
    """By how much errors were understated, as the scatter about one mean has it; 1 where they were not."""
    return math.sqrt(max(1.0, chi2 / (observations - 1))) if observations > 1 else 1.0


def deviations_between(one: Observed, other: Observed) -> float:
    """How far apart two are, in deviations of their difference."""
    return abs(one.log - other.log) / math.hypot(one.deviation, other.deviation)


def _mean(observed: Sequence[Observed]) -> Observed:
    weight = np.array([one.deviation**-2.0 for one in observed])
    log = np.array([one.log for one in observed])
    return Observed("mean", float(weight @ log / weight.sum()), float(weight.sum()) ** -0.5)


def _contradiction(one: Observed, others: Sequence[Observed], outlier: float) -> float:
    """Deviations between one and the mean of the others; 0 unless two of them bear that out."""
    against = sum(deviations_between(one, other) > 0.5 * outlier for other in others)
    return deviations_between(one, _mean(others)) if against > 1 else 0.0
