import copy
import io
import json
import re
from typing import Any

import pytest
from rich.console import Console

from flatbook.domain.errors import BadInputError
from flatbook.report.assets import plotly_js
from flatbook.report.compare import MEASURES, best_run, comparison, comparison_table, labels, render_comparison
from flatbook.report.facts import RunFacts
from flatbook.report.summary import summarise
from flatbook.report.tables import Tables

Summaries = list[dict[str, Any]]


@pytest.fixture
def summaries(tables: Tables, facts: RunFacts) -> Summaries:
    """Three policies: the second earns most, the third risks least."""
    out = []
    for policy, pnl, vega in (
        ("primitive", -2_000.0, 9_000.0),
        ("intermediate", 7_000.0, 4_000.0),
        ("advanced", 5_000.0, 800.0),
    ):
        summary = copy.deepcopy(summarise(tables, facts))
        summary["run"] |= {"policy": policy, "id": f"run-{policy}"}
        summary["pnl"]["total"], summary["risk"]["vega_rms"] = pnl, vega
        out.append(summary)
    return out


def test_every_measure_is_a_number_of_the_summary(summaries: Summaries) -> None:
    assert all(isinstance(measure.of(summaries[0]), (int, float)) for measure in MEASURES)


def test_best_is_most_profit_and_least_risk(summaries: Summaries) -> None:
    best = {row["key"]: row["best"] for row in comparison(summaries)["measures"]}
    assert best["pnl.total"] == "intermediate"
    assert best["risk.vega_rms"] == "advanced"
    assert best["flow.fills"] is None
    assert best["risk.max_drawdown"] is None, "all are equal"


def test_a_missing_value_has_no_best(summaries: Summaries) -> None:
    summaries[0]["pnl"]["total"] = None
    assert best_run(MEASURES[0], summaries) is None
    assert "–" in render_comparison(summaries)


def test_the_same_policy_twice_is_told_apart_by_id(summaries: Summaries) -> None:
    summaries[2]["run"]["policy"] = "primitive"
    assert labels(summaries) == ["run-primitive", "intermediate", "run-advanced"]


def test_the_table_has_a_row_a_measure_and_marks_the_best(summaries: Summaries) -> None:
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=True, color_system="standard").print(comparison_table(summaries))
    lines = out.getvalue().splitlines()
    assert len(lines) == len(MEASURES) + 1
    assert re.search(r"\x1b\[1;32m *\+\$7,000", lines[1])


def test_the_page_draws_each_run_and_loads_nothing(summaries: Summaries) -> None:
    page = render_comparison(summaries)
    own = page.replace(plotly_js(), "")
    assert "http" not in own
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert data["names"] == ["primitive", "intermediate", "advanced"]
    assert data["pnl"] == [-2_000.0, 7_000.0, 5_000.0]
    assert {"Vega rms", "Greatest drawdown"} <= {risk["name"] for risk in data["risks"]}


def test_runs_of_different_markets_are_not_called_the_same(summaries: Summaries) -> None:
    assert "did not see the same market" not in render_comparison(summaries)
    summaries[1]["run"]["to_ns"] += 1
    assert "did not see the same market" in render_comparison(summaries)


def test_it_takes_two_different_runs(summaries: Summaries) -> None:
    with pytest.raises(BadInputError, match="two runs or more, not 1"):
        comparison(summaries[:1])
    with pytest.raises(BadInputError, match="an id comes twice"):
        comparison_table([summaries[0], summaries[0]])
