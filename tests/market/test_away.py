"""Another venue's perpetual has a premium and a touch of its own: neither is taken for the home one's."""

import math
from decimal import Decimal

import pytest

from flatbook.market.away import AwayPerpetual
from flatbook.market.market import Market, MarketModel
from flatbook.market.perpetual import PerpetualModel
from flatbook.venues.binance import coin_margined_perpetual
from flatbook.venues.deribit import load_reference

from .builders import World, at, top


def test_each_perpetual_is_heard_for_itself() -> None:
    reference = load_reference()
    away = coin_margined_perpetual("BTC-PERPETUAL", "binance:BTC-PERPETUAL", "0.1", Decimal(100))
    reference.register(away)
    market, world = Market("BTC", reference, MarketModel()), World()
    market.away = AwayPerpetual(away, PerpetualModel())
    market.take_index(world.index(0))
    index_usd = world.index_usd
    market.take_top(top(1, index_usd * 1.001 - 0.05, index_usd * 1.001 + 0.05, away.name))
    now_ns = at(1)
    assert market.away.perpetual.mark_usd(index_usd, now_ns) == pytest.approx(index_usd * 1.001, rel=1e-4)
    assert market.away.touch.half_spread == pytest.approx(0.05 / (index_usd * 1.001))
    assert market.away.touch.seen_ns == now_ns
    assert market.perpetual.mark_usd(index_usd, now_ns) == index_usd
    market.take_top(top(2, index_usd * 0.999 - 5, index_usd * 0.999 + 5))
    assert market.perpetual.mark_usd(index_usd, at(2)) < index_usd
    assert market.away.perpetual.mark_usd(index_usd, at(2)) == pytest.approx(index_usd * 1.001, rel=1e-4)
    market.take_top(top(3, math.nan, index_usd, away.name))
    assert market.away.touch.seen_ns == now_ns, "one side is no price to take"
