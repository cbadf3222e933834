"""A book by venue: whose exposures net, and what that saves.

    gross       sum over venues of |exposure|          net     |sum over venues of exposure|

The book has one price of risk, for it has one set of risks: a venue's own is no sum of it. What is kept of the price
here is a quadratic form alike, a day's deviation sqrt(x' Σ x) of exposures x: of each venue's holding, and of the book.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets
from flatbook.valuation.portfolio import Balance, BookPosition, Portfolio
from flatbook.valuation.reverse_stress import DayMoves

Floats = NDArray[np.float64]

EXPOSURES: Final = ("delta_usd", "gamma_1pct_usd", "vega_usd", "theta_usd")
"""What sums over venues; delta counts the coin held."""

_AXES: Final = ("spot", "vol", "skew", "convexity")
_BUMP: Final = 0.1
"""Of a day's deviation, either way, for slopes."""


@dataclass(frozen=True)
class Netting:
    """One exposure to one underlying, by venue in the order of the books."""

    underlying: str
    name: str
    by_venue: tuple[float, ...]

    @property
    def gross(self) -> float:
        """What the venues hold, each by itself."""
        return sum(map(abs, self.by_venue))

    @property
    def net(self) -> float:
        """What the book holds, signed."""
        return math.fsum(self.by_venue)

    @property
    def netted(self) -> float:
        """What nets away."""
        return self.gross - abs(self.net)


def by_venue(book: Portfolio) -> dict[str, Portfolio]:
    """The book of each venue, by name.

    Errors      BadInputError for a row that names no venue, with its place
    """
    rows: list[BookPosition | Balance] = [*book.positions, *book.balances]
    for row in rows:
        if not row.venue:
            raise BadInputError(f"{row.source}: names no venue; give each position and balance one in a column `venue`")
    names = sorted({row.venue for row in rows})
    return {
        name: Portfolio(
            [position for position in book.positions if position.venue == name],
            [balance for balance in book.balances if balance.venue == name],
        )
        for name in names
    }


def nettings(books: Mapping[str, Portfolio], markets: Markets) -> list[Netting]:
    """Every exposure of `EXPOSURES` to every underlying.

    Errors      BadInputError for a position that the market does not price
    """
    marks = {name: book.mark(markets) for name, book in books.items()}
    found = []
    for underlying in sorted(markets.snapshots):
        for exposure in EXPOSURES:
            held = []
            for name, book in books.items():
                rows = [at for at, position in enumerate(book.positions) if position.underlying == underlying]
                total = float(getattr(marks[name], exposure)[rows].sum())
                if exposure == "delta_usd":
                    coins = sum(balance.amount for balance in book.balances if balance.currency == underlying)
                    total += coins * markets.of(underlying).index_usd
                held.append(total)
            if any(held):
                found.append(Netting(underlying, exposure, tuple(held)))
    return found


def day_risk_usd(book: Portfolio, markets: Markets, moves: Mapping[str, DayMoves]) -> Floats:
    """What a book's P&L loads on a day's independent moves, (4,), by slopes; a deviation is its length.

    Loads of venues sum to the book's. Balances count. Slopes in spot, vol, skew and convexity are of the full
    revaluation; what is curved is left out. Underlyings move alike, each by its own deviations.
    """
    held, loads = book.entered(markets), np.zeros(len(_AXES))
    for underlying, day in moves.items():
        slope = np.zeros(len(_AXES))
        for axis, deviation in enumerate(day.deviations.tolist()):
            if deviation > 0.0:
                step = _BUMP * deviation
                up, down = (_worth_usd(held, markets, underlying, axis, side * step) for side in (1.0, -1.0))
                slope[axis] = (up - down) / (2.0 * step)
        loads += day.root @ slope
    return loads


def _worth_usd(book: Portfolio, markets: Markets, underlying: str, axis: int, move: float) -> float:
    # Spot and vol move by their logarithms, as in `DayMoves`.
    shock = Shock(**{_AXES[axis]: math.expm1(move) if axis < 2 else move})
    shocked = markets.shocked({underlying: shock})
    return float(book.worth_usd(shocked).sum()) + book.balances_usd(shocked)
