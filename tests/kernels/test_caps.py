import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.black import inverse
from flatbook.kernels.caps import cap_bids, cap_bids_plain
from flatbook.kernels.quotes import (
    NO_ASK,
)

from .arbitrage import arbitrage_coin

Floats = NDArray[np.float64]
Twin = Callable[..., None]
Ints = NDArray[np.int64]

TICK, ABOVE, COARSE = 0.0001, 50, 5
FORWARD = 80_000.0


FINE = 1e-12
"""A tick so fine that prices hardly move on it."""


def caps_of(columns: tuple[NDArray[Any], ...], ask: Floats, bid: Floats, fair: Floats, twin: Twin = cap_bids) -> Floats:
    """Caps of rows in `order`, their `later`, `slot`, strike, sign and forward; quotes in coin."""
    order, later, slot, *others = columns
    first = np.flatnonzero(np.diff(slot[order], prepend=-1, append=-1)).astype(np.int64)
    ask_ticks = np.where(np.isfinite(ask), np.rint(np.where(np.isfinite(ask), ask, 0.0) / FINE), NO_ASK)
    bid_ticks, tick, cap = np.rint(bid / FINE).astype(np.int64), np.full(len(ask), FINE), np.empty(len(ask))
    twin(order, later, first, *others, fair, tick, bid_ticks, ask_ticks.astype(np.int64), cap)
    return cap


class Ladder:
    """Quotes of one expiry: calls and puts around a smile, each a little off, some asks absent."""

    def __init__(self, seed: int, strikes: int, off_coin: float) -> None:
        rng = np.random.default_rng(seed)
        at = np.sort(rng.choice(np.arange(50, 151, 5), strikes, replace=False)) * FORWARD / 100
        calls, puts = (np.sort(rng.choice(at, rng.integers(1, strikes + 1), replace=False)) for _ in range(2))
        self.strike = np.concatenate([calls, puts])
        self.sign = np.concatenate([np.ones(len(calls)), -np.ones(len(puts))])
        self.n = len(self.strike)
        vol = 0.6 + 0.1 * np.log(self.strike / FORWARD) ** 2
        fair = inverse(FORWARD, self.strike, vol, 0.15, self.sign).price + off_coin * rng.normal(size=self.n)
        self.fair = fair
        half = rng.uniform(0.0, 0.004, self.n)
        intrinsic = np.maximum(
            self.sign * (1 - self.strike / FORWARD), TICK
        )  # less would be one with the forward alone
        self.bid, self.ask = np.maximum(fair - half, 0.0), np.maximum(fair + half, intrinsic)
        self.ask[rng.random(self.n) < 0.25] = math.inf

    def caps(self, plain: bool = False) -> Floats:
        """Caps where every bid is high enough to need one."""
        return self.caps_of(np.full(self.n, 10.0), self.fair, plain)

    def caps_of(self, bid: Floats, fair: Floats, plain: bool = False) -> Floats:
        order, later, slot = np.arange(self.n), np.full(self.n, -1), np.zeros(self.n, np.int64)
        columns = (order, later, slot, self.strike, self.sign, np.full(self.n, FORWARD))
        return caps_of(columns, self.ask, bid, fair, cap_bids_plain if plain else cap_bids)

    def arbitrage(self, bid: Floats) -> float:
        return arbitrage_coin(self.strike, self.sign, FORWARD, bid, self.ask)


ladders = st.builds(Ladder, st.integers(0, 100_000), st.integers(1, 8), st.sampled_from([0.0, 0.002, 0.01, 0.05]))


@settings(deadline=None)
@given(ladders)
def test_caps_agree_with_the_plain_twin(ladder: Ladder) -> None:
    np.testing.assert_allclose(ladder.caps(), ladder.caps(plain=True), rtol=0, atol=1e-14)


@settings(deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 8), st.floats(-0.003, 0.003))
def test_where_fair_values_allow_none_a_bid_that_can_make_no_arbitrage_has_no_cap(
    seed: int, strikes: int, shift: float
) -> None:
    ladder = Ladder(seed, strikes, 0.0)
    bid, ladder.ask = np.maximum(ladder.bid + shift, 0.0), np.maximum(ladder.ask + shift, FINE)
    cap, true_cap = ladder.caps_of(bid, ladder.fair), ladder.caps_of(bid, ladder.fair, plain=True)
    lowered, truly = (np.maximum(np.minimum(bid, caps), 0.0) for caps in (cap, true_cap))
    np.testing.assert_allclose(lowered, truly, rtol=0, atol=1e-11)
    if shift <= 0:
        assert np.isinf(cap).all() or (bid > ladder.fair + np.minimum(ladder.ask - ladder.fair, 0.0).min()).any()


@settings(deadline=None, max_examples=60)
@given(ladders)
def test_bids_at_or_under_their_caps_leave_no_arbitrage(ladder: Ladder) -> None:
    assert ladder.arbitrage(np.maximum(np.minimum(ladder.bid, ladder.caps()), 0.0)) < 1e-9
    assert ladder.arbitrage(np.maximum(ladder.caps(), 0.0)) < 1e-9


@settings(deadline=None, max_examples=60)
@given(ladders, st.integers(0, 99))
def test_a_bid_over_its_cap_is_an_arbitrage(ladder: Ladder, which: int) -> None:
    row, bid = which % ladder.n, np.zeros(ladder.n)
    bid[row] = ladder.caps()[row] + 0.001
    assert ladder.arbitrage(bid) == pytest.approx(0.001, rel=1e-6)


def test_a_synthetic_call_farther_in_the_money_caps_a_bid() -> None:
    # The put at 70,000 with the forward is a call at 70,000, worth more than one at 80,000; no call is offered there.
    strike, sign = np.array([80_000.0, 70_000.0]), np.array([1.0, -1.0])
    columns = (np.arange(2), np.full(2, -1), np.zeros(2, np.int64), strike, sign, np.full(2, FORWARD))
    cap = caps_of(columns, np.array([math.inf, 0.01]), np.full(2, 10.0), np.full(2, 0.1))
    assert cap[0] == pytest.approx(0.01 + 1 - 70_000 / FORWARD)
    assert cap[1] == pytest.approx(0.01)


@pytest.mark.parametrize("twin", [cap_bids, cap_bids_plain], ids=["kernel", "plain"])
@pytest.mark.parametrize(("later_forward", "capped"), [(81_000.0, (True, False)), (79_000.0, (False, True))])
def test_a_calendar_binds_the_right_that_the_carry_makes_dearer(
    twin: Twin, later_forward: float, capped: tuple[bool, bool]
) -> None:
    # Two expiries; in each a call and a put at 80,000. The later asks are absurdly low.
    order = np.arange(4)
    sign, slot = np.array([1.0, -1.0, 1.0, -1.0]), np.array([0, 0, 1, 1])
    forward = np.array([FORWARD, FORWARD, later_forward, later_forward])
    ask, later = np.array([0.05, 0.05, 0.03, 0.03]), np.array([2, 3, -1, -1])
    columns = (order, later, slot, np.full(4, 80_000.0), sign, forward)
    cap = caps_of(columns, ask, np.full(4, 10.0), np.full(4, 0.04), twin)
    low = cap[2:]
    assert np.all(low <= 0.03 + 1e-15)
    for row, bound in enumerate(capped):
        assert cap[row] == pytest.approx(low[row] if bound else 0.05)


def test_a_calendar_reaches_past_an_expiry_whose_carry_says_nothing() -> None:
    forward = np.array([80_000.0, 79_000.0, 82_000.0])
    columns = (np.arange(3), np.array([1, 2, -1]), np.arange(3), np.full(3, 80_000.0), np.ones(3), forward)
    cap = caps_of(columns, np.array([0.05, 0.05, 0.03]), np.array([0.045, 0.0, 0.0]), np.full(3, 0.04))
    assert cap.tolist() == pytest.approx([0.03, 0.03, 0.03])
