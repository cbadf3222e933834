"""The picture of a book's VaR as one file that opens without network."""

from __future__ import annotations

from typing import Any

from flatbook.report import formats
from flatbook.report.html import page
from flatbook.report.markup import Cell, Column, Html, figure, nothing, section, table, tag, tile
from flatbook.report.var_text import METHOD_NAMES, backtest_words, horizon_words, liquidity_words

Document = dict[str, Any]

_DISTRIBUTION_NOTE = (
    "Share of scenarios by what the book gains in them, in each method's own colour. Dashed is the loss that VaR "
    "names, dotted the mean of those beyond, ES. What lies outside is counted in the last bar."
)
_MEASURES_NOTE = (
    "Losses in USD with one standard error. With exit: held over the horizon, then wound down evenly, and half the "
    "spread when it is wide. The last three are laws with the same moments: where they differ from VaR, P&L is not "
    "normal; a dash is an expansion beyond its domain."
)
_COMPONENTS_NOTE = (
    "What each position loses in the scenarios that make the book's ES: the bars of a method sum to it. A bar to the "
    "left is a hedge."
)
_ROWS_NOTE = (
    "Component: the row's part of the total. Incremental: the total less that of the book without the row. A lot more: "
    "what one more lot on the row's side adds."
)
_BACKTEST_NOTE = (
    "Beyond: losses beyond VaR, and how many are expected. P-values are of forecasts that are right: below 0.05 they "
    "are doubted. Z2 is above 0 where the tail was worse than ES said. The zone is Basel's."
)


def render_var(document: Document, charts: Document, book: str) -> str:
    """The whole page of a book's VaR, from its document and what is drawn of it."""
    body = [
        _header(document, book),
        _tiles(document),
        section(
            "distribution",
            "What may come",
            _DISTRIBUTION_NOTE,
            figure("distribution-chart", "P&L", "USD, share of scenarios"),
        ),
        section("measures", "VaR and expected shortfall", _MEASURES_NOTE, _measures(document)),
        section(
            "components",
            "Who it comes from",
            _COMPONENTS_NOTE,
            figure("components-chart", f"ES at {_percent(document['confidence'])} by position", "USD"),
            tag("p", _ROWS_NOTE, css="note"),
            _rows(document),
        ),
        section("liquidity", "Getting out", liquidity_words(document), _liquidity(document)),
        _backtest(document),
        tag("footer", *(tag("p", note) for note in document["notes"])),
    ]
    return page(title=f"flatbook · VaR of {book}", body=Html("".join(body)), script="var.js", data=charts)


def _header(document: Document, book: str) -> Html:
    markets = " · ".join(
        f"{name} {formats.usd(market['index_usd'])} at {market['at'][:16].replace('T', ' ')} UTC"
        for name, market in document["market"]["underlyings"].items()
    )
    history = document["history"]
    told = (
        f" · history {history['source']}, {history['readings']:,} readings from {history['from'][:10]}"
        if history
        else " · no history: Σ is a belief"
    )
    links = {
        "distribution": "P&L",
        "measures": "VaR and ES",
        "components": "Components",
        "liquidity": "Getting out",
        "backtest": "Backtest",
    }
    nav = tag("nav", *(Html(f'<a href="#{link}">{name}</a>') for link, name in links.items()))
    return tag(
        "header",
        tag("p", "flatbook", css="brand"),
        tag("h1", "Value at risk", tag("span", f" {book}, {horizon_words(document['horizon_hours'])}", css="quiet")),
        tag(
            "p", f"{formats.usd(document['book']['value_usd'])} · {markets}{told} · seed {document['seed']}", css="lead"
        ),
        nav,
    )


def _tiles(document: Document) -> Html:
    tiles = []
    for name, method in document["methods"].items():
        level = next(one for one in method["by_confidence"] if one["confidence"] == document["confidence"])
        tiles.append(
            tile(
                METHOD_NAMES[name],
                formats.usd(level["var_usd"]),
                f"VaR {_percent(level['confidence'])} · ES {formats.usd(level['es_usd'])}",
            )
        )
    return tag("div", *tiles, css="tiles")


def _measures(document: Document) -> Html:
    columns = (
        Column("Method", is_number=False),
        Column("Confidence"),
        Column("VaR", "USD"),
        Column("Error", "USD"),
        Column("ES", "USD"),
        Column("Error", "USD"),
        Column("VaR with exit", "USD"),
        Column("ES with exit", "USD"),
        Column("Normal", "VaR, USD"),
        Column("Student", "VaR, USD"),
        Column("Cornish–Fisher", "VaR, USD"),
    )
    rows: list[list[Cell]] = []
    for name, method in document["methods"].items():
        for number, level in enumerate(method["by_confidence"]):
            keys = ("var_usd", "var_error_usd", "es_usd", "es_error_usd")
            with_exit = ("liquidity_adjusted_var_usd", "liquidity_adjusted_es_usd")
            laws = level["parametric_var_usd"]
            rows.append(
                [
                    METHOD_NAMES[name] if number == 0 else "",
                    _percent(level["confidence"]),
                    *(formats.number(level[key]) for key in (*keys, *with_exit)),
                    *(formats.number(laws[law]) for law in ("normal", "student", "cornish_fisher")),
                ]
            )
    return table(columns, rows)


def _rows(document: Document) -> Html:
    methods = document["methods"]
    name = "filtered" if "filtered" in methods else next(iter(methods))
    columns = (
        Column("Position", METHOD_NAMES[name], is_number=False),
        Column("Size"),
        Column("Component VaR", "USD"),
        Column("Component ES", "USD"),
        Column("Incremental VaR", "USD"),
        Column("Incremental ES", "USD"),
        Column("A lot more", "VaR, USD"),
        Column("A lot more", "ES, USD"),
    )
    rows = [
        (
            row["instrument"],
            formats.coin(row["size"]),
            *(
                formats.number(row[key])
                for key in ("component_var_usd", "component_es_usd", "incremental_var_usd", "incremental_es_usd")
            ),
            formats.number(row["var_per_lot_usd"], 2, signed=True),
            formats.number(row["es_per_lot_usd"], 2, signed=True),
        )
        for row in methods[name]["rows"]
    ]
    return table(columns, rows)


def _liquidity(document: Document) -> Html:
    columns = (
        Column("Position", is_number=False),
        Column("Half the spread", "usual, USD"),
        Column("Half the spread", "when wide, USD"),
    )
    rows = [
        (row["instrument"], formats.number(row["usual_cost_usd"]), formats.number(row["stressed_cost_usd"]))
        for row in document["liquidity"]["rows"]
    ]
    return table(columns, rows)


def _backtest(document: Document) -> Html:
    backtest = document["backtest"]
    if backtest is None:
        return section("backtest", "How forecasts held", "", nothing("Not asked for: --backtest, with a --history."))
    columns = (
        Column("Method", is_number=False),
        Column("Confidence"),
        Column("Beyond"),
        Column("Expected"),
        Column("Kupiec", "p"),
        Column("Independence", "p"),
        Column("Both", "p"),
        Column("Z2"),
        Column("Acerbi–Székely", "p"),
        Column("Zone", is_number=False),
    )
    rows = [
        _judged(METHOD_NAMES[name] if number == 0 else "", one)
        for name, judged in backtest["methods"].items()
        for number, one in enumerate(judged)
    ]
    chart = figure("backtest-chart", f"P&L against VaR at {_percent(document['confidence'])}", "USD")
    return section(
        "backtest", "How forecasts held", f"{backtest_words(document)}. {_BACKTEST_NOTE}", chart, table(columns, rows)
    )


def _judged(name: str, one: Document) -> list[Cell]:
    shortfall = one["acerbi_szekely"]
    tone = {"green": "stage", "yellow": "stage widen", "red": "stage halt"}[one["zone"]]
    tests = (one["kupiec"]["p_value"], one["independence"]["p_value"], one["conditional_coverage"]["p_value"])
    return [
        name,
        _percent(one["confidence"]),
        formats.number(one["exceedances"]),
        formats.number(one["expected"], 1),
        *(_p_value(value) for value in tests),
        formats.number(shortfall["z2"], 2),
        _p_value(shortfall["p_value"]),
        tag("span", one["zone"], css=tone),
    ]


def _p_value(value: float | None) -> Cell:
    shown = formats.number(value, 3)
    return tag("span", shown, css="loss") if value is not None and value < 0.05 else shown


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
