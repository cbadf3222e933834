"""The picture of a book's margin as one file that opens without network."""

from __future__ import annotations

from typing import Any

from flatbook.report import formats
from flatbook.report.book_value import Document
from flatbook.report.html import page
from flatbook.report.margin_text import distance_words
from flatbook.report.markup import Column, Html, figure, nothing, section, table, tag, tile, toned

_CURVE_NOTE = (
    "Every underlying's spot moves alike, vols and time stand still, all is revalued. Left of or beyond a dashed line "
    "the margin balance no longer covers maintenance, and the venue liquidates. Orders are not in it: they go first."
)
_MATRIX_NOTE = (
    "P&L of the whole holding in each scenario, as much of it as the model counts: tails in part, gains where they "
    "offset. The worst decides. Vols move by more for short expiries."
)
_NEEDS_NOTE = "The rows sum to the requirement. Orders and protection reserve initial margin alone."
_POSITIONS_NOTE = (
    "What closing a position alone would free, and what one coin more of either side would ask for. Margin nets: what "
    "hedges the rest frees margin where it is added, and asks for it where it is closed."
)
_DISTANCE_NOTE = "The nearest move at which maintenance is no longer covered, all else still, by full revaluation."


def render_margin(document: Document, book: str) -> str:
    """The whole page of the margin of the book file `book`."""
    matrices = [one for one in document["underlyings"] if one["scenarios"]]
    figures = (figure(f"matrix-{at}", one["underlying"], "USD, as it counts") for at, one in enumerate(matrices))
    formula = nothing("This model asks by formula: it has no scenarios.")
    body = (
        _header(document, book),
        _tiles(document),
        section("spot", "Margin against spot", _CURVE_NOTE, figure("curve", "Balance and requirements", "USD")),
        section("scenarios", "Scenarios", _MATRIX_NOTE, *(figures if matrices else [formula])),
        section("distance", "Distance to liquidation", _DISTANCE_NOTE, _distances(document)),
        section("needs", "What the requirement is for", _NEEDS_NOTE, _needs(document)),
        section("positions", "Positions", _POSITIONS_NOTE, _positions(document)),
        _footer(document),
    )
    return page(
        title=f"flatbook · margin of {book}",
        body=Html("".join(body)),
        script="margin.js",
        data={"curve": document["curve"], "points": _points(document), "matrices": [_matrix(one) for one in matrices]},
    )


def _header(document: Document, book: str) -> Html:
    model = document["model"]
    links = ("spot", "scenarios", "distance", "needs", "positions")
    names = ("Against spot", "Scenarios", "Distance", "Requirement", "Positions")
    markets = " · ".join(
        f"{name} {formats.usd(market['index_usd'])} at {market['at'][:16].replace('T', ' ')} UTC"
        for name, market in document["market"]["underlyings"].items()
    )
    return tag(
        "header",
        tag("p", "flatbook", css="brand"),
        tag("h1", model["title"], tag("span", f" of {book}", css="quiet")),
        tag("p", f"{markets} · {document['market']['source']} · parameters of {model['since']}", css="lead"),
        tag("nav", *(Html(f'<a href="#{link}">{name}</a>') for link, name in zip(links, names, strict=True))),
    )


def _tiles(document: Document) -> Html:
    account = document["account"]
    near = {row["in"]: distance_words(row) for row in document["distances"] if row["underlying"] is None}
    state = "covered" if account["sufficient"] else "not covered"
    left, surplus = account["available_usd"], account["surplus_usd"]
    return tag(
        "div",
        tile("Maintenance", formats.share(account["maintenance_usage"]), f"of the margin balance: {state}"),
        tile("Initial", formats.share(account["initial_usage"]), "of the margin balance, orders included"),
        tile("Margin balance", formats.usd(account["margin_balance_usd"]), f"equity {_usd(account['equity_usd'])}"),
        tile("Left to trade with", toned(left, formats.usd(left)), "over initial margin"),
        tile("Left to lose", toned(surplus, formats.usd(surplus)), "over maintenance margin"),
        tile("Maintenance margin", formats.usd(account["maintenance_margin_usd"]), _initial(account)),
        tile("Spot down", near["spot down"], "to liquidation"),
        tile("Spot up", near["spot up"], "to liquidation"),
        css="tiles",
    )


def _initial(account: Document) -> str:
    return f"initial {_usd(account['initial_margin_usd'])}"


def _usd(value: float) -> str:
    return formats.usd(value)


def _distances(document: Document) -> Html:
    columns = (Column("Move", is_number=False), Column("Of", is_number=False), Column("Liquidated after"))
    rows = [
        (formats.words(row["in"].replace(" ", "_")), row["underlying"] or "all alike", distance_words(row))
        for row in document["distances"]
    ]
    return table(columns, rows)


def _needs(document: Document) -> Html:
    columns = (Column("For", is_number=False), Column("Initial", "USD"), Column("Maintenance", "USD"))
    rows = [
        (formats.words(row["for"]), formats.usd(row["initial_usd"]), formats.usd(row["maintenance_usd"]))
        for row in document["requirement"]
    ]
    account = document["account"]
    total = (account["initial_margin_usd"], account["maintenance_margin_usd"])
    return table(columns, [*rows, (tag("b", "Requirement"), *(tag("b", formats.usd(value)) for value in total))])


def _positions(document: Document) -> Html:
    if not document["positions"]:
        return nothing("The book holds no futures, perpetuals or options.")
    columns = (
        Column("Position", is_number=False),
        Column("Size", "coins"),
        Column("Closing frees", "USD initial"),
        Column("", "USD maintenance"),
        Column("One coin bought", "USD initial"),
        Column("One coin sold", "USD initial"),
    )
    amounts = ("frees_initial_usd", "frees_maintenance_usd", "buying_one_coin_usd", "selling_one_coin_usd")
    rows = [
        (row["instrument"], formats.coin(row["size_coin"]), *(formats.usd(row[name]) for name in amounts))
        for row in document["positions"]
    ]
    return table(columns, rows)


def _footer(document: Document) -> Html:
    model = document["model"]
    remark = f" Of them, not the source's: {model['remark']}." if model["remark"] else ""
    return tag("footer", tag("p", f"Parameters in force from {model['since']}. Source: {model['source']}.{remark}"))


def _points(document: Document) -> list[dict[str, Any]]:
    """Where the curve meets liquidation, of all underlyings alike."""
    return [
        {"move": row["move"], "label": f"liquidated {distance_words(row)}"}
        for row in document["distances"]
        if row["underlying"] is None and row["in"].startswith("spot") and row["move"]
    ]


def _matrix(one: Document) -> dict[str, Any]:
    """Scenarios as a table: a row a way of vols, tails apart for they count in part; null where there is none."""
    scenarios = one["scenarios"]
    spots = sorted({scenario["spot"] for scenario in scenarios})
    names = [("up", "vols up"), ("same", "vols as they are"), ("down", "vols down")]
    rows = []
    for is_tail in (False, True):
        for vol, name in names:
            cells = {
                scenario["spot"]: scenario["pnl_usd"]
                for scenario in scenarios
                if scenario["vol"] == vol and (scenario["weight"] < 1.0) == is_tail
            }
            if cells:
                rows.append({"name": f"{name}, tail" if is_tail else name, "pnl": [cells.get(spot) for spot in spots]})
    worst = scenarios[one["worst_scenario"]]
    return {"spot": spots, "rows": rows, "worst": {"spot": worst["spot"], "pnl": worst["pnl_usd"]}}
