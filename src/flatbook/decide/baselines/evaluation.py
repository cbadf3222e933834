"""What any quotes are worth in a known market, exactly: the value of a fixed policy solves a linear equation.

A dealer who quotes at given distances jumps between inventories at known rates. The expected exponential utility of
what is earned, or its mean and variance, grows by a matrix of those rates: no path is drawn, and how far quotes fall
short of the optimum is known to rounding.

Source      Guéant (2017), arXiv 1605.01862, section 2: its equation before the supremum is taken
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from flatbook.decide.baselines.gueant import Assets, fills_on_grid, inventories
from flatbook.decide.baselines.intensity import Distances, Floats, require_positive
from flatbook.domain.errors import BadInputError


def certainty_equivalent(assets: Assets, bound: int, quotes: Distances, time_left: float) -> Floats:
    """What quoting so until the horizon is worth, by inventory held now and beyond its mark.

    Shapes      quotes each (d,) + (2 bound + 1,) * d; result (2 bound + 1,) * d
    Units       as P&L
    Domain      no quote whose fill would lead beyond the bound; up to a thousand inventories, for the system is dense
    """
    require_positive("certainty equivalent", time_left=time_left)
    held = inventories(assets, bound)
    moves, cost = _moves(assets, quotes), assets.running_cost(held).ravel()
    shape, states = held.shape[1:], cost.size
    leaving = _sums(moves, moves.rate, states)
    if assets.is_cara:
        utility = moves.rate * np.exp(-assets.risk_aversion * moves.earned)
        growth = _matrix(moves, utility, assets.risk_aversion * cost - leaving)
        return np.asarray(-_log_growth(growth, time_left) / assets.risk_aversion).reshape(shape)
    gain = _sums(moves, moves.rate * moves.earned, states) - cost
    growth = np.zeros((states + 1, states + 1))
    growth[:-1, :-1], growth[:-1, -1] = _matrix(moves, moves.rate, -leaving), gain
    return np.asarray(expm(growth * time_left)[:-1, -1]).reshape(shape)


class _Moves(NamedTuple):
    """Every fill that can happen, a row each: between which inventories, how often, and what it earns."""

    origin: NDArray[np.int64]
    target: NDArray[np.int64]
    rate: Floats
    earned: Floats


def _moves(assets: Assets, quotes: Distances) -> _Moves:
    shape = quotes.bid.shape[1:]
    state, columns = np.arange(math.prod(shape)).reshape(shape), []
    for fill in fills_on_grid(assets.count):
        offered = quotes[fill.side][fill.asset]
        quoted = np.isfinite(offered[fill.origin])
        if np.isfinite(offered).sum() > quoted.sum():
            raise BadInputError(f"asset {fill.asset} is quoted where a fill would lead beyond the grid of inventories")
        distance = offered[fill.origin][quoted]
        rate, earned = assets.intensity(fill.asset).rate(distance), assets.size[fill.asset] * distance
        columns.append((state[fill.origin][quoted], state[fill.target][quoted], rate, earned))
    return _Moves(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _sums(moves: _Moves, weight: Floats, states: int) -> Floats:
    return np.bincount(moves.origin, weight, states).astype(np.float64)


def _matrix(moves: _Moves, weight: Floats, diagonal: Floats) -> Floats:
    matrix = np.diag(diagonal)
    np.add.at(matrix, (moves.origin, moves.target), weight)
    return matrix


def _log_growth(matrix: Floats, time: float) -> Floats:
    """ln of exp(matrix time) applied to ones; the growth rate is taken off and given back, lest it overflow."""
    pace = float(np.linalg.eigvals(matrix).real.max())
    grown = expm((matrix - pace * np.eye(len(matrix))) * time)
    return np.asarray(np.log(grown.sum(axis=1)) + pace * time)
