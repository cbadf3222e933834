"""The picture of one calibrated chain as one file that opens without network."""

from __future__ import annotations

from collections import Counter
from typing import Any

from flatbook.market.calibration.quotes import REASONS, USED
from flatbook.market.calibration.slices import Calibration
from flatbook.report import formats
from flatbook.report.assets import static
from flatbook.report.html import page
from flatbook.report.markup import Cell, Column, Html, figure, nothing, section, table, tag, tile
from flatbook.report.surface_data import surface_chart
from flatbook.report.surface_rows import Row, surface_document

_SMILES_NOTE = (
    "Bars span bid to ask in vol, a triangle is a side alone: down an ask, up a bid. The line is the fit, the dotted "
    "one the forward. Shown is what is quoted on both sides, to six standard deviations at most."
)
_SURFACE_NOTE = (
    "Vol by standard deviations from the forward and days, read between expiries so that forward variance is never "
    "negative. Lines are the slices. Drag to turn."
)
_CHECKS_NOTE = (
    "No butterfly: Durrleman's g, and with it the density, is nowhere negative. No calendar spread: total variance "
    "rises from each expiry to the next at every strike. Short expiries are light, long ones dark."
)
_TERM_NOTE = (
    "Vol at the forward with one standard error, the vol of each span between expiries, and what forwards carry."
)
_FORWARDS_NOTE = (
    "Each forward with one standard error, and the sources it is joined from with their shares; 0 % was thrown out."
)
_FIT_NOTE = (
    "Missed by: root mean square distance from the mids of all quotes on both sides within two standard deviations; "
    "against it half their median bid-ask. Risk reversal and butterfly at 25 delta. All vols in points."
)
_LEFT_OUT_NOTE = "Every row of the chain by what became of it; of the strikes that were used, some are not fitted."


def render_surface(calibration: Calibration, source: str) -> str:
    """The whole page of a calibration of the chain file `source`."""
    document = surface_document(calibration)
    rows: list[Row] = document["expiries"]
    body = (
        Html(f"<style>{static('surface.css')}</style>"),
        _header(document, source),
        _tiles(document),
        _smiles(rows),
        section("surface", "The surface", _SURFACE_NOTE, figure("grid", "Vol", "% per √year")),
        _checks(),
        _term(),
        section("forwards", "Forwards", _FORWARDS_NOTE, _forwards_table(rows)),
        section("fit", "Parameters and fit", _FIT_NOTE, _fit_table(rows)),
        section("left-out", "What was left out", _LEFT_OUT_NOTE, _left_out_table(rows)),
        tag(
            "footer",
            tag(
                "p",
                "Times are UTC, years have 365 days. SVI in total variance: w(k) = a + b (ρ (k − m) + ",
                Html("√((k − m)² + s²)), k = ln(strike / forward)."),
            ),
        ),
    )
    title = f"flatbook · {document['underlying']} surface"
    return page(title=title, body=Html("".join(body)), script="surface.js", data=surface_chart(calibration))


def _header(document: dict[str, Any], source: str) -> Html:
    links = ("smiles", "surface", "checks", "term", "forwards", "fit", "left-out")
    names = ("Smiles", "Surface", "Arbitrage checks", "Term structure", "Forwards", "Fit", "Left out")
    nav = tag("nav", *(Html(f'<a href="#{link}">{name}</a>') for link, name in zip(links, names, strict=True)))
    index = f" · index {formats.usd(document['index_usd'], 2)}" if document["index_usd"] else ""
    when = document["time"][:19].replace("T", " ")
    return tag(
        "header",
        tag("p", "flatbook", css="brand"),
        tag("h1", f"{document['underlying']} surface", tag("span", f" {source}", css="quiet")),
        tag("p", f"{when} UTC{index}", css="lead"),
        nav,
    )


def _tiles(document: dict[str, Any]) -> Html:
    rows: list[Row] = document["expiries"]
    aged = sum(row["status"] == "aged" for row in rows)
    missing = sum(row["status"] == "missing" for row in rows)
    held = document["arbitrage"]
    errors = sorted(row["forward_error_bp"] for row in rows if row["forward_error_bp"] is not None)
    error = formats.number(errors[len(errors) // 2], 1) if errors else formats.DASH
    used = sum(row["rows"].get(USED, 0) for row in rows)
    every = sum(sum(count for reason, count in row["rows"].items() if reason in REASONS) for row in rows)
    return tag(
        "div",
        tile(
            "Fitted",
            f"{document['fitted']} of {document['slices']}",
            f"expiries; besides {aged} aged, {missing} missing",
        ),
        tile("Arbitrage", "none" if not held else ", ".join(held), "butterflies and calendar spreads, wings included"),
        tile(
            "Missed by",
            f"{_points(document['rmse_vol'], 2)} vol pt",
            f"against {_points(document['half_spread_vol'], 2)}, half the bid-ask; medians of expiries",
        ),
        tile("Vol in 30 days", f"{_points(document['vol_30d'], 1)} %", "at the forward, between expiries"),
        tile("Forwards known to", f"{error} bp", "one standard error, median of expiries"),
        tile("Rows used", formats.number(used), f"of {formats.number(every)}; call and put of a strike are one quote"),
        css="tiles three",
    )


def _smiles(rows: list[Row]) -> Html:
    if not rows:
        return section("smiles", "Smiles", "", nothing("The chain holds no expiry that is still to come."))
    figures = (
        figure(f"smile-{at}", row["expiry"], f"{_days(row['days'])} · {_headline(row)}") for at, row in enumerate(rows)
    )
    return section("smiles", "Smiles over bid and ask", _SMILES_NOTE, tag("div", *figures, css="smiles"))


def _headline(row: Row) -> str:
    if row["status"] == "missing":
        return row["reason"] or "missing"
    level = f"{_points(row['atm_vol'], 1)} %"
    return level if row["status"] == "fitted" else f"{level} · {formats.age(row['age_s'])} old: {row['reason']}"


def _checks() -> Html:
    charts = (
        figure("density", "Density of ln(S/F)", "per standard deviation"),
        figure("g", "Durrleman's g", "by standard deviations; a butterfly where below 0"),
        figure("variance", "Total variance", "by ln(strike / forward); lines must not cross"),
        figure("rise", "Rise over the expiry before", "%, by standard deviations; a calendar spread where below 0"),
    )
    return section("checks", "Arbitrage checks", _CHECKS_NOTE, tag("div", *charts, css="pairs"))


def _term() -> Html:
    charts = (
        figure("term-vol", "Vol at the forward", "% per √year, by days"),
        figure("term-carry", "Carry of the forward", "% a year over the index, or else the nearest forward, by days"),
    )
    return section("term", "Term structure", _TERM_NOTE, tag("div", *charts, css="pairs"))


def _forwards_table(rows: list[Row]) -> Html:
    columns = (
        Column("Expiry", is_number=False),
        Column("Forward", "USD"),
        Column("Error", "bp"),
        Column("Sources, their error in bp and share", is_number=False),
    )
    return table(
        columns,
        [
            (
                row["expiry"],
                formats.number(row["forward_usd"], 2),
                formats.number(row["forward_error_bp"], 1),
                Html("".join(_source(source) for source in row["forward_sources"])) or formats.DASH,
            )
            for row in rows
        ],
    )


def _source(source: dict[str, Any]) -> Html:
    error = formats.number(source["error_bp"], 1)
    told = f"{source['name']} {formats.number(source['forward_usd'], 2)} ±{error} "
    share = tag("b", formats.share(source["weight"], 0))
    return tag("span", told, share, css="source" if source["weight"] else "source out")


def _fit_table(rows: list[Row]) -> Html:
    columns = (
        Column("Expiry", is_number=False),
        Column("a"),
        Column("b"),
        Column("ρ"),
        Column("m"),
        Column("s"),
        Column("ATM", "vol pt"),
        Column("Error", "vol pt"),
        Column("RR", "vol pt"),
        Column("BF", "vol pt"),
        Column("Missed by", "vol pt"),
        Column("½ bid-ask", "vol pt"),
        Column("Least g"),
        Column("Rise", "of variance"),
        Column("Status", is_number=False),
    )
    return table(columns, [_fit_cells(row) for row in rows], css="dense")


def _fit_cells(row: Row) -> list[Cell]:
    svi = row["svi"]
    return [
        row["expiry"],
        *(formats.number(svi[name], 5) for name in ("a", "b")),
        formats.number(svi["rho"], 3),
        *(formats.number(svi[name], 4) for name in ("m", "s")),
        *(
            _points(row[name], 2)
            for name in (
                "atm_vol",
                "error_vol",
                "risk_reversal_25_vol",
                "butterfly_25_vol",
                "rmse_vol",
                "half_spread_vol",
            )
        ),
        formats.number(row["least_g"], 4),
        formats.DASH if row["calendar_gap"] is None else f"{row['calendar_gap']:.1e}",
        tag("span", row["status"], css=f"status {row['status']}"),
    ]


def _left_out_table(rows: list[Row]) -> Html:
    reasons = list(Counter(reason for row in rows for reason in row["rows"]))
    if not reasons:
        return nothing("The chain holds no row.")
    reasons.sort(key=lambda reason: (reason != USED, -sum(row["rows"].get(reason, 0) for row in rows)))
    columns = (Column("Expiry", is_number=False), *(Column(reason) for reason in reasons))
    body = [[row["expiry"], *(_count(row["rows"].get(reason, 0)) for reason in reasons)] for row in rows]
    return table(columns, body, css="dense wrapped")


def _count(number: int) -> str:
    return f"{number:,}" if number else formats.DASH


def _points(vol: float | None, places: int) -> str:
    return formats.number(None if vol is None else 100.0 * vol, places)


def _days(days: float) -> str:
    return f"{days:.0f} d" if days >= 10 else f"{days:.1f} d" if days >= 1 else f"{24 * days:.1f} h"
