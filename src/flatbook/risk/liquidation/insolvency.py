"""A venue through a crash: what its accounts come to owe, against how late and how wrong its margin engine is.

A path is a jump diffusion of the index, with a population of accounts drawn beside it: leverage, size, side, and which
of them post a token for collateral. The same path and people meet every engine, so engines differ by nothing else. One
perpetual, settled in dollars, at the index; what a venue of options comes to is the same waterfall in other columns.

A late engine sees the index of a while ago, and trades at the present one. One that mis-values takes the token for
1 + x times what it is worth, and accounts have chosen their size by what they were credited with.

Source of the path: Merton (1976).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.liquidation.incremental import Depth
from flatbook.risk.liquidation.market import Asset, VenueMarket, market_of
from flatbook.risk.liquidation.state import FUND, VenueState
from flatbook.risk.liquidation.waterfall import Venue, WaterfallRules, advanced, closed
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNITS_PER_USD: Final = 1_000_000.0
LOT_COIN: Final = 0.001
SECONDS_PER_YEAR: Final = 365.0 * 86_400.0
_PERPETUAL, _TOKEN = 0, 1


@dataclass(frozen=True)
class Population:
    """Who trades there: lognormal equity and leverage, by median and deviation of the log.

    long_share      of accounts that are long; the makers have the other side of the rest
    token_share     of accounts that post a token for all their collateral, the others dollars
    margin_use      share of the balance that initial margin takes at most
    """

    accounts: int = 500
    equity_usd: float = 20_000.0
    equity_log_deviation: float = 1.5
    leverage: float = 6.0
    leverage_log_deviation: float = 0.8
    long_share: float = 0.6
    token_share: float = 0.4
    margin_use: float = 0.9


@dataclass(frozen=True)
class Crash:
    """The index: a diffusion and Poisson jumps of normal log size, without drift but theirs."""

    index_usd: float = 80_000.0
    vol_per_root_year: float = 1.5
    jumps_per_hour: float = 6.0
    jump_mean: float = -0.02
    jump_deviation: float = 0.015
    hours: float = 1.0
    step_s: float = 5.0

    def path(self, rng: np.random.Generator) -> Floats:
        """The index at each step from its start on, (t + 1,)."""
        count = max(1, round(self.hours * 3_600.0 / self.step_s))
        deviation = self.vol_per_root_year * math.sqrt(self.step_s / SECONDS_PER_YEAR)
        diffusion = rng.normal(-0.5 * deviation**2, deviation, count)
        jumps = rng.poisson(self.jumps_per_hour * self.step_s / 3_600.0, count)
        jumped = jumps * self.jump_mean + np.sqrt(jumps) * self.jump_deviation * rng.standard_normal(count)
        return np.asarray(self.index_usd * np.exp(np.concatenate([[0.0], np.cumsum(diffusion + jumped)])))


@dataclass(frozen=True)
class VenueDesign:
    """What a venue's designer decides, and what the market around it is like; shares of open interest at the start.

    fund_share      that the insurance fund has
    depth_per_minute  that the market takes from liquidations on each side
    half_spread, impact  shares of notional: of any liquidation, and at the margin of one that takes all there is
    haircut         of the token
    """

    rules: WaterfallRules = field(default_factory=WaterfallRules)
    fund_share: float = 0.005
    depth_per_minute: float = 0.05
    half_spread: float = 0.0005
    impact: float = 0.02
    haircut: float = 0.05


@dataclass(frozen=True)
class Study:
    """Engines to compare: every lateness (s) with every mis-valuation (share that the token is taken for too much)."""

    model: MarginModel
    late_s: tuple[float, ...] = (0.0, 5.0, 15.0, 60.0, 300.0)
    misvalued: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2)
    population: Population = field(default_factory=Population)
    crash: Crash = field(default_factory=Crash)
    design: VenueDesign = field(default_factory=VenueDesign)


class Outcome(NamedTuple):
    """What one path came to behind one engine, USD but for shares.

    debts           what accounts owed beyond all they had; `debts_share` of open interest
    fund_loss       what the insurance fund is poorer by, below zero where fees earned it more
    deleveraged     of debts, what the other side of auto-deleveraging bore; `socialised` what everybody did
    uncovered       1 where the fund did not suffice, else 0
    """

    debts: float
    debts_share: float
    fund_loss: float
    deleveraged: float
    socialised: float
    uncovered: float


@dataclass(frozen=True, eq=False)
class Curve:
    """Means over paths and their standard errors, (l, x) by lateness and mis-valuation, by field of `Outcome`.

    more        `debts_share` beyond that of the first engine, and its error over pairs: all met the same paths
    """

    late_s: tuple[float, ...]
    misvalued: tuple[float, ...]
    paths: int
    mean: dict[str, Floats]
    error: dict[str, Floats]
    more: Floats
    more_error: Floats


def endured(study: Study, rng: np.random.Generator) -> Floats:
    """One path behind every engine: `Outcome` of each, (l, x, fields)."""
    index = study.crash.path(rng)
    tape = [_market(study, usd) for usd in index.tolist()]
    people = _drawn(study, tape[0], rng)
    return np.array(
        [[_outcome(study, people, tape, late, share) for share in study.misvalued] for late in study.late_s]
    )


def curve_of(study: Study, paths: Sequence[Floats]) -> Curve:
    """The curve that `endured` of several paths come to; errors are NaN of a single one."""
    stacked = np.stack(paths)
    debts = stacked[..., Outcome._fields.index("debts_share")]
    mean, error = _mean_and_error(stacked)
    more, more_error = _mean_and_error(debts - debts[:, :1, :1])
    columns = {name: at for at, name in enumerate(Outcome._fields)}
    return Curve(
        late_s=study.late_s,
        misvalued=study.misvalued,
        paths=len(paths),
        mean={name: mean[..., at] for name, at in columns.items()},
        error={name: error[..., at] for name, at in columns.items()},
        more=more,
        more_error=more_error,
    )


def _mean_and_error(paths: Floats) -> tuple[Floats, Floats]:
    """Over the first axis; no error of a single path."""
    mean = paths.mean(axis=0)
    if len(paths) < 2:
        return mean, np.full_like(mean, math.nan)
    return mean, paths.std(axis=0, ddof=1) / math.sqrt(len(paths))


@dataclass(frozen=True, eq=False)
class _People:
    """Accounts (a,): cash and lots of perpetual and token, as their engine credited them."""

    cash: Ints
    lots: Ints
    open_interest_lots: int


def _drawn(study: Study, market: VenueMarket, rng: np.random.Generator) -> _People:
    people = study.population
    count = people.accounts
    equity = people.equity_usd * np.exp(people.equity_log_deviation * rng.standard_normal(count))
    leverage = people.leverage * np.exp(people.leverage_log_deviation * rng.standard_normal(count))
    side = np.where(rng.uniform(size=count) < people.long_share, 1, -1)
    has_token = rng.uniform(size=count) < people.token_share
    coins = side * equity * leverage / study.crash.index_usd
    credited = equity * np.where(has_token, 1.0 - study.design.haircut, 1.0)
    initial = study.model.requirement(_perpetual(study.crash.index_usd)).margins(coins[:, None]).initial
    # A requirement grows at least as fast as a position: scaled by this much, it is within what they may use.
    coins *= np.minimum(1.0, people.margin_use * credited / initial)
    perpetual = np.trunc(coins / LOT_COIN).astype(np.int64)
    token = np.where(has_token, equity, 0.0).astype(np.int64)
    dollars = np.where(has_token, 0.0, equity * UNITS_PER_USD).astype(np.int64)
    lots = np.stack([perpetual, token], axis=1)
    long, short = int(np.maximum(perpetual, 0).sum()), int(np.maximum(-perpetual, 0).sum())
    return _People(dollars - perpetual * market.mark[_PERPETUAL], lots, max(long, short, 1))


def _outcome(study: Study, people: _People, tape: list[VenueMarket], late_s: float, misvalued: float) -> Outcome:
    # The engine credits a token with a dollar; it is worth less by how much it is taken for too much.
    actual = [market.valuing_assets_at(1.0 / (1.0 + misvalued) - 1.0) for market in tape]
    open_interest = people.open_interest_lots * int(tape[0].notional[_PERPETUAL])
    fund = int(study.design.fund_share * open_interest)
    entry = np.broadcast_to(tape[0].mark.astype(np.float64), people.lots.shape)
    books = VenueState.opened(people.cash, people.lots, entry, actual[0], fund, makers=10 * open_interest)
    venue, rules, depth = Venue.opening(books), study.design.rules, _depth(study, people.open_interest_lots)
    behind = round(late_s / study.crash.step_s)
    for step in range(1, len(tape)):
        believed = tape[max(0, step - behind)]
        venue = advanced(venue, step * study.crash.step_s, believed, actual[step], rules, depth)
    venue = closed(venue, actual[-1], rules)
    tally, usd = venue.tally, 1.0 / UNITS_PER_USD
    return Outcome(
        debts=tally.debts * usd,
        debts_share=tally.debts / open_interest,
        fund_loss=(fund - int(venue.state.equity(actual[-1])[FUND])) * usd,
        deleveraged=tally.deleveraged * usd,
        socialised=tally.socialised * usd,
        uncovered=float(tally.deleveraged + tally.socialised > 0),
    )


def _depth(study: Study, open_interest_lots: int) -> Depth:
    design = study.design
    perpetual = max(1, round(design.depth_per_minute * open_interest_lots * study.crash.step_s / 60.0))
    # A token is sold by whoever ends with one, in a market that is not this venue's: it is deep, and pays the spread.
    lots = np.array([perpetual, np.iinfo(np.int64).max // 2], dtype=np.int64)
    return Depth(np.stack([lots, lots]), np.full(2, design.half_spread), np.array([design.impact, 0.0]))


def _market(study: Study, index_usd: float) -> VenueMarket:
    asset = Asset(1.0, study.design.haircut)
    return market_of(_perpetual(index_usd), np.array([LOT_COIN]), asset, study.model, UNITS_PER_USD)


def _perpetual(index_usd: float) -> MarginContracts:
    nothing, one = np.zeros(1), np.ones(1)
    return MarginContracts(
        underlying="BTC",
        index_usd=index_usd,
        names=("BTC_USDC-PERPETUAL",),
        is_option=np.zeros(1, dtype=np.bool_),
        in_coin=np.zeros(1, dtype=np.bool_),
        strike_usd=np.full(1, math.nan),
        sign=nothing,
        years=nothing,
        forward_usd=index_usd * one,
        vol=nothing,
        mark_usd=index_usd * one,
        delta=one,
        rate=nothing,
    )
