"""The other makers' prices: on the grid, around what they believe, and without arbitrage."""

import itertools

import numpy as np
import pytest

from flatbook.domain.events import QuoteRow
from flatbook.domain.instruments import parse_name
from flatbook.domain.ticks import is_on_grid
from flatbook.sim.board import show_chain
from flatbook.sim.clocks import Clocks
from flatbook.sim.flow import Stage, moment
from flatbook.sim.options import value
from flatbook.sim.world import WorldParameters

from .builders import CALL, MIDNIGHT_NS, REFERENCE

START = MIDNIGHT_NS
PARAMETERS = WorldParameters()
STEPS = REFERENCE.instrument(CALL).spec.ticks
HOURS = (0.5, 3.0, 7.9)


@pytest.mark.parametrize("hours", HOURS)
def test_bids_and_asks_stand_around_what_the_makers_believe(stage: Stage, hours: float) -> None:
    now_ns = START + round(hours * 3_600e9)
    shown = show_chain(stage, stage.chain.rows_alive(now_ns), now_ns)
    price_ticks = shown.believed.price_coin / shown.tick
    bid, ask = shown.market.bid_ticks, shown.market.ask_ticks
    assert (bid < ask).all()
    assert (bid < price_ticks)[bid > 0].all()
    assert (price_ticks < ask).all()
    assert all(is_on_grid(STEPS, ticks) for ticks in itertools.chain(bid.tolist(), ask.tolist()))
    distance = np.concatenate([ask - price_ticks, (price_ticks - bid)[bid > 0]]) * shown.tick
    usual = np.concatenate([shown.market.usual_coin, shown.market.usual_coin[bid > 0]])
    assert np.mean(distance / usual) == pytest.approx(1.0, abs=0.05)


def test_spreads_are_those_of_the_recorded_chains(stage: Stage) -> None:
    """Half the quoted spread in vol points at the money, as medians over the recorded snapshots of April 2025."""
    recorded = {"2APR25": 1.6, "4APR25": 1.2, "11APR25": 0.8, "25APR25": 0.6, "27JUN25": 0.38}
    event = show_chain(stage, stage.chain.rows_alive(START), START).event("BTC", Clocks(START, START))
    for expiry, half_spread in recorded.items():
        rows = [row for row in event.rows if f"-{expiry}-" in row.instrument]
        near = [row for row in rows if abs(float(row.instrument.split("-")[2]) / row.forward_usd - 1) < 0.03]
        found = float(np.median([row.ask_iv - row.bid_iv for row in near])) / 2 * 100
        assert found == pytest.approx(half_spread, rel=0.4), expiry
        deep = [row for row in rows if row.instrument[-1] == "C" and row.bid > 0 and row.mark_iv > 0]
        deep = [row for row in deep if float(row.instrument.split("-")[2]) < row.forward_usd * (1 - 1.2 * width(row))]
        ticks = float(np.median([row.ask - row.bid for row in deep])) / 2 * 10_000
        assert 20 < ticks < 50, f"{expiry}: in the money, half a spread is that of the coin, not of the vol"


def width(row: QuoteRow) -> float:
    """One standard deviation of the log price to expiry."""
    expiry_ns = parse_name(row.instrument).expiry_ns or 0
    return float(row.mark_iv * np.sqrt((expiry_ns - START) / (365 * 86_400 * 10**9)))


@pytest.mark.parametrize("hours", HOURS)
def test_nobody_can_lock_in_a_profit_on_the_board(stage: Stage, hours: float) -> None:
    """Verticals, butterflies and parity, bought at asks and sold at bids."""
    now_ns = START + round(hours * 3_600e9)
    for expiry_ns in stage.chain.expiries_ns(now_ns):
        rows = stage.chain.of_expiry[expiry_ns]
        shown = show_chain(stage, rows, now_ns)
        strike = shown.contracts.strike_usd[::2]
        delivery = float(shown.believed.delivery_usd[0])
        for side in (0, 1):
            bid, ask = (ticks[side::2] * shown.tick for ticks in (shown.market.bid_ticks, shown.market.ask_ticks))
            bought, sold = (slice(None, -1), slice(1, None)) if side else (slice(1, None), slice(None, -1))
            assert (ask[bought] >= bid[sold]).all(), "a vertical for less than nothing"
            assert (bid[bought] - ask[sold] <= np.diff(strike) / delivery + 1e-12).all(), "or for more than it can pay"
            left = (strike[2:] - strike[1:-1]) / (strike[2:] - strike[:-2])
            assert (left * ask[:-2] + (1 - left) * ask[2:] >= bid[1:-1]).all(), "a butterfly for less than nothing"
        put_bid, call_bid = (shown.market.bid_ticks[side::2] * shown.tick for side in (0, 1))
        put_ask, call_ask = (shown.market.ask_ticks[side::2] * shown.tick for side in (0, 1))
        parity = 1 - strike / delivery
        assert (call_ask - put_bid >= parity - 1e-12).all()
        assert (call_bid - put_ask <= parity + 1e-12).all()


@pytest.mark.parametrize("hours", HOURS)
def test_what_the_makers_believe_rises_with_time_and_is_convex(stage: Stage, hours: float) -> None:
    """The mid surface on a grid: total variance rises from expiry to expiry, call prices are convex and fall."""
    now_ns = np.array(START + round(hours * 3_600e9))
    believed = stage.beliefs.at(now_ns)
    k = np.linspace(-0.8, 0.8, 161)
    before = np.zeros(k.size)
    for expiry_ns in stage.chain.expiries_ns(int(now_ns)):
        years = np.asarray((expiry_ns - now_ns) / (365 * 86_400 * 10**9))
        variance = stage.surface.total_variance(believed, years, k)
        assert (variance > before).all()
        before = variance
        rows = stage.chain.of_expiry[expiry_ns][1::2]
        now = moment(stage.world, now_ns)._replace(factors=believed)
        worth = value(stage.surface, stage.world, stage.chain.contracts(rows), now)
        strike = stage.chain.contracts(rows).strike_usd
        slope = np.diff(worth.price_coin * worth.delivery_usd) / np.diff(strike)
        assert (slope <= 0).all()
        assert (slope >= -1 - 1e-9).all()
        assert (np.diff(slope) >= -1e-9).all()


def test_beliefs_err_slowly_about_the_truth(stage: Stage) -> None:
    true, believed = stage.world.minutes.factors, stage.beliefs.factors
    error = np.log(believed.variance / true.variance)
    assert 0 < error.std() < 0.05
    assert abs(error.mean()) < 0.02
    assert (believed.convexity * (1 + np.abs(believed.skew)) < 2).all()
