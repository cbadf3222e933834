import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.gate import (
    BOUNDS,
    REFUSALS,
    gate_quotes,
    gate_quotes_plain,
    largest_quote,
    largest_quote_plain,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Twin = Callable[..., None]

TICK, LOT = 0.0001, 0.1
ORDER_SIZE, POSITION, DELTA, GAMMA, VEGA = range(5)
NO_BOUND = np.array([1e3, 1e3, 1e3, 1e12, 1e12])


class Side:
    """What one row's two sides look like to the gate, with only what a test is about changed."""

    def __init__(self, rows: int = 1) -> None:
        self.band = 0.01
        self.fair = np.full(rows, 0.05)
        self.unit = np.zeros((3, rows))
        self.book = np.zeros(3)
        self.bound = NO_BOUND.copy()
        self.held = np.zeros(rows)
        self.reduce_only = False
        self.bid_ticks, self.ask_ticks = np.full(rows, 490), np.full(rows, 510)
        self.bid_lots, self.ask_lots = np.full(rows, 10), np.full(rows, 10)

    def pass_(self, twin: Twin = gate_quotes) -> tuple[Ints, Ints, dict[str, int]]:
        """Lots that pass on each side, and what was refused by reason."""
        rows = len(self.fair)
        grid = np.array([self.bid_ticks, self.bid_lots, self.ask_ticks, self.ask_lots]).reshape(4, rows)
        refused = np.zeros(len(REFUSALS), np.int64)
        bounds = np.concatenate([[0.0, self.band], self.bound])
        assert len(bounds) == len(BOUNDS)
        # At a forward of 1 and an index of 100 a unit is a Greek, the coin paid for the fill put back.
        greeks = np.stack([self.fair, self.unit[0] + self.fair, self.unit[1], self.unit[2]])
        lot = np.full(rows, LOT)
        twin(
            100.0, bounds, self.book, self.reduce_only, greeks, np.ones(rows), np.full(rows, TICK), lot, self.held,
            grid, refused,
        )  # fmt: skip
        assert not grid[0][grid[1] == 0].any()
        assert not grid[2][grid[3] == 0].any()
        return grid[1], grid[3], {name: int(n) for name, n in zip(REFUSALS, refused, strict=True) if n}


TWINS = pytest.mark.parametrize("twin", [gate_quotes, gate_quotes_plain], ids=["kernel", "plain"])


def random_side(seed: int, rows: int, reduce_only: bool) -> Side:
    rng = np.random.default_rng(seed)
    side = Side(rows)
    side.fair = rng.uniform(0.0, 0.1, rows)
    ticks = np.rint(side.fair / TICK).astype(np.int64)
    side.bid_ticks, side.ask_ticks = ticks - rng.integers(0, 140, rows), ticks + rng.integers(0, 140, rows)
    side.unit = rng.normal(0.0, [[0.5], [300.0], [100.0]], (3, rows))
    side.book = rng.normal(0.0, [60.0, 4e4, 1e4])
    side.bound = np.array([rng.uniform(0.5, 3), rng.uniform(1, 30), 50.0, 3e4, 1e4])
    side.held = np.rint(rng.normal(0.0, 15.0, rows) * 10) / 10 * rng.integers(0, 2, rows)
    side.bid_lots, side.ask_lots = rng.integers(0, 40, rows), rng.integers(0, 40, rows)
    side.reduce_only = reduce_only
    return side


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40), st.booleans())
def test_kernel_and_plain_twin_agree(seed: int, rows: int, reduce_only: bool) -> None:
    side = random_side(seed, rows, reduce_only)
    fast, plain = side.pass_(gate_quotes), side.pass_(gate_quotes_plain)
    np.testing.assert_array_equal(fast[0], plain[0])
    np.testing.assert_array_equal(fast[1], plain[1])
    assert fast[2] == plain[2]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_nothing_passes_that_ends_beyond_a_bound_unless_no_farther_than_it_began(seed: int, reduce_only: bool) -> None:
    side = random_side(seed, 30, reduce_only)
    *passed, refused = side.pass_()
    asked = (side.bid_lots, side.ask_lots)
    ticks = (side.bid_ticks, side.ask_ticks)
    for s, sign in enumerate((1, -1)):
        assert np.all((passed[s] == 0) | (passed[s] == asked[s]) | (reduce_only & (passed[s] < asked[s])))
        for row in np.flatnonzero(passed[s]):
            size = passed[s][row] * LOT
            held = side.held[row]
            assert abs(ticks[s][row] * TICK - side.fair[row]) <= side.band + 1e-12
            assert size <= side.bound[ORDER_SIZE]
            assert abs(held + sign * size) <= max(side.bound[POSITION], abs(held))
            for factor in range(3):
                before = side.book[factor]
                after = before + sign * size * side.unit[factor, row]
                assert abs(after) <= max(side.bound[DELTA + factor], abs(before))
            assert not reduce_only or abs(held + sign * size) < abs(held)
    dropped = sum(int(((asked[s] > 0) & (passed[s] == 0)).sum()) for s in range(2))
    assert sum(refused.values()) == dropped


@TWINS
def test_without_a_bound_in_reach_everything_passes(twin: Twin) -> None:
    bid, ask, refused = Side(5).pass_(twin)
    assert bid.tolist() == ask.tolist() == [10] * 5
    assert refused == {}


@TWINS
@pytest.mark.parametrize("factor", range(3))
def test_beyond_a_bound_only_relief_passes(twin: Twin, factor: int) -> None:
    side = Side(3)
    side.bound[DELTA + factor] = 10.0
    side.unit[factor] = [0.5, -0.5, 0.0]  # buying the first adds, buying the second relieves, the third does neither
    side.book[factor] = 12.0
    bid, ask, refused = side.pass_(twin)
    assert bid.tolist() == [0, 10, 10]
    assert ask.tolist() == [10, 0, 10]
    assert refused == {REFUSALS[3 + factor]: 2}


@TWINS
def test_relief_that_overshoots_to_the_other_side_is_refused(twin: Twin) -> None:
    side = Side()
    side.bound[DELTA], side.book[0], side.unit[0] = 1.0, 1.2, -3.0
    assert side.pass_(twin)[0].tolist() == [0]
    side.unit[0] = -1.0
    assert side.pass_(twin)[0].tolist() == [10]


@TWINS
def test_a_position_at_its_bound_may_only_shrink(twin: Twin) -> None:
    side = Side(2)
    side.bound[POSITION] = 5.0
    side.held = np.array([5.0, -5.0])
    bid, ask, refused = side.pass_(twin)
    assert (bid.tolist(), ask.tolist()) == ([0, 10], [10, 0])
    assert refused == {"position": 2}


@TWINS
def test_reduce_only_lets_through_what_shrinks_a_position_and_nothing_else(twin: Twin) -> None:
    side = Side(4)
    side.reduce_only = True
    side.held = np.array([3.0, -3.0, 0.0, 0.4])  # one coin would turn 0.4 long into 0.6 short: it is cut
    bid, ask, refused = side.pass_(twin)
    assert (bid.tolist(), ask.tolist()) == ([0, 10, 0, 0], [10, 0, 0, 4])
    assert refused == {"reduce_only": 5}


@TWINS
def test_a_price_far_from_fair_and_a_size_too_large_are_refused(twin: Twin) -> None:
    side = Side(2)
    side.ask_ticks = np.array([510, 601])
    side.bid_lots = np.array([10, 11])
    side.bound[ORDER_SIZE] = 1.0
    bid, ask, refused = side.pass_(twin)
    assert (bid.tolist(), ask.tolist()) == ([10, 0], [10, 0])
    assert refused == {"price_band": 1, "order_size": 1}


@TWINS
@pytest.mark.parametrize("what", ["fair", "band", "delta", "gamma", "vega", "book", "held"])
def test_what_cannot_be_measured_does_not_pass(twin: Twin, what: str) -> None:
    side = Side()
    if what == "band":
        side.band = math.nan
    elif what in ("fair", "held"):
        getattr(side, what)[0] = math.nan
    elif what == "book":
        side.book[1] = math.nan
    else:
        side.unit[("delta", "gamma", "vega").index(what), 0] = math.nan
    bid, ask, refused = side.pass_(twin)
    assert bid.tolist() == ask.tolist() == [0]
    assert sum(refused.values()) == 2


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_the_largest_quote_is_the_larger_side_of_the_largest_row(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    lot, grid = rng.uniform(0.1, 1.0, rows), rng.integers(0, 50, (4, rows))
    sides = [lots * one for column in (grid[1], grid[3]) for lots, one in zip(column, lot, strict=True)]
    assert largest_quote(lot, grid) == largest_quote_plain(lot, grid) == max(sides, default=0.0)
