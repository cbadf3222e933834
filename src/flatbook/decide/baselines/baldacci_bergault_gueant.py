"""Baldacci, Bergault and Guéant: a book of options on one underlying, hedged in delta, whose state is its total vega.

With every vega held constant over a short horizon, and one factor of vol that is paid no premium, the value of a book
depends on its vega V alone:

    dv/dt + V drift - γ/2 ω² V² + sum over options and sides of z H((v(V) - v(V ± z vega)) / z) = 0,    v = 0 at the end

and no side is quoted whose fill would lead beyond the bound on V. The paper's ξ, of the variance ν, is 2 ω here, for
ω = ξ/2 is how much sqrt(ν) moves; its a_P and a_Q are a drift of (a_P - a_Q) / (2 sqrt(ν)).

Source      B. Baldacci, P. Bergault, O. Guéant (2021), "Algorithmic market making for options", Quantitative Finance
            21(1), arXiv 1907.12433, eq. 4
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.baselines.intensity import (
    Distances,
    Floats,
    Intensity,
    require_not_negative,
    require_positive,
)
from flatbook.domain.errors import BadInputError


@dataclass(frozen=True, slots=True, eq=False)
class VegaBook:
    """The options, and what their vol does.

    vega            (n,) price per unit of vol, a contract
    size            (n,) contracts a quote
    fills           of a quote, each parameter (n,) or one number
    vol_of_vol      ω, of the vol itself, per square root of time
    risk_aversion   γ, per unit of P&L; expected P&L less γ/2 of its variance is what counts
    vega_bound      the book's total vega stays within it, either way
    vol_drift       the dealer's own view: how fast vol rises beyond what its price allows for, per unit of time

    Domain      vega 0 or more, vol_drift any, all else above 0
    """

    vega: Floats
    size: Floats
    fills: Intensity
    vol_of_vol: float
    risk_aversion: float
    vega_bound: float
    vol_drift: float = 0.0

    def __post_init__(self) -> None:
        what = "vega book"
        require_not_negative(what, vega=self.vega)
        require_positive(what, size=self.size, vol_of_vol=self.vol_of_vol)
        require_positive(what, risk_aversion=self.risk_aversion, vega_bound=self.vega_bound)
        if self.vega.shape != self.size.shape or self.vega.ndim != 1:
            raise BadInputError(
                f"{what}: vega has shape {self.vega.shape} and size {self.size.shape}: both must be (n,)"
            )


@dataclass(frozen=True, slots=True, eq=False)
class VegaValue:
    """v on an even grid of the book's vega, and between its points by the cubic through the four nearest."""

    vega: Floats
    value: Floats

    def at(self, vega: Floats | float) -> Floats:
        """v of a book of that vega; beyond the grid, of its end."""
        return _Cubic.of(self.vega, np.asarray(vega)).value(self.value)


def solve(book: VegaBook, time_left: float, points: int = 101, tolerance: float = 1e-6) -> VegaValue:
    """v `time_left` before the horizon.

    Domain      points odd, that a flat book is one of them; tolerance of v, relative to its size
    """
    from scipy.integrate import solve_ivp  # a start that quotes by no such model does not pay for scipy

    require_positive("vega book", time_left=time_left)
    if points < 5 or points % 2 == 0:
        raise BadInputError(f"vega book: a grid of {points} points must have an odd number of them, 5 or more")
    grid = np.linspace(-book.vega_bound, book.vega_bound, points)
    cost = 0.5 * book.risk_aversion * (book.vol_of_vol * grid) ** 2 - book.vol_drift * grid
    after = [grid[:, None] + side * book.size * book.vega for side in (1, -1)]
    sides = [(_within(vega, book.vega_bound), _Cubic.of(grid, vega)) for vega in after]

    def gain(_: float, value: Floats) -> Floats:
        rate = -cost
        for is_quoted, cubic in sides:
            price = (value[:, None] - cubic.value(value)) / book.size
            rate += np.where(is_quoted, book.fills.hamiltonian(price), 0.0) @ book.size
        return rate

    def slope(_: float, value: Floats) -> Floats:
        # H falls by the fills it loses: a fill at a grid point trades its own value for that of four points.
        matrix = np.zeros((points, points))
        for is_quoted, cubic in sides:
            price = (value[:, None] - cubic.value(value)) / book.size
            filled = np.where(is_quoted, book.fills.rate(book.fills.best_distance(price)), 0.0)
            matrix[np.diag_indices(points)] -= filled.sum(axis=1)
            cubic.scatter(filled, matrix)
        return matrix

    scale = float(np.abs(gain(0.0, np.zeros(points))).max()) * time_left
    # Far from a flat book quotes lie far through fair value, and fills come many times as fast: stiff.
    found = solve_ivp(
        gain, (0.0, time_left), np.zeros(points), method="LSODA", jac=slope, rtol=1e-12, atol=tolerance * scale
    )
    return VegaValue(grid, found.y[:, -1])


def distances(book: VegaBook, value: VegaValue, vega: float | Floats) -> Distances:
    """Each option's quotes when the book's total vega is `vega`: the distances that attain H.

    Shapes      vega one number, or (n,) where each option stands in a book of its own; (n,) each side
    """
    sides = []
    for side in (1, -1):
        after = vega + side * book.size * book.vega
        price = (value.at(vega) - value.at(after)) / book.size
        sides.append(np.where(_within(after, book.vega_bound), book.fills.best_distance(price), np.inf))
    return Distances(*sides)


@dataclass(frozen=True, slots=True, eq=False)
class _Cubic:
    """Where points lie on an even grid: the four grid points around each, and what each of them weighs.

    A trade's vega may be a small part of the grid's step. Straight lines would then show it no curvature at all, and
    flatten v a little with every fill.
    """

    first: NDArray[np.intp]
    weight: Floats

    @classmethod
    def of(cls, grid: Floats, points: Floats) -> "_Cubic":
        place = np.clip((points - grid[0]) / (grid[1] - grid[0]), 0.0, len(grid) - 1.0)
        first = np.clip(place.astype(np.intp) - 1, 0, len(grid) - 4)
        x = place - first
        a, b, c, d = x, x - 1.0, x - 2.0, x - 3.0
        return cls(first, np.stack([-b * c * d / 6.0, a * c * d / 2.0, -a * b * d / 2.0, a * b * c / 6.0]))

    def scatter(self, filled: Floats, matrix: Floats) -> None:
        """Adds to each row of a square matrix what its points' weights make of `filled`, in the grid's columns."""
        rows = np.broadcast_to(np.arange(len(matrix))[:, None], filled.shape)
        for i in range(4):
            np.add.at(matrix, (rows, self.first + i), filled * self.weight[i])

    def value(self, value: Floats) -> Floats:
        return np.asarray(sum(self.weight[i] * value[self.first + i] for i in range(4)))


def _within(vega: Floats, bound: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(vega) <= bound * (1.0 + 1e-12))
