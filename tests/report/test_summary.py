import json
import math
from collections.abc import Callable

import msgspec
import numpy as np
import polars as pl
import pytest

from flatbook.domain.errors import LimitBreachedError
from flatbook.report.facts import FlowFacts, QuoteFacts, RunFacts
from flatbook.report.summary import summarise
from flatbook.report.tables import PARTS, Tables

CONTRACT = {
    "run": "id version policy seed session from_ns to_ns events trades_seen wall_s events_per_s state_sha256",
    "pnl": "total spread adverse_selection delta gamma theta vega vanna volga funding basis fees hedge_cost settlement "
    "unexplained",
    "pnl_coin": "",
    "risk": "pnl_std_per_hour max_drawdown delta_rms gamma_1pct_rms vega_rms stress_loss_max limit_breaches",
    "flow": "fills volume_usd fill_share markout_1m markout_10m markout_1h",
    "quotes": "uptime two_sided_share median_half_spread_vol_pt messages_per_event",
    "hedges": "count volume_usd cost_usd",
    "ledger": "balanced balances positions_open",
}


def _assert_contract(summary: dict[str, dict[str, object]]) -> None:
    for name, keys in CONTRACT.items():
        assert set(keys.split()) <= set(summary[name]), name


def test_every_key_of_the_contract_is_there(tables: Tables, facts: RunFacts) -> None:
    summary = summarise(tables, facts)
    _assert_contract(summary)
    assert set(summary["pnl"]) == {"total", *PARTS}
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_frames_and_tables_give_the_same(tables: Tables, facts: RunFacts) -> None:
    assert summarise(tables.frames(), facts) == summarise(tables, facts)


def test_parts_sum_to_the_total(tables: Tables, facts: RunFacts) -> None:
    pnl = summarise(tables, facts)["pnl"]
    assert math.fsum(pnl[name] for name in PARTS) == pytest.approx(pnl["total"], abs=0.005)
    assert pnl["total"] == pytest.approx(facts.ledger.pnl_usd, abs=0.005)


def test_parts_that_do_not_sum_are_refused(tables: Tables, facts: RunFacts) -> None:
    frames = tables.frames()
    frames["equity"] = frames["equity"].with_columns(pl.col("vega") + 0.02)
    with pytest.raises(LimitBreachedError, match=r"the parts of P&L sum to \+0\.02 USD beside"):
        summarise(frames, facts)


@pytest.mark.parametrize("gap", [0.02, -7.0, math.nan])
def test_a_total_that_is_not_the_ledgers_is_refused(
    tables: Tables, facts: RunFacts, facts_of: Callable[[float], RunFacts], gap: float
) -> None:
    with pytest.raises(LimitBreachedError, match="but the ledger holds"):
        summarise(tables, facts_of(facts.ledger.pnl_usd + gap))


def test_numbers_come_from_the_series(tables: Tables, facts: RunFacts) -> None:
    summary, frames = summarise(tables, facts), tables.frames()
    equity, fills, hedges = frames["equity"]["equity_usd"], frames["fills"], frames["hedges"]
    assert summary["risk"]["max_drawdown"] == pytest.approx((equity.cum_max() - equity).max())
    assert summary["risk"]["stress_loss_max"] == frames["exposures"]["stress_loss_usd"].max()
    held = frames["exposures"]["vega_usd"].to_numpy()[:-1]
    assert summary["risk"]["vega_rms"] == pytest.approx(float(np.sqrt(np.mean(held**2))))
    assert summary["flow"]["fills"] == fills.height
    assert summary["flow"]["markout_1h"] == pytest.approx(fills["markout_1h_usd"].fill_nan(0).sum())
    assert summary["flow"]["markout_fills"]["markout_1h"] == fills["markout_1h_usd"].is_not_nan().sum()
    assert summary["hedges"]["volume_usd"] == pytest.approx(hedges["size_usd"].sum())
    assert summary["quotes"]["messages_per_event"] == pytest.approx(4_870_332 / 112_430)
    assert summary["run"]["events_per_s"] == pytest.approx(112_430 / 18.4)
    assert [model["name"] for model in summary["flow"]["fill_models"]] == ["optimistic", "queue", "pessimistic"]


def test_a_run_in_which_nothing_happened(facts_of: Callable[[float], RunFacts]) -> None:
    facts = facts_of(0.0)
    quiet = msgspec.structs.replace(
        facts,
        run=msgspec.structs.replace(facts.run, events=0, trades_seen=0, wall_s=0.0, state_sha256=None, seed=None),
        flow=FlowFacts(volume_usd=0.0, fill_share=None),
        quotes=QuoteFacts(uptime=None, two_sided_share=math.nan, median_half_spread_vol_pt=None, messages=0),
        log=(),
    )
    summary = summarise(Tables(), quiet)
    _assert_contract(summary)
    assert set(summary["pnl"].values()) == {None}
    assert [summary["risk"][key] for key in ("pnl_std_per_hour", "max_drawdown", "vega_rms")] == [None] * 3
    assert summary["flow"] == {
        "fills": 0,
        "volume_usd": 0.0,
        "fill_share": None,
        "markout_1m": None,
        "markout_10m": None,
        "markout_1h": None,
        "markout_fills": {"markout_1m": 0, "markout_10m": 0, "markout_1h": 0},
        "edge_usd": 0.0,
        "fill_models": [],
    }
    assert summary["quotes"]["two_sided_share"] is None
    assert summary["quotes"]["messages_per_event"] is None
    assert summary["run"]["events_per_s"] is None
    assert summary["hedges"]["count"] == 0
    json.dumps(summary, allow_nan=False)


def test_monitors_are_in_it_and_what_is_not_known_of_them_is_null(tables: Tables, facts: RunFacts) -> None:
    monitors = summarise(tables, facts)["monitors"]
    assert (monitors["false_alarms_per_week"], monitors["alarms"]) == (2.0, 2)
    minute, hour, day = monitors["readings"]
    assert (minute["value"], minute["threshold"], minute["state"]) == (41.5, 5.0, "alarm")
    assert (hour["threshold"], day["value"]) == (None, None)
