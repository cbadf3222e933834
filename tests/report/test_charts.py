import pytest

from flatbook.domain.units import NS_PER_MINUTE
from flatbook.report.charts import best_and_worst, chart_data, fill_outcomes, hedge_reasons, stage_spans
from flatbook.report.tables import PARTS, EquityRow, Tables


def test_stage_spans_join_rows_of_one_stage() -> None:
    tables = Tables()
    for minute, stage in enumerate(("normal", "normal", "widen", "flat", "flat", "normal")):
        tables.equity.append(EquityRow.of(minute * NS_PER_MINUTE, 1.0, {}, stage))
    spans = [(span["stage"], span["from"], span["to"]) for span in stage_spans(tables.frames()["equity"])]
    assert spans == [
        ("normal", 0, 120_000),
        ("widen", 120_000, 180_000),
        ("flat", 180_000, 300_000),
        ("normal", 300_000, 300_000),
    ]


def test_thinned_parts_still_sum_to_equity(tables: Tables) -> None:
    chart = chart_data(tables.frames())["equity"]
    sums = [sum(values) for values in zip(*(chart["parts"][name] for name in PARTS), strict=True)]
    assert len(sums) < 2_000
    assert sums == pytest.approx(chart["equity"], abs=0.1)


def test_every_series_of_a_chart_has_the_length_of_its_times(tables: Tables) -> None:
    data = chart_data(tables.frames())
    charts = [data["equity"], data["exposures"], data["hedges"], *data["quotes"], *(q["fills"] for q in data["quotes"])]
    for chart in charts:
        lengths = {len(values) for values in chart.values() if isinstance(values, list)}
        assert lengths == {len(chart["t"])}


def test_a_gap_in_our_quotes_is_still_a_gap_when_thinned(tables: Tables) -> None:
    quote = chart_data(tables.frames())["quotes"][0]
    assert any(bid != bid for bid in quote["bid"])


def test_the_outcome_is_the_longest_known_markout_less_the_fee(tables: Tables) -> None:
    for fill in fill_outcomes(tables.frames()["fills"]).iter_rows(named=True):
        column = {"1 h": "markout_1h_usd", "10 min": "markout_10m_usd", "1 min": "markout_1m_usd", "fill": "edge_usd"}
        assert fill["outcome_usd"] == pytest.approx(fill[column[fill["judged_at"]]] - fill["fee_usd"])
        assert (fill["judged_at"] == "1 h") == (fill["markout_1h_usd"] == fill["markout_1h_usd"])


@pytest.mark.parametrize(("count", "best", "worst"), [(0, 0, 0), (1, 1, 0), (7, 4, 3), (20, 10, 10), (600, 10, 10)])
def test_no_fill_is_both_best_and_worst(tables: Tables, count: int, best: int, worst: int) -> None:
    fills = tables.frames()["fills"].head(count)
    top, bottom = best_and_worst(fills)
    assert (top.height, bottom.height) == (best, worst)
    assert not set(top["trade_id"]) & set(bottom["trade_id"])
    if worst:
        outcomes = fill_outcomes(fills)["outcome_usd"]
        assert top["outcome_usd"][0] == outcomes.max()
        assert bottom["outcome_usd"][0] == outcomes.min()


def test_hedge_reasons_add_up(tables: Tables) -> None:
    hedges = tables.frames()["hedges"]
    reasons = hedge_reasons(hedges)
    assert reasons["count"].sum() == hedges.height
    assert reasons["size_usd"].sum() == pytest.approx(hedges["size_usd"].sum())
    assert reasons["size_usd"].is_sorted(descending=True)
