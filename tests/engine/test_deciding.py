import numpy as np
import pytest

from flatbook.domain.events import FundingRate
from flatbook.domain.intents import OrderIntent, Purpose, TimeInForce
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.engine.state import State
from flatbook.risk.loss_stop import Stage
from tests.market.builders import World, at, top

from .builders import fall, opened, our_fill, policy, row_of

CALL = "BTC-25APR25-80000-C"
BAND = {"rule": "band_and_timer", "band_coin": 0.1, "every_s": 30.0}


def loaded(lots: int = 50, **sections: dict[str, object]) -> tuple[Engine, World, Effects]:
    """A maker who just bought calls, under a policy with some fields changed."""
    maker, world = opened(policy("primitive", **sections))
    return maker, world, maker.step(our_fill(maker.state, 1, CALL, 1, lots=lots))


def answer(maker: Engine, world: World, seconds: float, stage: Stage) -> Effects:
    """The next tick, after a fall from a peak that has brought the loss stop to `stage`."""
    fall(maker.state, stage)
    world.index_usd *= 1 + 3e-4
    return maker.step(world.index(seconds))


def test_a_hedge_brings_delta_to_the_bands_edge_by_an_order_that_ends_at_once() -> None:
    maker, _, effects = loaded(hedging=BAND)
    (order,) = effects.orders
    intent = order.intent
    delta_usd = float(maker.state.book.exposure[0])
    assert delta_usd > 8_000
    assert (intent.instrument, intent.side) == ("BTC-PERPETUAL", -1)
    assert intent.size_lots == int((delta_usd - 8_000) / 10)
    assert intent.limit_ticks == round(80_000 * (1 - 0.002) / 0.5)
    assert (intent.time_in_force, intent.purpose) == (TimeInForce.IOC, Purpose.HEDGE)
    assert intent.reason == "outside the band"
    assert order.order_id in maker.state.orders.working


def test_a_hedge_is_limited_around_the_mark_and_not_the_index() -> None:
    maker, world = opened(policy("primitive", hedging=BAND))
    maker.step(world.index(0.6))
    for _ in range(3):
        maker.step(top(0.6, 80_479.5, 80_480.5))
    (order,) = maker.step(our_fill(maker.state, 1, CALL, 1, lots=50)).orders
    assert order.intent.limit_ticks == pytest.approx(80_480 * (1 - 0.002) / 0.5, abs=8)


CARRIED: dict[str, object] = {"every_s": 0.0, "holding_hours": 48.0}


def test_a_hedge_is_considered_when_the_premium_moves_and_nothing_else() -> None:
    """At 1 % over the index shorts are paid more than a short costs."""
    maker, _ = opened(policy("advanced", quoting={"refresh_s": 1e6}, hedging=CARRIED))
    assert maker.step(top(1, 80_000.0, 80_001.0)).orders == ()
    orders = [order for n in range(3) for order in maker.step(top(2 + n, 80_800.0, 80_801.0)).orders]
    assert [order.intent.side for order in orders] == [-1]


def test_a_hedge_is_considered_when_funding_was_paid() -> None:
    maker, _ = opened(policy("advanced", quoting={"refresh_s": 1e6}, hedging=CARRIED))
    paid = FundingRate(exch_ts_ns=at(1), local_ts_ns=at(1), instrument="BTC-PERPETUAL", rate=-5e-3, hours=8.0)
    (order,) = maker.step(paid).orders
    assert order.intent.side == 1


def test_while_a_hedge_works_there_is_no_second_one() -> None:
    maker, world, first = loaded(hedging=BAND)
    for n in range(2, 200, 20):
        world.index_usd *= 1 + 5e-4
        assert maker.step(world.index(n)).orders == ()
    order_id = first.orders[0].order_id
    effects = maker.step(our_fill(maker.state, 201, "BTC-PERPETUAL", -1, lots=1, order_id=order_id))
    assert effects.orders == ()  # one lot of it filled: the rest still works


def test_between_two_hedges_the_timer_runs() -> None:
    maker, world, first = loaded(hedging=BAND)
    order = first.orders[0]
    maker.step(our_fill(maker.state, 2, "BTC-PERPETUAL", -1, lots=order.intent.size_lots, order_id=order.order_id))
    later = maker.step(our_fill(maker.state, 20, CALL, 1, lots=100))
    assert later.orders == ()
    world.index_usd *= 1.001
    assert maker.step(world.index(30.9)).orders == ()
    world.index_usd *= 1.001
    assert len(maker.step(world.index(31.1)).orders) == 1


def test_without_a_rule_nothing_is_hedged() -> None:
    _, _, effects = loaded(hedging={"rule": "none"})
    assert effects.orders == ()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"hedge_order_usd": 50.0}, "order_size"), ({"price_band_rate": 0.001}, "price_band")],
)
def test_a_hedge_that_the_gate_refuses_is_not_sent_and_counted(limits: dict[str, object], reason: str) -> None:
    maker, _, effects = loaded(hedging=BAND, limits=limits)
    assert effects.orders == ()
    assert maker.state.orders.working == {}
    assert maker.state.gate.refused_orders == {reason: 1}
    assert maker.state.desk.sent_ns == 0


def test_widened_quotes_stand_twice_as_far_from_fair() -> None:
    maker, world, _ = loaded(lots=1)
    calm = maker.state.quotes
    answer(maker, world, 2, Stage.WIDEN)
    wide = maker.state.quotes
    assert calm is not None
    assert wide is not None
    ratio = wide.spread_coin / calm.spread_coin
    np.testing.assert_allclose(ratio[np.isfinite(ratio)], 2.0, rtol=0.01)


def sides(state: State) -> tuple[list[int], list[int]]:
    """Rows with a bid, and with an ask."""
    return np.flatnonzero(state.table.grid[1]).tolist(), np.flatnonzero(state.table.grid[3]).tolist()


def test_reduce_only_leaves_the_sides_that_shrink_a_position() -> None:
    maker, world, _ = loaded()
    answer(maker, world, 2, Stage.REDUCE_ONLY)
    assert sides(maker.state) == ([], [row_of(maker.state, CALL)])


def test_flat_pulls_all_quotes_and_sells_all_delta() -> None:
    maker, world, _ = loaded(hedging={"rule": "none", "every_s": 0.0})
    effects = answer(maker, world, 2, Stage.FLAT)
    assert sides(maker.state) == ([], [])
    (order,) = effects.orders
    assert order.intent.purpose is Purpose.FLATTEN
    assert order.intent.reason == "loss stop: flat"
    assert order.intent.size_lots == round(maker.state.risk.delta_coin * maker.state.values.index_usd / 10)
    assert order.intent.side == -1


def test_halt_pulls_all_quotes_and_sends_nothing() -> None:
    maker, world, _ = loaded(hedging={"rule": "none", "every_s": 0.0})
    effects = answer(maker, world, 2, Stage.HALT)
    assert sides(maker.state) == ([], [])
    assert effects.orders == ()
    assert answer(maker, world, 3, Stage.HALT).is_empty


@pytest.mark.parametrize("name", ["primitive", "intermediate", "advanced"])
def test_what_rests_at_the_venue_is_what_the_gate_let_through(name: str) -> None:
    """A bound that is never reached and one that always is: no quote finds another way."""
    maker, _ = opened(policy(name))
    assert all(sides(maker.state))
    shut, _ = opened(policy(name, limits={"order_coin": 0.05}))
    assert sides(shut.state) == ([], [])
    assert shut.state.recorder.messages == 0
    assert shut.state.gate.refused[1] > 20


def test_effects_tell_the_venue_exactly_what_changed() -> None:
    maker, world = opened()
    venue = maker.state.table.grid.copy()
    rng = np.random.default_rng(0)
    for n in range(1, 60):
        world.index_usd *= float(np.exp(3e-4 * rng.normal()))
        effects = maker.step(world.index(n))
        if effects.quotes is not None:
            quotes = effects.quotes
            told = np.stack([quotes.bid_ticks, quotes.bid_lots, quotes.ask_ticks, quotes.ask_lots])
            assert np.all(np.diff(quotes.row) > 0)
            assert (told != venue[:, quotes.row]).any(axis=0).all()
            venue[:, quotes.row] = told
        np.testing.assert_array_equal(maker.state.table.grid, venue)
        assert effects.ts_ns == at(n)


def test_an_order_intent_is_a_plain_value() -> None:
    _, _, effects = loaded(hedging=BAND)
    intent = effects.orders[0].intent
    assert intent == OrderIntent(**{name: getattr(intent, name) for name in intent.__struct_fields__})
