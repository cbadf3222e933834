"""A book and its hedges in a moving market, and where every dollar of their P&L came from.

Our own trades move the price of the coin they are in, for options as for hedges, on top of what was recorded. A hedge
is coins of a perpetual against dollars: what it gains is cash at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind
from flatbook.kernels.chain import PREMIUM, SPOT
from flatbook.market.covariance import CovarianceModel
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets
from flatbook.sim.crises.outcome import CRISIS_PARTS
from flatbook.sim.crises.venue import HedgeMarket, Pushed
from flatbook.valuation.exposure import position_loadings
from flatbook.valuation.portfolio import Portfolio
from flatbook.valuation.standing_explain import STANDING_PARTS, parts_usd

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_MONTH_YEARS = 30.0 / 365.0
_TENOR_YEARS = np.array(CovarianceModel().tenor_days) / 365.0


class Desk:
    """The book, its hedges in coins, and the cash both have made.

    Invariant   `pnl_usd`, of values, is the sum of `parts`, of what happened, but for rounding
    """

    def __init__(self, book: Portfolio, markets: Markets, market: HedgeMarket) -> None:
        self.book, self.market = book, market
        self.base = self.markets = markets
        self.marks = book.mark(markets)
        self.worth_at_start_usd = self.marks.value_usd.copy()  # of each that is still held, as much of it as is
        self.start_usd = float(self.marks.value_usd.sum())
        self.cash_usd = 0.0
        self.hedge = dict.fromkeys(book.underlyings, 0.0)
        self.hedge_gained_usd = 0.0
        self.price = {coin: markets.of(coin).index_usd for coin in self.hedge}
        self.pushed = {coin: Pushed() for coin in self.hedge}
        self.vol = dict.fromkeys(self.hedge, math.nan)
        self.parts = dict.fromkeys(CRISIS_PARTS, 0.0)
        self.trades, self.traded_usd = 0, 0.0

    @property
    def pnl_usd(self) -> float:
        """Of positions and hedges since the start."""
        return float(self.marks.value_usd.sum()) + self.cash_usd - self.start_usd

    @property
    def balances_usd(self) -> float:
        """What the balances' currencies have done to them since the start."""
        return self.book.balances_usd(self.markets) - self.book.balances_usd(self.base)

    def move(self, shocks: Mapping[str, Shock]) -> None:
        """The market after `shocks` of the beginning's and our own pushes; what that gained goes to its parts."""
        before, marks, prices = self.markets, self.marks, self.price
        moved = {coin: _pushed(shock, self.pushed[coin]) for coin, shock in shocks.items()}
        self.markets = self.base.shocked(moved)
        self.marks = self.book.mark(self.markets)
        gained = parts_usd(self.book, marks, self.marks, before, self.markets).sum(axis=0)
        for name, usd in zip(STANDING_PARTS, gained.tolist(), strict=True):
            self.parts[name] += usd
        self.price = {coin: self.base.of(coin).index_usd * shock.carried for coin, shock in moved.items()}
        gains = sum(held * (self.price[coin] - prices[coin]) for coin, held in self.hedge.items())
        self.hedge_gained_usd += gains
        self.pay("hedge", gains)
        for coin in self.hedge:
            market = self.markets.of(coin)
            vol = float(market.vol(market.forward_at(_MONTH_YEARS), _MONTH_YEARS))
            if math.isfinite(vol):
                self.vol[coin] = vol

    def pay(self, part: str, usd: float) -> None:
        """Cash that is P&L."""
        self.cash_usd += usd
        self.parts[part] += usd

    def fund(self, rate: float) -> None:
        """Funding of perpetuals, in the book and as hedges; longs pay where the rate is above 0."""
        if rate == 0.0:
            return
        ours = [one.otc is None and one.instrument.contract.kind is Kind.PERPETUAL for one in self.book.positions]
        held = float(self.marks.basis_usd[ours].sum()) + sum(map(self.hedge_usd, self.hedge))
        self.pay("funding", -rate * held)

    def cash_in(self, gone: Flags) -> float:
        """Positions turned into cash at what they are worth, which is told; nothing is gained by it."""
        usd = float(self.marks.value_usd[gone].sum())
        kept = ~gone
        self.worth_at_start_usd = self.worth_at_start_usd[kept]
        self.change(
            Portfolio((p for p, stays in zip(self.book.positions, kept, strict=True) if stays), self.book.balances)
        )
        self.cash_usd += usd
        return usd

    def change(self, book: Portfolio) -> None:
        """Other holdings in the same market."""
        self.book = book
        self.marks = book.mark(self.markets)

    def hedge_usd(self, coin: str) -> float:
        """What hedges in a coin are worth of it."""
        return self.hedge[coin] * self.price[coin]

    def book_delta_usd(self, coin: str, rows: Flags | None = None) -> float:
        """Of what positions are worth in dollars, hedges apart; of some rows, or all."""
        some = np.ones(len(self.book.positions), np.bool_) if rows is None else rows
        first = some & self._on(coin)
        second = [one.otc is not None and one.otc.underlying2 == coin for one in self.book.positions]
        return float(self.marks.delta_usd[first].sum() + self.marks.delta2_usd[some & np.array(second, np.bool_)].sum())

    def gamma_1pct_usd(self, coin: str) -> float:
        """Change of a coin's delta when it moves 1 %."""
        return float(self.marks.gamma_1pct_usd[self._on(coin)].sum())

    def exposure(self, coin: str) -> Floats:
        """To a coin's factors, hedges included: to spot as positions are worth in dollars, (FACTORS,)."""
        rows = self._on(coin)
        found = position_loadings(self.book.positions, self.marks, _TENOR_YEARS)[rows].sum(axis=0)
        hedge = self.hedge_usd(coin)
        found[SPOT] = self.book_delta_usd(coin) + hedge
        found[PREMIUM] += hedge
        return np.asarray(found)

    def daily_vol(self, coin: str) -> float:
        """A day's standard deviation by the month's implied vol.

        Errors      BadInputError where no smile ever said
        """
        if math.isnan(self.vol[coin]):
            raise BadInputError(f"{coin}: no smile says how far a trade moves it; give a market with options")
        return self.vol[coin] / math.sqrt(365.0)

    def trade(self, coin: str, usd: float) -> None:
        """A hedge bought (sold where below 0): paid for, and the price pushed; `move` then shows it."""
        self.hedge[coin] += usd / self.price[coin]
        self.pay("hedge_cost", -self.push(coin, usd) - abs(usd) * self.market.cost_rate)
        self.trades += 1
        self.traded_usd += abs(usd)

    def push(self, coin: str, usd: float) -> float:
        """Has a clip of anyone's move the price; what the clip pays for that, in USD."""
        if self.market.y == 0.0 or usd == 0.0:
            return 0.0
        moved = self.market.log_move(usd, self.daily_vol(coin))
        self.pushed[coin].push(self.market, moved)
        return usd * math.expm1(self.market.paid_share * moved)

    def _on(self, coin: str) -> Flags:
        return np.array([one.underlying == coin for one in self.book.positions], dtype=np.bool_)


def _pushed(shock: Shock, pushed: Pushed) -> Shock:
    return shock if pushed.log == 0.0 else replace(shock, spot=(1.0 + shock.spot) * math.exp(pushed.log) - 1.0)
