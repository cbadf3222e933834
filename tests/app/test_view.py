"""The live page's views of a run under way."""

import math

import msgspec
import pytest

from flatbook.app.run import carry_out, new_run
from flatbook.app.view import EXPIRIES_SHOWN, STRIKES_SHOWN, TRADES_SHOWN, Viewer
from flatbook.report.tables import PARTS
from flatbook.service.live import LiveView

from .conftest import Ended


@pytest.fixture(scope="module")
def views(in_world: Ended, tmp_path_factory: pytest.TempPathFactory) -> list[LiveView]:
    """A view before the run, one every fifty events, and the last."""
    run = new_run(in_world.request, tmp_path_factory.mktemp("runs"))
    state = run.engine.state
    viewer = Viewer(run.run_id, run.market, "keen", "max", "simulated, seed 1")
    seen = [viewer.view(state)]

    def watch() -> None:
        if state.events % 50 == 0:
            seen.append(viewer.view(state))

    finished = carry_out(run, watch=watch)
    assert finished.summary["run"]["state_sha256"] == in_world.sha256, "looking on changes nothing"
    return [*seen, viewer.view(state, "ended")]


def test_before_the_first_event_the_page_says_so(views: list[LiveView], in_world: Ended) -> None:
    assert (views[0].state, views[0].clock_ns) == ("starting", in_world.run.market.from_ns)
    assert math.isnan(views[0].equity_usd)


def test_the_clock_moves_and_progress_with_it(views: list[LiveView], in_world: Ended) -> None:
    clocks = [view.clock_ns for view in views]
    assert clocks == sorted(clocks)
    assert clocks[-1] == in_world.finished.summary["run"]["to_ns"]
    progress = [view.progress for view in views[1:]]
    assert progress == sorted(progress)
    assert 0 < progress[0] < 0.5 < progress[-1] <= 1
    assert [view.state for view in views] == ["starting", *["running"] * (len(views) - 2), "ended"]


def test_money_and_counts_are_the_runs(views: list[LiveView], in_world: Ended) -> None:
    for view in views[1:]:
        assert set(view.parts) == set(PARTS)
        assert sum(view.parts.values()) == pytest.approx(view.equity_usd, abs=1e-6)
        assert view.history.equity_usd[-1] == view.equity_usd
    last, summary = views[-1], in_world.finished.summary
    assert (last.fills_count, last.hedges_count) == (summary["flow"]["fills"], summary["hedges"]["count"])
    assert last.positions_open == summary["ledger"]["positions_open"]
    assert last.equity_usd == pytest.approx(summary["pnl"]["total"])
    newest = in_world.finished.frames["fills"].tail(TRADES_SHOWN)["trade_id"].to_list()
    assert len(last.fills) == len(newest)
    for fill in last.fills:
        assert fill.fair + fill.spread_part + fill.inventory_part == pytest.approx(fill.price)


def test_quotes_are_around_fair_value_and_strikes_rise(views: list[LiveView]) -> None:
    shown = 0
    for view in views[2:]:
        assert 1 <= len(view.chains) <= EXPIRIES_SHOWN
        assert [chain.expiry_ns for chain in view.chains] == sorted(chain.expiry_ns for chain in view.chains)
        for chain in view.chains:
            assert chain.age_s >= 0
            strikes = [row.strike for row in chain.rows]
            assert strikes == sorted(set(strikes))
            assert 1 <= len(strikes) <= STRIKES_SHOWN
            for quote in (own for row in chain.rows for own in (row.call, row.put) if own is not None):
                if not (math.isnan(quote.bid) or math.isnan(quote.ask)):
                    assert quote.bid < quote.ask
                    shown += 1
        assert view.quotes_live > 100
    assert shown > 100


def test_exposures_have_their_limits_and_inputs_their_age(views: list[LiveView], in_world: Ended) -> None:
    limits = in_world.run.engine.state.setup.policy.limits
    for view in views[1:]:
        gauges = {gauge.name: gauge for gauge in view.exposures}
        assert set(gauges) == {"delta", "gamma", "vega", "stress loss"}
        assert gauges["vega"].limit == limits.vega_usd
        assert gauges["delta"].limit == pytest.approx(limits.delta_coin * view.index_usd)
        assert {age.name for age in view.ages} == {"index", "surface"}
        assert all(age.age_s >= 0 for age in view.ages)


def test_the_view_goes_over_the_wire(views: list[LiveView]) -> None:
    for view in views:
        assert msgspec.json.decode(msgspec.json.encode(view))["clock_ns"] == view.clock_ns


def test_monitors_are_shown_with_their_age_and_are_those_of_the_report(views: list[LiveView], in_world: Ended) -> None:
    reported = in_world.finished.summary["monitors"]["readings"]
    assert [one.name for one in views[-1].monitors] == [reading["name"] for reading in reported]
    known = [one for one in views[-1].monitors if one.horizon == "minute" and not math.isnan(one.value)]
    assert {"delta", "index", "P&L", "quotes away"} <= {one.name for one in known}
    assert all(one.age_s >= 0.0 for one in known)
