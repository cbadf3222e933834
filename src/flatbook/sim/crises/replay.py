"""The replay: a book along a crisis, step by step.

At each step the market moves, funding is paid, what has expired is paid in dollars at the index, a venue may be lost,
hedges are traded, and margin is looked at. P&L and delta are of what positions are worth in dollars: balances are the
collateral that the book was given, they count for margin and are not hedged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.stability import loop_gain
from flatbook.domain.units import NS_PER_SECOND
from flatbook.kernels.chain import SPOT
from flatbook.market.beliefs import Beliefs
from flatbook.market.snapshot import Markets
from flatbook.risk.limits import LossStopPolicy
from flatbook.risk.loss_stop import LossStop
from flatbook.sim.crises.account import Margining, Standing, is_closable, without
from flatbook.sim.crises.desk import Desk
from flatbook.sim.crises.learning import PathCovariance
from flatbook.sim.crises.outcome import Replayed, Steps
from flatbook.sim.crises.path import CrisisPath
from flatbook.sim.crises.rules import HedgeView, Rule, no_hedge
from flatbook.sim.crises.venue import HedgeMarket
from flatbook.valuation.portfolio import Portfolio
from flatbook.valuation.stress import WINNING

Floats = NDArray[np.float64]

HEDGE_VENUE = "hedge venue"
"""The name of the venue where hedges are, among those that may be lost."""

_NO_MARGIN = Standing(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class ReplayTerms:
    """What is done along the path, and what happens to venues.

    every_s         least time between hedges; 0 hedges at each step
    outage_hours    without the hedge venue, from where the lead moves farthest in so long a time
    lost_venue      lost at the lead's farthest: by name, `WINNING`, or none; of its claims `recovery` is got back
    margining       None where margin is not followed and nothing is closed
    beliefs         of each coin before the crisis: a rule may ask for their Σ
    learns          whether Σ goes on learning on the way, or stays what it was
    """

    market: HedgeMarket
    rule: Rule = no_hedge
    every_s: float = 0.0
    outage_hours: float = 0.0
    lost_venue: str = ""
    recovery: float = 0.0
    margining: Margining | None = None
    stops: LossStopPolicy = field(default_factory=LossStopPolicy)
    beliefs: Mapping[str, Beliefs] = field(default_factory=dict)
    learns: bool = True


def replay(book: Portfolio, markets: Markets, path: CrisisPath, terms: ReplayTerms) -> Replayed:
    """The book, which stands in `markets`, through the crisis.

    Errors      BadInputError for a position that a market on the way does not price
    """
    run = _Run(book.entered(markets), markets, path, terms)
    for step in range(len(path)):
        run.take(step)
    return run.outcome()


class _Run:
    """Where the replay is, and what was noted of each step."""

    def __init__(self, book: Portfolio, markets: Markets, path: CrisisPath, terms: ReplayTerms) -> None:
        self.path, self.terms = path, terms
        self.desk = Desk(book, markets, terms.market)
        self.moves = {coin: path.of(coin) for coin in self.desk.hedge}
        self.sigma = {coin: PathCovariance(one, path) for coin, one in terms.beliefs.items() if coin in self.moves}
        self.step = 0
        self.hedged_ns: int | None = None
        self.outage = path.worst_window(terms.outage_hours) if terms.outage_hours > 0.0 else None
        self.lost_venue, self.lost_at = "", path.farthest if terms.lost_venue else None
        self.left, self.rounds, self.spiral = 1.0, 0, math.nan
        self.is_margined = terms.margining is not None and self._standing().surplus_usd >= 0.0
        self.stop = LossStop(terms.stops)
        self.chances: list[int] = []
        self.rows: list[tuple[float, ...]] = []

    def take(self, step: int) -> None:
        """One step of the path."""
        ts_ns = self.path.ts_ns
        if step:
            for pushed in self.desk.pushed.values():
                pushed.fade(self.terms.market, float(ts_ns[step] - ts_ns[step - 1]) / NS_PER_SECOND)
        self.step = step
        self._move()
        if self.terms.learns:
            for coin, sigma in self.sigma.items():
                sigma.see(self.desk.markets.of(coin), step)
        self.desk.fund(float(self.path.funding[step]))
        self._settle()
        if step == self.lost_at:
            self._lose()
        if self._may_hedge():
            self.chances.append(step)
            self._hedge()
        standing = _NO_MARGIN if self.terms.margining is None else self._closed_to_margin()
        self._note(standing)

    def _move(self) -> None:
        self.desk.move({coin: moves.at(self.step) for coin, moves in self.moves.items()})

    def _settle(self) -> None:
        positions = self.desk.book.positions
        due = np.zeros(len(positions), np.bool_)
        for at, position in enumerate(positions):
            expiry_ns = position.instrument.contract.expiry_ns
            due[at] = expiry_ns is not None and expiry_ns <= self.desk.markets.of(position.underlying).ts_ns
        if due.any():
            self.desk.cash_in(due)

    def _lose(self) -> None:
        """A claim on the lost venue is paid in part; what is owed to it is owed."""
        desk, venue = self.desk, self.terms.lost_venue
        gained = {HEDGE_VENUE: desk.hedge_gained_usd}
        for one, usd in zip(desk.book.positions, desk.marks.value_usd - desk.worth_at_start_usd, strict=True):
            if one.venue:
                gained[one.venue] = gained.get(one.venue, 0.0) + float(usd)
        if venue == WINNING:
            venue = max(gained, key=gained.__getitem__)
            if not gained[venue] > 0.0:
                return
        self.lost_venue = venue
        if venue == HEDGE_VENUE:
            claim = desk.hedge_gained_usd
            desk.hedge = dict.fromkeys(desk.hedge, 0.0)
        else:
            claim = desk.cash_in(np.array([one.venue == venue for one in desk.book.positions], dtype=np.bool_))
        desk.pay("lost_venue", -(1.0 - self.terms.recovery) * max(claim, 0.0))

    def _may_hedge(self) -> bool:
        if self.left <= 0.0 or (self.outage is not None and self.outage[0] <= self.step <= self.outage[1]):
            return False
        now_ns = int(self.path.ts_ns[self.step])
        return self.hedged_ns is None or now_ns - self.hedged_ns >= self.terms.every_s * NS_PER_SECOND

    def _hedge(self) -> None:
        self.hedged_ns = int(self.path.ts_ns[self.step])
        traded = False
        for coin in self.desk.hedge:
            usd = self.terms.rule(self._view(coin))
            if usd != 0.0:
                self.desk.trade(coin, usd)
                traded = True
        if traded:
            self._move()

    def _view(self, coin: str) -> HedgeView:
        desk, market = self.desk, self.terms.market
        delta = desk.book_delta_usd(coin) + desk.hedge_usd(coin)
        return HedgeView(
            coin=coin,
            spot_usd=desk.markets.of(coin).index_usd,
            delta_usd=delta,
            gamma_1pct_usd=desk.gamma_1pct_usd(coin),
            exposure=lambda: desk.exposure(coin),
            cost_rate=market.cost_rate,
            impact_per_usd=market.per_usd(delta, desk.daily_vol(coin)) if market.y > 0.0 else 0.0,
            vol=desk.vol[coin],
            covariance=self.sigma[coin].matrix if coin in self.sigma else None,
        )

    def _standing(self) -> Standing:
        assert self.terms.margining is not None
        return self.terms.margining.standing(self.desk.book, self.desk.hedge, self.desk.cash_usd, self.desk.markets)

    def _closed_to_margin(self) -> Standing:
        """Margin, after as many rounds of forced closing as this step has and needs."""
        assert self.terms.margining is not None
        standing, closing = self._standing(), self.terms.margining.closing
        for _ in range(closing.most_rounds):
            if not self.is_margined or standing.surplus_usd >= 0.0 or self.left <= 0.0:
                break
            standing = self._close(standing, closing.now(self.left), closing.option_vol)
        return standing

    def _close(self, before: Standing, share: float, option_vol: float) -> Standing:
        desk = self.desk
        closed = np.array([is_closable(one) for one in desk.book.positions], dtype=np.bool_)
        flows = {coin: -share * (desk.book_delta_usd(coin, closed) + desk.hedge_usd(coin)) for coin in desk.hedge}
        cost = share * 100.0 * option_vol * float(np.abs(np.nan_to_num(desk.marks.vega_usd[closed])).sum())
        cost += sum(map(abs, flows.values())) * self.terms.market.cost_rate
        desk.cash_usd += share * float(desk.marks.value_usd[closed].sum())
        desk.worth_at_start_usd[closed] *= 1.0 - share
        if share >= 1.0:
            desk.worth_at_start_usd = desk.worth_at_start_usd[~closed]
        desk.change(without(desk.book, share))
        desk.hedge = {coin: held * (1.0 - share) for coin, held in desk.hedge.items()}
        desk.pay("closing", -cost)
        freed = self._standing().surplus_usd - before.surplus_usd
        pushed = sum(desk.push(coin, usd) for coin, usd in flows.items())
        desk.pay("closing", -pushed)
        self._move()
        after = self._standing()
        hurt = freed - (after.surplus_usd - before.surplus_usd)
        self.spiral = float(np.fmax(self.spiral, hurt / freed if freed > 0.0 else math.inf))
        self.left = 0.0 if share >= 1.0 else self.left * (1.0 - share)
        self.rounds += 1
        return after

    def _note(self, standing: Standing) -> None:
        desk, market, lead = self.desk, self.terms.market, self.path.lead
        book = sum(map(desk.book_delta_usd, desk.hedge))
        gain = 0.0
        for coin in desk.hedge if market.y > 0.0 else ():
            gamma = desk.gamma_1pct_usd(coin)
            if gamma != 0.0:
                met = loop_gain(100.0 * gamma, market.per_usd(gamma, desk.daily_vol(coin)))
                gain = met if abs(met) > abs(gain) else gain
        pnl = desk.pnl_usd
        self.rows.append((
            pnl,
            desk.balances_usd,
            book,
            book + sum(map(desk.hedge_usd, desk.hedge)),
            sum(map(desk.gamma_1pct_usd, desk.hedge)),
            desk.pushed[lead].log if lead in desk.pushed else 0.0,
            gain,
            standing.balance_usd,
            standing.initial_usd,
            standing.maintenance_usd,
            self.left,
            float(self.stop.update(pnl, int(self.path.ts_ns[self.step]))),
            math.sqrt(self.sigma[lead].matrix[SPOT, SPOT]) if lead in self.sigma else math.nan,
        ))  # fmt: skip

    def outcome(self) -> Replayed:
        """All of it."""
        return Replayed(
            self.path,
            Steps(*np.array(self.rows).T),
            tuple(self.chances),
            dict(self.desk.parts),
            hedges=self.desk.trades,
            hedged_usd=self.desk.traded_usd,
            outage=self.outage,
            lost_venue=self.lost_venue,
            lost_at=self.lost_at if self.lost_venue else None,
            closing_rounds=self.rounds,
            spiral_gain=self.spiral,
        )
