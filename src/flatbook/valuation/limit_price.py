"""R's third term: what coming near a hard bound costs, so that quotes and hedges lean away before the gate refuses.

    B(v) = sum_a m_a (1 - s) L_a y_a^3 / 3        y_a = max(|v_a| - s L_a, 0) / ((1 - s) L_a)

with v_a the book on axis a, L_a its hard bound, s the share of it from which the charge rises, and m_a what a unit more
costs at the margin where the book stands at the bound. B is convex and twice differentiable, and nothing below s L.
Beyond L, where a move of the market may take a book, it goes on rising: a barrier that were infinite there would leave
nothing to compare ways back by.

In factors an axis is linear: v moves by c'g with a trade g. So B's gradient at a book is Σ p_a c_a and its curvature
Σ b_a c_a c_a', with p and b the slope and the bend of each axis; they add to R's.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Barrier:
    """B's parameters, of any number of axes that do not know each other.

    bound           (axes,) hard bounds, in the unit of each; positive
    marginal_usd    (axes,) USD that a unit more costs at the bound
    is_loss         (axes,) bounded above alone, as a loss is; else on either side
    share           s, below 1
    """

    bound: Floats
    marginal_usd: Floats
    is_loss: NDArray[np.bool_]
    share: float

    @property
    def _width(self) -> Floats:
        return (1.0 - self.share) * self.bound

    def _beyond(self, value: Floats) -> Floats:
        """y: how far into the widths between soft and hard bounds, (..., axes)."""
        size = np.where(self.is_loss, value, np.abs(value))
        return np.asarray(np.maximum(size - self.share * self.bound, 0.0) / self._width)

    def costs_usd(self, value: Floats) -> Floats:
        """B of each axis, (..., axes)."""
        return np.asarray(self.marginal_usd * self._width * self._beyond(value) ** 3 / 3.0)

    def slopes_usd(self, value: Floats) -> Floats:
        """p: what one more unit of each axis costs at the margin, signed, (..., axes)."""
        return np.asarray(np.sign(value) * self.marginal_usd * self._beyond(value) ** 2)

    def bends_usd(self, value: Floats) -> Floats:
        """b: by how much that rises with a unit, (..., axes), never negative."""
        return np.asarray(2.0 * self.marginal_usd * self._beyond(value) / self._width)

    def of(self, axes: slice | NDArray[np.int64]) -> "Barrier":
        """B of some of the axes, of each as often as it is asked for."""
        return Barrier(self.bound[axes], self.marginal_usd[axes], self.is_loss[axes], self.share)


@dataclass(frozen=True, slots=True, eq=False)
class LimitPrice(Barrier):
    """B of axes that have names."""

    names: tuple[str, ...]

    def axes(self, chosen: slice) -> "LimitPrice":
        """B of some of the axes alone."""
        part = self.of(chosen)
        return LimitPrice(part.bound, part.marginal_usd, part.is_loss, part.share, self.names[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class LimitCharge:
    """B at a book: what it adds to R there.

    Shapes      value (axes,) the book on each; direction (axes, FACTORS) c, what a unit of each factor's exposure adds;
                exposure (FACTORS,) of the book
    """

    price: LimitPrice
    value: Floats
    direction: Floats
    exposure: Floats

    def at(self, exposure: Floats) -> "LimitCharge":
        """B at the book as it would be with another exposure."""
        return replace(self, value=self.value + self.direction @ (exposure - self.exposure), exposure=exposure)

    def axes(self, chosen: slice) -> "LimitCharge":
        """B of some of the axes alone."""
        return LimitCharge(self.price.axes(chosen), self.value[chosen], self.direction[chosen], self.exposure)

    @property
    def is_felt(self) -> bool:
        """Whether any axis is beyond its soft bound."""
        return bool(self.price.costs_usd(self.value).any())

    def in_factors(self, core: RiskPrice) -> RiskPrice:
        """R with B's parabola at the book: right in value's slope and curvature there."""
        bend = (self.direction.T * self.price.bends_usd(self.value)) @ self.direction
        slope = self.price.slopes_usd(self.value) @ self.direction - bend @ self.exposure
        return replace(core, curvature=core.curvature + bend, slope=slope if core.slope is None else core.slope + slope)

    def side_costs_usd(self, axis: int, unit: Floats, size: float) -> Floats:
        """What buying and what selling `size` contracts adds to an axis's B exactly, USD a contract, (2, n).

        `unit` (n,) is what a contract bought adds to the axis.
        """
        one = self.price.axes(slice(axis, axis + 1))
        here, moved = self.value[axis], size * unit
        sides = [one.costs_usd((here + side * moved)[:, None])[:, 0] for side in (1.0, -1.0)]
        return np.asarray((np.stack(sides) - one.costs_usd(self.value[axis : axis + 1])) / size)
