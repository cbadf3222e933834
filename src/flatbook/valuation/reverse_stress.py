"""Reverse stress: the smallest move of the market that loses a given amount, by full revaluation along every direction.

Moves are counted in standard deviations of a day: of spot alone, of vol alone, and together under Σ, where the distance
of a move x from none is sqrt(x' Σ^-1 x). Along a direction losses need not grow: each is walked outwards in steps, its
first crossing refined by bisection. Together the directions cover the sphere before the best is refined, so a book that
breaks on a far side is seen to; what is found is the smallest of them to a part in a thousand, and no proof.

Underlyings move alike, each by its own deviations: at correlation one, which is what a crisis brings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.kernels.chain import CONVEXITIES, LEVELS, SKEWS, SPOT
from flatbook.market.shock import Shock, Shocks
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.valuation.portfolio import Portfolio
from flatbook.valuation.revaluation import gains_by_shocks, valued_one_by_one

Floats = NDArray[np.float64]

AXES = ("log spot", "log vol", "skew", "convexity")
"""What moves: spot and all vols by their logarithms, skew and convexity as in `Shock`."""

FARTHEST = 100.0
"""Deviations beyond which no move is looked for."""

_RADII = np.concatenate([[0.0], np.geomspace(0.05, FARTHEST, 64)])
_COARSE = np.concatenate([[0.0], np.geomspace(0.5, FARTHEST, 16)])
_HALVINGS = 34
_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class DayMoves:
    """How one underlying moves in a day: covariance (4, 4) of `AXES`."""

    covariance: Floats

    @classmethod
    def of(cls, market: MarketSnapshot, covariance: Floats, tenor_days: tuple[float, ...]) -> DayMoves:
        """From Σ, (FACTORS, FACTORS) per year: vols are the middle tenor's.

        Errors      BadInputError where there is no smile there
        """
        years = tenor_days[1] / 365.0
        vol = float(market.vol(market.forward_at(years), years))
        if math.isnan(vol):
            raise BadInputError(f"{market.underlying}: no smile says what a deviation is; give a market with options")
        taken = [SPOT, *(range(*part.indices(covariance.shape[0]))[1] for part in (LEVELS, SKEWS, CONVEXITIES))]
        unit = np.array([1.0, 1.0 / vol, 1.0, 1.0])
        return cls(covariance[np.ix_(taken, taken)] * np.outer(unit, unit) / 365.0)

    @property
    def deviations(self) -> Floats:
        """Of each axis alone, (4,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def root(self) -> Floats:
        """Takes a unit vector to a move at distance one: (4, 4), x = u root."""
        return np.asarray(np.linalg.cholesky(self.covariance).T)


@dataclass(frozen=True, slots=True)
class Breaking:
    """A smallest move: along what, how many deviations, to what each underlying moves, and what it loses."""

    along: str
    deviations: float
    shocks: Mapping[str, Shock]
    pnl_usd: float


def reverse_stress(
    book: Portfolio, markets: Markets, moves: Mapping[str, DayMoves], loss_usd: float
) -> tuple[Breaking | None, ...]:
    """The smallest moves that lose `loss_usd` or more: of spot down and up, of vol down and up, and of all together.

    None where no move within `FARTHEST` does. The last is left out where the book holds what is valued one by one, for
    it would take minutes; nothing is looked for where the book has no underlying.

    Errors      BadInputError for a position that a market does not price, or a loss that is not above 0
    """
    if not 0.0 < loss_usd < math.inf:
        raise BadInputError(f"loss: {loss_usd:g} USD is no loss to look for; give one above 0")
    if not moves:
        return ()
    search = _Search(book, markets, moves, loss_usd)
    found = [
        search.best(along, {name: sign * _axis(one.deviations, axis) for name, one in moves.items()})
        for along, axis, sign in (("spot down", 0, -1), ("spot up", 0, 1), ("vol down", 1, -1), ("vol up", 1, 1))
    ]
    return tuple(found) if search.is_slow else (*found, search.together())


class _Search:
    def __init__(self, book: Portfolio, markets: Markets, moves: Mapping[str, DayMoves], loss_usd: float) -> None:
        self.book, self.markets, self.moves, self.loss_usd = book.entered(markets), markets, moves, loss_usd
        self.is_slow = bool(valued_one_by_one(self.book, markets))
        self._coins = {
            name: sum(one.amount for one in book.balances if one.currency == name) * market.index_usd
            for name, market in markets.snapshots.items()
        }

    def best(self, along: str, directions: Mapping[str, Floats]) -> Breaking | None:
        """The first direction, (k, 4) by underlying, at the end of which enough is lost."""
        radii = self.radii(directions)
        first = int(np.argmin(radii))
        if not radii[first] < math.inf:
            return None
        at = {name: radii[first] * one[first : first + 1] for name, one in directions.items()}
        shocks = {name: _shocks(one).at(0) for name, one in at.items()}
        return Breaking(along, float(radii[first]), shocks, float(self._pnl(at)[0]))

    def together(self) -> Breaking | None:
        """The nearest of all directions, refined around the best."""
        units, best = _sphere(2), None
        for width in (0.0, 0.3, 0.1, 0.03, 0.01, 0.003):
            if width:
                units = _unit(units[:1] + width * np.concatenate([np.zeros((1, len(AXES))), _sphere(1)]))
            directions = {name: units @ one.root for name, one in self.moves.items()}
            radii = self.radii(directions)
            nearest = int(np.argmin(radii))
            if not radii[nearest] < math.inf:
                return None
            units = units[nearest : nearest + 1]
            best = self.best("together", {name: one[nearest : nearest + 1] for name, one in directions.items()})
        return best

    def radii(self, directions: Mapping[str, Floats]) -> Floats:
        """How far along each direction enough is lost first, (k,); infinite where it never is."""
        steps = _COARSE if self.is_slow else _RADII
        many = len(next(iter(directions.values())))
        walked = {name: (steps[:, None, None] * one).reshape(-1, len(AXES)) for name, one in directions.items()}
        broken = self._pnl(walked).reshape(len(steps), many) <= -self.loss_usd
        crossed = np.argmax(broken, axis=0)
        far = np.where(broken.any(axis=0), steps[crossed], math.inf)
        hit = np.flatnonzero(np.isfinite(far) & (crossed > 0))
        low, high = steps[crossed[hit] - 1], far[hit]
        for _ in range(10 if self.is_slow else _HALVINGS):
            middle = 0.5 * (low + high)
            at = {name: middle[:, None] * one[hit] for name, one in directions.items()}
            enough = self._pnl(at) <= -self.loss_usd
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        far[hit] = high
        return np.asarray(far)

    def _pnl(self, moved: Mapping[str, Floats]) -> Floats:
        """Of positions and balances in USD for each row of moves, (S, 4) by underlying."""
        many = len(next(iter(moved.values())))
        block = max(1, _CELLS // max(1, len(self.book.positions)))
        total = np.zeros(many)
        for begin in range(0, many, block):
            part = slice(begin, begin + block)
            shocks = {name: _shocks(one[part]) for name, one in moved.items()}
            total[part] = gains_by_shocks(self.book, self.markets, shocks, len(total[part])).sum(axis=1)
            total[part] += sum(self._coins[name] * one.spot.ravel() for name, one in shocks.items())
        return total


def _axis(deviations: Floats, axis: int) -> Floats:
    direction = np.zeros((1, len(AXES)))
    direction[0, axis] = deviations[axis]
    return direction


def _shocks(moved: Floats) -> Shocks:
    log_spot, log_vol, skew, convexity = moved.T
    return Shocks.made(
        len(moved), spot=np.expm1(log_spot), vol=np.expm1(log_vol), skew=skew.copy(), convexity=convexity.copy()
    )


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@cache
def _sphere(steps: int) -> Floats:
    """Directions all round: those to the points of a lattice with so many steps either way."""
    lattice = np.array(list(itertools.product(range(-steps, steps + 1), repeat=len(AXES))), dtype=np.float64)
    directions = _unit(lattice[np.any(lattice != 0.0, axis=1)])
    return np.unique(np.round(directions, 12), axis=0)
