import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.black import CHAIN_ROWS, price_chain
from flatbook.kernels.chain import FACTORS, SLOT_ROWS, open_slots, open_slots_plain, spread_slots
from flatbook.kernels.factors import PRIMITIVES, map_factors
from flatbook.kernels.levels import level_errors
from flatbook.kernels.revalue import COLUMNS, OF_SLOTS, revalue, revalue_plain
from tests.kernels.test_chain import INDEX, TENOR_YEARS, random_slots, runs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOW_NS, NS_PER_YEAR = 1_743_422_400 * 10**9, 365 * 86_400 * 10**9

SLOTS, ROOM = 6, 8
"""Expiries that there are, and those that columns of slices have room for."""


class Chain:
    """Rows of some expiries, and slices fitted a while ago; some expired, some without a slice."""

    def __init__(self, seed: int, rows: int) -> None:
        rng = np.random.default_rng(seed)
        forward, years, smiles = random_slots(seed, ROOM)
        self.basis, self.expiry_ns = np.log(forward / INDEX), NOW_NS + np.rint(years * NS_PER_YEAR).astype(np.int64)
        self.years = (self.expiry_ns - NOW_NS) / NS_PER_YEAR
        self.params, self.fitted = smiles, np.maximum(self.years, 0.0) + rng.uniform(0.001, 0.01, ROOM)
        self.rmse, self.wander = rng.uniform(0.0, 0.01, ROOM), rng.uniform(0.1, 1.0, ROOM)
        root = rng.normal(0.0, 0.1, (ROOM, ROOM))
        self.covariance = root @ root.T
        slot = rng.integers(0, SLOTS, rows)
        self.slot = np.sort(slot) if seed % 2 else slot
        self.strike, self.sign = INDEX * rng.uniform(0.5, 2.0, rows), rng.choice([-1.0, 1.0], rows)

    def valued(self, *, plain: bool = False) -> list[Floats]:
        """Slots, what is said of them, factor map, columns and Greeks."""
        rows, by_slot = len(self.slot), (SLOTS, PRIMITIVES * FACTORS)
        shapes = ((len(SLOT_ROWS), SLOTS), (len(OF_SLOTS), SLOTS), by_slot, (len(COLUMNS), rows), (7, rows))
        out = [np.full(shape, math.nan) for shape in shapes]
        (revalue_plain if plain else revalue)(
            TENOR_YEARS, INDEX, self.basis, self.expiry_ns, NOW_NS, self.params, self.fitted, self.rmse,
            self.covariance, self.wander, 1e-4, 0.002,
            *runs(self.slot), self.strike, self.sign, *out,
        )  # fmt: skip
        return out


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_a_chain_is_valued_as_its_plain_twin_values_it(seed: int, rows: int) -> None:
    chain = Chain(seed, rows)
    *fast, fast_greeks = chain.valued()
    *plain, plain_greeks = chain.valued(plain=True)
    for one, other in zip(fast, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    scale = np.nanmax(np.abs(plain_greeks), axis=1, initial=1e-300)[:, None]
    np.testing.assert_allclose(fast_greeks / scale, plain_greeks / scale, atol=1e-9)


def test_one_call_does_what_its_steps_do() -> None:
    chain = Chain(1, 200)
    slots, of_slots, factor_map, columns, greeks = chain.valued()
    opened = np.empty_like(slots)
    open_slots(INDEX, chain.basis, chain.expiry_ns, NOW_NS, opened)
    np.testing.assert_array_equal(slots[:2], opened[:2])
    open_slots_plain(INDEX, chain.basis, chain.expiry_ns, NOW_NS, opened)
    np.testing.assert_allclose(slots[:2], opened[:2], rtol=1e-15)
    left = np.maximum(slots[1], 0.0) / chain.fitted[:SLOTS]
    np.testing.assert_array_equal(slots[2:4], (chain.params[:SLOTS, :2] * left[:, None]).T)
    np.testing.assert_array_equal(slots[4:], chain.params[:SLOTS, 2:].T)
    by_slot, spread, fair = np.empty((2, SLOTS)), np.empty((4, 200)), np.empty(200)
    n = slice(SLOTS)
    level_errors(
        chain.params[n], chain.fitted[n], chain.rmse[n], chain.covariance, chain.wander[n], 1e-4, 0.002, *by_slot
    )
    np.testing.assert_array_equal(of_slots, [*by_slot, slots[0], np.zeros(SLOTS)])
    mapped, priced = np.empty_like(factor_map), np.empty((len(CHAIN_ROWS), 200))
    map_factors(TENOR_YEARS, slots[1], mapped)
    np.testing.assert_array_equal(factor_map, mapped)
    spread_slots(*runs(chain.slot), chain.strike, slots, *spread)
    np.testing.assert_array_equal(columns[:4], spread)
    price_chain(spread[0], chain.strike, spread[3], spread[2], spread[1], chain.sign, fair, priced)
    np.testing.assert_array_equal(greeks, priced)
    np.testing.assert_array_equal(columns[4], fair)
    np.testing.assert_array_equal(columns[5], by_slot[1][chain.slot])
