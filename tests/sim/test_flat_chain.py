"""A chain at one vol: what it says is that vol, by the formula inverted and by a market that has heard it."""

import math

import numpy as np
import pytest

from flatbook.domain.events import IndexTick
from flatbook.domain.instruments import Right, parse_name
from flatbook.domain.units import NS_PER_YEAR, parse_utc
from flatbook.market.market import Market, MarketModel
from flatbook.sim.flat_chain import flat_chain
from flatbook.venues.deribit import load_reference

NOW_NS = parse_utc("2024-08-08T23:54")
TICK = IndexTick(exch_ts_ns=NOW_NS, local_ts_ns=NOW_NS, underlying="BTC", price_usd=61_843.5)
FAR_NS = parse_utc("2026-06-26T08:00")


def test_every_price_is_worth_the_vol() -> None:
    chain = flat_chain(TICK, 0.6, [FAR_NS, NOW_NS - 1])
    assert {parse_name(row.instrument).expiry_ns for row in chain.rows} >= {FAR_NS}
    for row in chain.rows:
        contract = parse_name(row.instrument)
        assert contract.strike is not None
        assert contract.expiry_ns is not None
        strike, years = float(contract.strike), (contract.expiry_ns - NOW_NS) / NS_PER_YEAR
        sign = 1.0 if contract.right is Right.CALL else -1.0
        width = 0.6 * math.sqrt(years)
        d1 = math.log(TICK.price_usd / strike) / width + 0.5 * width
        normal = [0.5 * math.erfc(-sign * d / math.sqrt(2)) for d in (d1, d1 - width)]
        usd = sign * (TICK.price_usd * normal[0] - strike * normal[1])
        assert row.bid == row.ask == pytest.approx(usd / TICK.price_usd, rel=1e-9, abs=1e-12)
        assert math.isnan(row.bid_iv)


def test_a_market_that_hears_it_has_a_flat_surface_and_nothing_to_take() -> None:
    market = Market("BTC", load_reference(), MarketModel())
    market.take_index(TICK)
    market.take_chain(flat_chain(TICK, 0.6, [FAR_NS]))
    for slot in range(market.universe.slots):
        width = 0.6 * math.sqrt(float(market.years(NOW_NS)[slot]))
        for deviations in (-2.0, 0.0, 2.0):
            assert market.surface.vol(slot, deviations * width) == pytest.approx(0.6, abs=0.003)
    assert np.isnan(market.touches.bid_vol).all()
