"""A venue through a crash, in a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.report import formats
from flatbook.report.book_value import Document


def liquidation_text(document: Document) -> RenderableType:
    """Headline, then by lateness and mis-valuation: debts, how often the fund did not suffice, who paid; 80 columns."""
    debts = _grid(document, "Debts, bp of open interest", debts_words)
    more = _grid(document, "More than the first, bp", more_words)
    uncovered = _grid(document, "Fund did not suffice", lambda row: formats.share(row["uncovered"], 0))
    tables = (debts, more, uncovered, _payers(document), *([_owers(document)] if holds_options(document) else []))
    return Group(_headline(document), *(part for table in tables for part in (Text(), table)))


OWERS = {
    "owed_futures": "Futures",
    "owed_short_vol": "Short vol",
    "owed_hedged_makers": "Hedged makers",
    "owed_long_options": "Long options",
    "owed_short_options": "Short options",
}
"""Kinds of accounts whose debts are told, by field."""


def holds_options(document: Document) -> bool:
    """Whether any account does."""
    return bool(document["population"]["option_share"] > 0.0)


def crashes_words(document: Document) -> str:
    """How many, and how long."""
    many = document["paths"]
    return f"{many:,} crash{'' if many == 1 else 'es'} of {document['crash']['hours']:g} h"


def late_words(seconds: float) -> str:
    """How late an engine is."""
    return f"{seconds:g} s late"


def misvalued_words(share: float) -> str:
    """How an engine takes collateral."""
    return f"{100.0 * share:g} % too high" if share else "rightly valued"


def debts_words(row: Document, column: str = "debts_share") -> str:
    """Debts in basis points of open interest, with their standard error where there is one."""
    error = row[f"{column}_error"]
    near = "" if error is None else f" ± {formats.number(1e4 * error, 1)}"
    return f"{formats.number(1e4 * row[column], 1)}{near}"


def more_words(row: Document) -> str:
    """`debts_words` beyond those of the first engine, with the error of the difference on the same paths."""
    return debts_words(row, "more_debts_share")


def engine(document: Document, late_s: float, misvalued: float) -> Document:
    """One engine's numbers."""
    found: Document = next(
        row for row in document["engines"] if (row["late_s"], row["misvalued"]) == (late_s, misvalued)
    )
    return found


def axes(document: Document) -> tuple[list[float], list[float]]:
    """Lateness and mis-valuations, rising."""
    rows = document["engines"]
    return sorted({row["late_s"] for row in rows}), sorted({row["misvalued"] for row in rows})


def _headline(document: Document) -> Text:
    crash, people, design = document["crash"], document["population"], document["design"]
    return Text.assemble(
        (f"{document['model']['title']}, {formats.words(document['waterfall']).lower()}: ", "bold"),
        f"{crashes_words(document)}, {people['accounts']:,} accounts, ",
        f"{formats.share(people['option_share'], 0)} of them in options, " if holds_options(document) else "",
        f"seed {document['seed']}\n",
        f"Vol {formats.share(crash['vol_per_root_year'], 0)}, {crash['jumps_per_hour']:g} jumps an hour; ",
        f"fund {formats.share(design['fund_share'])} and depth {formats.share(design['depth_per_minute'])} a minute ",
        "of open interest",
    )


def _grid(document: Document, title: str, cell: Callable[[Document], str]) -> Table:
    late, misvalued = axes(document)
    table = _table(title, *(misvalued_words(share) for share in misvalued))
    for seconds in late:
        table.add_row(late_words(seconds), *(cell(engine(document, seconds, share)) for share in misvalued))
    return table


def _payers(document: Document) -> Table:
    late, misvalued = axes(document)
    table = _table(f"Who paid, collateral {misvalued_words(misvalued[0])}", "Debts", "Fund", "Winners", "Everybody")
    for seconds in late:
        row = engine(document, seconds, misvalued[0])
        amounts = (row[f"{name}_usd"] for name in ("debts", "fund_loss", "deleveraged", "socialised"))
        table.add_row(late_words(seconds), *(formats.usd(amount) for amount in amounts))
    return table


def _owers(document: Document) -> Table:
    late, misvalued = axes(document)
    table = _table(f"Who owed, collateral {misvalued_words(misvalued[-1])}", *OWERS.values())
    for seconds in late:
        row = engine(document, seconds, misvalued[-1])
        table.add_row(late_words(seconds), *(formats.usd(row[f"{name}_usd"]) for name in OWERS))
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
    table.add_column(first, no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table
