"""Hedges that are paid in dollars: what they are worth, how the book counts them, and what they are chosen for."""

import math

import numpy as np
import pytest

from flatbook.domain.events import DailySettlement, Fill, FundingRate, TopOfBook
from flatbook.domain.intents import TimeInForce
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.engine.state import State
from flatbook.kernels.chain import PREMIUM, SPOT
from flatbook.risk.margin.model import MarginModel
from flatbook.venues.margin import edition_at
from tests.market.builders import START_NS, World, at, top

from .builders import opened, our_fill, policy, replayed, simulated
from .test_hedging import CALL, NEVER, ledger_usd

LINEAR, SPOT_NAME = "BTC_USDC-PERPETUAL", "BTC_USDC"
CHEAP: dict[str, object] = {"rule": "price_of_risk", "every_s": 0.0, "dollar_settled": True, "least_usd": 1_000.0}


def hedger(side: int = 1, *, shown: tuple[TopOfBook, ...], **fields: object) -> tuple[Engine, World, Effects]:
    """A maker whose quote of a call traded when others showed these tops of book, and what it hedges with."""
    made = policy("advanced", quoting=NEVER, risk_price={"risk_aversion_per_usd": 1e-3}, hedging={**CHEAP, **fields})
    maker, world = opened(made, "25APR25", "27JUN25")
    for event in shown:
        maker.step(event)
    return maker, world, maker.step(our_fill(maker.state, 1, CALL, side, lots=200))


def tops(name: str, index_usd: float = 80_000.0, premium: float = 0.0) -> TopOfBook:
    mid = index_usd * (1 + premium)
    return top(0.6, mid - 1.0, mid + 1.0, name)


def filled(maker: Engine, effects: Effects, seconds: float, fee_usd: float = 0.0) -> Fill:
    """The venue fills the one order at its limit."""
    (order,) = effects.orders
    intent = order.intent
    fill = Fill(
        exch_ts_ns=at(seconds), local_ts_ns=at(seconds), venue="sim", trade_id=f"D{seconds}", order_id=order.order_id,
        instrument=intent.instrument, side=intent.side, price_ticks=intent.limit_ticks, size_lots=intent.size_lots,
        fee_units=round(fee_usd * 1e6), is_maker=False,
    )  # fmt: skip
    maker.step(fill)
    return fill


def agree(state: State) -> None:
    """The explained parts, the book's worth as columns and the ledger's own are one number; cells sum to the ledger."""
    worth = ledger_usd(state)
    assert math.fsum(state.pnl.by_name().values()) == pytest.approx(worth, abs=1e-4)
    assert state.equity_usd() == pytest.approx(worth, abs=1e-4)
    assert sum(state.cells.carried_units) == state.ledger.carried_units("BTC")
    state.ledger.invariant()


def test_spot_that_costs_no_fee_hedges_as_far_as_there_is_coin_to_sell() -> None:
    maker, world, effects = hedger(shown=(tops(SPOT_NAME), tops(LINEAR)))
    state = maker.state
    (order,) = effects.orders
    assert (order.intent.instrument, order.intent.side) == (SPOT_NAME, -1)
    assert order.intent.time_in_force is TimeInForce.IOC
    before = float(state.book.exposure[SPOT])
    fill = filled(maker, effects, 1.1)
    coins = -fill.size_lots * 1e-4
    assert state.ledger.balance("sim", "USDC") == round(-coins * fill.price_ticks * 1e6)
    assert state.measure().exposure[SPOT] == pytest.approx(before + coins * 80_000, rel=1e-7)
    assert state.measure().exposure[PREMIUM] == 0.0
    for second, move in enumerate((1.01, 0.97, 1.03), start=2):
        world.index_usd *= move
        maker.step(world.index(second))
        agree(state)
    few, _, effects = hedger(shown=(tops(SPOT_NAME),), spot_share=0.01)
    sold = {order.intent.instrument: order.intent.size_lots * order.intent.side for order in effects.orders}
    assert sold[SPOT_NAME] == -int(few.state.ledger.balance("sim", "BTC") * 1e-8 * 0.01 / 1e-4)
    assert sold["BTC-PERPETUAL"] < 0, "the rest"
    _, _, effects = hedger(-1, shown=(tops(SPOT_NAME),))
    assert [order.intent.instrument for order in effects.orders] == ["BTC-PERPETUAL"], "no dollars to buy with"


def test_the_dollar_settled_perpetual_is_worth_its_price_and_its_fee_is_paid_once() -> None:
    """Its premium of a tenth of a percent is what a seller is paid; funding and settlement go by its own price."""
    maker, world, effects = hedger(shown=(tops(LINEAR, premium=0.001),), spot_share=0.0, fee_rate=0.001)
    state = maker.state
    (order,) = effects.orders
    assert (order.intent.instrument, order.intent.side) == (LINEAR, -1)
    fill = filled(maker, effects, 1.1, fee_usd=25.0)
    coins = -fill.size_lots * 1e-3
    assert state.inventory.linear_coin == pytest.approx(coins)
    linear_usd = state.values.linear_usd
    assert linear_usd == pytest.approx(80_080.0, rel=2e-4)
    assert state.measure().exposure[PREMIUM] == pytest.approx(coins * linear_usd)
    agree(state)
    assert state.pnl.by_name()["fees"] == pytest.approx(-25.0)
    world.index_usd *= 1.02
    maker.step(world.index(2))
    agree(state)
    assert state.pnl.by_name()["fees"] == pytest.approx(-25.0), "dollars paid stay so many"
    paid = FundingRate(exch_ts_ns=at(3), local_ts_ns=at(3), instrument=LINEAR, rate=0.0001, hours=8.0)
    before, received = state.ledger.balance("sim", "USDC"), -coins * state.values.linear_usd * 0.0001
    maker.step(paid)
    assert state.ledger.balance("sim", "USDC") - before == pytest.approx(received * 1e6, abs=1)
    agree(state)
    maker.step(DailySettlement(exch_ts_ns=at(4), local_ts_ns=at(4), instrument=LINEAR, price_usd=81_700.0))
    agree(state)
    assert state.ledger.balance("sim", "USDC") < before, "what was sold at the old price"


@pytest.mark.parametrize("name", [LINEAR, SPOT_NAME])
def test_exposure_to_spot_is_the_slope_of_worth(name: str) -> None:
    """A second way: worth at an index a thousandth lower and higher, every forward and premium as it was."""
    maker, world, effects = hedger(shown=(tops(name, premium=0.0005),), fee_rate=0.001)
    filled(maker, effects, 1.1)
    state = maker.state
    # An option's vol slides along its smile with spot, which is not delta: what is left is the hedge and coin.
    state.inventory.size_coin[:] = 0.0
    exposure = float(state.measure().exposure[SPOT])
    worth = []
    for step, index_usd in enumerate((80_000.0 * (1 - 1e-3), 80_000.0 * (1 + 1e-3))):
        world.index_usd = index_usd
        maker.step(world.index(2 + step * 1e-3))
        worth.append(state.equity_usd())
    slope = (worth[1] - worth[0]) / 2e-3
    assert slope == pytest.approx(exposure, rel=1e-4)


def test_what_shows_no_price_lately_is_not_offered() -> None:
    made = policy("advanced", quoting=NEVER, risk_price={"risk_aversion_per_usd": 1e-3}, hedging=CHEAP)
    maker, world = opened(made, "25APR25")
    maker.step(tops(SPOT_NAME))
    maker.step(world.index(200))
    effects = maker.step(our_fill(maker.state, 201, CALL, 1, lots=200))
    assert [order.intent.instrument for order in effects.orders] == ["BTC-PERPETUAL"]


def test_margin_is_asked_for_the_dollar_settled_perpetual_too() -> None:
    """Against an equal coin-settled one it nets where a model nets them, and is charged where it does not."""
    from flatbook.engine.capital import held_coin, margin_contracts

    maker, _, effects = hedger(shown=(tops(LINEAR),), spot_share=0.0, fee_rate=0.001)
    fill = filled(maker, effects, 1.1)
    state = maker.state
    model: MarginModel = edition_at("deribit_sm", START_NS)[0].model
    requirement = model.requirement(margin_contracts(state.market.universe, state.values))
    held = held_coin(state.values, state.inventory)
    future = np.where(np.arange(len(held)) < state.values.rows, 0.0, held)
    coins = fill.size_lots * 1e-3
    assert float(requirement.margins(future).initial) == pytest.approx(
        coins * state.values.linear_usd * (0.02 + 0.00005 * coins), rel=1e-3
    )


def test_a_run_hedged_in_dollars_is_made_again_to_the_same_bytes() -> None:
    """Through a settlement at 08:00, by spot while there is coin to sell and the dollar-settled perpetual after."""
    made = policy("advanced", risk_price={"risk_aversion_per_usd": 0.1}, hedging=CHEAP | {"spot_share": 0.005})
    heard, _, maker = simulated(made, 0.15)
    hedged = {fill.instrument for fill in heard if isinstance(fill, Fill) and fill.order_id.startswith("h")}
    assert SPOT_NAME in hedged
    assert replayed(made, heard)[1].state.sha256() == maker.state.sha256()
    worth = ledger_usd(maker.state)
    assert math.fsum(maker.state.pnl.by_name().values()) == pytest.approx(worth, abs=1e-2)
    assert maker.state.pnl.gross_usd >= abs(worth)
