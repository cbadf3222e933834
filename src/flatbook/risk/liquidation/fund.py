"""The insurance fund, and what comes after it: positions taken over at the price of bankruptcy, losses shared by all.

At its bankruptcy price an account's positions are worth as much less as it owes; to take them over there is to take
them at the mark and the account's equity with them, whichever sign it has. So what a bankrupt account ends with is
nothing, to the unit, and the fund has the loss, or what was left of the margin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.liquidation.incremental import Depth, Wanted, executed
from flatbook.risk.liquidation.market import VenueMarket
from flatbook.risk.liquidation.state import FEES, FUND, VenueState

Ints = NDArray[np.int64]


def bankrupt(state: VenueState, market: VenueMarket, at_usage: float = 0.0) -> Ints:
    """Accounts that are at the end in somebody's eyes: equity at most a share of maintenance, or below zero."""
    accounts = slice(0, state.accounts)
    equity = market.equity(state.cash[accounts], state.lots[accounts])
    if at_usage <= 0.0:
        return np.flatnonzero(equity < 0)
    return np.flatnonzero((equity < 0) | (equity < at_usage * market.maintenance(state.lots[accounts])))


def taken_over(state: VenueState, rows: Ints, actual: VenueMarket) -> VenueState:
    """The fund takes all that `rows` hold and owe; they end with nothing."""
    equity = actual.equity(state.cash[rows], state.lots[rows])
    return state.cancelled(rows).exchanged(rows, -state.lots[rows], actual.mark, FUND, equity)


def unwound(state: VenueState, actual: VenueMarket, depth: Depth) -> tuple[VenueState, Depth]:
    """The fund sells what it holds for as far as the market goes."""
    held = state.lots[FUND]
    at = np.flatnonzero(held)
    # One thing at a time, for a row trades once in a call.
    for column in at.tolist():
        wanted = Wanted(np.array([len(state.cash) + FUND]), np.array([column]), -held[column : column + 1])
        state, depth = executed(state, wanted, actual, 0.0, depth)
    return state, depth


def socialised(state: VenueState, actual: VenueMarket) -> tuple[VenueState, int]:
    """What the fund owes beyond what it has is paid by all who have any equity, in proportion to it; and how much.

    Nobody is left below zero: together they have what the fund lacks, since positions sum to nothing. Accounts that
    are bankrupt must have been taken over before. The venue's own revenue pays what everybody together could not.
    """
    owed = -int(state.equity(actual)[FUND])
    if owed <= 0:
        return state, 0
    equity = state.equity(actual)
    own = np.array([len(equity) + FUND, len(equity) + FEES])
    having = np.flatnonzero(equity > 0)
    having = having[~np.isin(having, own)]
    total = int(equity[having].sum())
    state = state.paid(having, shares(min(owed, total), equity[having]), FUND)
    if owed > total:
        state = state.paid(own[1:], np.array([owed - total]), FUND)
    return state, owed


def shares(amount: int, weights: Ints) -> Ints:
    """`amount` split in proportion to positive weights, in whole units that sum to it; none is more than its weight.

    Floors first; the units left over go to whoever lost most by rounding, the first of equals. Domain: amount at most
    the weights' sum.
    """
    if not amount:
        return np.zeros_like(weights)
    total = int(weights.sum())
    # Python's integers: a product of two amounts of money has no room in 64 bits.
    products = [amount * weight for weight in weights.tolist()]
    floors = np.array([product // total for product in products], dtype=np.int64)
    lost = np.array([product % total for product in products], dtype=object)
    left = amount - int(floors.sum())
    if left:
        floors[np.argsort(-lost, kind="stable")[:left]] += 1
    return floors
