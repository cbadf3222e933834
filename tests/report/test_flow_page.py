import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from flatbook.market.flow.buckets import FlowBuckets
from flatbook.market.flow.intensities import IntensityModel
from flatbook.market.flow.order_flow import FlowModel, OrderFlow
from flatbook.report.flow_charts import FlowHistory, FlowView
from flatbook.report.flow_page import TABLE_ROWS, render_flow
from tests.market_flow.drawn import DrawnFlow, drawn_flow

MODEL = FlowModel(intensities=IntensityModel(belief_arrivals=2e4), vpin_bucket_coin=2.0)


@pytest.fixture(scope="module")
def drawn() -> DrawnFlow:
    return drawn_flow(1, 4.0, MODEL)


@pytest.fixture(scope="module")
def html(drawn: DrawnFlow) -> str:
    history = FlowHistory(drawn.ts_ns, drawn.vpin, drawn.activity)
    return render_flow(FlowView.of(drawn.flow), history, "a <market>")


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    parsed: dict[str, Any] = json.loads(found.group(1))
    return parsed


def body_of(html: str) -> str:
    """The page without its scripts."""
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_the_page_stands_alone_and_escapes_what_it_shows(html: str) -> None:
    body = body_of(html)
    assert "a &lt;market&gt;" in body
    assert "<market>" not in body
    assert not re.search(r"\b(src|href)=\"https?:", body)


def test_every_place_that_the_script_draws_in_is_there(html: str) -> None:
    body = body_of(html)
    for name in ("rate", "heat", "markout", "vpin", "activity", "tenor-picks", "side-picks", "map-picks",
                 "measure-picks", "group-picks"):  # fmt: skip
        assert body.count(f'id="{name}"') == 1


def test_rates_are_counts_over_exposure_and_the_fit_is_a_line_in_logs(drawn: DrawnFlow, html: str) -> None:
    view, buckets = FlowView.of(drawn.flow), MODEL.buckets
    entry = data_of(html)["rates"][1]
    assert entry["tenor"] == "1–2 d"
    for side, curves in enumerate(entry["sides"]):
        for curve in curves:
            bucket = next(b for b in range(buckets.count) if buckets.name(b) == f"1–2 d {curve['name']}")
            node = 2 * bucket + side
            days = view.evidence.exposure[node] * 365
            assert curve["rate"][0] == pytest.approx(view.evidence.arrivals[node] / days, rel=1e-3)
            assert all(
                low < rate < high for low, rate, high in zip(curve["low"], curve["rate"], curve["high"], strict=True)
            )
            assert curve["fit"][0] == pytest.approx(view.estimates.arrivals_per_year[bucket, side] / 365, rel=1e-3)
            falls = -np.diff(np.log(curve["fit"])) / np.diff(curve["at"])
            np.testing.assert_allclose(falls, view.estimates.decay[bucket, side], rtol=5e-3)


def test_the_fit_lies_within_the_bars_of_what_came(html: str) -> None:
    """Of points that are cumulative, two errors either side: most of them, and of the first nearly all."""
    curves = [curve for entry in data_of(html)["rates"] for curves in entry["sides"] for curve in curves]
    first = [
        curve["low"][0] < curve["fit"][0] < curve["high"][0]
        for curve in curves
        if curve["rate"] and curve["depth"][0] == 0
    ]
    assert len(first) > 30
    assert np.mean(first) > 0.9


def test_markouts_start_at_the_edge_and_have_an_error_at_each_horizon(html: str) -> None:
    data = data_of(html)
    horizons = data["horizons"]
    assert horizons == [0, 1, 10, 60, 600, 3600]
    units = data["markouts"][0]["groups"]
    assert [group["name"] for group in units] == ["All", "By size and side", "By tenor", "By bucket"]
    (whole,) = units[0]["curves"]
    assert whole["mean"][0] == pytest.approx(whole["mean"][1], abs=0.05)
    assert whole["mean"][3] < whole["mean"][0] - 0.1, "the informed have known by the minute"
    assert len(whole["error"]) == len(horizons)
    vol = data["markouts"][2]["groups"][0]["curves"][0]
    assert vol["mean"] == [0.0] * 6, "vol stood still"


def test_the_map_has_every_bucket_once(html: str) -> None:
    maps = data_of(html)["maps"]
    assert len(maps["tenors"]) == 9
    assert len(set(maps["strikes"])) == 14
    assert maps["strikes"][0] == "put >2.5"
    assert maps["strikes"][-1] == "call >2.5"
    assert all(np.array(rows).shape == (9, 14) for rows in maps["measures"].values())


def test_the_table_says_what_each_estimate_rests_on(html: str) -> None:
    body = body_of(html)
    assert body.count("<tr>") == TABLE_ROWS + 1
    assert "own evidence, shrunk towards the pool" in body


@pytest.mark.parametrize("history", [FlowHistory([], [], []), FlowHistory([10**18], [float("nan")], [1.0])])
def test_nothing_seen_is_a_page_all_the_same(history: FlowHistory) -> None:
    small = FlowModel(buckets=FlowBuckets(tenor_edges_days=(7.0,), otm_edges=()))
    flow = OrderFlow(small)
    flow.advance(10**18)
    body = body_of(render_flow(FlowView.of(flow), history, "nowhere"))
    assert "no option of the bucket was watched" in body
    assert "nan" not in body.lower().replace("nanosecond", "")


def test_the_same_flow_gives_the_same_page(drawn: DrawnFlow, html: str) -> None:
    columns: tuple[Sequence[int], Sequence[float], Sequence[float]] = (drawn.ts_ns, drawn.vpin, drawn.activity)
    assert render_flow(FlowView.of(drawn.flow), FlowHistory(*columns), "a <market>") == html
