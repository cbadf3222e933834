"""Several assets at once: the optimum of Guéant on a grid of inventories, and its closed form for any number of them.

With θ(q) the value of an inventory q beyond its mark, and H the Hamiltonian of each asset's fills, the optimum solves

    dθ/dt = γ/2 q'Σq - sum over assets and sides of z H((θ(q) - θ(q ± z e)) / z),        θ = 0 at the horizon

one equation for each of (2Q+1)^d inventories: exact, and soon too many. With each H replaced by its parabola at zero θ
is one too, and its curvature solves a Riccati equation.

Source      O. Guéant (2017), "Optimal market making", arXiv 1605.01862; P. Bergault, D. Evangelista, O. Guéant,
            D. Vieira (2021), "Closed-form approximations in multi-asset market making", arXiv 1810.04383
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from flatbook.decide.baselines.intensity import (
    Distances,
    ExponentialIntensity,
    Floats,
    require_not_negative,
    require_positive,
)
from flatbook.domain.errors import BadInputError
from flatbook.valuation.risk_price import riccati

MOST_STATES = 20_000
"""Inventories that the exact optimum is computed for at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Assets:
    """Assets that one dealer quotes, alike on both sides.

    Shapes      covariance (d, d); fills and size (d,)
    Units       covariance in price² per unit of time; fills of a quote of `size`; risk aversion γ per unit of P&L
    Domain      covariance symmetric positive semi-definite, all else above 0
    is_cara     exponential utility; else expected P&L less γ/2 of its variance
    """

    covariance: Floats
    fills: ExponentialIntensity
    size: Floats
    risk_aversion: float
    is_cara: bool = True

    def __post_init__(self) -> None:
        require_positive("assets", size=self.size, risk_aversion=self.risk_aversion)
        shapes = [self.covariance.shape, np.shape(self.fills.arrivals), np.shape(self.fills.decay)]
        count = len(self.size)
        if shapes != [(count, count), (count,), (count,)]:
            raise BadInputError(
                f"{count} assets by their sizes, but covariance, arrivals and decay have shapes {shapes}"
            )

    @property
    def count(self) -> int:
        """How many assets."""
        return len(self.size)

    @property
    def trade_aversion(self) -> Floats:
        """Aversion to a fill itself, per unit of price: γ z, or none."""
        return np.asarray(self.risk_aversion * self.size if self.is_cara else 0.0 * self.size)

    def intensity(self, asset: int) -> ExponentialIntensity:
        """The fills of one of them."""
        return ExponentialIntensity(np.asarray(self.fills.arrivals)[asset], np.asarray(self.fills.decay)[asset])

    def running_cost(self, inventory: Floats) -> Floats:
        """γ/2 q'Σq per unit of time, of inventories whose first axis is the asset."""
        return np.asarray(0.5 * self.risk_aversion * np.einsum("i...,ij,j...", inventory, self.covariance, inventory))


@dataclass(frozen=True, slots=True)
class Fill:
    """One quote's fills on a grid of inventories: from where they lead to where.

    asset           which, and the axis of the grid
    side            0 bid, 1 ask: the row of `Distances`
    origin, target  slices of the grid, of one shape
    """

    asset: int
    side: int
    origin: tuple[slice, ...]
    target: tuple[slice, ...]


def inventories(assets: Assets, bound: int) -> Floats:
    """Inventories of -bound..bound sizes of each asset.

    Shapes      (d,) + (2 bound + 1,) * d
    Errors      BadInputError where there are more than MOST_STATES
    """
    rungs = 2 * bound + 1
    if bound < 1 or rungs**assets.count > MOST_STATES:
        raise BadInputError(
            f"a bound of {bound} makes {rungs}^{assets.count} inventories: take 1 or more, and at most {MOST_STATES:,}"
        )
    lots = np.arange(-bound, bound + 1, dtype=np.float64)
    return np.stack(np.meshgrid(*(size * lots for size in assets.size), indexing="ij"))


def fills_on_grid(count: int) -> Iterator[Fill]:
    """Every asset's bid and ask: a bid's fill leads one up along the asset's axis, an ask's one down."""
    for asset in range(count):
        lower, upper = [slice(None)] * count, [slice(None)] * count
        lower[asset], upper[asset] = slice(None, -1), slice(1, None)
        yield Fill(asset, 0, tuple(lower), tuple(upper))
        yield Fill(asset, 1, tuple(upper), tuple(lower))


def solve(assets: Assets, bound: int, time_left: float) -> Floats:
    """θ by inventory, `time_left` before the horizon: the certainty equivalent of quoting optimally until then.

    Shapes      (2 bound + 1,) * d
    Errors      BadInputError where there are too many inventories
    """
    require_not_negative("optimal market making", time_left=time_left)
    held = inventories(assets, bound)
    cost, shape = assets.running_cost(held), held.shape[1:]
    fills = [(fill, assets.intensity(fill.asset)) for fill in fills_on_grid(assets.count)]

    def gain(_: float, flat: Floats) -> Floats:
        value = flat.reshape(shape)
        rate = -cost
        for fill, intensity in fills:
            size, aversion = assets.size[fill.asset], assets.trade_aversion[fill.asset]
            price = (value[fill.origin] - value[fill.target]) / size
            rate[fill.origin] += size * intensity.hamiltonian(price, aversion)
        return rate.ravel()

    if time_left == 0.0:
        return np.zeros(shape)
    # Fills at the bound are many times as fast as the horizon is long: an implicit step does not mind.
    found = solve_ivp(gain, (0.0, time_left), np.zeros(cost.size), method="LSODA", rtol=1e-8, atol=1e-10)
    return np.asarray(found.y[:, -1].reshape(shape))


def optimal_distances(assets: Assets, value: Floats) -> Distances:
    """The quotes that a value on the grid asks for.

    Shapes      value (rungs,) * d; each side (d,) + value's
    """
    sides = np.full((2, assets.count, *value.shape), np.inf)
    for fill in fills_on_grid(assets.count):
        price = (value[fill.origin] - value[fill.target]) / assets.size[fill.asset]
        best = assets.intensity(fill.asset).best_distance(price, assets.trade_aversion[fill.asset])
        sides[fill.side, fill.asset][fill.origin] = best
    return Distances(*sides)


def flow_weight(assets: Assets) -> Floats:
    """The diagonal of D: what one more unit of price given up attracts, in size² per unit of time; (d,)."""
    fills = assets.fills
    return np.asarray(2.0 * fills.arrivals * fills.decay * fills.constant(assets.trade_aversion) * assets.size)


def curvature(assets: Assets) -> Floats:
    """-θ'' of the closed form far from the horizon, sqrt(γ) Γ with Γ D Γ = Σ; (d, d)."""
    flow = np.diag(flow_weight(assets))
    return math.sqrt(assets.risk_aversion) * riccati(assets.covariance, flow)


def curvature_before(assets: Assets, time_left: float) -> Floats:
    """-θ'' of the closed form `time_left` before the horizon: D^-1/2 Â tanh(Â (T - t)) D^-1/2, Â² = γ D^1/2 Σ D^1/2."""
    require_not_negative("closed form", time_left=time_left)
    root = np.sqrt(flow_weight(assets))
    inner = assets.risk_aversion * assets.covariance * np.outer(root, root)
    values, vectors = np.linalg.eigh(inner)
    frequency = np.sqrt(np.maximum(values, 0.0))
    grown = (vectors * (frequency * np.tanh(frequency * time_left))) @ vectors.T
    return np.asarray(grown / np.outer(root, root))


def closed_form_distances(assets: Assets, curvature: Floats, inventory: Floats) -> Distances:
    """Quotes that charge the change of a quadratic value of that curvature, and the fills' own spread.

    Shapes      inventory (d, ...), and each side
    """
    over = (-1,) + (1,) * (inventory.ndim - 1)
    shift = np.tensordot(curvature, inventory, axes=1)
    half = assets.fills.spread(assets.trade_aversion) + 0.5 * assets.size * np.diag(curvature)
    return Distances(half.reshape(over) + shift, half.reshape(over) - shift)


def within(distances: Distances, inventory: Floats, size: Floats, bound: int) -> Distances:
    """The same quotes, none of them where a fill would lead beyond `bound` sizes."""
    over = (-1,) + (1,) * (inventory.ndim - 1)
    lots = inventory / np.reshape(size, over)
    return Distances(
        np.where(lots + 1 > bound, np.inf, distances.bid), np.where(lots - 1 < -bound, np.inf, distances.ask)
    )
