"""Hedging with options as well as the index, by the hedger itself: what no rule for delta can remove.

Every hour and on every path `decide.hedge.best_hedge` is asked, over the perpetual and some options, under R = γ/2 x'Σx
to expiry, with Σ of the index, its square and the level of vols as learnt so far, gamma moving the delta.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.best import best_hedge
from flatbook.decide.hedge.gamma_aware import GapMotion, gamma_aware
from flatbook.decide.hedge.instruments import HedgeSet, TradingTerms, delta_one, joined, loading_row
from flatbook.sim.hedging.book import BookAlong, OptionBook, along
from flatbook.sim.hedging.contest import Contestant, Outcome, outcome_of
from flatbook.sim.hedging.paths import STEPS_PER_HOUR
from flatbook.sim.hedging.rules import MEMORY_HOURS, Stage
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]

FACTORS = ("spot", "squared", "level")
HOURS_PER_YEAR = 8760.0
SPOT = loading_row(FACTORS, {"spot": 1.0})


@dataclass(frozen=True, slots=True)
class OptionTerms:
    """What an option costs to trade, a side: half its spread in vol, and a fee of the index; and its lot in coins."""

    half_spread_vol: float = 0.005
    fee_rate: float = 3e-4
    lot_coin: float = 0.1


HEDGING_OPTIONS = (
    OptionBook(days=7.0, deviations=(0.0,), signs=(1,), sizes=(1.0,)),
    OptionBook(days=30.0, deviations=(0.0,), signs=(1,), sizes=(1.0,)),
)
"""Calls at the money of the book's expiry and of a month, a coin each."""


def run_with_options(stage: Stage, aversions: Sequence[float], terms: OptionTerms) -> Contestant:
    """The hedger at each risk aversion."""
    options = [along(stage.paths, option) for option in HEDGING_OPTIONS]
    covariance = learnt_covariance(stage)
    outcomes = tuple(_hedged(stage, options, covariance, terms, aversion) for aversion in aversions)
    return Contestant("price of risk, options too", "risk aversion", tuple(aversions), outcomes)


def learnt_covariance(stage: Stage) -> Floats:
    """(hours, paths, 3, 3) Σ per year at each hour, of what came before: faded sums of hourly moves, and a prior."""
    log_index = np.log(stage.paths.index_usd[:, ::STEPS_PER_HOUR])
    move = np.diff(log_index, axis=1)
    vol_move = np.diff(stage.book.atm_vol[:, ::STEPS_PER_HOUR], axis=1)
    variance = stage.book.atm_vol[:, 0] ** 2
    hour_variance = variance / HOURS_PER_YEAR
    total = np.zeros((len(move), 3, 3))
    # Prior: a Gaussian index, and vols that double or halve in about a year.
    total[:, 0, 0], total[:, 1, 1], total[:, 2, 2] = hour_variance, 3 * hour_variance**2, hour_variance
    total *= MEMORY_HOURS
    weight, keep = MEMORY_HOURS, 0.5 ** (1.0 / MEMORY_HOURS)
    out = []
    for hour in range(move.shape[1]):
        out.append(total / weight * HOURS_PER_YEAR)
        moves = np.stack([move[:, hour], move[:, hour] ** 2, vol_move[:, hour]], axis=1)
        total = keep * total + moves[:, :, None] * moves[:, None, :]
        weight = keep * weight + 1.0
    return np.stack(out)


def _hedged(
    stage: Stage, options: Sequence[BookAlong], covariance: Floats, terms: OptionTerms, aversion: float
) -> Outcome:
    paths, steps = stage.paths.index_usd.shape[0], stage.paths.steps
    pnl = np.diff(stage.book.value_usd.T, axis=0)
    cost, trades = np.zeros(paths), np.zeros(paths, np.int64)
    for path in range(paths):
        index = stage.paths.index_usd[path]
        holding, warm = np.zeros(1 + len(options)), None
        for hour, now in enumerate(range(0, steps, STEPS_PER_HOUR)):
            hedge_set = _hedge_set(stage, options, terms, path, now)
            held = holding.copy()
            held[0] *= index[now]  # the perpetual is held in coins and traded in dollars
            exposure = _exposure(stage.book, path, now) + held @ hedge_set.loading
            years = float(stage.book.years[path, now])
            price = RiskPrice(aversion * years * covariance[hour, path])
            motion = GapMotion(2.0 * exposure[1], float(covariance[hour, path, 0, 0]))
            price = gamma_aware(price, SPOT, stage.cost_rate, aversion, motion)
            plan = best_hedge(exposure, price, hedge_set, warm)
            warm = plan.warm
            cost[path] += plan.cost_usd
            trades[path] += np.count_nonzero(plan.lots)
            holding += plan.size / np.append(index[now], np.ones(len(options)))
            hour_of = slice(now, now + STEPS_PER_HOUR + 1)
            pnl[now : now + STEPS_PER_HOUR, path] += holding[0] * np.diff(index[hour_of])
            for size, option in zip(holding[1:], options, strict=True):
                pnl[now : now + STEPS_PER_HOUR, path] += size * np.diff(option.value_usd[path, hour_of])
    return outcome_of(pnl, cost, trades)


def _exposure(book: BookAlong, path: int, step: int) -> Floats:
    here = path, step
    return np.array([book.delta_usd[here], 0.5 * book.dollar_gamma_usd[here], book.vega_usd[here]])


def _hedge_set(stage: Stage, options: Sequence[BookAlong], terms: OptionTerms, path: int, step: int) -> HedgeSet:
    """The perpetual, and each option as it stands."""
    perpetual = delta_one("perpetual", SPOT, 1.0, TradingTerms(stage.cost_rate, 0.0, 0.0, lot=10.0))
    index_usd = stage.paths.index_usd[path, step]
    column = np.ones(len(options))
    vega = np.array([option.vega_usd[path, step] for option in options])
    rows = HedgeSet(
        name=tuple(f"option {k}" for k in range(len(options))),
        loading=np.stack([_exposure(option, path, step) for option in options]),
        lot=terms.lot_coin * column,
        least=0.0 * column,
        most=1e4 * column,
        fee_usd=terms.fee_rate * index_usd * column,
        half_spread_usd=terms.half_spread_vol * vega,
        impact_usd=0.0 * column,
        carry_buy_usd=0.0 * column,
        carry_sell_usd=0.0 * column,
    )
    return joined(perpetual, rows)
