"""What each row of a book gains in each scenario of the factors, by full revaluation.

A scenario's smile is read as the factors are: at a standardised moneyness it is today's smile there, moved by level,
skew and convexity of its tenor; so reading the factors of a shocked smile gives their shocks back. Vols and forwards
stay as they are by expiry while the horizon passes. Vanilla options are columns; futures, perpetuals, spot and balances
a formula each; a contract over the counter is valued on a grid of spot and vol, and read between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_YEAR
from flatbook.kernels.black import price_greeks
from flatbook.kernels.chain import BASIS, FACTORS, PREMIUM, SPOT
from flatbook.kernels.factors import WING
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.risk.var.book_rows import LinearRow, OptionColumns, RiskBook
from flatbook.risk.var.otc_grid import grid_gain_usd
from flatbook.risk.var.sources import FactorScenarios
from flatbook.risk.var.taylor import greek_gain_usd, otc_taylor_usd
from flatbook.risk.var.tenors import smile_moves
from flatbook.valuation.portfolio import Portfolio

Floats = NDArray[np.float64]

_HOURS_PER_YEAR = 8760.0
_LEAST_VOL = 0.1
"""No vol falls below this share of what its expiry has at the money."""

_AT_ONCE = 1 << 18
"""Options times scenarios that are valued at once: their columns stay in the cache."""


@dataclass(frozen=True, eq=False)
class ShockedOptions:
    """Where options stand in scenarios.

    Shapes      index (scenarios,); forward and vol (options, scenarios); years that are left (options,)
    """

    index: Floats
    forward: Floats
    vol: Floats
    years: Floats


def full_pnl_usd(book: RiskBook, markets: Markets, scenarios: FactorScenarios, tenor_years: Floats) -> Floats:
    """What each row gains in each scenario, (rows, scenarios), USD.

    Errors      BadInputError for a contract over the counter that cannot be valued in a scenario
    """
    gains = np.zeros((len(book.names), len(scenarios.moves)))
    for options in book.options:
        market = markets.of(options.underlying).in_units_of(options.usd)
        moves = scenarios.of(options.underlying)
        still = option_worth_usd(options, market, np.zeros((1, FACTORS)), 0.0, tenor_years)
        chunk = max(1, _AT_ONCE // len(options.at))
        for start in range(0, len(moves), chunk):
            part = slice(start, start + chunk)
            gains[options.at, part] = (
                option_worth_usd(options, market, moves[part], scenarios.hours, tenor_years) - still
            )
    for row in book.linear:
        gains[row.at] = linear_gain_usd(row, scenarios)
    for at, position in book.otc:
        if position.otc is not None and position.otc.underlying2 is not None:
            gains[at] = otc_taylor_usd(position, markets, scenarios, tenor_years)
        else:
            gains[at] = grid_gain_usd(position, markets, scenarios, tenor_years)
    return gains


def taylor_pnl_usd(
    book: RiskBook, portfolio: Portfolio, markets: Markets, scenarios: FactorScenarios, tenor_years: Floats
) -> Floats:
    """The same by Greeks: delta, gamma, vega, vanna, volga, carry and theta; `portfolio` is what `book` was made of.

    An option's vol moves as the full revaluation has it, at its strike; so the two differ by Taylor's remainder alone.
    """
    marks = portfolio.mark(markets)
    gains = np.zeros((len(book.names), len(scenarios.moves)))
    for options in book.options:
        market = markets.of(options.underlying).in_units_of(options.usd)
        moves = scenarios.of(options.underlying)
        # Vols are read before any time has passed: what time does is theta's.
        still = shock_options(options, market, np.zeros((1, FACTORS)), 0.0, tenor_years).vol
        vol = shock_options(options, market, moves, 0.0, tenor_years).vol
        gains[options.at] = greek_gain_usd(marks, options.at, moves, vol - still, scenarios.hours)
    for row in book.linear:
        gains[row.at] = linear_gain_usd(row, scenarios)
    for at, position in book.otc:
        gains[at] = otc_taylor_usd(position, markets, scenarios, tenor_years)
    return gains


def option_worth_usd(
    options: OptionColumns, market: MarketSnapshot, moves: Floats, hours: float, tenor_years: Floats
) -> Floats:
    """What each option is worth in USD once the factors have moved and time has passed, (options, scenarios).

    `market` is in units of the options' quote currency; `moves` (scenarios, FACTORS) of its factors.
    """
    shocked = shock_options(options, market, moves, hours, tenor_years)
    shape = shocked.forward.shape

    def column(values: Floats) -> Floats:
        return np.ascontiguousarray(np.broadcast_to(values, shape)).ravel()

    greeks = np.empty((5, shocked.forward.size))
    price_greeks(
        column(shocked.forward),
        column(options.strike[:, None]),
        column(shocked.vol),
        column(shocked.years[:, None]),
        column(options.sign[:, None]),
        *greeks,
    )
    scale = shocked.index / shocked.forward if options.is_inverse else options.usd
    return np.asarray(options.size[:, None] * greeks[0].reshape(shape) * scale)


def shock_options(
    options: OptionColumns, market: MarketSnapshot, moves: Floats, hours: float, tenor_years: Floats
) -> ShockedOptions:
    """Where options are valued once the factors have moved and time has passed."""
    years = (options.expiry_ns - market.ts_ns) / NS_PER_YEAR
    left = np.maximum(years - hours / _HOURS_PER_YEAR, 0.0)
    index = market.index_usd * np.exp(moves[:, SPOT])
    log_basis = market.log_basis(years)[:, None] + left[:, None] * moves[:, BASIS]
    forward = index * np.exp(np.where(left[:, None] > 0.0, log_basis, 0.0))
    root = np.sqrt(years)
    middle = market.term.vol(0.0, years)
    level, skew, convexity = smile_moves(years, moves, tenor_years)
    moved = np.maximum(middle[:, None] + level, _LEAST_VOL * middle[:, None])
    z = np.log(options.strike[:, None] / forward) / (moved * root[:, None])
    held = np.clip(z, -WING, WING)
    smile = market.term.vol(z * (middle * root)[:, None], years[:, None])
    vol = np.maximum(smile + level + held * (skew + held * convexity), _LEAST_VOL * middle[:, None])
    return ShockedOptions(index, forward, np.where(left[:, None] > 0.0, vol, 0.0), left)


def linear_gain_usd(row: LinearRow, scenarios: FactorScenarios) -> Floats:
    """What a linear row gains in each scenario, (scenarios,); nothing where it is in dollars."""
    if not row.underlying:
        return np.zeros(len(scenarios.moves))
    moves = scenarios.of(row.underlying)
    spot = np.exp(moves[:, SPOT])
    apart = moves[:, PREMIUM] if row.is_perpetual else row.years * moves[:, BASIS]
    price = row.price * spot * np.exp(apart)
    if row.is_reciprocal:
        # The coin gained so far is worth the index, which moves by `spot`.
        before = row.size * (1.0 / row.entry - 1.0 / row.price)
        return np.asarray((row.size * (1.0 / row.entry - 1.0 / price) * spot - before) * row.usd)
    return np.asarray(row.size * (price - row.price) * row.usd)
