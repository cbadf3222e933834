"""The contest: each rule hedges the same book along the same paths, and is drawn as cost against risk left.

Risk is the standard deviation of hourly P&L before costs, all hours of all paths together; cost is what trading cost a
day. Intervals are from resampling paths, the same ones for every rule, so that what all share cancels in differences.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.rules import to_band_centre, to_band_edge
from flatbook.report.bootstrap import Interval
from flatbook.report.hedging_page import FrontierCurve, FrontierPoint
from flatbook.sim.hedging.paths import STEPS_PER_HOUR
from flatbook.sim.hedging.rules import Rule, Stage, Zone, unhedged

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one rule did, by path: all (paths,).

    cost_usd        paid in all
    trades          how often it traded
    hours           of P&L before costs, the same for each path
    total_usd, square_usd2      sum and sum of squares of that P&L by hour
    """

    cost_usd: Floats
    trades: Ints
    hours: int
    total_usd: Floats
    square_usd2: Floats

    def cost_per_day(self, draws: Ints) -> Floats:
        """Mean cost, USD a day, for each row of paths in `draws` (n, paths)."""
        return np.asarray(24.0 / self.hours * self.cost_usd[draws].mean(axis=-1))

    def deviation(self, draws: Ints) -> Floats:
        """Standard deviation of an hour's P&L before costs, USD, for each row of paths in `draws`."""
        mean = self.total_usd[draws].mean(axis=-1) / self.hours
        return np.asarray(np.sqrt(self.square_usd2[draws].mean(axis=-1) / self.hours - mean**2))


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """A rule over its parameter: what it did at each value."""

    name: str
    parameter: str
    values: tuple[float, ...]
    outcomes: tuple[Outcome, ...]


def hedged(stage: Stage, zone: Zone) -> Outcome:
    """One rule along all paths: at each step it looks and trades, and then the market moves."""
    # By step first: each step's paths lie side by side in memory.
    index = np.ascontiguousarray(stage.paths.index_usd.T)
    target, width = np.ascontiguousarray(zone.target_coin.T), np.ascontiguousarray(zone.half_width_coin.T)
    trade = to_band_edge if zone.to_edge else to_band_centre
    steps, paths = len(index) - 1, index.shape[1]
    held, traded, trades = np.zeros(paths), np.zeros(paths), np.zeros(paths, np.int64)
    pnl = np.diff(stage.book.value_usd.T, axis=0)
    for t in range(steps):
        if t % zone.every_steps == 0:
            size = trade(held - target[t], width[t])
            held += size
            traded += np.abs(size) * index[t]
            trades += size != 0.0
        pnl[t] += held * (index[t + 1] - index[t])
    return outcome_of(pnl, stage.cost_rate * traded, trades)


def outcome_of(pnl_usd: Floats, cost_usd: Floats, trades: Ints) -> Outcome:
    """From P&L before costs by step and path (steps, paths), and what was paid and traded by path."""
    hourly = pnl_usd.reshape(-1, STEPS_PER_HOUR, cost_usd.size).sum(axis=1)
    return Outcome(cost_usd, trades, len(hourly), hourly.sum(axis=0), np.square(hourly).sum(axis=0))


def run(stage: Stage, rule: Rule) -> Contestant:
    """A rule at each value of its parameter."""
    outcomes = tuple(hedged(stage, rule.zone(stage, value)) for value in rule.values)
    return Contestant(rule.name, rule.parameter, tuple(rule.values), outcomes)


def path_draws(paths: int, count: int, rng: np.random.Generator) -> Ints:
    """(1 + count, paths) paths to average over: all of them, then resamples with replacement."""
    return np.concatenate([np.arange(paths)[None], rng.integers(0, paths, (count, paths))])


def curve(stage: Stage, contestant: Contestant, frontier: Sequence[Contestant], draws: Ints) -> FrontierCurve:
    """A contestant as it is drawn, held against the least risk of the others in `frontier`; `draws` of `path_draws`."""
    alone = hedged(stage, unhedged(stage)).deviation(draws)
    points = []
    for value, outcome in zip(contestant.values, contestant.outcomes, strict=True):
        deviation = outcome.deviation(draws)
        points.append(
            FrontierPoint(
                value,
                _interval(outcome.cost_per_day(draws)),
                _interval(deviation),
                _interval(1.0 - np.square(deviation / alone)),
                float(outcome.trades.mean() * 24.0 / outcome.hours),
                excess_risk(outcome, [other for other in frontier if other is not contestant], draws),
            )
        )
    return FrontierCurve(contestant.name, contestant.parameter, contestant in frontier, tuple(points))


def excess_risk(outcome: Outcome, others: Sequence[Contestant], draws: Ints) -> Interval | None:
    """Its risk over the least that any other has at its cost, less one: 0 is on their frontier, below is beyond it.

    Others are read between their points on straight lines of logarithms; None where it costs less than any of them,
    or more than all.
    """
    cost, risk = outcome.cost_per_day(draws), outcome.deviation(draws)
    least = np.full(len(draws), np.inf)
    for other in others:
        traded = [o for o in other.outcomes if np.all(o.cost_per_day(draws) > 0.0)]
        if not traded:
            continue
        costs = np.log([o.cost_per_day(draws) for o in traded])
        risks = np.log([o.deviation(draws) for o in traded])
        for d in range(len(draws)):
            order = np.argsort(costs[:, d])
            at = np.log(cost[d]) if cost[d] > 0.0 else -np.inf
            read = np.interp(at, costs[order, d], risks[order, d], left=np.inf, right=np.inf)
            least[d] = min(least[d], np.exp(read))
    return _interval(np.where(np.isfinite(least), risk / least - 1.0, np.nan)) if np.isfinite(least[0]) else None


def _interval(values: Floats) -> Interval:
    """The first value, and the bounds that the others keep to."""
    low, high = np.nanquantile(values[1:], [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Interval(float(values[0]), float(low), float(high))
