"""Where the risk factors of several underlyings stood over time, and how they moved: what scenarios are drawn from.

The factors are those of Σ (`kernels.chain`), read from whole smiles at Σ's tenors: log index; vol at the forward, and
at one standard deviation to either side; the carry rate of the longest tenor. Smiles are read between expiries at a
fixed time to expiry, so that no expiry that comes nearer is taken for a move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_DAY, NS_PER_YEAR
from flatbook.kernels.chain import BASIS, CONVEXITIES, FACTORS, LEVELS, SKEWS, SPOT
from flatbook.market.snapshot import MarketSnapshot
from flatbook.market.term import TermStructure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LEAST_YEARS = NS_PER_DAY / NS_PER_YEAR
"""An expiry nearer than a day is not read: its smile is all of the next hours' news."""

_LONGEST_STEP = 2.0
"""Readings farther apart than so many usual steps have a gap between them, and no move."""

_OFF_HORIZON = 0.25
"""A window counts for a horizon where it is as long within this share; its moves are scaled by the root of the rest."""

FEWEST_WINDOWS = 20
"""With fewer windows of the horizon's own length, overlaps not counted twice, single steps are scaled instead."""


class Moves(NamedTuple):
    """Moves (n, underlyings, FACTORS), NaN where not seen; years (n,) they took; and the number of their last reading.

    overlap     so many moves in a row share a part of their time; 1 where none do
    is_scaled   whether they are of another length than was asked, and scaled by the root of time
    """

    moves: Floats
    years: Floats
    last: Ints
    overlap: int
    is_scaled: bool


@dataclass(frozen=True, eq=False)
class FactorHistory:
    """Readings of the factors of `underlyings`.

    Shapes      times_ns (n,) rising; levels (n, underlyings, FACTORS), NaN where not seen
    """

    underlyings: tuple[str, ...]
    times_ns: Ints
    levels: Floats

    def __post_init__(self) -> None:
        shape = (self.times_ns.size, len(self.underlyings), FACTORS)
        if self.levels.shape != shape or not (np.diff(self.times_ns) > 0).all():
            raise BadInputError(f"a history of {shape[0]} rising times needs levels of shape {shape}")

    def until(self, ts_ns: int) -> FactorHistory:
        """What was known at `ts_ns`."""
        known = slice(None, int(np.searchsorted(self.times_ns, ts_ns, side="right")))
        return FactorHistory(self.underlyings, self.times_ns[known], self.levels[known])

    def since(self, ts_ns: int) -> FactorHistory:
        """What was read at `ts_ns` or later."""
        kept = slice(int(np.searchsorted(self.times_ns, ts_ns)), None)
        return FactorHistory(self.underlyings, self.times_ns[kept], self.levels[kept])

    def spot_alone(self) -> FactorHistory:
        """The same where nothing but spot ever moves."""
        levels = np.zeros_like(self.levels)
        levels[:, :, SPOT] = self.levels[:, :, SPOT]
        return FactorHistory(self.underlyings, self.times_ns, levels)

    @property
    def step_ns(self) -> int:
        """The usual time between two readings.

        Errors      BadInputError with fewer than two
        """
        if self.times_ns.size < 2:
            raise BadInputError(f"a history of {self.times_ns.size} readings has no moves; give a longer one")
        return int(np.median(np.diff(self.times_ns)))

    def steps(self) -> Moves:
        """Moves from each reading to the next, gaps left out."""
        apart = np.diff(self.times_ns)
        here = np.flatnonzero(apart <= _LONGEST_STEP * self.step_ns)
        moves = self.levels[here + 1] - self.levels[here]
        return Moves(moves, apart[here] / NS_PER_YEAR, here + 1, 1, is_scaled=False)

    def over(self, horizon_ns: int) -> Moves:
        """Moves over a horizon, from every reading on: windows overlap. Their variance is that of the horizon.

        Where the history has too few windows so long, or reads less often, single steps are scaled instead.
        """
        aims = self.times_ns + horizon_ns
        after = np.clip(np.searchsorted(self.times_ns, aims), 1, self.times_ns.size - 1)
        nearer = aims - self.times_ns[after - 1] < self.times_ns[after] - aims
        end = after - nearer
        apart = self.times_ns[end] - self.times_ns
        fits = (np.abs(apart - horizon_ns) < _OFF_HORIZON * horizon_ns) & (apart > 0)
        start = np.flatnonzero(fits)
        overlap = max(1, round(horizon_ns / self.step_ns))
        if start.size < FEWEST_WINDOWS * overlap:
            steps = self.steps()
            scale = np.sqrt(horizon_ns / NS_PER_YEAR / steps.years)
            return steps._replace(moves=steps.moves * scale[:, None, None], is_scaled=True)
        years = apart[start] / NS_PER_YEAR
        moves = self.levels[end[start]] - self.levels[start]
        moves = moves * np.sqrt(horizon_ns / NS_PER_YEAR / years)[:, None, None]
        return Moves(moves, years, end[start].astype(np.int64), overlap, is_scaled=False)


def levels_of(market: MarketSnapshot, tenor_years: Floats) -> Floats:
    """Where one underlying's factors stand, (FACTORS,); NaN where a smile or forward is not known.

    `tenor_years` (TENORS,) rising. The premium of the perpetual is not read: marks and index are rarely taken together.
    """
    levels = np.full(FACTORS, np.nan)
    levels[SPOT] = math.log(market.index_usd)
    lasting = market.years > _LEAST_YEARS
    term = TermStructure.of(market.years[lasting], market.slices[lasting])
    middle = term.vol(0.0, tenor_years)
    width = middle * np.sqrt(tenor_years)
    low, high = term.vol(-width, tenor_years), term.vol(width, tenor_years)
    levels[LEVELS], levels[SKEWS], levels[CONVEXITIES] = middle, 0.5 * (high - low), 0.5 * (high + low) - middle
    if lasting.any():
        levels[BASIS] = float(market.log_basis(tenor_years[-1])) / tenor_years[-1]
    return levels
