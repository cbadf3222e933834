"""A stressed book in a terminal: the grid, the scenarios, who loses in the worst, and what breaks it; 80 columns."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.report import formats
from flatbook.report.crises_text import crises_tables
from flatbook.report.terminal import toned

Document = dict[str, Any]

_POSITIONS = 8
_COLUMNS = 9


def stress_tables(document: Document) -> RenderableType:
    """Headline, grid at once, scenarios from the worst, the worst by position, and the smallest moves."""
    return Group(
        _headline(document),
        Text(),
        _grid(document["grid"]),
        Text(),
        _scenarios(document["scenarios"]),
        Text(),
        _worst(document["worst"]),
        Text(),
        *_reverse(document["reverse"]),
        *((Text(), crises_tables(document["crises"])) if "crises" in document else ()),
    )


def shock_words(shock: dict[str, float]) -> str:
    """A shock in words: spot −30 %, vols +50 %, skew −3.0 pt."""
    relative, points = (("spot", "spot"), ("vol", "vols"), ("basis", "basis")), ("skew", "convexity")
    words = [
        f"{said} {formats.number(100 * shock[name], 1, signed=True)} %" for name, said in relative if name in shock
    ]
    words += [f"{name} {formats.number(100 * shock[name], 2, signed=True)} pt" for name in points if name in shock]
    if "term" in shock:
        words.append(f"term {formats.number(shock['term'], 2, signed=True)}")
    if "days" in shock:
        words.append(f"{shock['days']:g} d")
    return ", ".join(words) or "nothing"


def limit_words(document: Document) -> str:
    """Whether the limit holds."""
    limit = document["limit_usd"]
    if limit is None:
        return "no limit given"
    return (
        f"within the limit of {formats.usd(limit)}"
        if document["holds"]
        else f"beyond the limit of {formats.usd(limit)}"
    )


def break_words(found: Document) -> str:
    """Where a smallest move ends, by underlying."""
    parts = [(name, shock_words(shock)) for name, shock in found["shocks"].items()]
    return parts[0][1] if len(parts) == 1 else "; ".join(f"{name} {words}" for name, words in parts)


def _headline(document: Document) -> Text:
    worst = document["worst"]
    markets = ", ".join(
        f"{name} {formats.usd(one['index_usd'])} at {one['at']}"
        for name, one in document["market"]["underlyings"].items()
    )
    return Text.assemble(
        ("Worst ", "bold"),
        toned(worst["pnl_usd"], formats.usd(worst["pnl_usd"])),
        f" in “{worst['name']}”, {limit_words(document)}; "
        f"the book is worth {formats.usd(document['book']['value_usd'])} on {document['market']['source']}: {markets}",
    )


def _grid(grid: Document) -> Table:
    table = _table()
    table.add_column("P&L $, at once", no_wrap=True)
    step = -(-len(grid["spot"]) // _COLUMNS)
    shown = list(range(0, len(grid["spot"]), step))
    for at in shown:
        table.add_column(_percent(grid["spot"][at]), justify="right", no_wrap=True)
    for vol, row in zip(grid["vol"], grid["pnl_usd"][0], strict=True):
        table.add_row(f"vols {_percent(vol)}", *(toned(row[at], _short(row[at])) for at in shown))
    return table


def _scenarios(rows: list[Document]) -> Table:
    table = _table()
    table.add_column("Scenario", no_wrap=True, overflow="ellipsis", max_width=32)
    for heading in ("P&L $", "Markets", "Funding", "Venue", "Balances"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda row: float(row["pnl_usd"])):
        parts = (row[key] for key in ("revalued_usd", "funding_usd", "lost_usd", "balances_usd"))
        table.add_row(row["name"], toned(row["pnl_usd"], _short(row["pnl_usd"])), *(_short(part) for part in parts))
    return table


def _worst(worst: Document) -> Table:
    table = _table()
    table.add_column(f"In “{worst['name']}”", no_wrap=True, overflow="ellipsis", max_width=44)
    for heading in ("Size", "P&L $"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = worst["positions"]
    for row in rows[:_POSITIONS]:
        table.add_row(row["instrument"], formats.coin(row["size"]), toned(row["pnl_usd"], formats.usd(row["pnl_usd"])))
    if len(rows) > _POSITIONS:
        rest = sum(row["pnl_usd"] for row in rows[_POSITIONS:])
        table.add_row(f"{len(rows) - _POSITIONS} more", "", toned(rest, formats.usd(rest)))
    return table


def _reverse(reverse: Document) -> list[RenderableType]:
    if reverse["loss_usd"] is None:
        return [Text("Nothing to lose: the book is worth nothing or less, and no --loss is given.", "dim")]
    table = _table()
    table.add_column(f"Loses {formats.usd(reverse['loss_usd'])}", no_wrap=True)
    table.add_column("Deviations", justify="right", no_wrap=True)
    table.add_column("At", overflow="fold")
    for found in reverse["moves"]:
        where = "nowhere found" if found["deviations"] is None else break_words(found)
        table.add_row(found["along"], formats.number(found["deviations"], 2), where)
    return [table]


def _percent(share: float) -> str:
    return f"{formats.number(100 * share, 1, signed=True).removesuffix('.0')} %"


def _short(usd: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(usd) >= size:
            return f"{formats.number(usd / (1e3 if unit == 'k' else size), 1)}{unit}"
    return formats.number(usd)


def _table() -> Table:
    return Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
