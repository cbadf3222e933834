"""Whether smiles are free of arbitrage, by formulas and a grid that no fit uses."""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.black import inverse
from flatbook.market.market import Market
from tests.kernels.arbitrage import arbitrage_coin

Floats = NDArray[np.float64]

TOLERANCE = 1e-9
"""Of the density's numerator, and of total variance as a share of itself: what sums of moves round off."""

_FAR = np.sinh(np.linspace(-1.0, 1.0, 401) * math.asinh(1e5))
_NEAR = np.linspace(-8.0, 8.0, 601)


def total_variance(params: Floats, k: Floats) -> Floats:
    """By the slopes of the wings: p to the left and c to the right of the bend."""
    a, b, rho, m, s = params
    put, call, y = b * (1.0 - rho), b * (1.0 + rho), k - m
    r = np.hypot(y, s)
    # r + y loses its digits far to the left, where it is s^2 / (r - y).
    rising, falling = (np.where(side > 0, r + np.abs(y), s * s / (r + np.abs(y))) for side in (y, -y))
    return np.asarray(a + 0.5 * (put * falling + call * rising))


def density(params: Floats, k: Floats) -> Floats:
    """(1 + d1 v')(1 + d2 v') + v v'' of the standard deviation v(k): the risk-neutral density times a positive."""
    _, b, rho, m, s = params
    v = np.sqrt(total_variance(params, k))
    angle = np.arctan2(k - m, s)
    dw, d2w = b * (rho + np.sin(angle)), b / s * np.cos(angle) ** 3
    dv = dw / (2.0 * v)
    d2v = (d2w - 2.0 * dv * dv) / (2.0 * v)
    d1, d2 = -k / v + v / 2.0, -k / v - v / 2.0
    return np.asarray((1.0 + d1 * dv) * (1.0 + d2 * dv) + v * d2v)


def grid_of(*slices: Floats) -> Floats:
    """Log-moneyness out to 10^5 deviations, dense about the money and about each slice's bend."""
    parts = []
    for params in slices:
        unit = math.sqrt(float(total_variance(params, np.zeros(1))[0]))
        parts += [unit * _FAR, unit * _NEAR, params[3] + params[4] * _NEAR]
    return np.unique(np.concatenate(parts))


def least_density(params: Floats) -> float:
    """Below zero where a slice has butterflies, by more than rounding, or total variance below zero, or wings too
    steep."""
    _, b, rho, _, s = params
    k = grid_of(params)
    if not (total_variance(params, k) > 0.0).all() or not s > 0.0:
        return -math.inf
    least: float = min(float(density(params, k).min()), 2.0 * (1.0 + 1e-12) - b * (1.0 + abs(rho)))
    return least


def least_rise(near: Floats, far: Floats) -> float:
    """Least rise of total variance from one slice to the next, as a share of it, wings included."""
    k = grid_of(near, far)
    ratio = total_variance(far, k) / total_variance(near, k)
    slopes = [far[1] * (1.0 + side * far[2]) / (near[1] * (1.0 + side * near[2])) for side in (-1.0, 1.0)]
    least: float = min(float(ratio.min()), *slopes)
    return least - 1.0


def published(market: Market, now_ns: int) -> list[Floats]:
    """The slices that quoting and valuation read at a moment, nearest first."""
    years = market.years(now_ns)
    slots_at = market.surface.slots_at(years)
    order = [int(slot) for slot in np.argsort(years, kind="stable") if years[slot] > 0.0]
    return [slots_at[slot] for slot in order if market.surface.is_known(slot)]


def assert_free(slices: list[Floats], where: object = "") -> None:
    """No butterfly and no calendar arbitrage, at any strike."""
    for at, params in enumerate(slices):
        assert least_density(params) >= -TOLERANCE, f"butterfly in slice {at} of {len(slices)}, {where}: {params}"
    for at, (near, far) in enumerate(pairwise(slices)):
        assert least_rise(near, far) >= -TOLERANCE, f"slices {at} and {at + 1} cross, {where}: {near} {far}"


def sure_profit_coin(params: Floats, forward_usd: float, years: float) -> float:
    """What prices at 41 strikes, bought and sold at fair value, surely earn: a linear programme over their payoffs."""
    width = math.sqrt(float(total_variance(params, np.zeros(1))[0]))
    k = np.linspace(-4.0, 4.0, 41) * width
    strike, vol = forward_usd * np.exp(k), np.sqrt(total_variance(params, k) / years)
    fair = np.asarray(inverse(forward_usd, strike, vol, years, 1.0).price)
    return arbitrage_coin(strike, np.ones(len(k)), forward_usd, fair, fair)
