"""The margin of many accounts in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.report import formats
from flatbook.report.book_value import Document


def accounts_text(document: Document) -> RenderableType:
    """Headline with totals, and the accounts that are shortest of margin; 80 columns."""
    return Group(_headline(document), Text(), _shortest(document))


def _headline(document: Document) -> Text:
    model, totals, short = document["model"], document["totals"], document["short_of_margin"]
    rate = f"{formats.number(document['accounts_per_s'])} a second"
    return Text.assemble(
        (f"{model['title']}: ", "bold"),
        f"{document['accounts']:,} accounts, {document['positions']:,} positions ",
        f"in {document['wall_s']:.1f} s, {rate}\n",
        (f"{short:,} short of maintenance\n", "bold red" if short else "green"),
        f"In all: balance {formats.usd(totals['balance_usd'])}, initial {formats.usd(totals['initial_usd'])}, ",
        f"maintenance {formats.usd(totals['maintenance_usd'])}\n",
        f"{document['market']['source']} at {document['market']['at']}; parameters of {model['since']}",
    )


def _shortest(document: Document) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
    table.add_column("Least surplus", no_wrap=True, overflow="ellipsis", max_width=20)
    for heading in ("Balance", "Initial", "Maintenance", "Surplus"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in document["shortest"]:
        amounts = (row[f"{name}_usd"] for name in ("balance", "initial", "maintenance", "surplus"))
        table.add_row(row["account"], *(formats.usd(amount) for amount in amounts))
    return table
