"""Incremental liquidation: orders cancelled, then small steps that each free margin, sold to a market of finite depth.

A step is one contract of an account: futures and perpetuals first, either way, whichever frees most a dollar of
notional, which under a scenario model is the delta of the worst scenario. Where none frees any, options are closed,
even one that frees none by itself, for the futures of the next step then do; then what is left of futures; then
collateral is sold. The engine chooses by the market as it believes it to be, and trades in the market as it is. A step
that finds no depth waits, the accounts shortest of margin first, and each pays a clearance fee into the insurance fund
for as far as it has anything.

Sources: support.deribit.com, "Liquidations"; Tóth et al. (2011) for the square root in `Depth`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.liquidation.market import VenueMarket
from flatbook.risk.liquidation.state import FUND, MAKERS, VenueState

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Depth:
    """What a market takes in one step, and at which concession from the mark.

    lots        (2, c) bought and sold in liquidations, at most, before nobody is left to trade with
    half_spread, impact  (c,) shares of notional: of any trade, and at the margin of one that takes all there is
    """

    lots: Ints
    half_spread: Floats
    impact: Floats

    def concession(self, lots: Ints, notional: Ints) -> Ints:
        """Units a lot by which (2, c) lots in all trade off the mark, each side by itself: ⅔ of the last lot's impact.

        The impact of the q-th lot grows as √q, so their average is ⅔ of it.
        """
        used = lots / np.maximum(self.lots, 1)
        share = self.half_spread + (2.0 / 3.0) * self.impact * np.sqrt(used)
        return np.ceil(share * notional).astype(np.int64)

    def less(self, lots: Ints) -> Depth:
        """What is left of it after (2, c) lots."""
        return Depth(np.maximum(self.lots - lots, 0), self.half_spread, self.impact)


@dataclass(frozen=True)
class IncrementalRules:
    """How a venue liquidates by steps.

    step_share      of an account's gross notional, traded in one step
    clearance_share of what is traded, paid to the insurance fund
    opens           whether a step may open futures an account does not hold, to hedge the rest, as portfolio rules do
    """

    step_share: float = 0.1
    clearance_share: float = 0.005
    opens: bool = False


@dataclass(frozen=True, eq=False)
class Wanted:
    """The steps of some accounts: `rows` (k,), of each the one `contract` (k,) it trades and the signed lots (k,)."""

    rows: Ints
    contract: Ints
    lots: Ints

    def only(self, lots: Ints) -> Wanted:
        """As far as `lots` (k,) go."""
        done = lots != 0
        return Wanted(self.rows[done], self.contract[done], lots[done])

    def by_side(self, count: int) -> Ints:
        """Lots bought and sold of each contract, (2, c)."""
        totals = np.zeros((2, count), dtype=np.int64)
        np.add.at(totals, ((self.lots < 0).astype(np.int64), self.contract), np.abs(self.lots))
        return totals


def short_of_margin(state: VenueState, believed: VenueMarket) -> Ints:
    """Rows of accounts whose balance, as the engine believes, does not cover maintenance, the shortest first."""
    accounts = slice(0, state.accounts)
    surplus = believed.surplus(state.cash[accounts], state.lots[accounts])
    rows = np.flatnonzero(surplus < 0)
    return rows[np.argsort(surplus[rows], kind="stable")]


def reduce_once(
    state: VenueState, believed: VenueMarket, actual: VenueMarket, rules: IncrementalRules, depth: Depth
) -> tuple[VenueState, Depth]:
    """One step of every account that is short of margin, and the depth that is left for others."""
    rows = short_of_margin(state, believed)
    if not rows.size:
        return state, depth
    state = state.cancelled(rows)
    wanted = steps(state, rows, believed, rules)
    return executed(state, wanted, actual, rules.clearance_share, depth)


def steps(state: VenueState, rows: Ints, believed: VenueMarket, rules: IncrementalRules) -> Wanted:
    """What each of `rows` trades next; accounts with nothing that would help are left out."""
    cash, lots = state.cash[rows], state.lots[rows]
    contract, best = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    waiting = np.ones(len(rows), dtype=np.bool_)
    # Short of a bound on gain, a step is taken only to leave less for the next ones: a hedged book has no other.
    stages = (
        (believed.is_linear, 0.0, rules.opens),
        (believed.is_option, -np.inf, False),
        (believed.is_linear, -np.inf, False),
        (believed.is_asset, -np.inf, False),
    )
    for columns, least, opens in stages:
        gain = np.full(len(rows), least)
        for column in np.flatnonzero(columns).tolist():
            for step in _candidates(lots, column, believed, rules.step_share, opens=opens):
                found = _gain(cash, lots, column, step, believed)
                better = waiting & (step != 0) & (found > gain)
                gain[better], contract[better], best[better] = found[better], column, step[better]
        waiting &= best == 0
        if not waiting.any():
            break
    return Wanted(rows, contract, best).only(best)


def executed(
    state: VenueState, wanted: Wanted, actual: VenueMarket, clearance_share: float, depth: Depth
) -> tuple[VenueState, Depth]:
    """`wanted` against the makers, in its order as far as the depth goes, fees into the fund; and the depth left."""
    count = state.lots.shape[1]
    done = wanted.only(_within(wanted, depth.lots))
    taken = done.by_side(count)
    off = depth.concession(taken, actual.notional)
    for side, sign in enumerate((1, -1)):
        at = np.flatnonzero(np.sign(done.lots) == sign)
        if not at.size:
            continue
        lots = np.zeros((at.size, count), dtype=np.int64)
        lots[np.arange(at.size), done.contract[at]] = done.lots[at]
        # Nobody pays to be rid of an option.
        price = np.where(
            actual.is_option, np.maximum(actual.mark + sign * off[side], 0), actual.mark + sign * off[side]
        )
        state = state.exchanged(done.rows[at], lots, price, MAKERS)
    rows = done.rows
    fee = np.ceil(clearance_share * np.abs(done.lots) * actual.notional[done.contract]).astype(np.int64)
    # A fee that made an account bankrupt would only be paid out of the fund again.
    left = np.maximum(actual.equity(state.cash[rows], state.lots[rows]), 0)
    return state.paid(rows, np.minimum(fee, left), FUND), depth.less(taken)


def _candidates(lots: Ints, column: int, believed: VenueMarket, share: float, *, opens: bool) -> list[Ints]:
    """Lots (k,) to try of one thing: closing what is held, or either way where a step may open."""
    derivatives = ~believed.is_asset
    gross = np.abs(lots[:, derivatives]) @ believed.notional[derivatives]
    notional = max(int(believed.notional[column]), 1)
    size = np.maximum((share * gross / notional).astype(np.int64), 1)
    held = lots[:, column]
    if opens:
        return [size, -size]
    # Collateral of an account without positions has no gross to take a share of: it is sold at once.
    size = np.where(gross == 0, np.abs(held), size) if believed.is_asset[column] else size
    return [-np.sign(held) * np.minimum(size, np.abs(held))]


def _gain(cash: Ints, lots: Ints, column: int, step: Ints, believed: VenueMarket) -> Floats:
    """Surplus gained a unit of notional by trading `step` at the mark."""
    after = lots.copy()
    after[:, column] += step
    gained = believed.surplus(cash - step * believed.mark[column], after) - believed.surplus(cash, lots)
    return np.asarray(gained / np.maximum(np.abs(step) * believed.notional[column], 1))


def _within(wanted: Wanted, depth: Ints) -> Ints:
    """Lots (k,) that find depth (2, c), the first first."""
    filled = np.zeros_like(wanted.lots)
    for column in np.unique(wanted.contract).tolist():
        for side, sign in enumerate((1, -1)):
            at = np.flatnonzero((wanted.contract == column) & (np.sign(wanted.lots) == sign))
            size = np.abs(wanted.lots[at])
            before = np.cumsum(size) - size
            filled[at] = sign * np.clip(depth[side, column] - before, 0, size)
    return filled
