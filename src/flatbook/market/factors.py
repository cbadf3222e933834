"""Where the risk factors of one underlying stand, and how they moved: what Σ learns from.

Levels are read every `step_s`. What is read has errors (a smile refitted, a basis filtered from prints), and errors
make moves over a short step look larger than the factors' own: a vol level read every ten minutes seems to move three
times as much as over six hours. So moves are averaged first, under a window that begins and ends at nothing: an error
enters with one sign and leaves with the other a step later, at nearly the same weight, while a real move stays.

Source      Jacod, Li, Mykland, Podolskij and Vetter (2009), "Microstructure noise in the continuous case: the
            pre-averaging approach"; Christensen, Kinnebrock and Podolskij (2010) for covariances
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_SECOND, NS_PER_YEAR
from flatbook.kernels.chain import BASIS, CONVEXITIES, FACTORS, LEVELS, PREMIUM, SKEWS, SPOT
from flatbook.market.forwards import Forwards
from flatbook.market.perpetual import Perpetual
from flatbook.market.surface import Surface

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LEAST_YEARS = 1 / 8760
"""Nearer than an hour an expiry has no smile and no carry worth reading."""

_NEAR = 1.0
"""A tenor is seen where an expiry lies within this of it, in log tenor."""


@dataclass(frozen=True, slots=True)
class MeterModel:
    """How factors are read.

    step_s          time between readings
    window_steps    moves are averaged over so many steps; 1 takes them as they are
    fresh_s         a smile, a forward or a perpetual older than this is not read ...
    gap_s           ... its last reading serves for as long as this, and moves over more than this teach nothing
    premium_hours   a perpetual's premium reverts: of the variance of its moves counts what of it lasts so long
    """

    step_s: float = 600.0
    window_steps: int = 12
    fresh_s: float = 600.0
    gap_s: float = 7_200.0
    premium_hours: float = 168.0

    def window(self) -> Floats:
        """Half a wave of sine over the steps, of unit square: what is no error keeps its variance."""
        steps = (np.arange(self.window_steps) + 0.5) / self.window_steps
        wave = np.sin(math.pi * steps)
        return np.asarray(wave / math.sqrt(float(wave @ wave)))

    @property
    def overlap(self) -> float:
        """So many averaged moves in a row tell as much of a variance as one: they share their steps."""
        window = self.window()
        return float(np.sum(np.correlate(window, window, "full") ** 2))


class FactorMoves(NamedTuple):
    """Moves of the factors that ended with a step, per square root of a year; NaN where not seen.

    single      over the step itself
    averaged    over the window, with the variance of one step but for the errors
    """

    single: Floats
    averaged: Floats
    elapsed_ns: int


class FactorMeter:
    """The readings of one underlying's factors, step by step.

    Invariant   `levels` are those of `read_ns`; the basis is known by its moves alone, and starts at 0
    """

    def __init__(self, model: MeterModel, tenor_days: tuple[float, ...]) -> None:
        self._model = model
        self._log_tenor = np.log(np.array(tenor_days) / 365)
        self._window = model.window()
        self.read_ns = 0
        self.levels: Floats = np.full(FACTORS, np.nan)
        self._seen_ns: Ints = np.zeros(FACTORS, np.int64)
        self._rates: Floats = np.zeros(0)
        self._basis = 0.0
        self._moves: deque[Floats] = deque(maxlen=model.window_steps)

    def is_due(self, now_ns: int) -> bool:
        """Whether a step has passed since the last reading."""
        return now_ns - self.read_ns >= self._model.step_s * NS_PER_SECOND

    def read(
        self, forwards: Forwards, surface: Surface, perpetual: Perpetual, years: Floats, now_ns: int
    ) -> FactorMoves | None:
        """Reads the factors as of `now_ns`, `years` to each slot's expiry; the moves since the last reading.

        None        on the first reading, and after a gap
        """
        return self.take(self._read_levels(forwards, surface, perpetual, years, now_ns), now_ns)

    def take(self, levels: Floats, now_ns: int) -> FactorMoves | None:
        """Where the factors stand as of `now_ns`, (FACTORS,), NaN where not seen; the moves since the last reading.

        None        on the first reading, and after a gap
        """
        elapsed_ns, before = now_ns - self.read_ns, self.levels
        kept = now_ns - self._seen_ns < self._model.gap_s * NS_PER_SECOND
        self._seen_ns = np.where(np.isfinite(levels), now_ns, self._seen_ns)
        self.levels = np.where(np.isfinite(levels), levels, np.where(kept, before, np.nan))
        follows, self.read_ns = 0 < elapsed_ns <= self._model.gap_s * NS_PER_SECOND, now_ns
        if not follows:
            self._moves.clear()
            return None
        single = (self.levels - before) / math.sqrt(elapsed_ns / NS_PER_YEAR)
        self._moves.append(single)
        averaged = np.full(FACTORS, np.nan)
        if len(self._moves) == self._moves.maxlen:
            averaged = self._window @ np.array(self._moves)
        return FactorMoves(np.where(np.isfinite(levels), single, np.nan), averaged, elapsed_ns)

    def _read_levels(
        self, forwards: Forwards, surface: Surface, perpetual: Perpetual, years: Floats, now_ns: int
    ) -> Floats:
        levels = np.full(FACTORS, np.nan)
        levels[SPOT] = math.log(forwards.index_usd)
        fresh_ns = now_ns - self._model.fresh_s * NS_PER_SECOND
        self._read_smiles(levels, surface, years, fresh_ns)
        levels[BASIS] = self._read_basis(forwards, years, fresh_ns)
        if perpetual.seen_ns > fresh_ns:
            levels[PREMIUM] = perpetual.premium(now_ns) * self._lasting(perpetual.model.reversion_hours)
        return levels

    def _lasting(self, reversion_hours: float) -> float:
        """Deviation of a reverting level over long, against that of one that wandered on as it does at first."""
        ratio = 2 * self._model.premium_hours / reversion_hours
        return math.sqrt(-math.expm1(-ratio) / ratio)

    def _read_smiles(self, levels: Floats, surface: Surface, years: Floats, fresh_ns: float) -> None:
        """Vol level, skew and convexity at each tenor: of the smiles at -1, 0 and 1 deviations, between expiries."""
        n = len(years)
        fresh = (surface.fitted_ns[:n] > 0) & (surface.seen_ns[:n] > fresh_ns) & (years > _LEAST_YEARS)
        slots = np.flatnonzero(fresh)
        slots = slots[np.argsort(years[slots], kind="stable")]
        if not len(slots):
            return
        shapes = np.array([_shape(surface, slot) for slot in slots.tolist()])
        at = np.log(years[slots])
        near = np.min(np.abs(at[:, None] - self._log_tenor), axis=0) < _NEAR
        for kind, factors in enumerate((LEVELS, SKEWS, CONVEXITIES)):
            levels[factors] = np.where(near, np.interp(self._log_tenor, at, shapes[:, kind]), np.nan)

    def _read_basis(self, forwards: Forwards, years: Floats, fresh_ns: float) -> float:
        """The carry rate, as the sum of its moves: of those expiries that were read before, the longer the more.

        An expiry's log basis is its years times the rate, so the rate's error goes with one over its years, and least
        squares weigh it by their square.
        """
        n = len(years)
        fresh = (forwards.seen_ns[:n] > fresh_ns) & (years > _LEAST_YEARS)
        rates = np.full(n, np.nan)
        rates[fresh] = forwards.basis[:n][fresh] / years[fresh]
        moves = rates[: len(self._rates)] - self._rates
        both, self._rates = np.isfinite(moves), rates
        if not both.any():
            return math.nan
        weight = years[: len(moves)][both] ** 2
        self._basis += float(weight @ moves[both] / weight.sum())
        return self._basis


def _shape(surface: Surface, slot: int) -> tuple[float, float, float]:
    """Vol at the money, per unit of standardised moneyness, and per its square."""
    middle = surface.vol(slot, 0.0)
    width = middle * math.sqrt(float(surface.slices.fitted_years[slot]))
    low, high = surface.vol(slot, -width), surface.vol(slot, width)
    return middle, 0.5 * (high - low), 0.5 * (high + low) - middle
