"""Hedges in another coin: what is learnt of it, what it is chosen for, how it is booked, bounded and explained."""

import math
from dataclasses import replace

import numpy as np
import pytest

from flatbook.domain.events import AnyEvent, DailySettlement, Fill, FundingRate, IndexTick, OrderCancelled, TopOfBook
from flatbook.domain.intents import Purpose
from flatbook.domain.units import NS_PER_MINUTE
from flatbook.engine.effects import Effects
from flatbook.engine.hedge_scene import other_order_risk
from flatbook.engine.loop import Engine
from flatbook.engine.policy import Policy
from flatbook.engine.reserving import _added
from flatbook.engine.state import State
from flatbook.engine.stressing import GRID
from flatbook.kernels.chain import SPOT
from flatbook.kernels.fill_units import LINEAR
from flatbook.risk.loss_stop import Stage
from flatbook.risk.reservation import MARGIN
from flatbook.sim import MarketParameters, SimulatedVenue
from flatbook.valuation.scenarios import scenario_pnl_usd
from flatbook.venues.margin import edition_at
from tests.market.builders import REFERENCE, START_NS, World, at, chain, options, top

from .builders import SIMULATED_FROM_NS, engine, fall, our_fill, policy
from .test_hedging import CALL, NEVER, ledger_usd

ETH, PERPETUAL = "ETH_USDC-PERPETUAL", "BTC-PERPETUAL"
VOLS = np.array([0.6, 0.8])
DEAR: dict[str, object] = {
    "rule": "price_of_risk", "every_s": 0.0, "least_usd": 1_000.0, "correlated": ("ETH",), "fee_rate": 0.2,
    "moving_delta": False,
}  # fmt: skip


def maker_of(limits: dict[str, object] | None = None, **hedging: object) -> Policy:
    """A maker for whom no flow takes risk away, and our own perpetual is dear."""
    return policy(
        "advanced", quoting=NEVER, flow={"trades_per_day": 0.1}, risk_price={"risk_aversion_per_usd": 1e-5},
        hedging={**DEAR, **hedging}, limits=limits or {},
    )  # fmt: skip


def tick(coin: str, price_usd: float, ts_ns: int) -> IndexTick:
    return IndexTick(exch_ts_ns=ts_ns, local_ts_ns=ts_ns, underlying=coin, price_usd=price_usd)


def teach(maker: Engine, correlation: float, until_ns: int, last_usd: tuple[float, float], hours: float = 30.0) -> None:
    """Both indices by the minute, of that correlation, to where they stand at last."""
    random, minutes = np.random.default_rng(8), round(hours * 60)
    one, own = random.standard_normal((2, minutes))
    moves = VOLS[:, None] * np.stack([one, correlation * one + math.sqrt(1 - correlation**2) * own])
    paths = np.cumsum(moves * math.sqrt(1 / 525_600), axis=1)
    prices = np.array(last_usd)[:, None] * np.exp(paths - paths[:, -1:])
    for minute in range(minutes):
        ts_ns = until_ns - (minutes - minute) * NS_PER_MINUTE
        maker.step(tick("BTC", float(prices[0, minute]), ts_ns))
        maker.step(tick("ETH", float(prices[1, minute]), ts_ns))


def shown(seconds: float, index_usd: float = 2_000.0, premium: float = 0.0) -> TopOfBook:
    mid = index_usd * (1 + premium)
    return top(seconds, mid - 0.05, mid + 0.05, ETH)


def hedger(
    correlation: float, made: Policy | None = None, lots: int = 200, premium: float = 0.0
) -> tuple[Engine, World, Effects]:
    """A maker that watched both coins, whose quote of a call then traded; and what it hedges with."""
    world, maker = World(), engine(made or maker_of(), margin=edition_at("deribit_sm", START_NS)[0].model)
    teach(maker, correlation, START_NS, (world.index_usd, 2_000.0))
    maker.step(world.index(0))
    maker.step(tick("ETH", 2_000.0, at(0)))
    maker.step(chain(0.5, [world.quote(0.5, name) for date in ("25APR25", "27JUN25") for name in options(date)]))
    maker.step(shown(0.6, premium=premium))
    return maker, world, maker.step(our_fill(maker.state, 15, CALL, 1, lots=lots))


def filled(maker: Engine, effects: Effects, seconds: float, fee_usd: float = 0.0) -> Fill:
    """The venue fills the first order at its limit."""
    order = effects.orders[0]
    intent = order.intent
    fill = Fill(
        exch_ts_ns=at(seconds), local_ts_ns=at(seconds), venue="sim", trade_id=f"E{seconds}", order_id=order.order_id,
        instrument=intent.instrument, side=intent.side, price_ticks=intent.limit_ticks, size_lots=intent.size_lots,
        fee_units=round(fee_usd * 1e6), is_maker=False,
    )  # fmt: skip
    maker.step(fill)
    return fill


def worth_usd(state: State) -> float:
    """By the ledger alone; the other coin's perpetual has a price of its own."""
    held = state.ledger.net_lots(ETH) * REFERENCE.instrument(ETH).lot_size
    return ledger_usd(state) + held * (float(state.values.others_usd[0]) - state.values.linear_usd)


def agree(state: State) -> None:
    worth = worth_usd(state)
    assert math.fsum(state.pnl.by_name().values()) == pytest.approx(worth, abs=1e-4)
    assert state.equity_usd() == pytest.approx(worth, abs=1e-4)
    assert sum(state.cells.carried_units) == state.ledger.carried_units("BTC")
    state.ledger.invariant()


def test_the_cheap_coin_hedges_where_ours_is_dear_by_as_much_as_it_is_known_to_move_with_it() -> None:
    maker, _, effects = hedger(0.9)
    state = maker.state
    assert [order.intent.instrument for order in effects.orders] == [ETH]
    intent = effects.orders[0].intent
    found = state.comovement
    assert found is not None
    delta_usd = float(state.book.exposure[SPOT])
    sold_usd = -intent.side * intent.size_lots * 0.01 * float(state.values.others_usd[0])
    ratio = found.beta[0] * VOLS[0] ** 2 / found.vol[0] ** 2
    assert 0.75 * ratio * delta_usd < sold_usd < ratio * delta_usd * 1.1, "less by what it costs"
    same = hedger(0.9, maker_of(fee_rate=0.0))[2]
    assert sum(order.intent.size_lots for order in same.orders if order.intent.instrument == PERPETUAL) > 0


@pytest.mark.parametrize("made", [maker_of(), maker_of(correlated=())], ids=["unrelated", "off"])
def test_a_coin_that_does_not_move_with_ours_is_not_traded(made: Policy) -> None:
    maker, _, effects = hedger(0.0, made)
    assert not any(order.intent.instrument == ETH for order in effects.orders)
    assert maker.state.measure().others_usd.shape == (len(made.hedging.correlated),)


def test_it_is_worth_its_own_price_and_what_it_gained_is_named() -> None:
    maker, world, effects = hedger(0.9, premium=0.001)
    state = maker.state
    fill = filled(maker, effects, 15.1, fee_usd=25.0)
    coins = -fill.size_lots * 0.01
    assert state.inventory.others_coin[0] == pytest.approx(coins)
    assert float(state.values.others_usd[0]) == pytest.approx(2_002.0, rel=2e-4)
    agree(state)
    assert state.pnl.by_name()["fees"] == pytest.approx(-25.0)
    before = state.pnl.by_name()
    maker.step(tick("ETH", 2_040.0, at(17)))
    agree(state)
    gained = {name: usd - before[name] for name, usd in state.pnl.by_name().items()}
    assert gained["other_coins"] == pytest.approx(coins * 40.0, rel=1e-6)
    assert gained["basis"] == pytest.approx(coins * 40.0 * 0.001, rel=0.1), "its premium is a share of its index"
    assert abs(gained["delta"]) < 1e-9
    world.index_usd *= 1.02
    maker.step(world.index(18))
    agree(state)
    cash, price = state.ledger.balance("sim", "USDC"), float(state.values.others_usd[0])
    maker.step(FundingRate(exch_ts_ns=at(19), local_ts_ns=at(19), instrument=ETH, rate=0.0001, hours=8.0))
    assert state.ledger.balance("sim", "USDC") - cash == pytest.approx(-coins * price * 0.0001 * 1e6, abs=1)
    agree(state)
    maker.step(DailySettlement(exch_ts_ns=at(20), local_ts_ns=at(20), instrument=ETH, price_usd=2_041.0))
    agree(state)
    assert math.fsum(day.gains.coin.sum() for day in state.pnl.days()) == pytest.approx(
        worth_usd(state) / state.values.index_usd, abs=1e-9
    )


def test_quotes_hedges_and_gate_see_the_book_net_of_what_moves_with_ours() -> None:
    maker, _, effects = hedger(0.9)
    state = maker.state
    alone = float(state.book.exposure[SPOT])
    filled(maker, effects, 15.1)
    assert state.comovement is not None
    (held_usd,) = state.book.others_usd.tolist()
    net = float(state.book.exposure[SPOT])
    assert net == pytest.approx(alone + float(state.comovement.beta[0]) * held_usd, rel=2e-3)
    assert abs(net) < 0.5 * abs(alone)
    assert state.risk.delta_coin == pytest.approx(net / state.values.index_usd)
    assert state.risk.others_usd == (held_usd,)
    assert state.quotes is not None
    np.testing.assert_array_equal(state.quotes.inputs.exposure, state.book.exposure)


def test_in_a_crisis_it_moves_with_ours_or_not_whichever_is_worse() -> None:
    """Sold against bought calls: it makes up for no fall, and its loss in a rise counts whole."""
    maker, _, effects = hedger(0.9)
    state = maker.state
    filled(maker, effects, 15.1)
    (held_usd,) = state.book.others_usd.tolist()
    with_it = scenario_pnl_usd(GRID, state.market.universe, state.values, state.inventory)
    state.inventory.hold_others(np.zeros(1))
    without = scenario_pnl_usd(GRID, state.market.universe, state.values, state.inventory)
    expected = np.minimum(held_usd * np.array(GRID.spot), 0.0)
    np.testing.assert_allclose((with_it - without)[:, 1], expected, atol=1e-6)
    assert with_it[4, 1] == 0.0, "no shock is no loss"


def test_its_own_bound_is_hard() -> None:
    maker, _, effects = hedger(0.9, maker_of({"other_delta_usd": 50_000.0}))
    fill = filled(maker, effects, 15.1)
    state = maker.state
    assert fill.size_lots * 0.01 * 2_000 == pytest.approx(50_000, rel=0.002)
    effects = maker.step(tick("ETH", 1_990.0, at(17)))
    assert not [order for order in effects.orders if order.intent.instrument == ETH and order.intent.side < 0]
    order = other_order_risk(state, 0, -2_000.0, 0.0)
    assert state.gate.refusal(order, state.risk) == "other_delta"
    assert state.gate.refusal(replace(order, size=2_000.0, delta_coin=-order.delta_coin), state.risk) is None
    assert "other_delta" not in state.gate.breaches(state.risk)
    maker.step(tick("ETH", 2_100.0, at(18)))
    assert "other_delta" in state.gate.breaches(state.risk)


def test_an_order_in_it_is_reserved_for_by_its_beta_and_in_scenarios_whole() -> None:
    maker, _, effects = hedger(0.9)
    state, intent = maker.state, effects.orders[0].intent
    assert state.comovement is not None
    added = _added(state, intent, intent.size_lots, is_alone=True)
    coins = -intent.size_lots * 0.01 * float(state.values.others_usd[0]) / state.values.index_usd
    assert added[0] == pytest.approx(float(state.comovement.beta[0]) * coins)
    scenarios = added[len(LINEAR) : MARGIN]
    assert scenarios.max() == 0.0
    assert scenarios.min() == pytest.approx(coins * 0.3 * state.values.index_usd)


def test_margin_is_asked_for_it_beside_the_rest() -> None:
    maker, _, effects = hedger(0.9, maker_of({"margin_use": 1.0}))
    state = maker.state
    before = {purse.name: purse.used_usd for purse in state.risk.purses}
    fill = filled(maker, effects, 15.1)
    after = {purse.name: purse.used_usd for purse in state.risk.purses}
    held_usd = fill.size_lots * 0.01 * float(state.values.others_usd[0])
    assert after["margin_use"] - before["margin_use"] == pytest.approx(0.04 * held_usd, rel=1e-3)


def test_a_loss_stop_that_says_flat_closes_it_and_hedges_our_own_delta_whole() -> None:
    maker, world, effects = hedger(0.9, maker_of(every_s=20.0))
    state = maker.state
    fill = filled(maker, effects, 15.1)
    own_usd = (state.risk.delta_coin - state.risk.others_delta_coin) * state.values.index_usd
    fall(state, Stage.FLAT)
    world.index_usd *= 1 + 3e-4
    effects = maker.step(world.index(40))
    orders = {order.intent.instrument: order.intent for order in effects.orders}
    assert {intent.purpose for intent in orders.values()} == {Purpose.FLATTEN}
    assert (orders[ETH].side, orders[ETH].size_lots) == (1, fill.size_lots)
    assert orders[PERPETUAL].side * orders[PERPETUAL].size_lots * 10 == pytest.approx(-own_usd, rel=5e-3)


def test_what_shows_no_price_lately_is_not_offered() -> None:
    maker, world, effects = hedger(0.9)
    for order in effects.orders:
        maker.step(
            OrderCancelled(exch_ts_ns=at(17), local_ts_ns=at(17), order_id=order.order_id, reason="nothing to take")
        )
    late = maker.step(world.index(200))
    assert not any(order.intent.instrument == ETH for order in late.orders)


SPEAKS_SELDOM = MarketParameters(slice_every_s=600, chain_every_s=600)


def drawn(made: Policy, hours: float = 0.3) -> tuple[list[AnyEvent], Engine, list[float]]:
    """A maker that quotes nothing, long a million dollars, in the drawn market; its worth by the tick."""
    venue = SimulatedVenue(
        REFERENCE, seed=5, hours=hours, start_ns=SIMULATED_FROM_NS, parameters=SPEAKS_SELDOM,
        other_coins=made.hedging.correlated,
    )  # fmt: skip
    maker = engine(made, trade_from_ns=SIMULATED_FROM_NS)
    teach(maker, 0.8, SIMULATED_FROM_NS, (85_000.0, 3_000.0))
    heard: list[AnyEvent] = []
    worth: list[float] = []
    for event in venue.events():
        effects = maker.step(event)
        heard.append(event)
        if not effects.is_empty:
            venue.submit(effects)
        if isinstance(event, IndexTick) and event.underlying == "BTC" and maker.state.values.ts_ns:
            if not maker.state.ledger.positions():
                heard.append(_by_hand(event.local_ts_ns))
                venue.submit(maker.step(heard[-1]))
            worth.append(maker.state.pnl.equity_usd)
    return heard, maker, worth


def _by_hand(ts_ns: int) -> Fill:
    return Fill(
        exch_ts_ns=ts_ns, local_ts_ns=ts_ns, venue="simulated", trade_id="M1", order_id="manual:1",
        instrument=PERPETUAL, side=1, price_ticks=170_000, size_lots=100_000, fee_units=0, is_maker=False,
    )  # fmt: skip


def test_in_the_drawn_market_it_takes_variance_away_and_the_run_can_be_made_again() -> None:
    made = maker_of(every_s=30.0)
    made = made.model_copy(update={"quoting": made.quoting.model_copy(update={"max_days": 0.001, "refresh_s": 30.0})})
    alone = made.model_copy(update={"hedging": made.hedging.model_copy(update={"correlated": ()})})
    heard, maker, worth = drawn(made)
    _, unhedged, other = drawn(alone)
    fills = [event for event in heard if isinstance(event, Fill) and event.instrument == ETH]
    assert fills
    assert len(unhedged.state.recorder.tables.hedges) == 0
    # Ten seconds, for of two ticks of one second ours is heard first.
    hedged, without = (np.var(np.diff(one[120::10])) for one in (worth, other))
    assert hedged < 0.6 * without, "0.36 is what a correlation of 0.8 leaves"
    agree(maker.state)
    again = engine(made, trade_from_ns=SIMULATED_FROM_NS)
    teach(again, 0.8, SIMULATED_FROM_NS, (85_000.0, 3_000.0))
    for event in heard:
        again.step(event)
    assert again.state.sha256() == maker.state.sha256()
