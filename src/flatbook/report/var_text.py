"""A book's VaR in a terminal: by method and confidence, by position, getting out, and how forecasts held."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.report import formats

Document = dict[str, Any]

METHOD_NAMES: Final = {
    "historical": "Historical",
    "filtered": "Filtered historical",
    "monte_carlo": "Monte Carlo",
    "delta_gamma_vega": "Delta-gamma-vega",
}
_SHORT: Final = {
    "historical": "Historical",
    "filtered": "Filtered",
    "monte_carlo": "Monte Carlo",
    "delta_gamma_vega": "Greeks",
}
"""The same where room is dear."""

_ZONES: Final = {"green": "green", "yellow": "yellow", "red": "red"}


def var_tables(document: Document) -> RenderableType:
    """Headline, measures, components, and the backtest where there is one; 80 columns."""
    parts: list[RenderableType] = [_headline(document), Text(), _measures(document), Text(), _components(document)]
    parts += [Text(), Text(liquidity_words(document), "dim")]
    if document["backtest"] is not None:
        parts += [Text(), Text(backtest_words(document)), _backtest(document["backtest"])]
    return Group(*parts)


def horizon_words(hours: float) -> str:
    """An hour's worth of time as it is said: 1 h, 1 d, 10 d."""
    return f"{hours / 24:g} d" if hours >= 24 else f"{hours:g} h"


def liquidity_words(document: Document) -> str:
    """One sentence on what getting out adds."""
    liquidity = document["liquidity"]
    said = (
        f"Getting out: half the spread is {formats.usd(liquidity['usual_cost_usd'])}, "
        f"{formats.usd(liquidity['stressed_cost_usd'])} when it is wide; VaR is {liquidity['scale']:.2f} times its own "
        f"where the book is held first and then wound down evenly over {horizon_words(liquidity['exit_hours'])}."
    )
    missing = liquidity["not_quoted"]
    return f"{said} No spread is known of {', '.join(missing)}: it is not in it." if missing else said


def backtest_words(document: Document) -> str:
    """One sentence on what was forecast."""
    backtest = document["backtest"]
    return (
        f"{backtest['forecasts']} forecasts of {horizon_words(document['horizon_hours'])} from {backtest['from'][:10]} "
        f"to {backtest['to'][:10]}, each from its past alone, of today's book struck anew"
    )


def _headline(document: Document) -> Text:
    markets = ", ".join(
        f"{name} {formats.usd(market['index_usd'])} at {market['at']}"
        for name, market in document["market"]["underlyings"].items()
    )
    return Text.assemble(
        ("Book ", "bold"),
        f"{formats.usd(document['book']['value_usd'])} on {document['market']['source']}: {markets}; over ",
        (horizon_words(document["horizon_hours"]), "bold"),
    )


def _measures(document: Document) -> Table:
    table = _table()
    table.add_column("Method", no_wrap=True)
    for heading in ("%", "VaR $", "±", "ES $", "±", "VaR, exit $", "Normal $"):
        table.add_column(heading, justify="right", no_wrap=True)
    keys = ("var_usd", "var_error_usd", "es_usd", "es_error_usd", "liquidity_adjusted_var_usd")
    for name, method in document["methods"].items():
        for number, level in enumerate(method["by_confidence"]):
            table.add_row(
                METHOD_NAMES[name] if number == 0 else "",
                f"{100 * level['confidence']:g}",
                *(formats.number(level[key]) for key in keys),
                formats.number(level["parametric_var_usd"]["normal"]),
            )
    return table


def _components(document: Document) -> Table:
    table = _table()
    table.add_column(f"Part of ES {100 * document['confidence']:g} %", no_wrap=True, max_width=24)
    for heading in (*(_SHORT[name] for name in document["methods"]), "A lot more"):
        table.add_column(heading, justify="right", no_wrap=True)
    methods = list(document["methods"].values())
    for at, row in enumerate(methods[0]["rows"]):
        values = [formats.number(method["rows"][at]["component_es_usd"]) for method in methods]
        lot = formats.number(methods[0]["rows"][at]["es_per_lot_usd"], 2, signed=True)
        table.add_row(row["instrument"], *values, lot)
    return table


def _backtest(backtest: Document) -> Table:
    table = _table()
    table.add_column("Method", no_wrap=True)
    for heading in ("%", "Beyond", "Due", "Kupiec p", "Indep. p", "Both p", "Z2", "Z2 p", "Zone"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, judged in backtest["methods"].items():
        for number, one in enumerate(judged):
            shortfall = one["acerbi_szekely"]
            table.add_row(
                _SHORT[name] if number == 0 else "",
                f"{100 * one['confidence']:g}",
                formats.number(one["exceedances"]),
                formats.number(one["expected"], 1),
                *(formats.number(one[k]["p_value"], 3) for k in ("kupiec", "independence", "conditional_coverage")),
                formats.number(shortfall["z2"], 2),
                formats.number(shortfall["p_value"], 3),
                Text(one["zone"], _ZONES[one["zone"]]),
            )
    return table


def _table() -> Table:
    return Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
