"""What a run's monitors read of it, when, and that they decide nothing."""

import math

import numpy as np
import pytest

from flatbook.domain.events import OrderRejected, QuotesAcknowledged
from flatbook.engine import monitoring
from flatbook.engine.loop import Engine
from flatbook.engine.monitoring import WATCHED
from flatbook.report.facts import MonitorFacts
from tests.market.builders import World, at, top

from .builders import opened, our_fill, policy, simulated

CALL = "BTC-25APR25-80000-C"


def last(maker: Engine, name: str, horizon: str = "minute") -> MonitorFacts:
    (found,) = (one for one in monitoring.facts(maker.state) if (one.name, one.horizon) == (name, horizon))
    return found


def through(maker: Engine, world: World, until: int, start: int = 1) -> None:
    """An index that moves a little every second, and a perpetual that is seen with it."""
    for second in range(start, until):
        world.index_usd *= 1 + 1e-4 * (-1) ** second
        maker.step(world.index(second))
        maker.step(top(second, world.index_usd - 1, world.index_usd + 1))


def widths(maker: Engine, world: World) -> float:
    """Median width of our two-sided quotes over that of the world's own, a vol point wide."""
    grid, universe, found = maker.state.table.grid, maker.state.market.universe, []
    for row in np.flatnonzero((grid[1] > 0) & (grid[3] > 0)).tolist():
        name = universe.instruments[row].name
        bid, ask = (world.fair_coin(name, 180, world.vol_at(name, 180) + side * 0.005) for side in (-1, 1))
        found.append((grid[2, row] - grid[0, row]) * universe.tick[row] / (ask - bid))
    return float(np.median(found))


def test_a_minute_of_a_calm_run_is_read_as_it_was() -> None:
    maker, world = opened(policy("primitive"))
    maker.step(our_fill(maker.state, 0.7, CALL, 1, lots=30))
    equity = []
    for second in range(1, 181):
        through(maker, world, second + 1, second)
        equity.append(maker.state.pnl.equity_usd)
    limits, risk = maker.state.setup.policy.limits, maker.state.risk
    assert last(maker, "delta").value == pytest.approx(abs(risk.delta_coin) / limits.delta_coin, rel=0.01)
    assert last(maker, "vega").value == pytest.approx(abs(risk.vega_usd) / limits.vega_usd, rel=0.01)
    assert last(maker, "index").value == 1.0
    assert last(maker, "perpetual").value == 1.0
    assert last(maker, "chain").value == pytest.approx(178.5), "as of the third minute's last second"
    assert math.isnan(last(maker, "trades").value), "none was ever heard of"
    assert last(maker, "quotes away").value == 0.0
    assert last(maker, "half-spread").value == pytest.approx(widths(maker, world), rel=0.02)
    assert abs(last(maker, "P&L").value) < np.ptp(equity) + 1.0
    assert all(one.age_s < 61.0 for one in monitoring.facts(maker.state) if not math.isnan(one.value))
    assert len(monitoring.facts(maker.state)) == 3 * len(WATCHED)


def test_the_venues_answers_are_timed_and_counted() -> None:
    maker, world = opened(policy("primitive"))
    sent = maker.state.table.sent
    maker.step(QuotesAcknowledged(exch_ts_ns=at(0.6), local_ts_ns=at(0.75), number=sent))
    refused = OrderRejected(exch_ts_ns=at(0.8), local_ts_ns=at(0.8), order_id=f"quote:{CALL}", reason="post only")
    maker.step(refused)
    through(maker, world, 62)
    assert last(maker, "answers").value == pytest.approx(250.0)
    assert last(maker, "refused").value == pytest.approx(0.5)
    assert last(maker, "unanswered").value == pytest.approx(57.0, abs=3.0), "no message since was acknowledged"


def test_an_index_that_stops_for_half_a_minute_is_one_alarm_in_the_log() -> None:
    maker, world = opened(policy("primitive"))
    through(maker, world, 4_000)
    assert last(maker, "index").state == "quiet"
    for second in range(4_000, 4_030):
        maker.step(top(second, world.index_usd - 1, world.index_usd + 1))
    found = [entry.text for entry in maker.state.recorder.log if entry.kind == "monitor"]
    assert found == ["index over a minute: 6 s, the threshold is 5"]
    through(maker, world, 4_200, 4_030)
    found = [entry.text for entry in maker.state.recorder.log if entry.kind == "monitor"]
    assert found[1:] == ["index over a minute: 1 s, within 5 again"]
    assert maker.state.monitoring.alarms == 1


def test_monitors_decide_nothing() -> None:
    """The same run looked at every second and hardly ever: the same digest of all that went out."""
    digests = []
    for every_s in (1.0, 1e6):
        _, _, maker = simulated(policy("advanced", monitors={"every_s": every_s}), 0.1)
        digests.append(maker.state.sha256())
    assert digests[0] == digests[1]


def test_they_look_once_a_second_at_most() -> None:
    maker, world = opened(policy("primitive"))
    looks = []
    for tenth in range(10, 60):
        maker.step(world.index(0.1 * tenth))
        looks.append(maker.state.monitoring.looked_ns)
    assert len(set(looks)) == 5
