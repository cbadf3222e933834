"""Several runs side by side: one table, and profit against risk in one picture."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from flatbook.domain.errors import BadInputError
from flatbook.report import formats
from flatbook.report.html import page
from flatbook.report.markup import Column, Html, figure, section, table, tag, text
from flatbook.report.summary import Summary


class Measure(NamedTuple):
    """A row of the comparison: where it stands in a summary, how it reads, and which end is better (0: neither)."""

    name: str
    unit: str
    section: str
    key: str
    better: int = 0
    kind: str = "usd"

    def of(self, summary: Summary) -> float | None:
        """The run's value, None where it does not apply."""
        value: float | None = summary[self.section][self.key]
        return value

    def shown(self, value: float | None) -> str:
        """The value as people read it."""
        if self.kind == "share":
            return formats.share(value)
        if self.kind == "count":
            return formats.number(value)
        if self.kind == "vol_pt":
            return formats.number(value, 2)
        return formats.usd(value, signed=self.section == "pnl")


MEASURES = (
    Measure("Total P&L", "USD", "pnl", "total", 1),
    Measure("P&L std per hour", "USD", "risk", "pnl_std_per_hour", -1),
    Measure("Greatest drawdown", "USD", "risk", "max_drawdown", -1),
    Measure("Delta rms", "USD", "risk", "delta_rms", -1),
    Measure("Gamma rms", "USD per 1 %", "risk", "gamma_1pct_rms", -1),
    Measure("Vega rms", "USD per vol pt", "risk", "vega_rms", -1),
    Measure("Stress loss, worst", "USD", "risk", "stress_loss_max", -1),
    Measure("Limit breaches", "", "risk", "limit_breaches", -1, "count"),
    Measure("Spread earned", "USD", "pnl", "spread"),
    Measure("Adverse selection", "USD", "pnl", "adverse_selection"),
    Measure("Delta", "USD", "pnl", "delta"),
    Measure("Gamma", "USD", "pnl", "gamma"),
    Measure("Theta", "USD", "pnl", "theta"),
    Measure("Vega", "USD", "pnl", "vega"),
    Measure("Fees", "USD", "pnl", "fees"),
    Measure("Hedge cost", "USD", "pnl", "hedge_cost"),
    Measure("Unexplained", "USD", "pnl", "unexplained"),
    Measure("Fills", "", "flow", "fills", 0, "count"),
    Measure("Volume", "USD", "flow", "volume_usd"),
    Measure("Share of the tape", "", "flow", "fill_share", 0, "share"),
    Measure("Markout 1 h", "USD", "flow", "markout_1h"),
    Measure("Quoting", "of the time", "quotes", "uptime", 1, "share"),
    Measure("Half spread", "vol pt", "quotes", "median_half_spread_vol_pt", 0, "vol_pt"),
    Measure("Hedges", "", "hedges", "count", 0, "count"),
    Measure("Hedge volume", "USD", "hedges", "volume_usd"),
)
"""The rows, in order. Better is said only of what a maker wants more or less of by itself: profit, risk, presence."""

RISKS = tuple(
    measure for measure in MEASURES if measure.key in ("max_drawdown", "pnl_std_per_hour", "vega_rms", "delta_rms")
)


def labels(summaries: Sequence[Summary]) -> list[str]:
    """A short name for each run: its policy, or its id where two share a policy."""
    policies = [summary["run"]["policy"] for summary in summaries]
    return [
        policy if policies.count(policy) == 1 else summary["run"]["id"]
        for policy, summary in zip(policies, summaries, strict=True)
    ]


def best_run(measure: Measure, summaries: Sequence[Summary]) -> int | None:
    """Which run is best by `measure`; None where better means nothing, a value is missing, or all are equal."""
    values = [measure.of(summary) for summary in summaries]
    known = [value for value in values if value is not None]
    if measure.better == 0 or len(known) < len(values) or len(set(known)) == 1:
        return None
    return values.index(max(known) if measure.better > 0 else min(known))


def comparison(summaries: Sequence[Summary]) -> dict[str, Any]:
    """The comparison as data: the runs, and each measure's values in their order with the best run's name."""
    _check(summaries)
    names = labels(summaries)
    measures = []
    for measure in MEASURES:
        best = best_run(measure, summaries)
        measures.append(
            {
                "key": f"{measure.section}.{measure.key}",
                "unit": measure.unit,
                "values": {name: measure.of(summary) for name, summary in zip(names, summaries, strict=True)},
                "best": None if best is None else names[best],
            }
        )
    return {
        "runs": {name: summary["run"] for name, summary in zip(names, summaries, strict=True)},
        "measures": measures,
    }


def comparison_table(summaries: Sequence[Summary]) -> Table:
    """The comparison in a terminal; the best of a row is bold."""
    _check(summaries)
    grid = Table(box=None, header_style="bold", padding=(0, 1), pad_edge=False)
    grid.add_column("")
    grid.add_column("", style="dim")
    for name in labels(summaries):
        grid.add_column(name, justify="right")
    for measure in MEASURES:
        best = best_run(measure, summaries)
        shown = [measure.shown(measure.of(summary)) for summary in summaries]
        cells = [Text(value, "bold green" if number == best else "") for number, value in enumerate(shown)]
        grid.add_row(measure.name, measure.unit, *cells)
    return grid


def render_comparison(summaries: Sequence[Summary]) -> str:
    """The comparison as one self-contained page."""
    _check(summaries)
    names = labels(summaries)
    body = (
        tag(
            "header",
            tag("p", "flatbook", css="brand"),
            tag("h1", " · ".join(names)),
            tag("p", _market(summaries), css="lead"),
        ),
        section(
            "picture",
            "Profit against risk",
            "Up is more profit, left is less risk. Pick the measure of risk.",
            Html('<div class="controls" id="risk-picks" role="group" aria-label="risk"></div>'),
            figure("profit-risk", "Total P&L", "USD, against the risk picked"),
        ),
        section(
            "table",
            "Side by side",
            "The best of a row is marked where better means something.",
            _rows(names, summaries),
        ),
    )
    data = {
        "names": names,
        "pnl": [summary["pnl"]["total"] for summary in summaries],
        "risks": [{"name": risk.name, "unit": risk.unit, "values": [risk.of(s) for s in summaries]} for risk in RISKS],
    }
    return page(title=f"flatbook · {' · '.join(names)}", body=Html("".join(body)), script="compare.js", data=data)


def _market(summaries: Sequence[Summary]) -> str:
    """What the runs have in common; a comparison across markets says that it is one."""
    runs = [summary["run"] for summary in summaries]
    if len({(run["session"], run["seed"], run["from_ns"], run["to_ns"]) for run in runs}) > 1:
        return "Careful: these runs did not see the same market."
    market = runs[0]["session"] or "the simulated market"
    return f"{market}, {formats.moment(runs[0]['from_ns'])} – {formats.moment(runs[0]['to_ns'])} UTC"


def _rows(names: Sequence[str], summaries: Sequence[Summary]) -> Html:
    columns = (Column("Measure", is_number=False), *(Column(name) for name in names))
    rows = []
    for measure in MEASURES:
        best = best_run(measure, summaries)
        shown = [measure.shown(measure.of(summary)) for summary in summaries]
        cells = [tag("b", value, css="gain") if number == best else text(value) for number, value in enumerate(shown)]
        rows.append((Html(f"{text(measure.name)} {tag('small', measure.unit)}"), *cells))
    return table(columns, rows)


def _check(summaries: Sequence[Summary]) -> None:
    if len(summaries) < 2:
        raise BadInputError(f"a comparison needs two runs or more, not {len(summaries)}; name another policy")
    ids = [summary["run"]["id"] for summary in summaries]
    if len(set(ids)) < len(ids):
        raise BadInputError(f"a comparison needs different runs, but an id comes twice: {', '.join(ids)}")
