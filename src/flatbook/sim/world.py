"""The simulated underlying: index, variance, skew and premium as paths, drawn before anyone trades on them."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.units import NS_PER_MINUTE, NS_PER_SECOND, NS_PER_YEAR
from flatbook.sim.smile import MAX_ETA_TIMES_SKEW, Factors, TermStructure
from flatbook.sim.streams import stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MINUTE_YEARS = NS_PER_MINUTE / NS_PER_YEAR


@dataclass(frozen=True, slots=True)
class Reverting:
    """An Ornstein-Uhlenbeck process: `mean`, stationary `deviation`, `reversion_per_year`. It starts at its mean."""

    mean: float
    deviation: float
    reversion_per_year: float

    def path(self, random: np.random.Generator, minutes: int) -> Floats:
        """Values at each of `minutes` + 1 minutes, exact in law."""
        keep = math.exp(-self.reversion_per_year * _MINUTE_YEARS)
        shocks = self.deviation * math.sqrt(1 - keep * keep) * random.standard_normal(minutes)
        values, value = [0.0], 0.0
        for shock in shocks.tolist():
            value = keep * value + shock
            values.append(value)
        return self.mean + np.array(values)


@dataclass(frozen=True, slots=True)
class WorldParameters:
    """The law of the underlying; rates and variances per year, defaults about BTC in a lively month.

    start_index_usd       index at the start
    vol                   square root of the long variance, and of the variance at the start
    vol_reversion         kappa: how fast variance returns to the long variance
    vol_of_vol            xi of dv = kappa (long - v) dt + xi sqrt(v) dW
    spot_vol_correlation  between index returns and variance shocks
    long_variance_log     logarithm of the long variance over its mean
    jumps_per_year        jumps of the index, each of log size `jump_mean` with `jump_deviation` ...
    jump_variance         ... and each adding an exponential of this mean to the variance
    skew                  rho of the surface
    convexity_log         logarithm of eta over `convexity`
    carry                 continuous annual rate of the forward over the index
    premium_bp            perpetual over index, basis points

    The index drifts at its carry, so that forwards are fair and nobody earns by holding.
    """

    start_index_usd: float = 85_000.0
    vol: float = 0.55
    vol_reversion: float = 30.0
    vol_of_vol: float = 1.9
    spot_vol_correlation: float = -0.3
    long_variance_log: Reverting = Reverting(0.0, 0.3, 4.0)
    jumps_per_year: float = 30.0
    jump_mean: float = -0.003
    jump_deviation: float = 0.02
    jump_variance: float = 0.06
    skew: Reverting = Reverting(-0.15, 0.08, 40.0)
    convexity: float = 0.8
    convexity_log: Reverting = Reverting(0.0, 0.1, 20.0)
    carry: Reverting = Reverting(0.06, 0.02, 20.0)
    premium_bp: Reverting = Reverting(1.0, 3.0, 3_000.0)

    def __post_init__(self) -> None:
        for name in ("start_index_usd", "vol", "vol_reversion"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"simulated market: {name} is {getattr(self, name)}; use more than 0")

    @property
    def term_structure(self) -> TermStructure:
        """The fixed part of the surface that this law implies."""
        jump_variance = self.jumps_per_year * (self.jump_mean**2 + self.jump_deviation**2)
        return TermStructure(self.vol_reversion, jump_variance)


class MinutePaths(NamedTuple):
    """Paths by minute: the surface's factors, carry (annual rate) and the perpetual's premium (fraction)."""

    factors: Factors
    carry: Floats
    premium: Floats


@dataclass(frozen=True)
class World:
    """The paths of one seed: the index by step, holding until the next, the rest by minute with straight lines between.

    Times before the start read as the start, times after the end as the end.
    """

    start_ns: int
    step_ns: int
    index_usd: Floats
    minutes: MinutePaths
    index_sum_usd: Floats
    """Running sum of `index_usd` by step, for averages: entry i is the sum of the first i values."""

    def index_at(self, now_ns: Ints) -> Floats:
        """The index at each of `now_ns`, USD."""
        return np.asarray(self.index_usd[self._step(now_ns)])

    def minute_at(self, now_ns: Ints) -> MinutePaths:
        """What is kept by minute, at each of `now_ns`."""
        factors, carry, premium = self.minutes
        return MinutePaths(
            self.factors_at(factors, now_ns), *(self._between(path, now_ns) for path in (carry, premium))
        )

    def factors_at(self, factors: Factors, now_ns: Ints) -> Factors:
        """Factors kept by minute like this world's, at each of `now_ns`."""
        return Factors(*(self._between(path, now_ns) for path in factors))

    def average_usd(self, from_ns: Ints, to_ns: Ints) -> Floats:
        """The time-weighted average of the index from `from_ns` to `to_ns` > `from_ns`, USD."""
        return (self._integral(to_ns) - self._integral(from_ns)) / (to_ns - from_ns)

    def _between(self, path: Floats, now_ns: Ints) -> Floats:
        """Values between minutes, on straight lines."""
        position = np.clip((now_ns - self.start_ns) / NS_PER_MINUTE, 0, path.size - 1)
        minute = np.minimum(position.astype(np.int64), max(path.size - 2, 0))
        here, there = path[minute], path[np.minimum(minute + 1, path.size - 1)]
        return np.asarray(here + (there - here) * (position - minute))

    def _integral(self, until_ns: Ints) -> Floats:
        """USD nanoseconds from the start; the time before it counts at the first value."""
        step = self._step(until_ns)
        rest_ns = until_ns - self.start_ns - step * self.step_ns
        return np.asarray(self.index_sum_usd[step] * self.step_ns + self.index_usd[step] * rest_ns)

    def _step(self, now_ns: Ints) -> Ints:
        return np.clip((now_ns - self.start_ns) // self.step_ns, 0, self.index_usd.size - 1)


def draw_world(parameters: WorldParameters, seed: int, start_ns: int, step_ns: int, steps: int) -> World:
    """The world of `seed` over `steps` steps of `step_ns`, which divides a minute."""
    if step_ns <= 0 or NS_PER_MINUTE % step_ns:
        raise ConfigurationError(f"index step of {step_ns / NS_PER_SECOND} s does not divide a minute; use 1, 2, 5, …")
    p = parameters
    per_minute = NS_PER_MINUTE // step_ns
    minutes = -(-steps // per_minute) + 1
    shocks = stream(seed, "index").standard_normal((minutes, per_minute))
    jumps = _draw_jumps(p, seed, minutes)
    long_variance = p.vol**2 * np.exp(p.long_variance_log.path(stream(seed, "long variance"), minutes - 1))
    shared = shocks.sum(axis=1) / math.sqrt(per_minute)
    variance = _variance_path(p, seed, shared, long_variance, jumps.variance)
    carry = p.carry.path(stream(seed, "carry"), minutes - 1)
    index_usd = _index_path(p, shocks, variance, carry, jumps.log_size)[: steps + 1]
    skew = np.clip(p.skew.path(stream(seed, "skew"), minutes - 1), -0.9, 0.9)
    convexity = p.convexity * np.exp(p.convexity_log.path(stream(seed, "convexity"), minutes - 1))
    convexity = np.minimum(convexity, 0.99 * MAX_ETA_TIMES_SKEW / (1 + np.abs(skew)))
    premium = 1e-4 * p.premium_bp.path(stream(seed, "premium"), minutes - 1)
    paths = MinutePaths(Factors(variance, long_variance, skew, convexity), carry, premium)
    sums = np.concatenate([[0.0], np.cumsum(index_usd)])[:-1]
    return World(start_ns, step_ns, index_usd, paths, sums)


class _Jumps(NamedTuple):
    """By minute: the log jump of the index, and what it adds to the variance."""

    log_size: Floats
    variance: Floats


def _draw_jumps(p: WorldParameters, seed: int, minutes: int) -> _Jumps:
    random = stream(seed, "jumps")
    counts = random.poisson(p.jumps_per_year * _MINUTE_YEARS, minutes)
    sizes = counts * p.jump_mean + np.sqrt(counts) * p.jump_deviation * random.standard_normal(minutes)
    return _Jumps(sizes, random.gamma(np.maximum(counts, 1), p.jump_variance) * (counts > 0))


def _variance_path(
    p: WorldParameters, seed: int, shared: Floats, long_variance: Floats, jump_variance: Floats
) -> Floats:
    """Variance by minute: full-truncation Euler of the square-root diffusion, jumps compensated so that it reverts to
    the long variance in expectation."""
    own = stream(seed, "variance").standard_normal(shared.size)
    rho = p.spot_vol_correlation
    mixed = rho * shared + math.sqrt(1 - rho * rho) * own
    floor = 0.05 * p.vol**2
    compensator = p.jumps_per_year * p.jump_variance * _MINUTE_YEARS
    values, v = [], p.vol**2
    for shock, target, jump in zip(mixed.tolist(), long_variance.tolist(), jump_variance.tolist(), strict=True):
        values.append(v)
        diffusion = p.vol_of_vol * math.sqrt(v * _MINUTE_YEARS) * shock
        v = max(v + p.vol_reversion * (target - v) * _MINUTE_YEARS + diffusion + jump - compensator, floor)
    return np.array(values)


def _index_path(p: WorldParameters, shocks: Floats, variance: Floats, carry: Floats, jumps: Floats) -> Floats:
    """Index by step, rounded to the cent; a jump falls on the last step of its minute."""
    per_minute = shocks.shape[1]
    step_years = _MINUTE_YEARS / per_minute
    jump_drift = p.jumps_per_year * math.expm1(p.jump_mean + 0.5 * p.jump_deviation**2)
    drift = (carry - 0.5 * variance - jump_drift) * step_years
    moves = drift[:, None] + np.sqrt(variance * step_years)[:, None] * shocks
    moves[:, -1] += jumps
    path = p.start_index_usd * np.exp(np.concatenate([[0.0], np.cumsum(moves.ravel())]))
    return np.asarray(np.round(path, 2))
