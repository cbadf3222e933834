import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.black import price_full
from flatbook.kernels.quotes import (
    NO_ASK,
    NO_BID,
    TERMS,
    changed_rows,
    changed_rows_plain,
    choose_rows,
    choose_rows_plain,
    lower_bids,
    lower_bids_plain,
    quote_prices,
    quote_prices_plain,
    round_outward,
    round_outward_plain,
)

Floats = NDArray[np.float64]
Twin = Callable[..., None]
Ints = NDArray[np.int64]

TICK, ABOVE, COARSE = 0.0001, 50, 5
FORWARD = 80_000.0


def grid(n: int) -> tuple[Floats, Ints, Ints]:
    return np.full(n, TICK), np.full(n, ABOVE), np.full(n, COARSE)


def rounded(bid: Floats, ask: Floats, plain: bool = False) -> tuple[Ints, Ints]:
    n = len(bid)
    bid_ticks, ask_ticks = np.empty(n, np.int64), np.empty(n, np.int64)
    (round_outward_plain if plain else round_outward)(bid, ask, *grid(n), bid_ticks, ask_ticks)
    return bid_ticks, ask_ticks


def on_grid(ticks: Ints) -> NDArray[np.bool_]:
    return np.asarray((ticks <= ABOVE) | (ticks % COARSE == 0))


price = st.one_of(
    st.floats(-0.01, 0.2), st.integers(-5, 300).map(lambda ticks: ticks * TICK), st.sampled_from([math.nan, math.inf])
)


@settings(deadline=None)
@given(st.lists(st.tuples(price, price), max_size=40))
def test_rounding_agrees_with_the_plain_twin(pairs: list[tuple[float, float]]) -> None:
    bid, ask = np.array([bid for bid, _ in pairs]), np.array([ask for _, ask in pairs])
    np.testing.assert_array_equal(rounded(bid, ask), rounded(bid, ask, plain=True))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-0.01, 0.2), st.floats(-0.01, 0.2)), min_size=1, max_size=40))
def test_prices_are_rounded_outward_to_the_nearest_on_the_grid_and_never_cross(
    pairs: list[tuple[float, float]],
) -> None:
    bid, ask = np.array([min(pair) for pair in pairs]), np.array([max(pair) for pair in pairs])
    bid_ticks, ask_ticks = rounded(bid, ask)
    assert np.all(on_grid(bid_ticks))
    assert np.all(on_grid(ask_ticks))
    assert np.all(ask_ticks > bid_ticks)
    assert np.all(ask_ticks >= 1)
    has_bid = bid_ticks > NO_BID
    assert np.all(bid_ticks[has_bid] * TICK <= bid[has_bid] + 1e-9 * TICK)
    assert np.all(ask_ticks * TICK >= ask - 1e-9 * TICK)
    step = np.where(bid_ticks >= ABOVE, COARSE, 1)
    assert np.all((bid_ticks + step) * TICK > bid)  # one step better would be inside what was asked for
    step = np.where(ask_ticks > ABOVE, COARSE, 1)
    pushed = (ask_ticks == 1) | (ask_ticks - step <= bid_ticks)
    assert np.all(pushed | ((ask_ticks - step) * TICK < ask))


def test_a_price_on_the_grid_stays_and_an_absent_one_is_absent() -> None:
    nan = math.nan
    bid_ticks, ask_ticks = rounded(np.array([0.0049, 0.0065, 0.00009, nan]), np.array([0.0051, 0.0065, nan, 0.0]))
    assert bid_ticks.tolist() == [49, 65, NO_BID, NO_BID]
    assert ask_ticks.tolist() == [55, 70, NO_ASK, 1]


def lowered(plain: bool, cap: Floats, bid_ticks: Ints, ask_ticks: Ints) -> Ints:
    out = np.empty((4, len(cap)), np.int64)
    tick, above, coarse = grid(len(cap))
    twin: Twin = lower_bids_plain if plain else lower_bids
    twin(1.0, cap, tick, np.full(len(cap), 0.1), above, coarse, bid_ticks, ask_ticks, out)
    return out


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_lowered_bids_are_on_the_grid_under_their_caps_and_agree_with_the_plain_twin(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    middle = rng.uniform(-0.001, 0.02, rows)
    bid_ticks, ask_ticks = rounded(middle - 0.0005, middle + 0.0005)
    ask_ticks[rng.random(rows) < 0.2] = NO_ASK
    cap = np.where(rng.random(rows) < 0.3, np.inf, middle + rng.normal(0.0, 0.002, rows))
    fast = lowered(False, cap, bid_ticks, ask_ticks)
    np.testing.assert_array_equal(fast, lowered(True, cap, bid_ticks, ask_ticks))
    bid, bid_lots, ask, ask_lots = fast
    assert np.all(on_grid(bid))
    assert np.all(bid <= bid_ticks)
    assert np.all((bid_lots == 0) | (bid * TICK <= cap + 1e-9 * TICK))
    assert np.array_equal(bid_lots > 0, bid > 0)
    assert np.array_equal(ask_lots > 0, ask_ticks < NO_ASK)
    assert np.array_equal(ask, np.where(ask_ticks < NO_ASK, ask_ticks, 0))


def chain_inputs(seed: int, rows: int) -> tuple[Floats, ...]:
    """Greeks, forward, the surface's error, contracts held, takers, and the charge's shift and width."""
    rng = np.random.default_rng(seed)
    forward, vol, years = (
        FORWARD * rng.uniform(0.95, 1.05, rows),
        rng.uniform(0.3, 1.0, rows),
        rng.uniform(0.01, 1, rows),
    )
    greeks = np.empty((11, rows))
    price_full(forward, FORWARD * rng.uniform(0.6, 1.6, rows), vol, years, rng.choice([-1.0, 1.0], rows), greeks)
    error, held = rng.uniform(0.001, 0.02, rows), np.rint(rng.normal(0.0, 30.0, rows)) / 10
    takers = np.stack([rng.uniform(0.5, 2.0, rows), *rng.uniform(0.0, 1e-3, (2, rows))])
    return greeks, forward, error, held, takers, rng.normal(0.0, 40.0, rows), rng.uniform(0.0, 20.0, rows)


def priced(
    terms: dict[str, float],
    charges_risk: bool,
    inputs: tuple[Floats, ...],
    quoted: NDArray[np.bool_],
    plain: bool = False,
) -> tuple[Floats, Floats, Floats]:
    rows = len(quoted)
    parts, bid, ask = np.empty((6, rows)), np.empty(rows), np.empty(rows)
    row = np.array([terms.get(name, {"widen": 1.0}.get(name, 0.0)) for name in TERMS])
    twin: Twin = quote_prices_plain if plain else quote_prices
    twin(FORWARD, row, charges_risk, quoted.astype(np.int8), *inputs, parts, bid, ask)
    return parts, bid, ask


EVERYTHING = {
    "half_spread_coin": 2e-4, "spread_vol": 0.004, "error_weight": 0.5, "fee_rate": 3e-4, "fee_cap": 0.125,
    "hedge_rate": 5e-5, "widen": 2.0, "aversion": 2e-4, "edge_coin": 1e-4, "edge_vol": 0.003, "position_skew": 0.001,
}  # fmt: skip


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40), st.booleans())
def test_quotes_agree_with_the_plain_twin_and_are_the_sums_of_their_parts(
    seed: int, rows: int, charges_risk: bool
) -> None:
    inputs = chain_inputs(seed, rows)
    quoted = np.random.default_rng(seed).random(rows) < 0.7
    fast = priced(EVERYTHING, charges_risk, inputs, quoted)
    for one, other in zip(fast, priced(EVERYTHING, charges_risk, inputs, quoted, plain=True), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-15)
    (fair, spread, bid_inventory, ask_inventory, bid_takers, ask_takers), bid, ask = fast
    np.testing.assert_allclose(fair, inputs[0][0] / inputs[1])
    np.testing.assert_allclose(bid[quoted], (fair - spread - bid_takers - bid_inventory)[quoted], atol=1e-16)
    np.testing.assert_allclose(ask[quoted], (fair + spread + ask_takers + ask_inventory)[quoted], atol=1e-16)
    np.testing.assert_allclose((bid_takers, ask_takers), 2.0 * inputs[4][1:])
    assert np.isnan(bid[~quoted]).all()
    assert np.isnan(ask[~quoted]).all()


@pytest.mark.parametrize(
    ("term", "value", "charges_risk"),
    [("half_spread_coin", 3e-4, False), ("spread_vol", 0.01, False), ("error_weight", 0.5, False),
     ("fee_rate", 3e-4, False), ("hedge_rate", 5e-5, False), ("aversion", 2e-4, True)],
)  # fmt: skip
def test_each_term_of_the_half_spread_is_what_it_says(term: str, value: float, charges_risk: bool) -> None:
    greeks, forward, error, _, takers, *_ = inputs = chain_inputs(1, 30)
    vega, premium = greeks[3] / forward, greeks[0] / forward
    others = {"fee_cap": 0.125, "edge_coin": 1e-4, "edge_vol": 0.003, "aversion": 1e-12 if not charges_risk else value}
    (_, spread, *_), _, _ = priced(others | {term: value}, charges_risk, inputs, np.ones(30, bool))
    gamma_over_k = value * takers[0] * np.hypot(1e-4 * FORWARD, 0.003 * greeks[3])
    expected = {
        "half_spread_coin": np.full(30, value),
        "spread_vol": value * vega,
        "error_weight": value * error * vega,
        "fee_rate": np.minimum(value, 0.125 * premium),
        "hedge_rate": value * np.abs(greeks[1]),
        "aversion": np.log(1 + gamma_over_k) / value / FORWARD,
    }
    np.testing.assert_allclose(spread, expected[term], rtol=1e-9)


def test_a_position_leans_both_quotes_the_same_way_and_against_itself() -> None:
    inputs = chain_inputs(5, 30)
    greeks, forward, _, held, *_ = inputs
    (_, _, bid_inventory, ask_inventory, *_), _, _ = priced({"position_skew": 0.001}, False, inputs, np.ones(30, bool))
    np.testing.assert_allclose(bid_inventory, 0.001 * held * greeks[3] / forward)
    np.testing.assert_allclose(ask_inventory, -bid_inventory)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60))
def test_rows_are_chosen_by_all_bounds_and_what_is_unknown_by_none(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    fair, years = rng.uniform(0.0, 0.2, rows), rng.uniform(-0.01, 0.1, rows)
    moneyness, error = rng.normal(0.0, 2.0, rows), rng.exponential(0.05, rows)
    for column in (fair, years, moneyness, error):
        column[rng.random(rows) < 0.1] = rng.choice([math.nan, math.inf])
    bounds, fast, plain = np.array([0.001, 0.09, 2.5, 0.08]), np.empty(rows, np.int8), np.empty(rows, np.int8)
    choose_rows(bounds, fair, years, moneyness, error, fast)
    choose_rows_plain(bounds, fair, years, moneyness, error, plain)
    np.testing.assert_array_equal(fast, plain)
    for i in range(rows):
        known = math.isfinite(fair[i])
        assert fast[i] == (known and 0.001 <= years[i] <= 0.09 and abs(moneyness[i]) <= 2.5 and error[i] <= 0.08)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60))
def test_changed_rows_are_those_that_differ_or_are_unsure(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    resting = rng.integers(0, 3, (4, rows + 5))
    wanted = np.where(rng.random((4, rows)) < 0.9, resting[:, :rows], 3)
    is_unsure, found = (rng.random(rows + 5) < 0.1).astype(np.int8), np.empty(rows, np.int64)
    count = changed_rows(resting, wanted, is_unsure, found)
    expected = [i for i in range(rows) if is_unsure[i] or (resting[:, i] != wanted[:, i]).any()]
    assert found[:count].tolist() == expected
    again = np.empty(rows, np.int64)
    assert again[: changed_rows_plain(resting, wanted, is_unsure, again)].tolist() == expected
