"""How hedging rules compare: a page of cost against risk, one picture a market, and of hedging that feeds itself."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from flatbook.report import formats
from flatbook.report.bootstrap import Interval
from flatbook.report.html import page
from flatbook.report.markup import Column, Html, figure, section, table, tag, text


class FrontierPoint(NamedTuple):
    """A rule at one value of its parameter.

    cost_usd_per_day, deviation_usd_per_hour    what it paid, and what risk it left, in P&L before costs
    variance_removed    of what the book has unhedged
    excess_risk         its risk over the least of the classical rules at its cost, less one; None beyond their range
    """

    value: float
    cost_usd_per_day: Interval
    deviation_usd_per_hour: Interval
    variance_removed: Interval
    trades_per_day: float
    excess_risk: Interval | None


class FrontierCurve(NamedTuple):
    """A rule over its parameter; `is_classical` where it is one of those that make up the frontier."""

    rule: str
    parameter: str
    is_classical: bool
    points: tuple[FrontierPoint, ...]


class FrontierMarket(NamedTuple):
    """One market that rules were run through, and what it was."""

    name: str
    note: str
    curves: tuple[FrontierCurve, ...]


class FeedbackRun(NamedTuple):
    """A book hedged in a market that answers: its price by the second, beside what it would have been by itself."""

    name: str
    seconds: Sequence[float]
    market_bp: Sequence[float]
    price_bp: Sequence[float]
    says: str


class FeedbackRow(NamedTuple):
    """How hedging at a loop gain changed the price's variance: as measured, and as it should be where that is known."""

    name: str
    gain: float
    guarded: bool
    variance_ratio: float
    expected_ratio: float | None


def render_hedging(markets: Sequence[FrontierMarket], runs: Sequence[FeedbackRun], rows: Sequence[FeedbackRow]) -> str:
    """The whole page, deterministic in its arguments."""
    header = tag(
        "header",
        tag("p", "flatbook", css="brand"),
        tag("h1", "Hedging: cost against risk"),
        tag(
            "p",
            "Each curve is one rule over its parameter; up and left is better. Risk is the variance of hourly P&L "
            "before costs, of the whole book, vega included. Intervals are of 95 %, from resampling paths; all rules "
            "meet the same ones.",
            css="lead",
        ),
    )
    body = [header, *(_market(number, market) for number, market in enumerate(markets))]
    if runs:
        body.append(_feedback(rows))
    return page(
        title="flatbook · hedging",
        body=Html("".join(body)),
        script="hedging.js",
        data={"markets": [_chart(market) for market in markets], "feedback": [run._asdict() for run in runs]},
    )


_LEAST_REMOVED = 0.1
"""Points that remove less of the variance are in the table and not in the picture, which they would squeeze."""


def _chart(market: FrontierMarket) -> list[dict[str, Any]]:
    """A market's curves as the script draws them, points by rising cost."""
    out = []
    for curve in market.curves:
        drawn = [point for point in curve.points if point.variance_removed.value > _LEAST_REMOVED]
        drawn.sort(key=lambda point: point.cost_usd_per_day.value)
        out.append(
            {
                "rule": curve.rule,
                "parameter": curve.parameter,
                "classical": curve.is_classical,
                "value": [point.value for point in drawn],
                "cost": [point.cost_usd_per_day for point in drawn],
                "left": [1.0 - point.variance_removed.value for point in drawn],
                "least": [1.0 - point.variance_removed.high for point in drawn],
                "most": [1.0 - point.variance_removed.low for point in drawn],
                "deviation": [point.deviation_usd_per_hour.value for point in drawn],
                "trades": [point.trades_per_day for point in drawn],
            }
        )
    return out


def _market(number: int, market: FrontierMarket) -> Html:
    return section(
        f"market-{number}",
        market.name,
        market.note,
        figure(f"frontier-{number}", "Variance removed", "of the unhedged book's, against USD a day paid for it"),
        tag("h3", "Against the frontier of the classical rules"),
        _verdicts(market),
    )


def _verdicts(market: FrontierMarket) -> Html:
    columns = (
        Column("Rule", is_number=False),
        Column("Parameter", is_number=False),
        Column("Cost", "USD a day"),
        Column("Trades", "a day"),
        Column("Variance removed"),
        Column("Risk left", "USD an hour"),
        Column("Risk over the frontier's", "at the same cost"),
    )
    rows = [
        (
            curve.rule if number == 0 else "",
            f"{curve.parameter} {point.value:.3g}",
            formats.usd(point.cost_usd_per_day.value),
            formats.number(point.trades_per_day, 1),
            formats.share(point.variance_removed.value, 2),
            formats.usd(point.deviation_usd_per_hour.value),
            _excess(point.excess_risk),
        )
        for curve in market.curves
        if not curve.is_classical
        for number, point in enumerate(curve.points)
    ]
    return table(columns, rows)


def _excess(excess: Interval | None) -> Html:
    """Green where it is surely beyond the frontier, red where it is surely short of it."""
    if excess is None:
        return text(formats.DASH)
    tone = "gain" if excess.high < 0 else "loss" if excess.low > 0 else ""
    shown = f"{100 * excess.value:+.1f} % ({100 * excess.low:+.1f} to {100 * excess.high:+.1f})".replace("-", "−")
    return tag("span", shown, css=tone) if tone else text(shown)


def _feedback(rows: Sequence[FeedbackRow]) -> Html:
    columns = (
        Column("Market", is_number=False),
        Column("Loop gain"),
        Column("Guard", is_number=False),
        Column("Variance of the price", "over its own"),
        Column("Expected", "1 / (1 − lasting gain)²"),
    )
    cells = [
        (
            row.name,
            formats.number(row.gain, 2),
            "on" if row.guarded else "off",
            formats.number(row.variance_ratio, 2),
            formats.number(row.expected_ratio, 2),
        )
        for row in rows
    ]
    return section(
        "feedback",
        "Hedging that moves the market it hedges in",
        "A short-gamma book buys as the price rises, and buying moves the price. Below a loop gain of one a move is "
        "amplified; from one on it feeds itself until the gamma is used up. The guard waits until a clip's impact has "
        "faded.",
        figure("feedback-price", "Price", "basis points from the start; dotted, the market without us"),
        Html('<p class="note" id="feedback-says"></p>'),
        table(columns, cells),
    )
