import copy
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from flatbook.domain.errors import BadInputError
from flatbook.report import compare
from flatbook.report.assets import plotly_js
from flatbook.report.contenders import MEASURES, Contender, Intervals, Trial, best_of, intervals
from flatbook.report.facts import RunFacts
from flatbook.report.summary import summarise
from flatbook.report.tables import Tables

Contenders = list[Contender]
HOURS = 48


@pytest.fixture
def contenders(tables: Tables, facts: RunFacts) -> Contenders:
    """Three makers in one market: the second earns most, the third risks least."""
    out, noise = [], np.random.default_rng(1).normal(0.0, 500.0, HOURS)
    for policy, pnl, vega, drift in (
        ("primitive", -2_000.0, 9_000.0, -40.0),
        ("intermediate", 7_000.0, 4_000.0, 150.0),
        ("advanced", 5_000.0, 800.0, 100.0),
    ):
        summary = copy.deepcopy(summarise(tables, facts))
        summary["run"] |= {"policy": policy, "id": f"run-{policy}"}
        summary["pnl"]["total"], summary["risk"]["vega_rms"] = pnl, vega
        out.append(Contender(policy, (Trial("a market", summary, drift + noise),)))
    return out


def with_intervals(contenders: Contenders) -> tuple[Contenders, Intervals]:
    return contenders, intervals(contenders, np.random.default_rng(0))


def ranked(contenders: Contenders, *models: str) -> list[compare.Ranking]:
    return [compare.Ranking(model, *with_intervals(contenders)) for model in models or ("queue",)]


def in_two_markets(contenders: Contenders) -> Contenders:
    """The same makers in a second market, where each earned 1,000 more."""
    both = []
    for contender in contenders:
        (first,) = contender.trials
        summary = copy.deepcopy(first.summary)
        summary["run"]["seed"] = 8
        summary["pnl"]["total"] += 1_000.0
        both.append(replace(contender, trials=(first, Trial("another", summary, first.hourly_usd + 10.0))))
    return both


def test_every_measure_is_a_number_of_the_summary(contenders: Contenders) -> None:
    assert all(isinstance(measure.of(contenders[0]), (int, float)) for measure in MEASURES)


def test_best_is_most_profit_and_least_risk(contenders: Contenders) -> None:
    best = {row["key"]: row["best"] for row in compare.comparison(ranked(contenders))["measures"]}
    assert best["pnl.total"] == "intermediate"
    assert best["risk.vega_rms"] == "advanced"
    assert best["flow.fills"] is None
    assert best["risk.max_drawdown"] is None, "all are equal"


def test_a_missing_value_has_no_best(contenders: Contenders) -> None:
    contenders[0].trials[0].summary["pnl"]["total"] = None
    assert best_of(MEASURES[0], contenders) is None
    assert "–" in compare.render_comparison(ranked(contenders))


def test_of_several_markets_the_mean_is_said(contenders: Contenders) -> None:
    document = compare.comparison(ranked(in_two_markets(contenders)))
    assert document["measures"][0]["values"]["intermediate"] == 7_500.0
    assert document["markets"] == ["a market", "another"]
    assert list(document["runs"])[:2] == ["primitive, a market", "primitive, another"]
    assert document["intervals"]["hours"] == 2 * HOURS


def test_intervals_are_of_the_hours_and_of_what_is_earned_over_the_first(contenders: Contenders) -> None:
    found = compare.comparison(ranked(contenders))["intervals"]
    own = found["of"]["intermediate"]["pnl_usd_per_day"]
    assert own["value"] == pytest.approx(24 * contenders[1].hourly_usd.mean())
    assert own["low"] < own["value"] < own["high"]
    over = found["over"]["intermediate"]["pnl_usd_per_day"]
    assert over["low"] == pytest.approx(24 * 190.0), "the same noise cancels"
    assert over["high"] == pytest.approx(24 * 190.0)
    assert set(found["over"]["primitive"]["pnl_usd_per_day"].values()) == {0.0}
    assert compare.comparison(ranked(contenders))["intervals"] == found, "the same runs give the same intervals"


def test_runs_of_minutes_have_no_interval(contenders: Contenders) -> None:
    short = [replace(c, trials=(c.trials[0]._replace(hourly_usd=np.empty(0)),)) for c in contenders]
    found = compare.comparison(ranked(short))["intervals"]
    assert set(found["of"]["primitive"]["pnl_usd_per_day"].values()) == {None}
    assert compare.lines(*with_intervals(short))[-1].cells == ("–", "– (– to –)", "– (– to –)")
    assert '"name":"Total P&L"' in compare.render_comparison(ranked(short))


def test_the_table_has_a_row_a_measure_and_marks_the_best(contenders: Contenders) -> None:
    out = io.StringIO()
    Console(file=out, width=220, force_terminal=True, color_system="standard").print(
        compare.comparison_table(*with_intervals(contenders))
    )
    shown = out.getvalue().splitlines()
    assert len(shown) == len(compare.lines(*with_intervals(contenders))) + 1
    assert re.search(r"\x1b\[1;32m *\+\$7,000", shown[1])


def test_the_page_draws_each_maker_and_loads_nothing(contenders: Contenders) -> None:
    page = compare.render_comparison(ranked(contenders))
    own = page.replace(plotly_js(), "")
    assert "http" not in own
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert data["names"] == ["primitive", "intermediate", "advanced"]
    profit = data["profit"]
    assert profit["values"] == pytest.approx([24 * contender.hourly_usd.mean() for contender in contenders])
    assert all(low < high for low, high in zip(profit["low"], profit["high"], strict=True))
    assert {"Vega rms", "Greatest drawdown"} <= {risk["name"] for risk in data["risks"]}


def test_makers_of_different_markets_are_not_compared(contenders: Contenders) -> None:
    contenders[1].trials[0].summary["run"]["to_ns"] += 1
    compare.comparison(ranked(contenders))  # an answer may come after the last event of the market
    contenders[1].trials[0].summary["run"]["from_ns"] += 1
    with pytest.raises(BadInputError, match="the same markets, over the same span"):
        compare.comparison(ranked(contenders))


def test_it_takes_two_makers_of_different_names(contenders: Contenders) -> None:
    with pytest.raises(BadInputError, match="two makers or more, not 1"):
        compare.comparison(ranked(contenders[:1]))
    with pytest.raises(BadInputError, match="one comes twice"):
        compare.comparison_table(*with_intervals([contenders[0], contenders[0]]))


def test_fill_models_stand_side_by_side_and_what_was_chosen_is_told(contenders: Contenders) -> None:
    both = ranked(contenders, "queue", "pessimistic")
    chosen = [
        compare.Choice("queue", each.label, "2025-04-03/2025-04-04", {"quoting.size_coin": "2"}, 1.5)
        for each in contenders
    ]
    document = compare.comparison(both, chosen)
    assert list(document["fill_models"]) == ["queue", "pessimistic"]
    assert document["fill_models"]["queue"]["intervals"] == document["intervals"]
    assert [made["changes"] for made in document["walk_forward"]] == 3 * [{"quoting.size_coin": "2"}]
    page = compare.render_comparison(both, chosen)
    assert "Fill models side by side" in page
    assert "size_coin 2" in page
    alone = compare.render_comparison(ranked(contenders))
    assert "Fill models side by side" not in alone
    assert "walking forward" not in alone
