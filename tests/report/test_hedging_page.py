import json
import re
from typing import Any

from flatbook.report.bootstrap import Interval
from flatbook.report.hedging_page import (
    FeedbackRow,
    FeedbackRun,
    FrontierCurve,
    FrontierMarket,
    FrontierPoint,
    render_hedging,
)


def near(value: float, error: float) -> Interval:
    return Interval(value, value - error, value + error)


def point(cost: float, removed: float, excess: Interval | None = None) -> FrontierPoint:
    return FrontierPoint(1e-6, near(cost, 10.0), near(1_000.0, 50.0), near(removed, 0.01), 12.5, excess)


MARKETS = [
    FrontierMarket(
        "A <market>",
        "What it was.",
        (
            FrontierCurve("timer", "hours", True, (point(900.0, 0.9), point(300.0, 0.6))),
            FrontierCurve(
                "price of risk",
                "risk aversion",
                False,
                (
                    point(700.0, 0.95, near(-0.05, 0.01)),
                    point(200.0, 0.7, near(0.03, 0.02)),
                    point(1.0, 0.02),
                    point(400.0, 0.8, near(0.0, 0.01)),
                ),
            ),
        ),
    )
]
RUNS = [FeedbackRun("gain 1.1", [0.0, 2.0], [0.0, 1.0], [0.0, 5.0], "waits")]
ROWS = [FeedbackRow("all of it lasts", 0.5, False, 3.9, 4.0), FeedbackRow("all of it lasts", 1.1, True, 60.0, None)]


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    parsed: dict[str, Any] = json.loads(found.group(1))
    return parsed


def body_of(html: str) -> str:
    """The page without its scripts."""
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_the_page_stands_alone_and_escapes_what_it_shows() -> None:
    html = render_hedging(MARKETS, RUNS, ROWS)
    assert "A &lt;market&gt;" in html
    assert 'id="frontier-0"' in html
    assert 'id="feedback-price"' in html
    assert "http" not in body_of(html)
    assert html == render_hedging(MARKETS, RUNS, ROWS)


def test_curves_are_drawn_by_rising_cost_without_what_removes_nearly_nothing() -> None:
    timer, ours = data_of(render_hedging(MARKETS, [], []))["markets"][0]
    assert [cost[0] for cost in timer["cost"]] == [300.0, 900.0]
    assert [cost[0] for cost in ours["cost"]] == [200.0, 400.0, 700.0]
    assert ours["left"] == [1 - 0.7, 1 - 0.8, 1 - 0.95]
    assert all(low < left < high for low, left, high in zip(ours["least"], ours["left"], ours["most"], strict=True))


def test_only_what_is_sure_is_coloured() -> None:
    html = render_hedging(MARKETS, [], [])
    assert '<span class="gain">−5.0 % (−6.0 to −4.0)</span>' in html
    assert '<span class="loss">+3.0 % (+1.0 to +5.0)</span>' in html
    assert ">+0.0 % (−1.0 to +1.0)</td>" in html
    assert "feedback" not in body_of(html)


def test_feedback_is_told_in_numbers_too() -> None:
    html = render_hedging([], RUNS, ROWS)
    assert "<td>3.90</td><td>4.00</td>" in html
    assert "<td>60.00</td><td>–</td>" in html
    assert data_of(html)["feedback"][0]["price_bp"] == [0.0, 5.0]
