"""Auto-deleveraging: a bankrupt account's positions closed against those who hold the other side, by force.

They trade at its bankruptcy price, so it ends with nothing and they bear its debt. Whom it meets is a venue's rule:

    ranked          the most profitable and most levered first, BitMEX's formula: share gained × effective leverage,
                    or a share lost / leverage
    water_filling   whoever is levered most, down to the level that all touched end at: the least maximum of leverage

Sources: BitMEX, "Auto-Deleveraging"; Campbell, Hey, Moallemi and Nutz (2026), "Risk-based auto-deleveraging".
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.liquidation.market import VenueMarket
from flatbook.risk.liquidation.state import VenueState

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Ranking = Literal["ranked", "water_filling"]


def adl_score(gain_share: Floats, leverage: Floats) -> Floats:
    """BitMEX's rank, higher is first: gain over cost times effective leverage, or a loss divided by it."""
    gain = np.asarray(gain_share)
    return np.where(gain > 0.0, np.where(gain > 0.0, gain, 1.0) * leverage, gain / leverage)


def effective_leverage(value: Floats, equity: Floats) -> Floats:
    """|mark value| over what is between it and bankruptcy; infinite where nothing is."""
    return np.asarray(np.divide(np.abs(value), equity, out=np.full(np.shape(value), np.inf), where=equity > 0))


def ranked(lots: Ints, score: Floats, needed: int) -> Ints:
    """Lots (k,) closed of positions `lots` (k,), all of one side, unsigned: the highest score first."""
    order = np.argsort(-score, kind="stable")
    size = np.abs(lots[order])
    closed = np.zeros_like(lots)
    closed[order] = np.clip(needed - (np.cumsum(size) - size), 0, size)
    return closed


def water_filling(lots: Ints, equity: Floats, needed: int) -> Ints:
    """Lots (k,) closed so that the greatest lots over equity left is least; equity (k,) positive.

    Shapes      of one side; `needed` at most their sum
    Source      Campbell et al. (2026): all whose leverage is above a level end at it; the level solves
                Σ max(|lots| − level · equity, 0) = needed, whose left side falls in straight lines between ratios
    """
    size = np.abs(lots).astype(np.float64)
    ratio = size / equity
    order = np.argsort(-ratio, kind="stable")
    lots_above, equity_above = np.cumsum(size[order]), np.cumsum(equity[order])
    at_each = lots_above - ratio[order] * equity_above
    many = max(1, int(np.searchsorted(at_each, needed, side="right")))
    level = (lots_above[many - 1] - needed) / equity_above[many - 1]
    exact = np.maximum(size - level * equity, 0.0)
    closed = np.minimum(np.floor(exact).astype(np.int64), np.abs(lots))
    left = needed - int(closed.sum())
    # Whole lots: what floors left goes where most was cut, and on to whoever still has some.
    for at in np.argsort(closed - exact, kind="stable").tolist():
        more = min(left, 1, int(abs(lots[at])) - int(closed[at]))
        closed[at], left = closed[at] + more, left - more
    return np.asarray(closed)


def deleveraged(state: VenueState, row: int, market: VenueMarket, ranking: Ranking) -> tuple[VenueState, int]:
    """Account `row`'s derivatives closed at its bankruptcy price against other accounts; and how many lots were.

    Where the other side is with the makers or the fund alone, what is left stays for the fund to take over, and so does
    what would take an option below no price: its holder can lose all of it and no more. Prices are whole units a lot,
    rounded in the account's favour: it ends with nothing or a unit a lot more.
    """
    held, debt = state.lots[row].copy(), -int(state.equity(market)[row])
    derivatives = np.flatnonzero((held != 0) & ~market.is_asset)
    gross = int(np.abs(held[derivatives]) @ market.notional[derivatives])
    closed_lots = 0
    for column in derivatives.tolist():
        per_lot = -(-debt * int(market.notional[column]) // gross)
        price = market.mark.copy()
        price[column] += int(np.sign(held[column])) * per_lot
        if market.is_option[column]:
            price[column] = max(int(price[column]), 0)
        rows = _others(state, row, column)
        closed = _closed(state, rows, column, int(abs(held[column])), market, ranking)
        touched = np.flatnonzero(closed)
        if touched.size:
            lots = np.zeros((touched.size, len(held)), dtype=np.int64)
            lots[:, column] = np.sign(held[column]) * closed[touched]
            state = state.cancelled(rows[touched]).exchanged(rows[touched], lots, price, row)
            closed_lots += int(closed.sum())
    return state, closed_lots


def _others(state: VenueState, row: int, column: int) -> Ints:
    """Accounts on the other side of a contract from `row`."""
    held = state.lots[: state.accounts, column]
    return np.flatnonzero(held * np.sign(state.lots[row, column]) < 0)


def _closed(state: VenueState, rows: Ints, column: int, needed: int, market: VenueMarket, ranking: Ranking) -> Ints:
    lots, equity = state.lots[rows, column], market.equity(state.cash[rows], state.lots[rows])
    value = lots * market.mark[column].astype(np.float64)
    needed = min(needed, int(np.abs(lots).sum()))
    if ranking == "water_filling":
        # Who has nothing to lose has no leverage: such accounts are next to be taken over themselves.
        able = equity > 0
        closed = np.zeros_like(lots)
        needed = min(needed, int(np.abs(lots[able]).sum()))
        if needed:
            closed[able] = water_filling(lots[able], equity[able].astype(np.float64), needed)
        return np.asarray(closed)
    cost = lots * state.entry[rows, column]
    gain = np.divide(value - cost, np.abs(cost), out=np.zeros_like(value), where=cost != 0.0)
    notional = lots * market.notional[column].astype(np.float64)
    return ranked(lots, adl_score(gain, effective_leverage(notional, equity.astype(np.float64))), needed)
