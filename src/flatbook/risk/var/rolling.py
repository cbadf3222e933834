"""VaR forecasts of a book that stays as it is, made again and again over a recorded history, each from its past alone.

The book is struck anew at each forecast: every option at its time to expiry, as many deviations from the forward, and
of the same worth in dollars of underlying, so that it is today's kind of risk that is forecast. What it then loses is
told by the market at the horizon's end as it was recorded, not by the factors: what they miss of it counts against the
forecast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_YEAR
from flatbook.kernels.chain import FACTORS, PREMIUM, SPOT, SQUARED
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.risk.var.backtests import (
    Light,
    Verdict,
    acerbi_szekely,
    conditional_coverage,
    independence,
    kupiec,
    traffic_light,
    transitions,
)
from flatbook.risk.var.book_rows import LinearRow, OptionColumns, RiskBook
from flatbook.risk.var.history import FactorHistory
from flatbook.risk.var.measures import var_and_shortfall
from flatbook.risk.var.revaluation import full_pnl_usd, linear_gain_usd, option_worth_usd
from flatbook.risk.var.sources import FactorScenarios

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Forecaster = Callable[[FactorHistory], FactorScenarios]
"""From what was known to scenarios of the horizon."""

FEWEST_READINGS = 60
"""Before the first forecast."""

MOST_FORECASTS = 500
"""The last so many: two years of trading days."""

_LOOKBACK_NS = 365 * NS_PER_DAY
"""A forecast is made from the year before it."""

_OFF_HORIZON = 0.25
"""What came is told by the reading nearest to the horizon, within this share of it."""


@dataclass(frozen=True, eq=False)
class Forecasts:
    """What one method forecast, and what came.

    Shapes      made_ns and loss (n,), USD, losses positive; scenarios n arrays of the loss
    """

    made_ns: Ints
    loss: Floats
    scenarios: tuple[Floats, ...]


@dataclass(frozen=True, eq=False)
class Judgement:
    """Forecasts at one confidence, and every test of them.

    Shapes      var, shortfall (n,), USD
    """

    confidence: float
    var: Floats
    shortfall: Floats
    exceedances: int
    coverage: Verdict
    independence: Verdict
    conditional: Verdict
    shortfall_test: Verdict
    light: Light


@dataclass(frozen=True, eq=False)
class Recording:
    """A recorded history to forecast along.

    markets     by underlying, one a reading, None where not seen; empty where there are prices alone. Then vols are
                held as they stand, in the forecasts as in what came
    """

    factors: FactorHistory
    markets: Mapping[str, Sequence[MarketSnapshot | None]]

    @property
    def is_spot_alone(self) -> bool:
        """Whether nothing but spot was seen."""
        return not self.markets

    def at(self, number: int, now: Markets) -> Markets | None:
        """The markets of a reading; None where one of them was not seen."""
        if self.is_spot_alone:
            spots = np.exp(self.factors.levels[number, :, SPOT])
            ts_ns = int(self.factors.times_ns[number])
            prices = dict(zip(self.factors.underlyings, spots.tolist(), strict=True))
            if not all(math.isfinite(price) for price in prices.values()):
                return None
            return replace(now, snapshots={name: _at_price(now.of(name), prices[name], ts_ns) for name in prices})
        found = {name: markets[number] for name, markets in self.markets.items()}
        known = {name: market for name, market in found.items() if market is not None}
        return replace(now, snapshots=known) if len(known) == len(found) else None


def roll(
    book: RiskBook,
    now: Markets,
    recording: Recording,
    hours: float,
    tenor_years: Floats,
    forecasters: Mapping[str, Forecaster],
    most: int = MOST_FORECASTS,
) -> dict[str, Forecasts]:
    """Each forecaster's forecasts of the loss over `hours`, windows that do not overlap, the last `most` of them.

    Errors      BadInputError where the history is too short for one
    """
    factors = recording.factors.spot_alone() if recording.is_spot_alone else recording.factors
    windows = list(_windows(recording, now, round(hours * NS_PER_HOUR)))[-most:]
    if len(windows) < 2:
        raise BadInputError(
            f"a history of {recording.factors.times_ns.size} readings leaves {len(windows)} windows of {hours:g} hours "
            f"after the first {FEWEST_READINGS}; give a longer one, or a horizon that is no shorter than its steps"
        )
    losses = np.empty(len(windows))
    scenarios: dict[str, list[Floats]] = {name: [] for name in forecasters}
    for at, (start, end) in enumerate(windows):
        then, after = recording.at(start, now), recording.at(end, now)
        assert then is not None
        assert after is not None
        struck = struck_anew(book, now, then)
        losses[at] = -realised_usd(struck, then, after, recording.factors, (start, end), tenor_years).sum()
        made_ns = int(factors.times_ns[start])
        known = factors.until(made_ns).since(made_ns - _LOOKBACK_NS)
        for name, forecaster in forecasters.items():
            drawn = forecaster(known)
            scenarios[name].append(-full_pnl_usd(struck, then, drawn, tenor_years).sum(axis=0))
    times_ns = factors.times_ns[[start for start, _ in windows]]
    return {name: Forecasts(times_ns, losses, tuple(drawn)) for name, drawn in scenarios.items()}


def judge(forecasts: Forecasts, confidence: float, rng: np.random.Generator) -> Judgement:
    """Every test of the forecasts at one confidence."""
    tails = [var_and_shortfall(each, confidence) for each in forecasts.scenarios]
    var, shortfall = np.array(tails).T.copy()
    exceeds, count, tail = forecasts.loss > var, forecasts.loss.size, 1.0 - confidence
    coverage = kupiec(int(exceeds.sum()), count, tail)
    independent = independence(*transitions(exceeds))
    return Judgement(
        confidence,
        var,
        shortfall,
        int(exceeds.sum()),
        coverage,
        independent,
        conditional_coverage(coverage, independent),
        _shortfall_test(forecasts, var, shortfall, tail, rng),
        traffic_light(int(exceeds.sum()), count, tail),
    )


def _shortfall_test(
    forecasts: Forecasts, var: Floats, shortfall: Floats, tail: float, rng: np.random.Generator
) -> Verdict:
    """A book that cannot lose has no tail to test."""
    if not (shortfall > 0.0).all():
        return Verdict(math.nan, math.nan)
    return acerbi_szekely(forecasts.loss, var, shortfall, forecasts.scenarios, tail, rng)


def struck_anew(book: RiskBook, now: Markets, then: Markets) -> RiskBook:
    """Today's book as it would have stood in another market; contracts over the counter are left out."""
    options = tuple(_options_then(each, now.of(each.underlying), then.of(each.underlying)) for each in book.options)
    linear = tuple(_linear_then(row, now, then) if row.underlying else row for row in book.linear)
    return replace(book, options=options, linear=linear, otc=())


def realised_usd(
    book: RiskBook,
    then: Markets,
    after: Markets,
    factors: FactorHistory,
    window: tuple[int, int],
    tenor_years: Floats,
) -> Floats:
    """What each row gained from one recorded market to another, readings `window` of `factors`, (rows,), USD."""
    gains = np.zeros(len(book.names))
    still = np.zeros((1, FACTORS))
    for options in book.options:
        before, later = (
            option_worth_usd(options, markets.of(options.underlying).in_units_of(options.usd), still, 0.0, tenor_years)[
                :, 0
            ]
            for markets in (then, after)
        )
        gains[options.at] = later - before
    start, end = window
    moves = (factors.levels[end] - factors.levels[start])[None]
    # What no reading told of moved nothing that is seen here.
    moves = np.where(np.isfinite(moves), moves, 0.0)
    moves[:, :, [SQUARED, PREMIUM]] = 0.0
    came = FactorScenarios(factors.underlyings, moves, 0.0)
    for row in book.linear:
        gains[row.at] = linear_gain_usd(row, came)[0]
    return gains


def _windows(recording: Recording, now: Markets, horizon_ns: int) -> Iterator[tuple[int, int]]:
    times = recording.factors.times_ns
    start = FEWEST_READINGS
    while start < times.size - 1:
        aim = int(times[start]) + horizon_ns
        end = start + 1 + int(np.argmin(np.abs(times[start + 1 :] - aim)))
        if abs(int(times[end]) - aim) > _OFF_HORIZON * horizon_ns:
            start += 1
            continue
        if recording.at(start, now) is not None and recording.at(end, now) is not None:
            yield start, end
        start = end


def _options_then(options: OptionColumns, now: MarketSnapshot, then: MarketSnapshot) -> OptionColumns:
    years = (options.expiry_ns - now.ts_ns) / NS_PER_YEAR
    here, there = now.in_units_of(options.usd), then.in_units_of(options.usd)
    z = np.log(options.strike / here.forward_at(years)) / (here.term.vol(0.0, years) * np.sqrt(years))
    strike = there.forward_at(years) * np.exp(z * there.term.vol(0.0, years) * np.sqrt(years))
    return replace(
        options,
        strike=strike,
        expiry_ns=then.ts_ns + (options.expiry_ns - now.ts_ns),
        size=options.size * (now.index_usd / then.index_usd),
    )


def _linear_then(row: LinearRow, now: Markets, then: Markets) -> LinearRow:
    ratio = then.of(row.underlying).index_usd / now.of(row.underlying).index_usd
    price = row.price * ratio
    if row.is_reciprocal:
        return replace(row, price=price, entry=price, usd=row.usd * ratio)
    return replace(row, price=price, size=row.size / ratio)


def _at_price(market: MarketSnapshot, index_usd: float, ts_ns: int) -> MarketSnapshot:
    """The same market at another price and moment: same vols by time to expiry and deviations, same carry."""
    ratio = index_usd / market.index_usd
    return replace(
        market,
        ts_ns=ts_ns,
        index_usd=index_usd,
        expiry_ns=market.expiry_ns + (ts_ns - market.ts_ns),
        forward_usd=market.forward_usd * ratio,
        linear_usd={name: price * ratio for name, price in market.linear_usd.items()},
    )
