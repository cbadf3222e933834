"""Flow drawn from a seed with known rates, decays and knowledge."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.market.flow.decays import Evidence
from flatbook.market.flow.markouts import ChainColumns
from flatbook.market.flow.order_flow import Contracts, FlowModel, OrderFlow

Floats = NDArray[np.float64]

GRID: Floats = 0.5 * np.arange(9, dtype=np.float64)


def drawn_evidence(
    seed: int, arrivals: Floats, decay: Floats, exposure: Floats, quote_depth: Floats | None = None
) -> Evidence:
    """Prints of exponential flow over `exposure` option-years; those that reach `quote_depth` meet our quote."""
    rng = np.random.default_rng(seed)
    evidence = Evidence.none(len(arrivals), len(GRID))
    evidence.exposure[:] = exposure
    rate = np.repeat(np.arange(len(arrivals)), rng.poisson(arrivals * exposure))
    depth = rng.exponential(1 / decay[rate])
    met = np.zeros(len(rate), bool)
    if quote_depth is not None:
        met = depth >= quote_depth[rate]
        depth = np.where(met, quote_depth[rate], depth)
    np.add.at(evidence.path, rate, np.minimum(depth, GRID[-1]))
    column = np.minimum(np.floor(depth / GRID[1]).astype(np.int64), len(GRID) - 1)
    np.add.at(evidence.censored, (rate[met], column[met]), 1.0)
    np.add.at(evidence.stopped, (rate[~met], column[~met]), 1.0)
    return evidence


def drawn_hits(seed: int, arrivals: Floats, decay: Floats, quoted: Floats) -> Evidence:
    """Hits of our own quotes, that rested for `quoted` (rates, depths) option-years, where no print is seen."""
    evidence = Evidence.none(len(arrivals), len(GRID))
    evidence.quoted[:] = quoted
    evidence.hits[:] = np.random.default_rng(seed).poisson(arrivals[:, None] * np.exp(-decay[:, None] * GRID) * quoted)
    return evidence


@dataclass
class DrawnFlow:
    """A chain whose takers are known, told to `flow` as it goes.

    arrivals, decay     (buckets, 2) A in fills of one contract a year and option, and k, that takers are drawn with
    informed            share of takers who know the index a minute on, and take the side that gains by it
    minute_move         mean size of a minute's move of fair value over those prints, in units
    """

    flow: OrderFlow
    arrivals: Floats
    decay: Floats
    informed: float
    minute_move: float = 0.0
    ts_ns: list[int] = field(default_factory=list)
    vpin: list[float] = field(default_factory=list)
    activity: list[float] = field(default_factory=list)


STEP_S = 30.0
START_NS = parse_utc("2026-01-06T00:00")
_STEPS_AHEAD = 2
_SIZES = (0.4, 1.0, 4.0, 20.0)
_MEAN_SHARE = 0.85
"""Of a quote of one contract, filled by a print."""
_YEAR_S = 365 * 86_400.0


def drawn_flow(seed: int, hours: float, model: FlowModel, informed: float = 0.3) -> DrawnFlow:
    """Inverse options of five tenors about an index that walks, and takers of known rates, reach and knowledge."""
    rng = np.random.default_rng(seed)
    strikes = np.exp(np.linspace(-1.8, 1.8, 9))
    days, at, sign = (grid.ravel() for grid in np.meshgrid([1.5, 5.0, 12.0, 25.0, 90.0], strikes, [1.0, -1.0]))
    strike = 80_000.0 * at ** (0.5 * np.sqrt(days / 365))
    steps = int(hours * 3600 / STEP_S)
    index = 80_000.0 * np.exp(np.cumsum(0.5 * np.sqrt(STEP_S / _YEAR_S) * rng.normal(size=steps + _STEPS_AHEAD)))
    buckets, flow = model.buckets, OrderFlow(model)
    tenor, strike_ = np.divmod(np.arange(buckets.count), buckets.strikes)
    arrivals = 4e4 * np.exp(-0.1 * tenor) * np.exp(-0.35 * np.abs(strike_ % (buckets.strikes // 2) - 3.5))
    arrivals = np.repeat((arrivals * rng.gamma(8, 1 / 8, buckets.count))[:, None], 2, axis=1)
    drawn = DrawnFlow(flow, arrivals, rng.uniform(0.8, 1.4, (buckets.count, 2)), informed)
    moved: list[float] = []
    fair = fair_coin(index[0], strike, days / 365, sign)[0]
    for step in range(steps):
        now_ns = START_NS + int(step * STEP_S * NS_PER_SECOND)
        years = days / 365 - step * STEP_S / _YEAR_S
        flow.advance(now_ns)
        fair, vega, theta = fair_coin(index[step], strike, years, sign)
        flow.see_chain(
            ChainColumns(fair, np.full(len(fair), 0.5), vega, theta),
            Contracts(years, np.log(strike / index[step]) / (0.5 * np.sqrt(years)), sign),
        )
        flow.advance(now_ns + NS_PER_SECOND)  # so that a minute on is after the step that the informed know
        later = fair_coin(index[step + _STEPS_AHEAD], strike, years - _STEPS_AHEAD * STEP_S / _YEAR_S, sign)[0]
        gain = later - fair - theta * _STEPS_AHEAD * STEP_S / _YEAR_S
        rate = drawn.arrivals[flow.bucket] / _MEAN_SHARE * STEP_S / _YEAR_S
        for side, taker in ((0, -1), (1, 1)):
            for row in np.repeat(np.arange(len(fair)), rng.poisson(rate[:, side])).tolist():
                # One who knows comes to the same option, at the side that gains: both sides are as likely beforehand.
                knows = rng.random() < informed
                chosen = (1 if gain[row] > 0 else -1) if knows else taker
                unit = float(flow.unit_coin()[row])
                depth = rng.exponential(1 / drawn.decay[flow.bucket[row], int(chosen > 0)])
                moved.append(abs(float(gain[row])) / unit)
                flow.take_print(row, chosen, float(fair[row]) + chosen * depth * unit, _SIZES[rng.integers(4)])
        if step % 10 == 0:
            drawn.ts_ns.append(now_ns)
            drawn.vpin.append(flow.vpin.value)
            drawn.activity.append(flow.regime().activity)
    drawn.minute_move = float(np.mean(moved))
    return drawn


def fair_coin(index: float, strike: Floats, years: Floats, sign: Floats) -> tuple[Floats, Floats, Floats]:
    """Inverse options at a vol of one half: value, vega per 1.00 of vol and theta per year, all in coin."""
    width = 0.5 * np.sqrt(years)
    d1 = np.log(index / strike) / width + 0.5 * width
    value = sign * (ndtr(sign * d1) - strike / index * ndtr(sign * (d1 - width)))
    density = np.exp(-0.5 * d1 * d1) / np.sqrt(2 * np.pi)
    return value, density * np.sqrt(years), -0.25 * density / np.sqrt(years)
