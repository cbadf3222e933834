"""The coin's perpetual at another venue: held there, valued at its own price, chosen by its own fee and spread."""

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from flatbook.decide.hedge.scene import HedgeScene
from flatbook.domain.events import Fill
from flatbook.domain.intents import TimeInForce
from flatbook.domain.units import risk_amount
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.engine.setup import AwayVenue
from flatbook.engine.state import State
from flatbook.kernels.chain import PREMIUM, SPOT
from flatbook.market.perpetual import PerpetualModel
from flatbook.venues.binance import coin_margined_perpetual
from tests.market.builders import REFERENCE, World, at, chain, options, top

from .builders import engine, our_fill, policy
from .test_dollar_hedges import CHEAP
from .test_hedging import CALL, NEVER

AWAY = coin_margined_perpetual("BTC-PERPETUAL", "binance:BTC-PERPETUAL", "0.1", Decimal(100))
REFERENCE.register(AWAY)
VENUE = AwayVenue("binance", AWAY, PerpetualModel(), 10 * 10**8)


def hedger(
    premium: float = 0.0, half_usd: float = 0.05, shown_s: float = 0.6, **fields: object
) -> tuple[Engine, World, Effects]:
    """A maker whose quote of a call traded while another venue showed its perpetual, and what it hedges with."""
    hedging = {**CHEAP, "dollar_settled": False, **fields}
    made = policy("advanced", quoting=NEVER, risk_price={"risk_aversion_per_usd": 1e-3}, hedging=hedging)
    maker, world = Engine(replace(engine(made).state.setup, away=VENUE)), World()
    maker.step(world.index(0))
    names = [name for date in ("25APR25", "27JUN25") for name in options(date)]
    maker.step(chain(0.5, [world.quote(0.5, name) for name in names]))
    mid = 80_000.0 * (1 + premium)
    maker.step(top(shown_s, mid - half_usd, mid + half_usd, AWAY.name))
    return maker, world, maker.step(our_fill(maker.state, 1, CALL, 1, lots=200))


def filled(maker: Engine, effects: Effects, seconds: float) -> Fill:
    """The other venue fills the order for it at its limit."""
    (order,) = [one for one in effects.orders if one.intent.instrument == AWAY.name]
    intent = order.intent
    coin = intent.size_lots * 100 / (intent.limit_ticks * 0.1)
    fill = Fill(
        exch_ts_ns=at(seconds), local_ts_ns=at(seconds), venue="binance", trade_id=f"A{seconds}",
        order_id=order.order_id, instrument=intent.instrument, side=intent.side, price_ticks=intent.limit_ticks,
        size_lots=intent.size_lots, fee_units=round(coin * 0.0005 * 1e8), is_maker=False,
    )  # fmt: skip
    maker.step(fill)
    return fill


def ledger_usd(state: State) -> float:
    """Worth of the books from the ledger alone, each perpetual at the price of its venue."""
    coin = risk_amount(state.ledger.carried_units("BTC"), "BTC")
    for name, lots in state.ledger.open_lots().items():
        if name == AWAY.name:
            coin -= lots * 100.0 / state.values.away_usd
        else:
            coin += lots * 0.1 * float(state.values.fair_coin[state.market.universe.row_of[name]])
    return coin * state.values.index_usd


def agree(state: State) -> None:
    worth = ledger_usd(state)
    assert math.fsum(state.pnl.by_name().values()) == pytest.approx(worth, abs=1e-4)
    assert state.equity_usd() == pytest.approx(worth, abs=1e-4)
    assert sum(state.cells.carried_units) == state.ledger.carried_units("BTC")
    state.ledger.invariant()


def test_it_is_held_where_it_is_and_worth_its_own_price() -> None:
    maker, world, effects = hedger(premium=0.001)
    state = maker.state
    assert [order.intent.instrument for order in effects.orders] == [AWAY.name], "the same fee, a tenth of the spread"
    assert effects.orders[0].intent.time_in_force is TimeInForce.IOC
    before = float(state.book.exposure[SPOT])
    fill = filled(maker, effects, 1.1)
    (held,) = [
        key for key, position in state.ledger.positions().items() if key.instrument == AWAY.name and position.size_lots
    ]
    assert (held.venue, held.strategy) == ("binance", "hedging")
    assert state.values.perp_usd == pytest.approx(80_000.0, rel=1e-6), "nothing was heard of ours"
    assert state.values.away_usd == pytest.approx(80_080.0, rel=2e-4)
    usd = fill.side * fill.size_lots * 100.0
    assert state.measure().exposure[PREMIUM] == pytest.approx(usd * 80_000.0 / state.values.away_usd)
    assert state.measure().exposure[SPOT] - before == pytest.approx(usd, rel=3e-3)
    assert state.ledger.balance("binance", "BTC") == 10 * 10**8 - fill.fee_units
    agree(state)
    assert state.pnl.by_name()["fees"] == pytest.approx(-abs(usd) * 0.0005, rel=3e-3)
    for second, (move, premium) in enumerate(((1.01, 0.001), (0.97, -0.0005), (1.03, 0.002)), start=2):
        world.index_usd *= move
        maker.step(world.index(second))
        mid = world.index_usd * (1 + premium)
        maker.step(top(second + 0.5, mid - 0.05, mid + 0.05, AWAY.name))
        maker.step(world.index(second + 0.6))
        agree(state)
    assert abs(state.pnl.by_name()["basis"]) > 1.0


def test_exposures_are_the_slopes_of_worth() -> None:
    """A second way: worth at an index and at a premium a thousandth lower and higher."""
    maker, _, effects = hedger(premium=0.0005)
    filled(maker, effects, 1.1)
    state = maker.state
    state.inventory.size_coin[:] = 0.0
    values, h = state.values, 1e-3
    book = state.inventory.measure(values).exposure
    index_usd, away_usd = values.index_usd, values.away_usd

    def worth(index: float, premium: float) -> float:
        values.index_usd, values.away_usd = index_usd * (1 + index), away_usd * (1 + index) * (1 + premium)
        return state.inventory.equity_coin(values, 1.0) * values.index_usd

    assert book[SPOT] == pytest.approx((worth(h, 0.0) - worth(-h, 0.0)) / (2 * h), rel=1e-5)
    assert book[PREMIUM] == pytest.approx((worth(0.0, h) - worth(0.0, -h)) / (2 * h), rel=1e-5)


def scene_names(maker: Engine) -> dict[str, float]:
    """What is offered, with fee and half-spread a USD."""
    from flatbook.decide.hedge.listed import listed_hedges
    from flatbook.engine.hedge_scene import scene_of

    state = maker.state
    scene: HedgeScene = scene_of(state)
    found = listed_hedges(scene, state.risk_price, state.risk_price.gradient(state.book.exposure), 1e5).hedge_set
    return dict(zip(found.name, (found.fee_usd + found.half_spread_usd).tolist(), strict=True))


def test_what_it_costs_is_its_venues_fee_and_its_books_spread() -> None:
    maker, _, effects = hedger(half_usd=120.0, fee_rate=0.0004)
    assert [order.intent.instrument for order in effects.orders] == ["BTC-PERPETUAL"], "ours is cheaper"
    cost = scene_names(maker)
    assert cost["BTC-PERPETUAL"] == pytest.approx(0.0004 + 0.00005)
    assert cost[AWAY.name] == pytest.approx(0.0005 + 120.0 / 80_000.0)


def test_what_shows_no_sides_lately_is_not_offered() -> None:
    maker, world, _ = hedger()
    maker.step(top(1.5, math.nan, 80_000.0, AWAY.name))
    assert set(scene_names(maker)) == {"BTC-PERPETUAL", AWAY.name}, "no middle: nothing was heard"
    for second in range(20, 220, 20):
        world.index_usd *= 1.001
        maker.step(world.index(second))
    assert set(scene_names(maker)) == {"BTC-PERPETUAL"}, "touch_age_s is over"
