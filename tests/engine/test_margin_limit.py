"""Margin and capital as bounds of a run."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.intents import OrderIntent, Purpose, TimeInForce
from flatbook.engine.capital import held_coin, margin_contracts
from flatbook.engine.loop import Engine
from flatbook.engine.policy import Policy
from flatbook.engine.setup import Setup
from flatbook.risk.margin.model import MarginModel
from flatbook.risk.margin.requirement import MarginState
from flatbook.risk.reservation import MARGIN
from flatbook.venues.margin import MODELS, editions
from tests.market.builders import REFERENCE, START_NS, World, chain, index, options

from .builders import our_fill, policy

CALL = "BTC-25APR25-80000-C"


def model(name: str) -> MarginModel:
    return editions(name)[-1].model


def bounded(name: str, made: Policy, coins: int = 100) -> tuple[Engine, World]:
    """An engine that has quoted two expiries with so much collateral."""
    world = World()
    maker = Engine(Setup("BTC", "sim", REFERENCE, made, START_NS, coins * 10**8, margin=model(name)))
    maker.step(world.index(0))
    names = [one for date in ("4APR25", "25APR25") for one in options(date)]
    maker.step(chain(0.5, [world.quote(0.5, one) for one in names]))
    return maker, world


def limited(rule: str = "none", **limits: object) -> Policy:
    return policy(
        "primitive",
        limits={"delta_coin": 1_000.0, "stress_loss_usd": 1e9, **limits},
        hedging={"rule": rule, "every_s": 0.0, "band_coin": 0.1},
        protection={"mmp_at_venue": False, "mmp_quantity_coin": 1e6, "mmp_delta_coin": 1e6, "mmp_vega_usd": 1e9},
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_books_margin_and_the_most_that_fills_add_bound_the_margin_of_any_fills(name: str) -> None:
    maker, _ = bounded(name, limited(margin_use=0.5))
    state, limit = maker.state, maker.state.margin_limit
    assert limit is not None
    requirement = model(name).requirement(margin_contracts(state.market.universe, state.values))
    rows = state.values.rows

    @settings(deadline=None, max_examples=100)
    @given(st.integers(0, 100_000), st.floats(0.01, 1.0), st.sampled_from([0.0, 1.0]))
    def check(seed: int, share: float, coin: float) -> None:
        rng = np.random.default_rng(seed)
        held = np.rint(rng.normal(0.0, 8.0, requirement.count)) * (rng.random(requirement.count) < 0.5)
        held[rows + 1 :] = 0.0
        fills = rng.choice([-1.0, 1.0], requirement.count) * 10.0 ** rng.uniform(-1, 1, requirement.count)
        fills *= rng.random(requirement.count) < share
        fills[rows:] = 0.0
        bound = requirement.fill_bound(held, coin)
        assert bound.beside_usd >= -1e-6
        asked = np.where(fills > 0, *bound.steepest_usd) @ np.abs(fills) + bound.beside_usd
        before, after = (float(requirement.margins(size).initial) for size in (held, held + fills))
        assert after <= (before + asked) * (1 + 1e-9) + 1e-6

    check()


def test_what_a_fill_adds_to_the_lesser_of_two_requirements_is_bounded_by_the_book() -> None:
    """A spread that is sold and bought loses little; one put more than that is margined alone or by its strike."""
    maker, _ = bounded("derive_sm", limited(margin_use=0.5))
    state = maker.state
    contracts = margin_contracts(state.market.universe, state.values)
    requirement, held = model("derive_sm").requirement(contracts), np.zeros(len(contracts))
    names = [one.name for one in state.market.universe.instruments]
    low, high = names.index("BTC-25APR25-70000-P"), names.index("BTC-25APR25-80000-P")
    held[low], held[high] = -10.0, 10.0
    assert float(requirement.margins(held).initial) == 0.0
    few, many = (requirement.fill_bound(held, coin) for coin in (0.1, 100.0))
    assert few.beside_usd == 0.0
    assert few.steepest_usd[1, low] == 70_000.0
    assert many.steepest_usd[1, low] == pytest.approx(many.beside_usd / 10.0)
    assert many.steepest_usd[1, low] < 15_000.0
    for coin in (10.0, 14.0, 100.0):
        sold = held.copy()
        sold[low] -= coin
        after = float(requirement.margins(sold).initial)
        for bound in (few, many):
            assert after <= bound.beside_usd + coin * bound.steepest_usd[1, low] + 1e-6


def test_a_perpetual_bought_back_asks_for_no_margin_whatever_bounds_options() -> None:
    maker, world = bounded("derive_sm", limited(margin_use=0.5))
    state = maker.state
    maker.step(our_fill(state, 1, state.setup.hedge.name, -1, lots=40_000, order_id="manual:1"))
    maker.step(index(2, world.index_usd * 1.001))
    limit = state.margin_limit
    assert limit is not None
    asked_usd = {}
    for side in (1, -1):
        intent = OrderIntent(
            instrument=state.setup.hedge.name, side=side, limit_ticks=1, size_lots=20_000,
            time_in_force=TimeInForce.IOC, purpose=Purpose.HEDGE, reason="",
        )  # fmt: skip
        asked_usd[side] = limit.order_usd(state, intent, side * 2.5, is_alone=True)
    assert asked_usd[1] == 0.0
    assert asked_usd[-1] > 1_000.0


@pytest.mark.parametrize("name", ["deribit_sm", "derive_sm"])
def test_quotes_ask_for_no_more_margin_at_once_than_capital_has_left(name: str) -> None:
    free, _ = bounded(name, limited())
    maker, _ = bounded(name, limited(margin_use=0.02))
    state, reservation = maker.state, maker.state.gate.reservation
    assert free.state.margin_limit is None
    assert state.risk.purses[0].bound_usd == pytest.approx(0.02 * 100 * state.values.index_usd, rel=1e-9)
    lots, unbound = (one.state.table.grid[1::2, : state.values.rows].sum(axis=1) for one in (maker, free))
    assert lots[0] == unbound[0], "a bid of an option is paid for"
    assert 0 < lots[1] < unbound[1]
    assert reservation.worst[0, MARGIN] <= reservation.room[0, MARGIN] == pytest.approx(state.risk.purses[0].left_usd)
    assert reservation.dropped()["margin"] > 0
    assert reservation.least_left()["margin"] == pytest.approx(
        reservation.room[0, MARGIN] - reservation.worst[0, MARGIN]
    )
    limit, asks = state.margin_limit, state.table.grid[3, : state.values.rows] * 0.1
    assert limit is not None
    assert reservation.worst[0, MARGIN] == pytest.approx(limit.steepest_usd[1, : state.values.rows] @ asks)


def test_beyond_its_bound_only_what_reduces_and_asks_for_no_more_goes_out_and_it_is_a_breach() -> None:
    maker, world = bounded("deribit_sm", limited(margin_use=0.02))
    state = maker.state
    row = int(np.flatnonzero(state.table.grid[3])[0])
    name = state.market.universe.instruments[row].name
    maker.step(our_fill(state, 1, name, -1, lots=400, price=0.01))
    maker.step(index(2, world.index_usd * 1.001))
    assert state.gate.breaches(state.risk) == ["margin_use"]
    assert sum(state.recorder.breached.values()) == 1
    assert np.flatnonzero(state.table.grid[1]).tolist() == [row]
    assert not state.table.grid[3].any()


@pytest.mark.parametrize("purse", ["making", "hedging", "sim"])
def test_capital_is_used_by_margin_and_losses_of_whom_it_was_given_to(purse: str) -> None:
    maker, world = bounded("deribit_sm", limited("band_and_timer", capital_usd={purse: 1_500.0}))
    state = maker.state
    maker.step(our_fill(state, 1, CALL, 1, lots=20))
    (used,) = state.risk.purses
    assert used.name == f"capital_{purse}"
    hedges = [order.intent.size_lots * state.setup.hedge.lot_size for order in state.orders.working.values()]
    limit = state.margin_limit
    assert limit is not None
    rate = float(limit.steepest_usd[1, state.values.rows]) / state.values.index_usd
    asked_usd = sum(hedges) * rate
    if purse == "making":
        assert asked_usd > 2_000.0, "a perpetual's margin is not making's"
    elif purse == "hedging":
        assert state.gate.refused_orders == {"capital_hedging": 1}
    else:
        assert 0.0 < asked_usd <= 1_500.0, "it is cut to what quotes that rest leave"
    gained = state.pnl.usd_by_strategy()
    lost = {"making": gained[0], "hedging": gained[1], "sim": gained.sum()}[purse]
    held = held_coin(state.values, state.inventory)
    requirement = model("deribit_sm").requirement(margin_contracts(state.market.universe, state.values))
    margin = 0.0 if purse == "hedging" else float(MarginState(requirement, held).margins.initial)
    assert used.used_usd == pytest.approx(margin + max(-lost, 0.0), rel=1e-6, abs=1e-6)
    for second in range(2, 30):
        maker.step(index(second, world.index_usd * 0.998**second))
    assert (used.name in state.gate.breaches(state.risk)) is (purse != "hedging")


def test_no_option_has_more_than_its_share_of_the_books_vega() -> None:
    limits: dict[str, object] = {
        "concentration_option": 0.25,
        "concentration_expiry": 0.5,
        "concentration_free_usd": 200.0,
    }
    maker, _ = bounded("deribit_sm", limited("none", **limits))
    state = maker.state
    vega = np.abs(state.gate.reservation.units(state.values)[2])
    lots = state.table.grid[1::2, : state.values.rows] * 0.1
    assert (vega * lots <= 0.25 * 200.0 + 1e-9).all()
    wanted = state.quotes.grid[1::2] * 0.1 if state.quotes is not None else lots
    assert (vega * wanted > 0.25 * 200.0).any()
    for slot in np.unique(state.values.slot):
        assert (vega * lots)[:, state.values.slot == slot].sum(axis=1).max() <= 0.5 * 200.0 + 1e-9
    assert math.isclose(state.gate.reservation.position.min(), 50.0 / vega.max(), rel_tol=1e-9)
