"""The margin of a book in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.report import formats
from flatbook.report.book_value import Document


def margin_text(document: Document) -> RenderableType:
    """Headline, what the requirement is for, positions, distances to liquidation; 80 columns."""
    parts: list[RenderableType] = [_headline(document), Text(), _requirement(document)]
    if document["positions"]:
        parts += [Text(), _positions(document["positions"])]
    return Group(*parts, Text(), _distances(document["distances"]))


def distance_words(row: Document) -> str:
    """How far it is: a relative move with its price, days, or that the range has none."""
    move, is_days = row["move"], row["in"] == "days"
    if move is None:
        reach = f"{row['searched_to']:.0f} days" if is_days else formats.share(row["searched_to"], 0)
        return f"none to {reach}"
    if move == 0.0:
        return "now"
    if is_days:
        return f"{move:.1f} days"
    price = "" if row["at_price_usd"] is None else f" at {formats.usd(row['at_price_usd'])}"
    return f"{formats.number(100.0 * move, 1, signed=True)} %{price}"


def _headline(document: Document) -> Text:
    account, model = document["account"], document["model"]
    markets = ", ".join(
        f"{name} {formats.usd(market['index_usd'])} at {market['at']}"
        for name, market in document["market"]["underlyings"].items()
    )
    verdict = ("covered", "green") if account["sufficient"] else ("LIQUIDATION", "bold red")
    return Text.assemble(
        (f"{model['title']}: ", "bold"),
        verdict,
        f"\nMaintenance takes {formats.share(account['maintenance_usage'])} of the margin balance, ",
        f"initial {formats.share(account['initial_usage'])}\n",
        f"{document['market']['source']}: {markets}; parameters of {model['since']}",
    )


def _requirement(document: Document) -> Table:
    account = document["account"]
    table = _table("USD", "Initial", "Maintenance")
    for row in document["requirement"]:
        if row["initial_usd"] or row["maintenance_usd"]:
            table.add_row(row["for"], formats.usd(row["initial_usd"]), formats.usd(row["maintenance_usd"]))
    bold = "bold"
    needed = (formats.usd(account[name]) for name in ("initial_margin_usd", "maintenance_margin_usd"))
    table.add_row(Text("Requirement", bold), *needed)
    held = (formats.usd(account[name]) for name in ("initial_balance_usd", "margin_balance_usd"))
    table.add_row(Text("Margin balance", bold), *held)
    left = (formats.usd(account[name]) for name in ("available_usd", "surplus_usd"))
    table.add_row(Text("Left", bold), *left)
    return table


def _positions(rows: list[Document]) -> Table:
    table = _table("Position", "Coins", "Closing frees $", "One more bought", "One more sold")
    for row in rows:
        usd = (formats.usd(row[name]) for name in ("frees_initial_usd", "buying_one_coin_usd", "selling_one_coin_usd"))
        table.add_row(row["instrument"], formats.coin(row["size_coin"]), *usd)
    return table


def _distances(rows: list[Document]) -> Table:
    table = _table("Liquidated after", "Move")
    for row in rows:
        whose = "" if row["underlying"] is None else f" of {row['underlying']} alone"
        table.add_row(row["in"] + whose, distance_words(row))
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
    table.add_column(first, no_wrap=True, overflow="ellipsis", max_width=30)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
