"""Paths to hedge along: an index and the variance its options are marked at, simulated or recorded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_MINUTE, NS_PER_YEAR
from flatbook.sim.smile import Factors, TermStructure
from flatbook.sim.world import Reverting, WorldParameters, draw_world

Floats = NDArray[np.float64]

STEP_MINUTES = 5
STEPS_PER_HOUR = 60 // STEP_MINUTES
STEP_YEARS = STEP_MINUTES * NS_PER_MINUTE / NS_PER_YEAR

_NOTHING_MOVES = Reverting(0.0, 0.0, 1.0)

STOCHASTIC_VOL = WorldParameters(carry=_NOTHING_MOVES, premium_bp=_NOTHING_MOVES)
"""The simulated market's own law, its variance stochastic and its index jumping, forwards being at the index."""

GEOMETRIC = replace(
    STOCHASTIC_VOL,
    vol_of_vol=0.0,
    jumps_per_year=0.0,
    long_variance_log=_NOTHING_MOVES,
    skew=_NOTHING_MOVES,
    convexity=1e-9,
    convexity_log=_NOTHING_MOVES,
)
"""Black's own world: one vol, one smile that is flat."""


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Paths side by side, every `STEP_MINUTES`.

    Shapes      index_usd and each of factors (paths, steps + 1); steps a whole number of hours
    """

    index_usd: Floats
    factors: Factors
    surface: TermStructure

    @property
    def steps(self) -> int:
        """Steps of each path."""
        return int(self.index_usd.shape[1]) - 1


def simulated(law: WorldParameters, seeds: Sequence[int], hours: int) -> Paths:
    """A path per seed, of the simulated market's law."""
    minutes = np.arange(0, hours * 60 + 1, STEP_MINUTES)
    index, factors = [], []
    for seed in seeds:
        world = draw_world(law, seed, 0, NS_PER_MINUTE, hours * 60)
        index.append(world.index_usd[minutes])
        factors.append(np.stack([path[minutes] for path in world.minutes.factors]))
    return Paths(np.stack(index), Factors(*np.stack(factors, axis=1)), law.term_structure)


@dataclass(frozen=True, slots=True)
class MarkModel:
    """How options are marked on a recorded index, for want of their quotes: by what variance was and reverts to.

    Variance is an exponentially weighted average of squared returns, long variance a slower one; the smile is flat.
    """

    half_life_hours: float = 12.0
    long_half_life_hours: float = 480.0
    reversion_per_year: float = 30.0


def windows(index_usd: Floats, hours: int, warm_up_hours: int, marks: MarkModel | None = None) -> Paths:
    """A recorded index, every `STEP_MINUTES` without holes, cut into paths that do not overlap.

    Marks know what came before and nothing else; the first `warm_up_hours` only teach them.

    Errors      BadInputError where the record is too short, or has a hole
    """
    marks = marks or MarkModel()
    steps, warm = hours * STEPS_PER_HOUR, warm_up_hours * STEPS_PER_HOUR
    count = (index_usd.size - 1 - warm) // steps
    if count < 1:
        raise BadInputError(
            f"a record of {index_usd.size} steps has no window of {hours} hours after {warm_up_hours} to warm up"
        )
    if not np.all(index_usd > 0.0):
        raise BadInputError(
            f"the index at step {int(np.argmin(index_usd > 0.0))} is not positive; fill or cut the hole"
        )
    square = np.square(np.diff(np.log(index_usd), prepend=np.log(index_usd[0]))) / STEP_YEARS
    variance = _faded_mean(square, marks.half_life_hours * STEPS_PER_HOUR)
    long_variance = _faded_mean(square, marks.long_half_life_hours * STEPS_PER_HOUR)
    first = warm + steps * np.arange(count)
    at = first[:, None] + np.arange(steps + 1)
    flat = np.zeros(at.shape)
    factors = Factors(variance[at], long_variance[at], flat, flat + GEOMETRIC.convexity)
    return Paths(index_usd[at], factors, TermStructure(marks.reversion_per_year, 0.0))


def _faded_mean(values: Floats, half_life: float) -> Floats:
    """Exponentially weighted averages up to and with each value, unbiased from the start."""
    keep = 0.5 ** (1.0 / half_life)
    total = weight = 0.0
    out = []
    for value in values.tolist():
        total, weight = keep * total + value, keep * weight + 1.0
        out.append(total / weight)
    return np.array(out)


def side_by_side(*parts: Paths) -> Paths:
    """Paths of several records as one set; they are as long, and marked by the same model."""
    factors = Factors(*(np.concatenate(columns) for columns in zip(*(part.factors for part in parts), strict=True)))
    return Paths(np.concatenate([part.index_usd for part in parts]), factors, parts[0].surface)
