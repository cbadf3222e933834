"""The margin of a book by venue in a terminal: margins, what netting saves, transfers."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.report import formats
from flatbook.report.book_value import Document

EXPOSURE_NAMES = {
    "delta_usd": "delta, $",
    "gamma_1pct_usd": "gamma 1 %, $",
    "vega_usd": "vega, $ a point",
    "theta_usd": "theta, $ a day",
}
"""Exposures as they are headed, with their units."""


def venues_text(document: Document) -> RenderableType:
    """Headline, margin by venue, exposures net against gross, transfers; 80 columns."""
    parts: list[RenderableType] = [_headline(document), Text(), _venues(document), Text(), _exposures(document)]
    return Group(*parts, Text(), *_transfers(document))


def reach(row: Document, name: str) -> str:
    """How far a move is from a margin call: relative, or that the range has none."""
    found = row["distances"].get(name)
    if found is None or found["move"] is None:
        return "none"
    return "now" if found["move"] == 0.0 else f"{formats.number(100.0 * found['move'], 1, signed=True)} %"


def deviation_words(document: Document) -> str:
    """What netting saves of a day's deviation, in one sentence."""
    day = document["day_deviation"]
    return (
        f"A day's deviation is {formats.usd(day['net_usd'])} for the book; its venues' own sum to "
        f"{formats.usd(day['gross_usd'])}: netting saves {formats.usd(day['netted_usd'])}."
    )


def as_one_words(document: Document) -> str:
    """What the same book would need at one venue, in one sentence."""
    needs = ", ".join(
        f"{formats.usd(one['maintenance_margin_usd'])} by {one['model']}" for one in document["as_one_account"]
    )
    total = formats.usd(document["total"]["maintenance_margin_usd"])
    return f"Margins do not net: the venues ask for {total} of maintenance; as one account it would be {needs}."


def short_words(document: Document) -> list[str]:
    """What no transfer mends, a sentence a venue."""
    target = formats.share(document["bounds"]["target_use"], 0)
    return [
        f"{one['venue']} stays {formats.usd(one['usd'])} of collateral short of {target} use: pay in, or reduce there."
        for one in document["short"]
    ]


def _headline(document: Document) -> Text:
    called = [row["venue"] for row in document["venues"] if row["is_called"]]
    verdict = ("covered", "green") if document["sufficient"] else ("LIQUIDATION", "bold red")
    near = f"near a margin call: {', '.join(called)}" if called else "no venue is near a margin call"
    markets = ", ".join(
        f"{name} {formats.usd(market['index_usd'])} at {market['at']}"
        for name, market in document["market"]["underlyings"].items()
    )
    return Text.assemble(("Margin by venue: ", "bold"), verdict, f"; {near}\n{document['market']['source']}: {markets}")


def _venues(document: Document) -> Table:
    table = _table("Venue", "Model", "Balance", "Maint.", "Use", "After", "Spot down", "up")
    for row in document["venues"]:
        style = "bold red" if row["is_called"] else ""
        table.add_row(
            Text(row["venue"], style),
            row["model"],
            *(formats.usd(row[f"{name}_usd"]) for name in ("margin_balance", "maintenance_margin")),
            Text(formats.share(row["maintenance_usage"], 0), style),
            formats.share(row["maintenance_usage_after"], 0),
            reach(row, "spot down"),
            reach(row, "spot up"),
        )
    total = document["total"]
    names = ("margin_balance_usd", "maintenance_margin_usd")
    table.add_row(Text("All", "bold"), "", *(formats.usd(total[name]) for name in names), "", "", "", "")
    return table


def _exposures(document: Document) -> Group:
    table = _table("Exposure", "Gross", "Net", "Nets away")
    for row in document["exposures"]:
        numbers = (formats.usd(row[name], signed=name == "net") for name in ("gross", "net", "netted"))
        table.add_row(f"{row['underlying']} {EXPOSURE_NAMES[row['exposure']]}", *numbers)
    return Group(table, Text(deviation_words(document)), Text(as_one_words(document)))


def _transfers(document: Document) -> list[RenderableType]:
    if not document["transfers"] and not document["short"]:
        return [Text("No transfer is proposed.")]
    lines: list[RenderableType] = []
    if document["transfers"]:
        lines.append(Text("Transfers proposed; nothing is moved by flatbook:", "bold"))
    for one in document["transfers"]:
        amount = f"{formats.number(one['sent'], 8 if one['sent'] < 1_000 else 2)} {one['currency']}"
        lines.append(
            Text(
                f"  {amount} from {one['from']} to {one['to']} ({formats.usd(one['sent_usd'])}, network fee "
                f"{formats.usd(one['fee_usd'], 2)})\n    {one['reason']}"
            )
        )
    return [*lines, *(Text(line, "bold red") for line in short_words(document))]


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
    table.add_column(first, no_wrap=True, overflow="ellipsis", max_width=24)
    for heading in others:
        table.add_column(heading, justify="left" if heading == "Model" else "right", no_wrap=True)
    return table
