"""Several makers side by side in the same markets: one table, and profit against risk in one picture."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from flatbook.report import formats
from flatbook.report.bootstrap import Interval
from flatbook.report.contenders import (
    BLOCK_HOURS,
    CONFIDENCE,
    DRAWS,
    ESTIMATES,
    MEASURES,
    RISKS,
    Contender,
    Intervals,
    best_of,
)
from flatbook.report.html import page
from flatbook.report.markup import Column, Html, figure, section, table, tag, text
from flatbook.report.summary import Summary


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


class Ranking(NamedTuple):
    """The contenders where fills are believed as one model has them, and what their hours say."""

    fills: str
    contenders: Sequence[Contender]
    found: Intervals


class Choice(NamedTuple):
    """What a contender was given for one window, by field, and its P&L a day over its std in the windows before."""

    fills: str
    label: str
    window: str
    changes: Mapping[str, str]
    pnl_per_risk: float


def comparison(rankings: Sequence[Ranking], choices: Sequence[Choice] = ()) -> dict[str, Any]:
    """The comparison under the first ranking's fills as data; under `fill_models` the same for each, if several."""
    _, contenders, found = rankings[0]
    document = _ranked(contenders, found)
    if len(rankings) > 1:
        document["fill_models"] = {ranking.fills: _ranked(*ranking[1:]) for ranking in rankings}
    if choices:
        document["walk_forward"] = [
            choice._asdict() | {"pnl_per_risk": _known(choice.pnl_per_risk)} for choice in choices
        ]
    return document


def _ranked(contenders: Sequence[Contender], found: Intervals) -> dict[str, Any]:
    """Every run, each measure's mean by contender, and the intervals."""
    measures = []
    for measure in MEASURES:
        best = best_of(measure, contenders)
        measures.append(
            {
                "key": f"{measure.section}.{measure.key}",
                "unit": measure.unit,
                "values": {contender.label: measure.of(contender) for contender in contenders},
                "best": None if best is None else contenders[best].label,
            }
        )
    return {
        "runs": dict(_runs(contenders)),
        "markets": [trial.market for trial in contenders[0].trials],
        "measures": measures,
        "intervals": {
            "confidence": CONFIDENCE,
            "draws": DRAWS,
            "block_hours": BLOCK_HOURS,
            "hours": found.hours,
            "of": {c.label: _plain(own) for c, own in zip(contenders, found.own, strict=True)},
            "against": contenders[0].label,
            "over": {c.label: _plain(over) for c, over in zip(contenders, found.over_first, strict=True)},
        },
    }


def _runs(contenders: Sequence[Contender]) -> Iterator[tuple[str, Summary]]:
    """Every run by its contender, and by its market where there are several."""
    for contender in contenders:
        for trial in contender.trials:
            several = len(contender.trials) > 1
            yield f"{contender.label}, {trial.market}" if several else contender.label, trial.summary["run"]


def _plain(found: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    return {key: {name: _known(value) for name, value in interval._asdict().items()} for key, interval in found.items()}


class Line(NamedTuple):
    """A row of the table: its name, its unit, a cell each, and whose is best."""

    name: str
    unit: str
    cells: tuple[str, ...]
    best: int | None = None


def lines(contenders: Sequence[Contender], found: Intervals) -> list[Line]:
    """The table: what was measured, then what the hours say of it."""
    rows = [
        Line(
            measure.name,
            measure.unit,
            tuple(measure.shown(measure.of(contender)) for contender in contenders),
            best_of(measure, contenders),
        )
        for measure in MEASURES
    ]
    unit = f"{CONFIDENCE:.0%} interval"
    rows += [Line(made.name, unit, tuple(made.shown(own[made.key]) for own in found.own)) for made in ESTIMATES]
    for made in ESTIMATES:
        over = (formats.DASH, *(made.shown(over[made.key], is_difference=True) for over in found.over_first[1:]))
        rows.append(Line(f"… over {contenders[0].label}: {made.name}", unit, over))
    return rows


def side_by_side(rankings: Sequence[Ranking]) -> list[Line]:
    """What the hours say of each contender under every fill model."""
    rows = []
    for made in ESTIMATES:
        for ranking in rankings:
            cells = tuple(made.shown(own[made.key]) for own in ranking.found.own)
            rows.append(Line(made.name, f"{ranking.fills} fills", cells))
    return rows


def choices_made(choices: Sequence[Choice], labels: Sequence[str]) -> list[Line]:
    """What was chosen for each window, a row each, by contender; under every fill model that was run."""
    rows = []
    for fills, window in dict.fromkeys((choice.fills, choice.window) for choice in choices):
        of = {choice.label: choice for choice in choices if (choice.fills, choice.window) == (fills, window)}
        rows.append(Line(window, f"{fills} fills", tuple(_changed(of[label]) for label in labels)))
    return rows


def _changed(choice: Choice) -> str:
    return ", ".join(f"{field.split('.')[-1]} {value}" for field, value in choice.changes.items())


def comparison_table(contenders: Sequence[Contender], found: Intervals) -> Table:
    """The comparison in a terminal; the best of a row is bold."""
    return table_of(lines(contenders, found), [contender.label for contender in contenders])


def table_of(rows: Sequence[Line], labels: Sequence[str]) -> Table:
    """Lines of any comparison in a terminal."""
    grid = Table(box=None, header_style="bold", padding=(0, 1), pad_edge=False)
    grid.add_column("")
    grid.add_column("", style="dim")
    for label in labels:
        grid.add_column(label, justify="right")
    for line in rows:
        cells = [Text(cell, "bold green" if number == line.best else "") for number, cell in enumerate(line.cells)]
        grid.add_row(line.name, line.unit, *cells)
    return grid


def render_comparison(rankings: Sequence[Ranking], choices: Sequence[Choice] = ()) -> str:
    """The comparison under the first ranking's fills as one self-contained page, with what the others make of it."""
    _, contenders, found = rankings[0]
    names = [contender.label for contender in contenders]
    body = (
        tag(
            "header",
            tag("p", "flatbook", css="brand"),
            tag("h1", " · ".join(names)),
            tag("p", _markets(contenders), css="lead"),
        ),
        section(
            "picture",
            "Profit against risk",
            f"Up is more profit, left is less risk; bars are {CONFIDENCE:.0%} intervals. Pick the measure of risk.",
            Html('<div class="controls" id="risk-picks" role="group" aria-label="risk"></div>'),
            figure("profit-risk", "P&L", "USD, against the risk picked"),
        ),
        section(
            "table",
            "Side by side",
            "Means over the markets. The best of a row is marked where better means something.",
            _rows(names, lines(contenders, found)),
        ),
        *_further(names, rankings, choices),
    )
    data = {"names": names, "profit": _profit(contenders, found), "risks": _risks(contenders, found)}
    return page(title=f"flatbook · {' · '.join(names)}", body=Html("".join(body)), script="compare.js", data=data)


def _further(names: Sequence[str], rankings: Sequence[Ranking], choices: Sequence[Choice]) -> Iterator[Html]:
    if len(rankings) > 1:
        yield section(
            "fills",
            "Fill models side by side",
            "A tape does not say whether our quote would have been hit: each model is a run of its own, whose fills "
            "the maker lived with. The truth lies between optimistic and pessimistic.",
            _rows(names, side_by_side(rankings)),
        )
    if choices:
        yield section(
            "walk-forward",
            "Chosen walking forward",
            "Each window is traded with what was best, by P&L over risk, in the windows before it alone.",
            _rows(names, choices_made(choices, names)),
        )


def _profit(contenders: Sequence[Contender], found: Intervals) -> dict[str, Any]:
    """P&L a day with its bounds; the total where the runs are too short for that."""
    if found.hours < 2:
        return {"name": "Total P&L", "values": [MEASURES[0].of(contender) for contender in contenders]}
    return {"name": "P&L a day"} | _bars([own["pnl_usd_per_day"] for own in found.own])


def _risks(contenders: Sequence[Contender], found: Intervals) -> list[dict[str, Any]]:
    drawn = []
    for risk in RISKS:
        values: dict[str, Any] = {"values": [risk.of(contender) for contender in contenders]}
        if risk.key == "pnl_std_per_hour" and found.hours >= 2:
            values = _bars([own["pnl_std_usd_per_hour"] for own in found.own])
        drawn.append({"name": risk.name, "unit": risk.unit} | values)
    return drawn


def _bars(found: Sequence[Interval]) -> dict[str, Any]:
    return {"values": [i.value for i in found], "low": [i.low for i in found], "high": [i.high for i in found]}


def _markets(contenders: Sequence[Contender]) -> str:
    """The markets they were in, with the span."""
    said = []
    for trial in contenders[0].trials:
        run = trial.summary["run"]
        said.append(f"{trial.market}, {formats.moment(run['from_ns'])} – {formats.moment(run['to_ns'])} UTC")
    return said[0] if len(said) == 1 else f"{len(said)} markets: {'; '.join(said)}"


def _rows(names: Sequence[str], rows: Sequence[Line]) -> Html:
    columns = (Column("Measure", is_number=False), *(Column(name) for name in names))
    drawn = []
    for line in rows:
        cells = [
            tag("b", cell, css="gain") if number == line.best else text(cell) for number, cell in enumerate(line.cells)
        ]
        drawn.append((Html(f"{text(line.name)} {tag('small', line.unit)}"), *cells))
    return table(columns, drawn)
