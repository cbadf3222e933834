"""The least of a quadratic with a kink at zero in each variable: what the best hedge comes down to.

    f(n) = 1/2 n'Hn + g'n + sum_j (buy_j n_j where n_j > 0, -sell_j n_j where n_j < 0)        |n_j| <= most_j

An active set makes it exact and short: variables rest at zero or at a bound, the others solve their linear system, a
step ends where one of them meets its kink, and the resting one with most to gain is let go. From the last answer it
takes one or two steps. Coordinate descent was rejected: a perpetual and a future load nearly the same, and between two
such instruments it crawls.

Source      Nocedal and Wright (2006), Numerical Optimization, §16.5, for the active set
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Signs = NDArray[np.int8]

_RIDGE = 1e-11
"""Added to the scaled Hessian's unit diagonal: two instruments that are the same leave it singular."""

_TOLERANCE = 1e-9
"""The KKT residual at which the search ends, relative to the steepest slope at zero."""


@dataclass(frozen=True, slots=True, eq=False)
class KinkedQuadratic:
    """The function f above.

    Shapes      hessian (m, m), all else (m,)
    Domain      hessian positive semi-definite; buy + sell >= 0; most > 0, or 0 to leave a variable out
    """

    hessian: Floats
    gradient: Floats
    buy: Floats
    sell: Floats
    most: Floats

    def value(self, n: Floats) -> float:
        """f(n); 0 at zero."""
        kinked = np.where(n > 0.0, self.buy, -self.sell)
        return float(n @ (0.5 * (self.hessian @ n) + self.gradient + kinked))

    def kkt_residual(self, n: Floats) -> float:
        """How far zero is from the subgradient of f at n, in the units of `gradient`, the worst variable's."""
        slope = self.hessian @ n + self.gradient
        up, down = slope + self.buy, slope - self.sell
        least = np.where(n > 0.0, up, down)
        most = np.where(n < 0.0, down, up)
        least = np.where(n <= -self.most, -np.inf, least)
        most = np.where(n >= self.most, np.inf, most)
        return float(np.max(np.maximum(np.maximum(least, -most), 0.0), initial=0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The minimiser, the steps it took, and what the optimality conditions miss by."""

    n: Floats
    steps: int
    residual: float


def solve(problem: KinkedQuadratic, start: Floats | None = None) -> Solution:
    """The minimiser of f, from `start` (m,) where it is near: the answer to the last question, say."""
    if np.all(problem.gradient + problem.buy >= 0.0) and np.all(problem.gradient - problem.sell <= 0.0):
        return Solution(np.zeros(problem.gradient.size), 0, 0.0)
    scale = _scale(problem)
    search = _Search(problem, scale, start)
    limit = 20 * (scale.size + 1)
    while search.steps < limit and search.step():
        pass
    n = np.where(np.abs(search.side) == 2, np.sign(search.side) * problem.most, search.y / scale)
    return Solution(n, search.steps, problem.kkt_residual(n))


def _scale(problem: KinkedQuadratic) -> Floats:
    """Units in which each variable's own curvature is one; those without any are measured by their bound."""
    curvature = np.diag(problem.hessian)
    bounded = 1.0 / np.where(problem.most > 0.0, problem.most, 1.0)
    return np.asarray(np.where(curvature > 0.0, np.sqrt(np.maximum(curvature, 0.0)), bounded))


class _Search:
    """The active set as it goes, in scaled variables y.

    Invariant   side is 0 where y rests at zero, ±1 where y moves freely on that side of it, ±2 where it rests at its
                bound; y has side's sign
    """

    __slots__ = ("bound", "down", "hessian", "least_gain", "side", "steps", "up", "y")

    def __init__(self, problem: KinkedQuadratic, scale: Floats, start: Floats | None) -> None:
        self.bound = problem.most * scale
        self.hessian = problem.hessian / np.outer(scale, scale)
        self.hessian.flat[:: scale.size + 1] += _RIDGE
        self.up = (problem.gradient + problem.buy) / scale
        self.down = (problem.gradient - problem.sell) / scale
        self.least_gain = _TOLERANCE * float(np.max(np.maximum(np.abs(self.up), np.abs(self.down)), initial=0.0))
        self.y = np.zeros(scale.size) if start is None else np.clip(start * scale, -self.bound, self.bound)
        self.side: Signs = np.sign(self.y).astype(np.int8)
        self.side[np.abs(self.y) >= self.bound] *= 2
        self.steps = 0

    def step(self) -> bool:
        """Solves for what is free, as far as the first kink; then lets one go that gains. False when none does."""
        self.steps += 1
        free = np.flatnonzero(np.abs(self.side) == 1)
        if free.size and not self._settle(free):
            return True
        return self._let_go()

    def _settle(self, free: NDArray[np.intp]) -> bool:
        """Moves what is free to its optimum, or to where the first of it meets zero or a bound: then False."""
        y, side = self.y, self.side[free]
        slope = self.hessian[free] @ y + np.where(side > 0, self.up[free], self.down[free])
        move = np.linalg.solve(self.hessian[np.ix_(free, free)], -slope)
        ahead = np.where(move * side < 0, 0.0, side * self.bound[free]) - y[free]
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(move != 0.0, ahead / move, np.inf)
        first = int(np.argmin(reach))
        if reach[first] >= 1.0:
            y[free] += move
            return True
        y[free] += reach[first] * move
        stopped = free[first]
        at_zero = move[first] * side[first] < 0
        y[stopped] = 0.0 if at_zero else side[first] * self.bound[stopped]
        self.side[stopped] = 0 if at_zero else 2 * side[first]
        return False

    def _let_go(self) -> bool:
        """Frees the resting variable whose slope says that it gains most by moving."""
        slope = self.hessian @ self.y
        up, down, side = slope + self.up, slope + self.down, self.side
        gain = np.where(side == 0, np.maximum(-up, down), np.where(side == 2, up, np.where(side == -2, -down, 0.0)))
        gain = np.where(self.bound > 0.0, gain, 0.0)
        best = int(np.argmax(gain))
        if gain[best] <= self.least_gain:
            return False
        if side[best] == 0:
            side[best] = 1 if -up[best] >= down[best] else -1
        else:
            side[best] //= 2
        return True


def rounded(problem: KinkedQuadratic, n: Floats, lot: Floats) -> Floats:
    """Whole lots near the minimiser n, never worse than no trade; `most` is in whole lots.

    Coarse instruments first, options say: of the lots below and above each the better is taken, all others being chosen
    anew to make up for it. What is fine enough is then rounded, and single lots traded where that still helps.
    """
    if not n.any():
        return n
    least_risk = _FINE * -problem.value(n)
    lot_risk = 0.125 * np.diag(problem.hessian) * lot * lot
    chosen = np.zeros(n.size)
    rest, is_open = problem, lot_risk > least_risk
    while (waiting := is_open & (n != 0.0)).any():
        j = int(np.argmax(np.where(waiting, lot_risk, -1.0)))
        is_open[j] = False
        below = np.floor(n[j] / lot[j] + 1e-9) * lot[j]
        ends = [_fixed(rest, n, j, size) for size in dict.fromkeys((below, min(below + lot[j], problem.most[j])))]
        values = [problem.value(chosen + _unit(n.size, j, size) + others) for size, _, others in ends]
        size, rest, n = ends[int(np.argmin(values))]
        chosen[j] = size
    lots = _polished(problem, np.round((chosen + n) / lot), problem.most, lot)
    return lots * lot if problem.value(lots * lot) < 0.0 else np.zeros(n.size)


_FINE = 1e-4
"""A lot whose rounding costs less than this share of what the hedge saves is rounded without more ado."""


def _fixed(problem: KinkedQuadratic, start: Floats, j: int, size: float) -> tuple[float, KinkedQuadratic, Floats]:
    """The problem of all others, once variable j is decided, and its minimiser."""
    most = problem.most.copy()
    most[j] = 0.0
    gradient = problem.gradient + problem.hessian[:, j] * size
    rest = KinkedQuadratic(problem.hessian, gradient, problem.buy, problem.sell, most)
    return size, rest, solve(rest, start).n


def _unit(count: int, j: int, size: float) -> Floats:
    vector = np.zeros(count)
    vector[j] = size
    return vector


def _polished(problem: KinkedQuadratic, lots: Floats, most: Floats, lot: Floats) -> Floats:
    """Trades single lots, the best each time, until none helps; a few each, for fine ones take each other's place."""
    whole = np.round(most / lot)
    curvature = 0.5 * np.diag(problem.hessian) * lot * lot
    for _ in range(4 * lots.size):
        slope = (problem.hessian @ (lots * lot) + problem.gradient) * lot
        buy = np.where(lots >= 0.0, problem.buy, -problem.sell) * lot
        sell = np.where(lots <= 0.0, problem.sell, -problem.buy) * lot
        more = np.where(lots < whole, slope + buy + curvature, np.inf)
        less = np.where(lots > -whole, -slope + sell + curvature, np.inf)
        j, k = int(np.argmin(more)), int(np.argmin(less))
        if min(more[j], less[k]) >= 0.0:
            break
        lots[j if more[j] < less[k] else k] += 1.0 if more[j] < less[k] else -1.0
    return lots
