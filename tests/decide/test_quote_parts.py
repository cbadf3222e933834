"""A quote's parts sum to it, and each is what the charge, or the quote without it, says that it is."""

from collections.abc import Iterator

import numpy as np
import pytest

from flatbook.decide.quote_parts import CLAMP, FACTOR_NAMES, INVENTORY, SPREAD, Priced, price_parts
from flatbook.decide.quoting import ASK_TICKS, BID_TICKS, Quotes
from flatbook.engine.loop import Engine
from flatbook.engine.policy import Policy
from flatbook.engine.state import State
from flatbook.kernels.chain import FACTORS
from tests.engine.builders import opened, our_fill, policy, row_of

CALL, PUT = "BTC-25APR25-80000-C", "BTC-4APR25-80000-P"


def held(made: Policy) -> State:
    """A maker that has a call and a put on its book and quotes around them."""
    maker: Engine = opened(made)[0]
    for seconds, (name, side) in enumerate(((CALL, 1), (PUT, -1)), start=1):
        maker.step(our_fill(maker.state, seconds, name, side, lots=30))
    return maker.state


def quotes_of(state: State) -> Quotes:
    assert state.quotes is not None
    return state.quotes


def explained(state: State, row: int) -> tuple[Priced, Priced]:
    made, columns = state.setup.policy, state.market.universe.ladders().columns
    return price_parts(made.quoting, made.flow, state.values, columns, quotes_of(state), row)


def quoted_rows(state: State) -> Iterator[int]:
    yield from np.flatnonzero(quotes_of(state).quoted).tolist()


WIDENED: dict[str, dict[str, object]] = {"quoting": {"adverse_selection_vol": 0.002, "half_spread_coin": 1e-4}}


@pytest.mark.parametrize(
    "made",
    [
        policy("primitive"),
        policy("intermediate"),
        policy("advanced", **WIDENED),
        policy("advanced", quoting={"adverse_selection": "learned", "regime_widen": 0.5}),
        policy("glft"),
    ],
    ids=["primitive", "intermediate", "advanced", "learned", "glft"],
)
def test_every_sides_parts_sum_to_the_price_that_was_wanted(made: Policy) -> None:
    state = held(made)
    quotes, sums = quotes_of(state), 0
    for row in quoted_rows(state):
        tick = float(state.market.universe.tick[row])
        for ticks, side in zip((BID_TICKS, ASK_TICKS), explained(state, row), strict=True):
            before = sum(part.coin for part in side.parts if part.group != CLAMP)
            assert before == pytest.approx(side.exact_coin, abs=1e-14)
            if side.price_coin is None:
                assert quotes.grid[ticks, row] == 0
                continue
            sums += 1
            assert side.price_coin == quotes.grid[ticks, row] * tick
            assert sum(part.coin for part in side.parts) == pytest.approx(side.price_coin, abs=1e-14)
            assert len({part[:2] for part in side.parts}) == len(side.parts)
    assert sums > 30


def test_a_bid_that_leans_over_our_own_asks_says_how_far_they_lower_it() -> None:
    maker, _ = opened(policy("intermediate", quoting={"position_skew_vol": 0.1}))
    maker.step(our_fill(maker.state, 1, CALL, -1, lots=30))
    bid, ask = explained(maker.state, row_of(maker.state, CALL))
    named = {part.name: part.coin for part in bid.parts}
    assert named["own_position"] > 0.01
    assert named["own_asks"] < -0.005
    assert bid.price_coin == pytest.approx(sum(named.values()), abs=1e-14)
    assert {part.name: part.coin for part in ask.parts}["own_asks"] == 0.0


def test_inventory_by_factor_is_what_the_price_of_risk_charges_for_the_trade() -> None:
    state = held(policy("advanced"))
    size, index = state.setup.policy.quoting.size_coin, state.values.index_usd
    for row in quoted_rows(state):
        for direction, side in zip((1.0, -1.0), explained(state, row), strict=True):
            trade = direction * size * state.values.loading[row]
            charge_coin = state.risk_price.charge_usd(state.book.exposure, trade) / size / index
            inventory = {part.name: part.coin for part in side.parts if part.group == INVENTORY}
            assert -direction * sum(inventory.values()) == pytest.approx(charge_coin, abs=1e-13)
            assert direction * inventory.pop("own_width") < 0.0 or direction < 0.0
            assert tuple(inventory) == FACTOR_NAMES
    assert len(set(FACTOR_NAMES)) == FACTORS
    assert "" not in FACTOR_NAMES


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("fixed_coin", {"half_spread_coin": 0.0}),
        ("adverse_selection", {"adverse_selection_vol": 0.0}),
        ("model_error", {"model_error_weight": 0.0}),
        ("fee", {"fee_share": 0.0}),
        ("hedge_cost", {"hedge_cost_share": 0.0}),
    ],
)
def test_a_part_of_the_spread_is_what_a_quote_without_it_saves(name: str, without: dict[str, object]) -> None:
    quoting = {"half_spread_coin": 1e-4, "adverse_selection_vol": 0.002}
    whole, less = (opened(policy("advanced", quoting={**quoting, **change}))[0].state for change in ({}, without))
    row = row_of(whole, CALL)
    for direction, side, saved in zip((1, -1), explained(whole, row), explained(less, row), strict=True):
        part = next(part.coin for part in side.parts if (part.group, part.name) == (SPREAD, name))
        assert direction * part < -1e-6
        assert side.exact_coin - saved.exact_coin == pytest.approx(part, rel=1e-9)
