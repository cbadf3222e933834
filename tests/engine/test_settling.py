"""An expiry with positions in it, through the simulated market: what is left of them in the settlement window."""

from dataclasses import dataclass

import numpy as np
import pytest

from flatbook.domain.events import AnyEvent, Delivery, Fill
from flatbook.domain.instruments import parse_name
from flatbook.domain.units import NS_PER_MINUTE, NS_PER_SECOND, parse_utc
from flatbook.engine.loop import Engine
from flatbook.kernels.chain import SPOT
from flatbook.market.market import Market
from flatbook.sim.drawn import MarketParameters
from flatbook.sim.market import SimulatedVenue
from tests.market.builders import REFERENCE

from .builders import engine, policy

EIGHT = parse_utc("2026-01-06T08:00")
START = EIGHT - 63 * NS_PER_MINUTE
CALM = MarketParameters(index_every_s=2, slice_every_s=10, chain_every_s=60)
HELD_COIN = 5.0


@pytest.fixture(scope="module")
def heard() -> list[AnyEvent]:
    """From 06:57 to a minute past eight."""
    venue = SimulatedVenue(REFERENCE, seed=4, hours=64 / 60, start_ns=START, parameters=CALM)
    return list(venue.events())


@dataclass
class Watched:
    """The book's delta in coin and its P&L by part, at each event; what a delivery put under its cause."""

    ts_ns: list[int]
    delta_coin: list[float]
    unexplained_usd: list[float]
    settled_usd: float = 0.0
    gross_usd: float = 0.0


def taken(events: list[AnyEvent], sign: float) -> Watched:
    """A maker who holds calls (+1) or puts around the money of the next expiry from 07:00 on, bought at fair value."""
    maker = engine(policy("primitive", quoting={"refresh_s": 2.0, "index_cutoff_bp": 0.1}), trade_from_ns=START)
    watched, state = Watched([], [], []), maker.state
    is_filled = False
    for event in events:
        before = state.pnl.by_name()["settlement"]
        maker.step(event)
        if not is_filled and event.local_ts_ns > EIGHT - 58 * NS_PER_MINUTE:
            buy(maker, sign, event.local_ts_ns)
            is_filled = True
        if isinstance(event, Delivery):
            watched.settled_usd = state.pnl.by_name()["settlement"] - before
            break
        if is_filled and state.values.ts_ns == event.local_ts_ns:
            watched.ts_ns.append(event.exch_ts_ns)
            watched.delta_coin.append(float(state.book.exposure[SPOT]) / state.values.index_usd)
            watched.unexplained_usd.append(state.pnl.by_name()["unexplained"])
            assert sum(state.pnl.by_name().values()) == pytest.approx(state.pnl.equity_usd, abs=1e-6)
            assert state.pnl.equity_usd == pytest.approx(state.equity_usd(), abs=1e-6)
    watched.gross_usd = state.pnl.gross_usd
    return watched


def buy(maker: Engine, sign: float, now_ns: int) -> None:
    """Three strikes: one in the money by 1 %, the nearest, and one out of it by a little."""
    state = maker.state
    index_usd = state.market.forwards.index_usd
    listed = {name: parse_name(name) for name in state.market.universe.row_of}
    names = [n for n, c in listed.items() if c.expiry_ns == EIGHT and c.right is not None and c.right.sign == sign]
    for wanted in (index_usd * (1 - 0.01 * sign), index_usd, index_usd * (1 + 0.002 * sign)):
        name = min((abs(float(listed[name].strike or 0) - wanted), name) for name in names)[1]
        instrument = REFERENCE.instrument(name)
        fair = float(state.values.fair_coin[state.market.universe.row_of[name]])
        maker.step(
            Fill(
                exch_ts_ns=now_ns, local_ts_ns=now_ns, venue="sim", trade_id=f"T{wanted}", order_id=f"quote:{name}",
                instrument=name, side=1, price_ticks=max(round(fair / instrument.tick_size), 1),
                size_lots=round(HELD_COIN / instrument.lot_size), fee_units=0, is_maker=True,
            )
        )  # fmt: skip


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_through_the_window_delta_fades_and_the_delivery_is_no_surprise(
    heard: list[AnyEvent], sign: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = taken(heard, sign)
    monkeypatch.setattr(Market, "settling", lambda self, years, now_ns: ())
    naive = taken(heard, sign)

    at = np.array(window.ts_ns)
    delta = np.abs(window.delta_coin)
    opened, nearly = delta[at <= EIGHT - 30 * NS_PER_MINUTE][-1], delta[at <= EIGHT - 10 * NS_PER_SECOND][-1]
    assert opened > 3.0
    assert nearly < 0.02 * opened
    assert np.abs(naive.delta_coin)[-1] > 2.0, "Black's delta does not fade"

    assert abs(window.settled_usd) < 1.0
    assert abs(naive.settled_usd) > 100 * abs(window.settled_usd)
    moved = np.ptp(window.unexplained_usd)
    assert moved < 0.02 * window.gross_usd
