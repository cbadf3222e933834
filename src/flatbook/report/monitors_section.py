"""Monitors as a table: a row a number, and for each horizon what it came to beside its threshold."""

from flatbook.report import formats
from flatbook.report.markup import Cell, Column, Html, section, table, tag
from flatbook.report.summary import Summary

HORIZONS = ("minute", "hour", "day")


def monitors_section(summary: Summary) -> Html:
    """What was watched; nothing where nothing was."""
    monitors = summary["monitors"]
    by_name: dict[str, dict[str, Summary]] = {}
    for reading in monitors["readings"]:
        by_name.setdefault(reading["name"], {})[reading["horizon"]] = reading
    seen = {name: of for name, of in by_name.items() if any(reading["value"] is not None for reading in of.values())}
    if not seen:
        return Html("")
    columns = (
        Column("Watched", is_number=False),
        Column("unit", is_number=False),
        *(Column(f"last {horizon}", "threshold, age") for horizon in HORIZONS),
        Column("usual", "over a minute"),
        Column("alarms"),
    )
    rows = [_row(name, of) for name, of in seen.items()]
    allowed = formats.number(monitors["false_alarms_per_week"], 1)
    note = (
        "What each number came to in the last whole minute, hour and day of the run, and the threshold that its own "
        f"past sets for an alarm: {allowed} false alarms a week are allowed to all of them together. "
        f"{monitors['alarms']} began in this run; the log has them."
    )
    return section("monitors", "Monitors", note, table(columns, rows))


def _row(name: str, of: dict[str, Summary]) -> list[Cell]:
    first = next(iter(of.values()))
    alarms = sum(reading["alarms"] for reading in of.values())
    return [
        name,
        first["unit"],
        *(_cell(of[horizon]) for horizon in HORIZONS),
        formats.number(of["minute"]["usual"], _places(of["minute"]["usual"])),
        formats.number(alarms),
    ]


def _cell(reading: Summary) -> Html:
    value, threshold = reading["value"], reading["threshold"]
    shown = formats.number(value, _places(value))
    beside = "learning" if threshold is None else f"of {formats.number(threshold, _places(threshold))}"
    if reading["age_s"] is not None:
        beside += f", {formats.age(reading['age_s'])} old"
    css = "loss" if reading["state"] == "alarm" else ""
    return tag("span", tag("span", shown, css=css), Html("&#8239;"), tag("small", beside, css="quiet"))


def _places(value: float | None) -> int:
    """Three figures or so."""
    if value is None or abs(value) >= 100.0:
        return 0
    return 1 if abs(value) >= 10.0 else 3
