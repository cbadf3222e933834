"""The picture of a stressed book as one file that opens without network."""

from __future__ import annotations

from typing import Any

from flatbook.report import formats
from flatbook.report.crises_page import crises_section
from flatbook.report.html import page
from flatbook.report.markup import Cell, Column, Html, figure, nothing, section, table, tag, tile, toned
from flatbook.report.stress_text import break_words, limit_words, shock_words

Document = dict[str, Any]

_GRID_NOTE = (
    "P&L of positions and balances where spot and all vols have moved at once and so many days have passed, every "
    "option revalued on the moved smile: a strike keeps its vol when spot moves. Pick the days above the picture."
)
_LADDER_NOTE = "The same along spot, a line for each move of vols, at once."
_SCENARIOS_NOTE = (
    "From the worst. Markets: revaluation. Venue: what a lost venue owed. Money: what the balances' currencies did. "
    "The set is data with a date; a file of one's own takes its place."
)
_REVERSE_NOTE = (
    "The smallest move that loses so much, found by walking outwards along every direction and revaluing the book at "
    "each step. Alone: in the axis' own deviations of a day; together: by distance under Σ. All coins move alike."
)


def render_stress(document: Document, charts: Document, book: str) -> str:
    """The whole page, from a stressed book's document and what is drawn of it."""
    grid = figure("grid-chart", "P&L by spot and vol", "USD")
    days = Html('<div class="controls" id="grid-days" role="group" aria-label="days"></div>')
    body = [
        _header(document, book),
        _tiles(document),
        section("grid", "Spot and vol", _GRID_NOTE, days, grid),
        section("ladder", "Ladder", _LADDER_NOTE, figure("ladder-chart", "P&L by spot", "USD, a line a move of vols")),
        section(
            "scenarios",
            "Scenarios",
            _SCENARIOS_NOTE,
            figure("scenarios-chart", f"{document['set']['name']}, as of {document['set']['as_of']}", "USD"),
            _scenarios(document["scenarios"]),
        ),
        section(
            "worst",
            f"Who loses in the worst: {document['worst']['name']}",
            "",
            figure("positions-chart", "P&L by position", "USD, the largest losses first"),
        ),
        section("reverse", "What breaks it", _REVERSE_NOTE, _reverse(document["reverse"])),
        *((crises_section(document["crises"]),) if "crises" in document else ()),
        tag("footer", *(tag("p", note) for note in document["notes"])),
    ]
    return page(title=f"flatbook · stress of {book}", body=Html("".join(body)), script="stress.js", data=charts)


def _header(document: Document, book: str) -> Html:
    markets = " · ".join(
        f"{name} {formats.usd(market['index_usd'])} at {market['at'][:16].replace('T', ' ')} UTC"
        for name, market in document["market"]["underlyings"].items()
    )
    links = {
        "grid": "Grid",
        "ladder": "Ladder",
        "scenarios": "Scenarios",
        "worst": "The worst",
        "reverse": "What breaks it",
        **({"crises": "Crises"} if "crises" in document else {}),
    }
    return tag(
        "header",
        tag("p", "flatbook", css="brand"),
        tag("h1", "Stress", tag("span", f" of {book}", css="quiet")),
        tag(
            "p",
            f"{formats.usd(document['book']['value_usd'])} · {document['market']['source']} · {markets}",
            css="lead",
        ),
        tag("nav", *(Html(f'<a href="#{link}">{name}</a>') for link, name in links.items())),
    )


def _tiles(document: Document) -> Html:
    worst, reverse = document["worst"], document["reverse"]
    looked = {one["along"]: one for one in reverse["moves"]} if reverse["loss_usd"] is not None else {}
    note = f"{worst['name']}; {limit_words(document)}"
    tiles = [tile("Worst", toned(worst["pnl_usd"], formats.usd(worst["pnl_usd"])), note)]
    for along in ("spot down", "spot up", "together"):
        found = looked.get(along)
        if found is None:
            value, note = "–", "not looked for"
        elif found["deviations"] is None:
            value, note = "–", "nowhere found"
        else:
            value, note = f"{formats.number(found['deviations'], 1)} σ", break_words(found)
        tiles.append(tile(f"Breaks, {along}", value, note))
    return tag("div", *tiles, css="tiles")


def _scenarios(rows: list[Document]) -> Html:
    columns = (
        Column("Scenario", is_number=False),
        Column("P&L", "USD"),
        Column("Markets", "USD"),
        Column("Funding", "USD"),
        Column("Venue", "USD"),
        Column("Money", "USD"),
        Column("What happens", is_number=False),
    )
    ranked = sorted(rows, key=lambda row: float(row["pnl_usd"]))
    return table(columns, [_scenario(row) for row in ranked], css="told")


def _scenario(row: Document) -> list[Cell]:
    parts = ("revalued_usd", "funding_usd", "lost_usd", "balances_usd")
    happens = [shock_words(row["shock"])] if row["shock"] else []
    happens += [f"{name} {shock_words(shock)}" for name, shock in row["own"].items()]
    if row["unhedged"] is not None:
        unhedged = row["unhedged"]
        happens.append(f"{unhedged['hours']:g} h unhedged, {formats.number(unhedged['deviations'], 1, signed=True)} σ")
    if row["funding_8h"]:
        rate = formats.number(100 * row["funding_8h"], 2, signed=True)
        happens.append(f"funding {rate} % per 8 h for {row['funding_hours']:g} h")
    happens += [f"{name} at {usd:g} USD" for name, usd in row["dollars"].items()]
    happens += [f"{row['lost_venue']} lost"] if row["lost_venue"] else []
    return [
        row["name"],
        toned(row["pnl_usd"], formats.number(row["pnl_usd"])),
        *(formats.number(row[part]) if row[part] else formats.DASH for part in parts),
        "; ".join(happens) or row["note"],
    ]


def _reverse(reverse: Document) -> Html:
    if reverse["loss_usd"] is None:
        return nothing("Nothing to lose: the book is worth nothing or less, and no loss was asked for.")
    columns = (
        Column(f"Loses {formats.usd(reverse['loss_usd'])}", is_number=False),
        Column("Deviations", "of a day"),
        Column("At", is_number=False),
    )
    rows = [
        (
            found["along"],
            formats.number(found["deviations"], 2),
            f"nowhere within {reverse['farthest_deviations']:g}" if found["deviations"] is None else break_words(found),
        )
        for found in reverse["moves"]
    ]
    return table(columns, rows)
