import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.placing import place_quotes, place_quotes_plain
from tests.kernels.test_requote import Chain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TICK, LOT = 1e-4, 0.1


def placed(chain: Chain, bid: Floats, ask: Floats, *, plain: bool = False) -> Ints:
    """The grid of a chain's prices."""
    grid, n = np.empty((4, chain.n), np.int64), chain.n
    (place_quotes_plain if plain else place_quotes)(
        1.0, bid, ask, chain.greeks[0] / chain.forward, chain.order, chain.later, chain.first, chain.strike, chain.sign,
        chain.forward, np.full(n, TICK), np.full(n, LOT), np.full(n, 50), np.full(n, 5), grid,
    )  # fmt: skip
    return grid


def prices(chain: Chain, seed: int, lean: float) -> tuple[Floats, Floats]:
    """About fair value, both sides leaning by up to `lean` coin; some are missing."""
    rng = np.random.default_rng(seed)
    fair = chain.greeks[0] / chain.forward
    shift, half = rng.uniform(-lean, lean, chain.n), rng.uniform(1e-4, 1e-3, chain.n)
    bid, ask = fair + shift - half, fair + shift + half
    bid[rng.random(chain.n) < 0.1] = math.nan
    ask[rng.random(chain.n) < 0.1] = math.nan
    return bid, ask


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 6), st.sampled_from([0.0, 1e-4, 0.01]))
def test_one_pass_places_quotes_as_the_steps_do(seed: int, expiries: int, strikes: int, lean: float) -> None:
    chain = Chain(seed, expiries, strikes)
    bid, ask = prices(chain, seed, lean)
    np.testing.assert_array_equal(placed(chain, bid, ask), placed(chain, bid, ask, plain=True))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_no_ask_stays_under_intrinsic_value_and_none_else_moves(seed: int) -> None:
    chain = Chain(seed, 2, 6)
    ask = np.random.default_rng(seed).uniform(-0.1, 0.6, chain.n)
    bid = np.full(chain.n, math.nan)
    sold = placed(chain, bid, ask)[2] * TICK
    worth = chain.sign * (1.0 - chain.strike / chain.forward)
    assert (sold >= np.maximum(ask, worth) - 1e-12).all()
    assert (sold <= np.maximum(np.maximum(ask, worth), 0.0) + 5 * TICK + 1e-12).all()


def test_a_bid_over_its_own_cheaper_ask_gives_way() -> None:
    chain = Chain(5, 1, 2)
    fair = chain.greeks[0] / chain.forward
    bid, ask = fair - 2e-4, fair + 2e-4
    calls = np.flatnonzero(chain.sign > 0)
    near, far = calls[np.argsort(chain.strike[calls])]
    wild = bid.copy()
    wild[far] = ask[near] + 0.01  # the farther call, bid above what the nearer one is offered at
    grid = placed(chain, wild, ask)
    assert 0 < grid[0, far] <= grid[2, near]
    quiet = placed(chain, bid, ask)
    np.testing.assert_array_equal(np.delete(grid, far, axis=1)[0], np.delete(quiet, far, axis=1)[0])
