"""A valued book in a terminal: positions, totals, the net."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.report import formats
from flatbook.report.book_value import GREEKS, Document
from flatbook.report.terminal import toned

_HEADINGS: Final = {
    "delta_usd": "Delta $",
    "gamma_1pct_usd": "Γ 1 %",
    "vega_usd": "Vega",
    "theta_usd": "Theta",
    "vanna_usd": "Vanna",
    "volga_usd": "Volga",
}
_COINS: Final = ("delta_coin", "net_delta_coin")
_GROUPS: Final = {
    "by_underlying": "underlying",
    "by_expiry": "expiry",
    "by_strategy": "strategy",
    "by_venue": "venue",
}


def book_tables(document: Document) -> RenderableType:
    """Headline, positions with their values and then their Greeks, balances, and every kind of total; 80 columns."""
    rows = document["positions"]
    parts: list[RenderableType] = [_headline(document)]
    if rows:
        parts += [Text(), _values(rows), Text(), _sensitivities(rows)]
    if document["balances"]:
        parts += [Text(), _balances(document["balances"])]
    for name, label in _GROUPS.items():
        totals = document["totals"][name]
        if totals and (len(totals) > 1 or name == "by_underlying"):
            parts += [Text(), _totals(label, totals, document["book"] if name == "by_underlying" else None)]
    return Group(*parts)


def _headline(document: Document) -> Text:
    book = document["book"]
    markets = ", ".join(
        f"{name} {formats.usd(market['index_usd'])} at {market['at']}"
        for name, market in document["market"]["underlyings"].items()
    )
    coins = ", ".join(formats.coin(amount, currency) for currency, amount in book["by_currency"].items())
    return Text.assemble(
        ("Book ", "bold"),
        toned(book["total_usd"], formats.usd(book["total_usd"])),
        f" ({coins}) on {document['market']['source']}: {markets}",
    )


def _values(rows: list[Document]) -> Table:
    table = _table()
    table.add_column("Position", no_wrap=True, overflow="ellipsis", max_width=26)
    for heading in ("Size", "Price", "Value", "Value $"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["instrument"],
            formats.coin(row["size"]),
            formats.coin(row["price"]),
            formats.coin(row["value"], row["currency"]),
            toned(row["value_usd"], formats.usd(row["value_usd"])),
        )
    return table


def _sensitivities(rows: list[Document]) -> Table:
    table = _table()
    table.add_column("Greeks", no_wrap=True, overflow="ellipsis", max_width=26)
    for heading in ("Delta", "Net", *list(_HEADINGS.values())[1:]):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        coins = (formats.number(row[name], 3) for name in _COINS)
        table.add_row(row["instrument"], *coins, *_greeks(row)[1:])
    return table


def _balances(rows: list[Document]) -> Table:
    table = _table()
    for heading, justify in (("Balance", "left"), ("Amount", "right"), ("Value $", "right")):
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(row["currency"], formats.coin(row["amount"]), formats.usd(row["value_usd"]))
    return table


def _totals(label: str, rows: list[Document], net: Document | None) -> Table:
    """Totals by `label`, a line of the net below where it is given; coins only within an underlying."""
    table = _table()
    table.add_column(f"By {label}", no_wrap=True)
    coins = _COINS if label == "underlying" else ()
    for heading in ("Delta", "Net") if coins else ("Value $",):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in _HEADINGS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        first = [formats.number(row[name], 3) for name in coins] or [formats.usd(row["value_usd"])]
        table.add_row(row[label].removesuffix("T08:00:00.000Z"), *first, *_greeks(row))
    if net is not None:
        table.add_row(Text("Net", "bold"), *[""] * len(coins), *_greeks(net))
    return table


def _greeks(row: dict[str, Any]) -> list[str]:
    return [formats.number(row[name]) for name in GREEKS]


def _table() -> Table:
    return Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
