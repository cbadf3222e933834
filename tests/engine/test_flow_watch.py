import msgspec
import numpy as np
import pytest

from flatbook.decide.quoting import edge_usd
from flatbook.domain.events import TradePrint
from flatbook.domain.units import NS_PER_SECOND
from flatbook.engine.flow_watch import is_known, strain
from flatbook.engine.loop import Engine
from flatbook.market.flow.decays import Evidence
from flatbook.market.flow.order_flow import Regime
from tests.market.builders import World, at, chain, options

from .builders import engine, opened, our_fill, policy, replayed, row_of, simulated

CALL = "BTC-4APR25-80000-C"
ESTIMATING = policy("advanced", flow={"source": "estimate"})


def evidence(maker: Engine) -> Evidence:
    assert maker.state.flow is not None
    return maker.state.flow.flow.intensities.evidence()


def counts(maker: Engine) -> tuple[float, float]:
    """Prints that ended where they did, and prints that our own quote ended."""
    seen = evidence(maker)
    return float(seen.stopped.sum()), float(seen.censored.sum())


def print_at(maker: Engine, seconds: float, taker_side: int, ticks: int, *, lots: int = 10) -> TradePrint:
    """A whole coin traded at a price in ticks."""
    made = World().trade(seconds, CALL)
    tick = maker.state.market.universe.instruments[row_of(maker.state, CALL)].tick_size
    return msgspec.structs.replace(made, taker_side=taker_side, price=ticks * tick, size_lots=lots)


def ask_ticks(maker: Engine) -> int:
    return int(maker.state.table.grid[2, row_of(maker.state, CALL)])


@pytest.mark.parametrize("name", ["primitive", "intermediate"])
def test_a_policy_that_asks_nothing_of_flow_does_not_watch_it(name: str) -> None:
    assert engine(policy(name)).state.flow is None


def test_a_print_elsewhere_ends_where_its_taker_did_and_one_at_our_quote_where_we_stood() -> None:
    maker, _ = opened(ESTIMATING)
    maker.step(print_at(maker, 1, 1, ask_ticks(maker) + 5))
    assert counts(maker) == (1.0, 0.0)
    maker.step(print_at(maker, 2, 1, ask_ticks(maker)))
    assert counts(maker) == pytest.approx((1.0, 1.0), rel=1e-6)


def test_our_fill_heard_before_its_print_still_made_its_price() -> None:
    maker, _ = opened(ESTIMATING)
    ticks = ask_ticks(maker)
    maker.step(our_fill(maker.state, 1, CALL, -1, lots=200))
    assert maker.state.table.resting_ticks(row_of(maker.state, CALL), -1) != ticks
    late = msgspec.structs.replace(print_at(maker, 1.5, 1, ticks), exch_ts_ns=at(1))
    maker.step(late)
    assert counts(maker) == (0.0, 1.0)
    maker.step(print_at(maker, 3, 1, ticks))
    assert counts(maker) == pytest.approx((1.0, 1.0), rel=1e-6)


def test_blocks_and_unknown_options_tell_nothing_of_quotes() -> None:
    maker, world = opened(ESTIMATING)
    maker.step(msgspec.structs.replace(print_at(maker, 1, 1, ask_ticks(maker)), off_book=True))
    maker.step(world.trade(2, "BTC-26DEC25-80000-C"))
    assert counts(maker) == (0.0, 0.0)


def busy(seconds: int) -> Engine:
    """A maker who saw a call bought every 20 s, and its chain priced anew on the way."""
    world, maker = World(), engine(ESTIMATING)
    maker.step(world.index(0))
    maker.step(chain(0.5, [world.quote(0.5, name) for name in options("4APR25")]))
    for n in range(1, seconds // 20):
        maker.step(world.index(20 * n))
        maker.step(print_at(maker, 20 * n + 1, 1, ask_ticks(maker) + 5))
    return maker


def test_where_takers_crowd_the_estimate_takes_over_and_risk_is_cheaper() -> None:
    maker = busy(3600)
    state = maker.state
    assert state.flow is not None
    assert is_known(state.flow.flow.estimate(), 5.0)
    sign = state.market.universe.sign[: state.values.rows]
    flow = state.flow.liquidity(state.values, sign)
    assert flow is not None
    arrivals = flow.arrivals_per_year
    called, put = row_of(state, CALL), row_of(state, "BTC-4APR25-60000-P")
    assert arrivals[called] > 1.5 * arrivals[put]
    assert np.all(flow.decay_per_usd > 0)
    quiet, _ = opened(ESTIMATING, "4APR25")
    assert quiet.state.flow is not None
    assert quiet.state.flow.liquidity(quiet.state.values, sign) is None


def test_until_anything_is_known_the_belief_prices_risk() -> None:
    (estimating, _), (believing, _) = opened(ESTIMATING), opened(policy("advanced", flow={"source": "belief"}))
    np.testing.assert_array_equal(estimating.state.risk_price.curvature, believing.state.risk_price.curvature)
    assert believing.state.flow is None


def test_flow_is_watched_while_the_maker_warms_up() -> None:
    world, maker = World(), engine(ESTIMATING, trade_from_ns=at(100))
    maker.step(world.index(0))
    maker.step(chain(0.5, [world.quote(0.5, name) for name in options("4APR25")]))
    for n in range(1, 80):
        vol = world.vol_at(CALL, n) + 0.01
        assert maker.step(world.trade(n, CALL, vol=vol)).is_empty
    assert evidence(maker).arrivals.sum() > 10
    assert maker.state.values.ts_ns == 0


def test_the_same_events_give_the_same_estimates_and_effects() -> None:
    made = policy("advanced", flow={"source": "estimate"}, risk_price={"refresh_s": 300.0})
    heard, did, maker = simulated(made, 0.4)
    again, twin = replayed(made, heard)
    assert twin.state.sha256() == maker.state.sha256()
    assert [repr(one) for one in again] == [repr(other) for other in did]
    assert maker.state.flow is not None
    assert twin.state.flow is not None
    one, other = maker.state.flow.flow.estimate(), twin.state.flow.flow.estimate()
    np.testing.assert_array_equal(one.arrivals_per_year, other.arrivals_per_year)
    _, believer = replayed(policy("advanced", flow={"source": "belief"}, risk_price={"refresh_s": 300.0}), heard)
    assert is_known(one, 5.0)
    assert np.abs(believer.state.risk_price.curvature - maker.state.risk_price.curvature).max() > 0


def test_the_spread_and_the_price_of_risk_take_flow_to_decay_alike() -> None:
    maker = busy(3600)
    state = maker.state
    assert state.flow is not None
    sign = state.market.universe.sign[: state.values.rows]
    state.flow.learn(state.values, sign, state.now_ns + 600 * NS_PER_SECOND)
    flow = state.flow.liquidity(state.values, sign)
    assert flow is not None
    edge = state.flow.takers[0] * edge_usd(state.setup.policy.flow, state.values)
    alive = np.isfinite(flow.decay_per_usd)
    np.testing.assert_allclose(edge[alive], 1.0 / flow.decay_per_usd[alive], rtol=1e-12)


LEARNING = policy("advanced", quoting={"adverse_selection": "learned"})


def hurt(maker: Engine, world: World, seconds: list[float], rate: float) -> None:
    """Calls bought from us at each of these times, and the index moving by `rate` within the minute after."""
    for second in seconds:
        maker.step(world.index(second))
        maker.step(print_at(maker, second + 1, 1, ask_ticks(maker)))
        maker.step(our_fill(maker.state, second + 1, CALL, -1, lots=1))
        world.index_usd *= 1 + rate
        maker.step(world.index(second + 30))
        maker.step(world.index(second + 100))


def charge_on(maker: Engine, side: int) -> float:
    """What our bid (0) or ask (1) in the call asks for what takers know, in coin."""
    assert maker.state.quotes is not None
    quotes = maker.state.quotes
    return float((quotes.bid_takers_coin, quotes.ask_takers_coin)[side][row_of(maker.state, CALL)])


def test_takers_who_hurt_are_charged_on_their_side_and_less_once_they_are_gone() -> None:
    maker, world = opened(LEARNING)
    believed = charge_on(maker, 1)
    assert believed > 0
    hurt(maker, world, [200.0 * n for n in range(1, 31)], 2e-3)
    dear = charge_on(maker, 1)
    assert dear > 1.3 * believed
    assert dear > charge_on(maker, 0)
    last_s = 200.0 * 31
    for day in range(1, 8):
        maker.step(world.index(last_s + 86_400.0 * day / 2))
    assert charge_on(maker, 1) < 0.9 * dear


def test_parts_add_up_with_what_takers_cost() -> None:
    maker, _ = opened(policy("primitive", quoting={"adverse_selection": "learned"}))
    quotes = maker.state.quotes
    assert quotes is not None
    tick = maker.state.market.universe.tick[: len(quotes.fair_coin)]
    bid = quotes.fair_coin - quotes.spread_coin - quotes.bid_takers_coin - quotes.bid_inventory_coin
    ask = quotes.fair_coin + quotes.spread_coin + quotes.ask_takers_coin + quotes.ask_inventory_coin
    has_bid, has_ask = quotes.grid[1] > 0, quotes.grid[3] > 0
    assert (quotes.grid[0] * tick <= bid + 1e-9)[has_bid].all()
    off = (quotes.grid[2] * tick - ask)[has_ask]
    assert off.min() >= -1e-9
    assert off.max() <= 5 * tick.max() + 1e-9
    fixed = opened(policy("primitive"))[0].state.quotes
    assert fixed is not None
    assert not fixed.bid_takers_coin.any()


@pytest.mark.parametrize(
    ("rank", "activity", "expected"),
    [(np.nan, np.nan, 0.0), (0.5, 0.4, 0.0), (0.9, 1.0, 0.5), (0.5, 2.0, 0.5), (1.0, 9.0, 1.0), (np.nan, 2.5, 0.75)],
)
def test_a_regime_strains_by_the_worse_of_its_signs_and_never_beyond_one(
    rank: float, activity: float, expected: float
) -> None:
    assert strain(Regime(0.3, rank, activity, np.zeros(1))) == pytest.approx(expected)


def test_busy_flow_widens_within_its_bound() -> None:
    made = policy("primitive", quoting={"regime_widen": 0.5})
    world, maker = World(), engine(made)
    maker.step(world.index(0))
    maker.step(chain(0.5, [world.quote(0.5, name) for name in options("4APR25")]))
    assert maker.state.widen == 1.0
    for n in range(200):
        maker.step(print_at(maker, 1 + 0.05 * n, 1, ask_ticks(maker) + 5))
    maker.step(world.index(40))
    assert maker.state.flow is not None
    assert 1.0 < maker.state.flow.widen <= 1.5
    assert maker.state.widen == max(maker.state.flow.widen, maker.state.protection.widen)
