"""The order in which a venue liquidates, and who has paid what: pure steps from books to books.

    stepwise    orders cancelled and positions reduced in the market; what is bankrupt goes to the insurance fund at its
                bankruptcy price, or, where the fund cannot bear that, to the other side by auto-deleveraging; the fund
                sells what it took; at the session's end what it owes is socialised
    auctioned   accounts sold by Dutch auction; the security module, which is the fund, pays for what is insolvent

Two markets come with every step, one the engine believes in and one it trades in. So a late engine, or one that values
collateral too high, is another argument and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.liquidation.auction import AuctionRules, Auctions, auctioned
from flatbook.risk.liquidation.deleverage import Ranking, deleveraged
from flatbook.risk.liquidation.fund import bankrupt, socialised, taken_over, unwound
from flatbook.risk.liquidation.incremental import Depth, IncrementalRules, reduce_once
from flatbook.risk.liquidation.market import VenueMarket
from flatbook.risk.liquidation.state import FUND, VenueState

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class WaterfallRules:
    """A venue's waterfall.

    takeover_usage  share of maintenance at which the fund takes an account over; 0 at bankruptcy itself
    deleveraging    whom a bankrupt account meets once the fund is exhausted; None: nobody, the loss is socialised
    auction         sells whole accounts instead of steps; None where the venue has none
    bidder_edge_share  of gross notional that a bidder in an auction wants to gain
    """

    incremental: IncrementalRules = field(default_factory=IncrementalRules)
    takeover_usage: float = 0.0
    deleveraging: Ranking | None = "ranked"
    auction: AuctionRules | None = None
    bidder_edge_share: float = 0.01


@dataclass(frozen=True)
class Tally:
    """What happened so far: units but for counts.

    debts           what accounts owed beyond all they had, when they were taken over, deleveraged or sold
    deleveraged     of it, what the other side of auto-deleveraging bore; socialised: what everybody did
    """

    taken_over: int = 0
    deleveraged_lots: int = 0
    debts: int = 0
    deleveraged: int = 0
    socialised: int = 0


@dataclass(frozen=True, eq=False)
class Venue:
    """Books, auctions under way, and the tally: all that a step changes.

    owed    (a,) of the tally's debts, each account's
    """

    state: VenueState
    auctions: Auctions
    owed: Ints
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def opening(cls, state: VenueState) -> Venue:
        """Nothing has happened."""
        return cls(state, Auctions.none(state.accounts), np.zeros(state.accounts, dtype=np.int64))


def advanced(
    venue: Venue, now_s: float, believed: VenueMarket, actual: VenueMarket, rules: WaterfallRules, depth: Depth
) -> Venue:
    """One step of the engine at `now_s`."""
    if rules.auction is not None:
        return _auctions(venue, now_s, believed, actual, rules, rules.auction)
    state, depth = reduce_once(venue.state, believed, actual, rules.incremental, depth)
    venue = _bankruptcies(replace(venue, state=state), bankrupt(state, believed, rules.takeover_usage), actual, rules)
    state, _ = unwound(venue.state, actual, depth)
    return replace(venue, state=state)


def closed(venue: Venue, actual: VenueMarket, rules: WaterfallRules) -> Venue:
    """The session's end: whoever is bankrupt is resolved, known or not, and what the fund owes is everybody's loss."""
    venue = _bankruptcies(venue, bankrupt(venue.state, actual), actual, rules)
    # Deleveraging may have pushed others below zero: what is left of that is the fund's, and so everybody's.
    venue = _bankruptcies(venue, bankrupt(venue.state, actual), actual, replace(rules, deleveraging=None))
    state, owed = socialised(venue.state, actual)
    return replace(venue, state=state, tally=replace(venue.tally, socialised=venue.tally.socialised + owed))


def _bankruptcies(venue: Venue, rows: Ints, actual: VenueMarket, rules: WaterfallRules) -> Venue:
    """Each of `rows` to the fund while it can bear it, then to the other side; the fund has what nobody else takes."""
    for row in rows.tolist():
        at, tally = np.array([row]), venue.tally
        debt = -int(actual.equity(venue.state.cash[at], venue.state.lots[at])[0])
        if not (venue.state.lots[row].any() or venue.state.cash[row]):
            continue
        state, lots = venue.state, 0
        if rules.deleveraging is not None and debt > max(int(venue.state.equity(actual)[FUND]), 0):
            state, lots = deleveraged(state, row, actual, rules.deleveraging)
        left = -int(actual.equity(state.cash[at], state.lots[at])[0])
        tally = replace(
            tally,
            taken_over=tally.taken_over + 1,
            deleveraged_lots=tally.deleveraged_lots + lots,
            debts=tally.debts + max(debt, 0),
            deleveraged=tally.deleveraged + (debt - left if lots else 0),
        )
        venue = replace(venue, state=taken_over(state, at, actual), tally=tally, owed=_more(venue.owed, at, debt))
    return venue


def _more(owed: Ints, rows: Ints, debts: Ints | int) -> Ints:
    """With what some accounts came to owe; nothing where they have something left."""
    after = owed.copy()
    after[rows] += np.maximum(debts, 0)
    return after


def _auctions(
    venue: Venue, now_s: float, believed: VenueMarket, actual: VenueMarket, rules: WaterfallRules, auction: AuctionRules
) -> Venue:
    before = venue.state
    state, auctions = auctioned(before, venue.auctions, now_s, believed, actual, auction, rules.bidder_edge_share)
    sold = (before.lots != 0).any(axis=1) & ~(state.lots != 0).any(axis=1) & (state.cash == 0)
    rows = np.flatnonzero(sold[: state.accounts])
    debts = np.maximum(-actual.equity(before.cash[rows], before.lots[rows]), 0)
    tally = venue.tally
    tally = replace(tally, taken_over=tally.taken_over + rows.size, debts=tally.debts + int(debts.sum()))
    return Venue(state, auctions, _more(venue.owed, rows, debts), tally)
