"""Where a standing book's gain between two markets came from: Taylor's theorem by position, and what it leaves.

In dollars a position's worth moves with spot at a held basis (delta, gamma), with its own vol (vega, volga, and vanna
with spot), with time, with its basis, and with what its settlement currency is worth. In the settlement currency it is
the same expansion of value over that currency's price: a coin-settled position moves with spot by its net delta, and
the currency part is gone. What the terms leave is unexplained, so the parts sum to the revaluation, position by
position: crosses of two things that moved, an expiry or a barrier on the way, and of a contract on the whole smile what
a change of the smile's shape did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.market.snapshot import Markets
from flatbook.valuation.marks import Marks
from flatbook.valuation.portfolio import Portfolio

Floats = NDArray[np.float64]

STANDING_PARTS: Final = ("delta", "gamma", "theta", "vega", "vanna", "volga", "basis", "currency", "unexplained")
"""Columns of an explanation, in order."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Gains of a book's positions and balances between two markets.

    Shapes      usd, settle (n, parts): by position, in the order of `STANDING_PARTS`; `settle` in each position's own
                settlement currency
                balances_usd: what balances gained by their prices
    Invariant   rows sum to the position's revaluation
    """

    usd: Floats
    settle: Floats
    balances_usd: float

    def by_part(self) -> dict[str, float]:
        """USD over all positions, balances under `currency`."""
        totals = dict(zip(STANDING_PARTS, self.usd.sum(axis=0).tolist(), strict=True))
        totals["currency"] += self.balances_usd
        return totals


def explain_standing(portfolio: Portfolio, before: Markets, after: Markets) -> Explanation:
    """What the book gained from one market to a later one, positions standing still.

    Errors      BadInputError as of `Portfolio.mark`
    """
    book = portfolio.entered(before)
    first, last = book.mark(before), book.mark(after)
    usd = parts_usd(book, first, last, before, after)
    settle = _parts_settle(book, first, last, before)
    return Explanation(usd, settle, book.balances_usd(after) - book.balances_usd(before))


@dataclass(frozen=True, eq=False)
class _Moves:
    """What moved for each position, (n,): 0 where it has no such thing."""

    spot: Floats  # relative
    spot2: Floats
    vol_points: Floats
    vol2_points: Floats
    days: Floats
    basis: Floats

    @classmethod
    def between(cls, first: Marks, last: Marks) -> _Moves:
        def gone(move: Floats) -> Floats:
            return np.nan_to_num(move, nan=0.0)

        return cls(
            gone(last.index_usd / first.index_usd - 1.0),
            gone(last.index2_usd / first.index2_usd - 1.0),
            gone(last.vol - first.vol) * 100,
            gone(last.vol2 - first.vol2) * 100,
            gone(first.years - last.years) * 365,
            gone(last.log_basis - first.log_basis),
        )


def parts_usd(book: Portfolio, first: Marks, last: Marks, before: Markets, after: Markets) -> Floats:
    """The split in dollars of a book marked in two markets, (n, parts)."""
    moves = _Moves.between(first, last)
    was, now = (_price_of_settlement(book, markets) for markets in (before, after))
    is_dollars = ~_is_coin(book)
    parts = [
        first.delta_usd * moves.spot + first.delta2_usd * moves.spot2,
        50 * (first.gamma_1pct_usd * moves.spot**2 + first.gamma2_1pct_usd * moves.spot2**2),
        first.theta_usd * moves.days,
        first.vega_usd * moves.vol_points + first.vega2_usd * moves.vol2_points,
        first.vanna_usd * moves.spot * moves.vol_points,
        0.5 * first.volga_usd * moves.vol_points**2,
        np.nan_to_num(first.basis_usd * moves.basis),
        np.where(is_dollars, last.value * (now - was), 0.0),
    ]
    return _closed(parts, last.value_usd - first.value_usd)


def _parts_settle(book: Portfolio, first: Marks, last: Marks, before: Markets) -> Floats:
    """By the quotient rule where the currency is the coin, whose price is the spot that moves."""
    moves = _Moves.between(first, last)
    per_unit, is_coin = _price_of_settlement(book, before), _is_coin(book)
    net = np.where(is_coin, first.delta_usd - first.value_usd, first.delta_usd)
    bent = 100 * first.gamma_1pct_usd - np.where(is_coin, 2.0 * net, 0.0)
    slid = first.vanna_usd - np.where(is_coin, first.vega_usd, 0.0)
    parts = [
        net * moves.spot + first.delta2_usd * moves.spot2,
        0.5 * bent * moves.spot**2 + 50 * first.gamma2_1pct_usd * moves.spot2**2,
        first.theta_usd * moves.days,
        first.vega_usd * moves.vol_points + first.vega2_usd * moves.vol2_points,
        slid * moves.spot * moves.vol_points,
        0.5 * first.volga_usd * moves.vol_points**2,
        np.nan_to_num(first.basis_usd * moves.basis),
        np.zeros(len(per_unit)),
    ]
    return _closed([part / per_unit for part in parts], last.value - first.value)


def _closed(parts: list[Floats], gained: Floats) -> Floats:
    known = np.stack(parts, axis=1)
    return np.column_stack([known, gained - known.sum(axis=1)])


def _price_of_settlement(book: Portfolio, markets: Markets) -> Floats:
    prices = [markets.usd_per(position.instrument.contract.settle) for position in book.positions]
    return np.array(prices, dtype=np.float64)


def _is_coin(book: Portfolio) -> NDArray[np.bool_]:
    pays = [position.instrument.contract.settle == position.underlying for position in book.positions]
    return np.array(pays, dtype=np.bool_)
