"""Which variant of a maker trades each window, decided by the windows before it alone.

Each later window is traded by the variant whose P&L over its risk was best in all earlier ones, so nothing that a
window is judged by had a part in the choice. The first window chooses only.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from flatbook.report.bootstrap import pnl_per_risk
from flatbook.report.contenders import Trial


class Chosen(NamedTuple):
    """The variant that trades a window, by number, and its P&L a day over its std in the windows before."""

    variant: int
    pnl_per_risk: float


def choose(earlier: Sequence[Sequence[Trial]]) -> Chosen:
    """The best of several variants by what each did in the same earlier trials; the first of equals.

    A variant that took no risk, or earned nothing in too few hours to say, is worse than any that can be judged.
    """
    scores = [_score(trials) for trials in earlier]
    best = max(range(len(scores)), key=lambda number: scores[number])
    return Chosen(best, scores[best])


def _score(trials: Sequence[Trial]) -> float:
    hourly_usd = np.concatenate([trial.hourly_usd for trial in trials])
    if hourly_usd.size < 2:
        return -math.inf
    score = float(pnl_per_risk(hourly_usd))
    return score if math.isfinite(score) else -math.inf
