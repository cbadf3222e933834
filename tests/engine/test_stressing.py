"""R's term for tails in the engine: what it does to quotes and hedges, and that without it nothing is otherwise."""

import numpy as np
import pytest

from flatbook.decide.quote_parts import price_parts
from flatbook.engine import stressing
from flatbook.engine.loop import Engine
from flatbook.valuation.stress_price import StressPrice

from .builders import opened, our_fill, policy

WING = "BTC-25APR25-60000-P"
NEAR = "BTC-25APR25-80000-C"


def short_wings(**risk_price: object) -> Engine:
    maker, world = opened(policy("advanced", risk_price=dict(risk_price)))
    maker.step(our_fill(maker.state, 1, WING, -1, lots=400))
    world.index_usd = 80_010.0
    maker.step(world.index(2))
    return maker


def inventory_bid(maker: Engine, name: str) -> float:
    """What buying one is charged, coin: negative where we pay up for it."""
    state = maker.state
    assert state.quotes is not None
    return float(state.quotes.bid_inventory_coin[state.market.universe.row_of[name]])


def test_a_book_short_of_wings_pays_up_for_them_and_wants_less_for_no_other_reason() -> None:
    plain, charged = short_wings(), short_wings(stress_weight=0.02)
    relief = inventory_bid(charged, WING) - inventory_bid(plain, WING)
    assert relief < 0.0
    premium = float(charged.state.values.fair_coin[charged.state.market.universe.row_of[WING]])
    near = inventory_bid(charged, NEAR) - inventory_bid(plain, NEAR)
    fair = float(charged.state.values.fair_coin[charged.state.market.universe.row_of[NEAR]])
    assert relief / premium < 3 * near / fair  # by premium the wing is leant on most
    quotes = charged.state.quotes
    assert quotes is not None
    assert not quotes.bid_takers_coin.any()
    assert not quotes.ask_takers_coin.any()


def test_quotes_are_charged_by_the_full_revaluation_of_each_row() -> None:
    maker = short_wings(stress_weight=0.02)
    state = maker.state
    charges, row = state.stress.charges_usd, state.market.universe.row_of[WING]
    assert charges is not None
    price = StressPrice(0.02, state.setup.policy.risk_price.stress_temper_usd)
    size = state.setup.policy.quoting.size_coin
    # All that is held is some of it: one contract more moves the book's P&L by its share.
    pnl, held = state.stress.pnl_usd, state.inventory.size_coin[row]
    charged = float(price.cost_usd(pnl + size * pnl / held) - price.cost_usd(pnl)) / size
    assert charges[0, row] == pytest.approx(charged, rel=0.05)


def test_the_parts_of_a_quote_name_the_tail_and_sum_to_its_price() -> None:
    state = short_wings(stress_weight=0.02).state
    setup, row = state.setup.policy, state.market.universe.row_of[WING]
    assert state.quotes is not None
    bid, _ = price_parts(
        setup.quoting, setup.flow, state.values, state.market.universe.ladders().columns, state.quotes, row
    )
    charges = state.stress.charges_usd
    assert charges is not None
    named = {part.name: part.coin for part in bid.parts}
    assert named["stress"] == pytest.approx(-charges[0, row] / state.values.index_usd)
    assert sum(part.coin for part in bid.parts if part.group != "clamp") == pytest.approx(bid.exact_coin, abs=1e-12)


def test_without_a_weight_nothing_is_charged_and_r_is_its_quadratic() -> None:
    maker = short_wings()
    assert maker.state.stress.charges_usd is None
    assert stressing.with_tails(maker.state, maker.state.risk_price) is maker.state.risk_price
    state, other = maker.state, short_wings(stress_temper_usd=1.0).state
    assert state.quotes is not None
    assert other.quotes is not None
    np.testing.assert_array_equal(state.quotes.grid, other.quotes.grid)
    np.testing.assert_array_equal(state.quotes.bid_inventory_coin, other.quotes.bid_inventory_coin)


def test_the_hedger_sees_the_tail_as_a_slope_to_sell_on_a_book_that_loses_in_a_fall() -> None:
    maker = short_wings(stress_weight=0.02)
    state = maker.state
    core, whole = state.risk_price, stressing.with_tails(state, state.risk_price)
    added = whole.gradient(state.book.exposure) - core.gradient(state.book.exposure)
    assert added[0] > 0.0  # one more unit of spot costs: hedges are sold
    assert np.linalg.eigvalsh(whole.curvature - core.curvature)[0] > -1e-18
