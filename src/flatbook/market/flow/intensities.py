"""A and k of the flow that meets a quote, online: how often takers come, and how fast that falls with distance.

A print says how far from fair value its taker was ready to trade: every quote on that side up to there would have been
hit. Prints of options alike are counted by the depth they reached, together with the option-years over which they were
watched, both fading by a half-life. A bucket's rate and decay are then drawn towards its tenor's, and a tenor's towards
the whole's, as far as its own evidence is thin and as far as siblings are seen to be alike (empirical Bayes); the whole
starts from a belief.

Takers come in crowds. What a crowd adds to the error is measured: the counts of each block of time against what was
expected, at each level, give a dispersion by which evidence is divided.

What it cannot tell: takers whom a better price than any shown would have brought; and prints short of fair value, which
say that fair value is wrong and not how flow decays, are counted as misses and not as flow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND, NS_PER_YEAR
from flatbook.market.flow.buckets import SIDES, FlowBuckets
from flatbook.market.flow.crowds import LEVELS, Crowds
from flatbook.market.flow.decays import Dispersion, Evidence, Prior
from flatbook.market.flow.hierarchy import Pool, Pooled, pooled_decays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class FitStatus(IntEnum):
    """What an estimate rests on; its numbers are usable whatever it says, being the pool's where refused."""

    FITTED = 0
    UNSEEN = 1
    TOO_FEW = 2
    NO_DECAY = 3


REASONS = {
    FitStatus.FITTED: "own evidence, shrunk towards the pool",
    FitStatus.UNSEEN: "no option of the bucket was watched: the pool's",
    FitStatus.TOO_FEW: "too little evidence of its own: almost the pool's",
    FitStatus.NO_DECAY: "its flow does not fall with distance: the pool's decay",
}
"""Why, in words."""


@dataclass(frozen=True, slots=True)
class IntensityModel:
    """What is believed of flow before any is seen, and how fast news replaces it.

    belief_arrivals     per option-year and side, at fair value ...
    belief_decay        ... and by how many e-folds they fall over one unit of depth
    belief_prints       how many prints the belief counts as
    belief_dispersion   variance of counts over Poisson's, until some blocks have shown it
    depth_step, depths  the grid: `depths` depths from 0 on, a step apart, in units of depth
    half_life_hours     of evidence
    block_s             blocks over which crowds are measured; shorter than the half-life, longer than a crowd
    outage_s            a gap between events longer than this was no exposure
    least_prints        a bucket with less evidence than this many independent prints is said to have TOO_FEW
    least_strength, most_strength   bounds of how many prints a pool counts as for one of its members
    """

    belief_arrivals: float = 900.0
    belief_decay: float = 1.0
    belief_prints: float = 2.0
    belief_dispersion: float = 3.0
    depth_step: float = 0.5
    depths: int = 9
    half_life_hours: float = 48.0
    block_s: float = 600.0
    outage_s: float = 900.0
    least_prints: float = 5.0
    least_strength: float = 0.5
    most_strength: float = 50.0

    def __post_init__(self) -> None:
        positive = ("belief_arrivals", "belief_decay", "belief_prints", "depth_step", "half_life_hours", "block_s")
        for name in positive:
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"intensities: {name} is {getattr(self, name):g}; use a number above 0")
        if self.depths < 3:
            raise ConfigurationError(f"intensities: {self.depths} depths tell no decay; use 3 or more")

    def grid(self) -> Floats:
        """The depths, in units."""
        return self.depth_step * np.arange(self.depths, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Intensities:
    """Estimates by bucket and side of takers, as of `now_ns`.

    Shapes      all (buckets, 2): takers who sell, takers who buy
    Units       arrivals_per_year per option at fair value; decay per unit of depth; errors are standard errors of the
                logs; own_weight is the share of the bucket's own evidence in A (the rest is the pool's); prints are
                independent ones, discounted; exposure in option-years; age since the bucket's last print, NaN before
    """

    now_ns: int
    arrivals_per_year: Floats
    decay: Floats
    log_arrivals_error: Floats
    log_decay_error: Floats
    own_weight: Floats
    prints: Floats
    exposure_years: Floats
    age_s: Floats
    status: NDArray[np.int8]

    def of_rows(self, bucket: Ints, unit_usd: Floats) -> tuple[Floats, Floats]:
        """Arrivals per year on one side and decay per USD of distance, for options: what the price of risk asks.

        The two sides are one: their mean rate, and the decay that keeps the sum of A k over both.

        Shapes      bucket and unit_usd (n,), results (n,); NaN where the bucket is NOWHERE
        """
        rate = self.arrivals_per_year.mean(axis=1)
        decay = (self.arrivals_per_year * self.decay).mean(axis=1) / rate
        known = bucket >= 0
        return np.where(known, rate[bucket], np.nan), np.where(known, decay[bucket], np.nan) / unit_usd

    def of_side(self, bucket: Ints, unit_usd: Floats, side: int) -> tuple[Floats, Floats]:
        """The same of one side alone: 0 is takers who sell, whom a bid meets; 1 those who buy, whom an ask does."""
        known = bucket >= 0
        rate, decay = self.arrivals_per_year[bucket, side], self.decay[bucket, side]
        return np.where(known, rate, np.nan), np.where(known, decay, np.nan) / unit_usd


class FlowIntensities:
    """Counts and exposure by bucket and side, and the estimates they give.

    `prints` and `misses` count all prints seen and those short of fair value, since the start and unfaded.

    Invariant   every count is of a time that is in the exposure; `_kept` is discounted to the last block's end, `_open`
                holds what came since; both know nothing later than the last `advance`
    """

    def __init__(self, buckets: FlowBuckets, model: IntensityModel) -> None:
        self.model = model
        self.buckets = buckets
        self.grid = model.grid()
        self.prints = 0
        self.misses = 0
        nodes = SIDES * buckets.count
        self._kept = Evidence.none(nodes, model.depths)
        self._open = Evidence.none(nodes, model.depths)
        self._watched: Floats = np.zeros(nodes)
        self._resting: Floats = np.zeros((nodes, model.depths))
        self._since_years = 0.0
        self.clock_ns = 0
        self._block_ns = 0
        self._printed_ns: Ints = np.zeros(nodes, np.int64)
        self._crowds = Crowds((1, buckets.tenors, nodes), model.belief_dispersion)
        self._believed: Intensities | None = None

    def advance(self, now_ns: int) -> None:
        """The clock goes on, and what is watched stays so; call it with every event.

        Errors      BadInputError where the clock runs backwards
        """
        elapsed_ns = now_ns - self.clock_ns
        if elapsed_ns < 0:
            raise BadInputError(f"flow's clock runs backwards by {-elapsed_ns} ns; give events in local-time order")
        if self.clock_ns == 0:
            self._block_ns = now_ns
        elif elapsed_ns <= self.model.outage_s * NS_PER_SECOND:
            self._since_years += elapsed_ns / NS_PER_YEAR
        self.clock_ns = now_ns
        if now_ns - self._block_ns >= self.model.block_s * NS_PER_SECOND:
            self._close_block()

    def watch(self, bucket: Ints, resting: Floats | None = None) -> None:
        """From now on these options are watched: their prints, or where `resting` is given no prints but our quotes.

        Shapes      bucket (n,) of each option, NOWHERE for none; resting (2, n), the depth in units at which our bid
                    (met by takers who sell) and our ask rest, NaN where there is none
        """
        self._expose()
        self._watched[:] = 0.0
        self._resting[:] = 0.0
        if resting is None:
            live = np.bincount(bucket[bucket >= 0], minlength=self.buckets.count).astype(np.float64)
            self._watched[:] = np.repeat(live, SIDES)
            return
        for side in range(SIDES):
            there = (bucket >= 0) & (resting[side] >= 0)
            np.add.at(self._resting, (SIDES * bucket[there] + side, self._nearest(resting[side][there])), 1.0)

    def observe_print(
        self, bucket: int, taker_side: int, depth: float, share: float = 1.0, *, at_our_quote: bool = False
    ) -> None:
        """A taker came, and reached `depth` units beyond fair value (negative: traded for better than fair).

        `share` is the part of a quote of our size that the print would have filled. A print that met our own quote says
        only that its taker reached it: `at_our_quote`. One in a bucket of which nothing is watched has no exposure to
        be counted against, and is passed over.
        """
        node = SIDES * bucket + (taker_side > 0)
        if bucket < 0 or math.isnan(depth) or not self._watched[node]:
            return
        self.prints += 1
        if depth < 0:
            self.misses += 1
            return
        last = self.model.depths - 1
        counts = self._open.censored if at_our_quote else self._open.stopped
        counts[node, min(int(depth / self.model.depth_step), last)] += share
        self._open.path[node] += share * min(depth, last * self.model.depth_step)
        self._printed_ns[node] = self.clock_ns

    def observe_hit(self, bucket: int, taker_side: int, depth: float, share: float = 1.0) -> None:
        """Our quote `depth` units from fair value was hit, where prints are not watched but our quotes are."""
        if bucket < 0 or not depth >= 0:
            return
        node = SIDES * bucket + (taker_side > 0)
        self._open.hits[node, self._nearest(np.array([depth]))[0]] += share
        self._printed_ns[node] = self.clock_ns

    def evidence(self) -> Evidence:
        """All that was seen, discounted to now: rates in the order bucket, side."""
        self._expose()
        return Evidence(self._kept.table * self._fade(self.clock_ns - self._block_ns) + self._open.table)

    def dispersion(self, level: str) -> Dispersion:
        """How much more the counts of a level (of `crowds.LEVELS`) vary than independent prints would; at least 1."""
        return self._crowds.dispersion(level)

    def estimate(self) -> Intensities:
        """A and k of every bucket and side as of the last `advance`."""
        evidence = self.evidence()
        found = pooled_decays(evidence, self._pool())
        exposure = evidence.exposure + evidence.quoted.sum(axis=1)
        age_s = np.where(self._printed_ns > 0, (self.clock_ns - self._printed_ns) / NS_PER_SECOND, np.nan)
        shape = (self.buckets.count, SIDES)
        arrivals, decay, arrivals_error, decay_error = (column.reshape(shape) for column in found.decays)
        return Intensities(
            now_ns=self.clock_ns,
            arrivals_per_year=arrivals,
            decay=decay,
            log_arrivals_error=arrivals_error,
            log_decay_error=decay_error,
            own_weight=found.own_weight.reshape(shape),
            prints=found.prints.reshape(shape),
            exposure_years=exposure.reshape(shape),
            age_s=age_s.reshape(shape),
            status=self._status(found, exposure).reshape(shape),
        )

    def _pool(self) -> Pool:
        model = self.model
        worth = np.array([model.belief_prints])
        belief = Prior(np.array([model.belief_arrivals]), np.array([model.belief_decay]), worth, worth)
        all_, tenor, bucket = (self.dispersion(level) for level in LEVELS)
        return Pool(
            self.grid,
            (self.buckets.tenors, SIDES * self.buckets.count),
            belief,
            (all_, tenor, bucket),
            (model.least_strength, model.most_strength),
            model.least_prints,
        )

    def _status(self, found: Pooled, exposure: Floats) -> NDArray[np.int8]:
        # Watched in vain is evidence: a bucket that should have printed and did not is fitted.
        due = np.maximum(found.prints, found.decays.arrivals * exposure / self.dispersion("bucket").arrivals)
        status = np.where(found.has_decay, FitStatus.FITTED, FitStatus.NO_DECAY)
        status = np.where(due < self.model.least_prints, FitStatus.TOO_FEW, status)
        return np.where(exposure > 0, status, FitStatus.UNSEEN).astype(np.int8)

    def _nearest(self, depth: Floats) -> Ints:
        return np.clip(np.rint(depth / self.model.depth_step), 0, self.model.depths - 1).astype(np.int64)

    def _expose(self) -> None:
        self._open.exposure += self._watched * self._since_years
        self._open.quoted += self._resting * self._since_years
        self._since_years = 0.0

    def _fade(self, elapsed_ns: int) -> float:
        return float(0.5 ** (elapsed_ns / (self.model.half_life_hours * NS_PER_HOUR)))

    def _close_block(self) -> None:
        """Measures the block against what was expected of it, and puts it to the rest."""
        self._expose()
        block_ns = int(self.model.block_s * NS_PER_SECOND)
        fade = self._fade(block_ns)
        if self._believed is not None:
            believed = self._believed
            self._crowds.measure(
                self._open, self.grid, believed.arrivals_per_year.ravel(), believed.decay.ravel(), fade
            )
        self._kept.table *= fade
        self._kept.table += self._open.table
        self._kept.table *= self._fade(self.clock_ns - self._block_ns - block_ns)
        self._open.table[:] = 0.0
        self._block_ns = self.clock_ns
        self._believed = self.estimate()
