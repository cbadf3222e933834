"""A venue through a crash: what its accounts come to owe, against how late and how wrong its margin engine is.

A path is a jump diffusion of the index with a vol that rises as it falls, and a population of accounts drawn beside it
(`population`): futures and books of options, in contracts of `listing`. The same path and people meet every engine, so
engines differ by nothing else.

A late engine sees index and vols of a while ago, and trades at the present ones. One that mis-values takes the token
for 1 + x times what it is worth, and accounts have chosen their size by what they were credited with.

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
from flatbook.risk.liquidation.listing import Listing, OptionMenu
from flatbook.risk.liquidation.market import Asset, VenueMarket, market_of
from flatbook.risk.liquidation.population import KINDS, People, Population, drawn
from flatbook.risk.liquidation.state import FUND, VenueState
from flatbook.risk.liquidation.waterfall import Venue, WaterfallRules, advanced, closed
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNITS_PER_USD: Final = 1_000_000.0
SECONDS_PER_YEAR: Final = 365.0 * 86_400.0


@dataclass(frozen=True)
class Crash:
    """The index: a diffusion and Poisson jumps of normal log size, without drift but theirs; and what vols do.

    implied_per_log_fall  log rise of a month's implied vol per log that the index is below its start
    implied_own_vol     its own, of the log per √year
    term_per_log        term twist per log rise: nearer expiries rise more
    """

    index_usd: float = 80_000.0
    vol_per_root_year: float = 1.5
    jumps_per_hour: float = 6.0
    jump_mean: float = -0.02
    jump_deviation: float = 0.015
    implied_per_log_fall: float = 1.35
    implied_own_vol: float = 1.0
    term_per_log: float = 0.3
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

    def implied(self, index: Floats, rng: np.random.Generator) -> Floats:
        """Log rise of a month's implied vol since the start beside a path of the index, (t + 1,)."""
        own = self.implied_own_vol * math.sqrt(self.step_s / SECONDS_PER_YEAR) * rng.standard_normal(len(index) - 1)
        fallen = np.maximum(-np.log(index / self.index_usd), 0.0)
        return np.asarray(self.implied_per_log_fall * fallen + np.concatenate([[0.0], np.cumsum(own)]))


@dataclass(frozen=True)
class VenueDesign:
    """What a venue's designer decides, and what the market around it is like; shares of open interest at the start.

    fund_share      that the insurance fund has
    depth_per_minute  that the market takes from liquidations on each side
    half_spread, impact  shares of notional: of any liquidation, and at the margin of one that takes all there is
    option_half_spread, option_impact  the same of options, of what they are on
    haircut         of the token
    """

    rules: WaterfallRules = field(default_factory=WaterfallRules)
    fund_share: float = 0.005
    depth_per_minute: float = 0.05
    half_spread: float = 0.0005
    impact: float = 0.02
    option_half_spread: float = 0.002
    option_impact: float = 0.02
    haircut: float = 0.05


@dataclass(frozen=True)
class Study:
    """Engines to compare: every lateness (s) with every mis-valuation (share that the token is taken for too much)."""

    model: MarginModel
    late_s: tuple[float, ...] = (0.0, 5.0, 15.0, 60.0, 300.0)
    misvalued: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2)
    population: Population = field(default_factory=Population)
    menu: OptionMenu = field(default_factory=OptionMenu)
    crash: Crash = field(default_factory=Crash)
    design: VenueDesign = field(default_factory=VenueDesign)


class Outcome(NamedTuple):
    """What one path came to behind one engine, USD but for shares.

    debts           what accounts owed beyond all they had; `debts_share` of open interest
    fund_loss       what the insurance fund is poorer by, below zero where fees earned it more
    deleveraged     of debts, what the other side of auto-deleveraging bore; `socialised` what everybody did
    uncovered       1 where the fund did not suffice, else 0
    owed_futures ... owed_short_options     of debts, those of each of `KINDS`
    """

    debts: float
    debts_share: float
    fund_loss: float
    deleveraged: float
    socialised: float
    uncovered: float
    owed_futures: float
    owed_short_vol: float
    owed_hedged_makers: float
    owed_long_options: float
    owed_short_options: float


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
    has_options = study.population.option_share > 0.0
    listing = Listing.of(study.menu, study.crash.index_usd) if has_options else Listing.perpetual_alone()
    people = drawn(
        study.population, listing, _contracts(study, listing, index, np.zeros(1), 0), study.model, study.design.haircut,
        rng,
    )  # fmt: skip
    rise = study.crash.implied(index, rng)
    asset = Asset(1.0, study.design.haircut)
    tape = [
        market_of(_contracts(study, listing, index, rise, step), listing.lot_coin, asset, study.model, UNITS_PER_USD)
        for step in range(len(index))
    ]
    opening = _opened(people, listing, tape[0])
    return np.array(
        [[_outcome(study, opening, tape, late, share) for share in study.misvalued] for late in study.late_s]
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
class _Opening:
    """Accounts (a,) in units and lots, as their engine credited them; open interest (c,) lots of each contract."""

    kind: Ints
    cash: Ints
    lots: Ints
    open_lots: Ints


def _opened(people: People, listing: Listing, market: VenueMarket) -> _Opening:
    contracts = np.trunc(people.coins / listing.lot_coin).astype(np.int64)
    token = np.where(people.has_token, people.equity_usd, 0.0).astype(np.int64)
    dollars = np.where(people.has_token, 0.0, people.equity_usd * UNITS_PER_USD).astype(np.int64)
    long, short = np.maximum(contracts, 0).sum(axis=0), np.maximum(-contracts, 0).sum(axis=0)
    cash = dollars - contracts @ market.mark[:-1]
    return _Opening(people.kind, cash, np.column_stack([contracts, token]), np.maximum(np.maximum(long, short), 1))


def _outcome(study: Study, opening: _Opening, tape: list[VenueMarket], late_s: float, misvalued: float) -> Outcome:
    # The engine credits a token with a dollar; it is worth less by how much it is taken for too much.
    actual = [market.valuing_assets_at(1.0 / (1.0 + misvalued) - 1.0) for market in tape]
    open_interest = int(opening.open_lots @ tape[0].notional[:-1])
    fund = int(study.design.fund_share * open_interest)
    entry = np.broadcast_to(tape[0].mark.astype(np.float64), opening.lots.shape)
    books = VenueState.opened(opening.cash, opening.lots, entry, actual[0], fund, makers=10 * open_interest)
    venue, rules, depth = Venue.opening(books), study.design.rules, _depth(study, opening.open_lots)
    behind = round(late_s / study.crash.step_s)
    for step in range(1, len(tape)):
        believed = tape[max(0, step - behind)]
        venue = advanced(venue, step * study.crash.step_s, believed, actual[step], rules, depth)
    venue = closed(venue, actual[-1], rules)
    tally, usd = venue.tally, 1.0 / UNITS_PER_USD
    owed = np.bincount(opening.kind, weights=venue.owed, minlength=len(KINDS)) * usd
    return Outcome(
        tally.debts * usd,
        tally.debts / open_interest,
        (fund - int(venue.state.equity(actual[-1])[FUND])) * usd,
        tally.deleveraged * usd,
        tally.socialised * usd,
        float(tally.deleveraged + tally.socialised > 0),
        *owed.tolist(),
    )


def _depth(study: Study, open_lots: Ints) -> Depth:
    design = study.design
    share = design.depth_per_minute * study.crash.step_s / 60.0
    # A token is sold by whoever ends with one, in a market that is not this venue's: it is deep, and pays the spread.
    lots = np.append(np.maximum(1, np.rint(share * open_lots)), np.iinfo(np.int64).max // 2).astype(np.int64)
    options = np.arange(len(lots)) > 0
    options[-1] = False
    half_spread = np.where(options, design.option_half_spread, design.half_spread)
    impact = np.where(options, design.option_impact, design.impact)
    impact[-1] = 0.0
    return Depth(np.stack([lots, lots]), half_spread, impact)


def _contracts(study: Study, listing: Listing, index: Floats, rise: Floats, step: int) -> MarginContracts:
    crash = study.crash
    log_rise = float(rise[step])
    days = step * crash.step_s / 86_400.0
    return listing.contracts(float(index[step]), log_rise, crash.term_per_log * log_rise, days)
