import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.black import price_full
from flatbook.kernels.chain import FACTORS, spread_slots
from flatbook.kernels.factors import PRIMITIVES, map_factors
from flatbook.kernels.quotes import TERMS
from flatbook.kernels.requote import requote, requote_plain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

INDEX = 80_000.0
TERM_VALUES = {
    "half_spread_coin": 2e-4, "spread_vol": 0.004, "error_weight": 0.5, "fee_rate": 3e-4, "fee_cap": 0.125,
    "hedge_rate": 5e-5, "widen": 1.5, "aversion": 2e-4, "edge_coin": 1e-4, "edge_vol": 0.003, "position_skew": 0.001,
}  # fmt: skip


class Chain:
    """Some expiries of calls and puts on one smile, a book in them, and a convex R."""

    def __init__(self, seed: int, expiries: int, strikes: int) -> None:
        rng = np.random.default_rng(seed)
        each = 2 * strikes
        self.n = n = expiries * each
        years = np.sort(rng.uniform(0.01, 0.8, expiries))
        width = 0.6 * np.sqrt(years)
        forward = INDEX * np.exp(0.05 * years)
        ones = np.ones(expiries)
        self.slots = np.stack([forward, years, 0.45 * width**2, 0.35 * width, -0.25 * ones, 0.1 * width, 0.9 * width])
        at = np.sort(rng.choice(np.arange(50_000.0, 121_000.0, 1_000.0), strikes, replace=False))
        self.slot = np.repeat(np.arange(expiries), each)
        self.strike, self.sign = np.tile(np.repeat(at, 2), expiries), np.tile([1.0, -1.0], expiries * strikes)
        self.walk, self.first = np.arange(n), np.arange(0, n + 1, each)
        self.order = np.lexsort((self.strike, -self.sign, self.slot)).astype(np.int64)
        self.later = np.where(self.slot < expiries - 1, np.arange(n) + each, -1)
        self.map = np.empty((expiries, PRIMITIVES * FACTORS))
        map_factors(np.array([3.0, 20.0, 100.0]) / 365, years, self.map)
        self.forward, years_, vol, self.moneyness = np.empty((4, n))
        columns = (self.forward, years_, vol, self.moneyness)
        spread_slots(self.walk, self.first, np.arange(expiries), self.strike, self.slots, *columns)
        self.greeks = np.empty((11, n))
        price_full(self.forward, self.strike, vol, years_, self.sign, self.greeks)
        self.chosen = (rng.random(n) < 0.9).astype(np.int8)
        self.error, self.held = rng.uniform(0.001, 0.02, n), np.rint(rng.normal(0.0, 3.0, n))
        self.takers = np.stack([rng.uniform(0.5, 2.0, n), *rng.uniform(0.0, 1e-3, (2, n))])
        root = rng.normal(0.0, 1e-6, (FACTORS, FACTORS))
        self.curvature = root @ root.T
        self.gradient = self.curvature @ rng.normal(0.0, 1e6, FACTORS)

    def quoted(self, charges_risk: bool, plain: bool = False) -> tuple[Floats, Ints]:
        parts, grid = np.empty((6, self.n)), np.empty((4, self.n), np.int64)
        (requote_plain if plain else requote)(
            INDEX, 1.0, np.array([TERM_VALUES[name] for name in TERMS]), self.chosen, charges_risk,
            self.gradient, self.curvature, self.map, self.walk, self.order, self.later, self.first,
            np.arange(len(self.map)), self.strike, self.sign, np.full(self.n, 1e-4), np.full(self.n, 0.1),
            np.full(self.n, 50), np.full(self.n, 5), self.forward, self.moneyness, self.greeks, self.error, self.held,
            self.takers, parts, grid,
        )  # fmt: skip
        return parts, grid


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 6), st.booleans())
def test_a_chain_is_quoted_as_its_steps_one_by_one_would(
    seed: int, expiries: int, strikes: int, charges_risk: bool
) -> None:
    chain = Chain(seed, expiries, strikes)
    (parts, grid), (plain_parts, plain_grid) = chain.quoted(charges_risk), chain.quoted(charges_risk, plain=True)
    np.testing.assert_allclose(parts, plain_parts, rtol=1e-9, atol=1e-12)
    # A price on the edge of two ticks may fall to either by the last digit.
    assert np.abs(grid - plain_grid).max() <= 5
    assert (grid != plain_grid).mean() < 0.02
    quoted = chain.chosen != 0
    assert not grid[:, ~quoted].any()
    assert (grid[3, quoted] > 0).all()
    assert (grid[0] < grid[2])[quoted].all()
