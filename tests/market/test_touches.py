import math

from flatbook.market.touches import Touches
from tests.market.builders import NAN, World, at, chain, new_market, options, shown_market, top

DATE = "25APR25"


def test_the_best_vols_are_kept_with_their_time_and_forgotten_with_their_side() -> None:
    world = World()
    market = shown_market(world, DATE)
    first, second = options(DATE)[:2]
    row = market.universe.row_of[first]
    assert math.isclose(market.touches.ask_vol[row] - market.touches.bid_vol[row], 0.01)
    one_sided = [world.quote(5, first), world.quote(5, second)]
    market.take_chain(chain(5, [type(one_sided[0])(first, NAN, 0.1, NAN, 0.7, NAN, NAN), one_sided[1]]))
    assert math.isnan(market.touches.bid_vol[row])
    assert math.isnan(market.touches.ask_vol[row])
    assert market.touches.seen_ns[row] == at(5)
    other = market.universe.row_of[options(DATE)[5]]
    assert market.touches.seen_ns[other] == at(0)
    assert market.touches.bid_vol[other] > 0


def test_a_dated_future_shows_its_spread_once_options_expire_with_it() -> None:
    market = shown_market(World(), DATE)
    market.take_top(top(1, 80_399.0, 80_401.0, "BTC-25APR25"))
    market.take_top(top(1, 80_399.0, 80_401.0, "BTC-26DEC25"))
    (slot,) = market.touches.future
    assert market.universe.expiry_ns[slot] == market.touches.future[slot].contract.expiry_ns
    assert math.isclose(market.touches.future_half_spread[slot], 1.0 / 80_400.0)
    market.take_top(top(2, NAN, NAN, "BTC-25APR25", mark=80_400.0))
    assert math.isnan(market.touches.future_half_spread[slot])


def test_touches_grow_with_the_chain() -> None:
    touches = Touches(2)
    touches.see_options([(3, World().quote(0, options(DATE)[0]))], 8, at(0))
    assert len(touches.bid_vol) == len(touches.ask_vol) == len(touches.seen_ns) == 8
    assert touches.seen_ns.tolist() == [0, 0, 0, at(0), 0, 0, 0, 0]
    assert new_market().touches.future == {}
