"""A book's crises in a terminal, 80 columns, and their words for the page."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.report import formats
from flatbook.report.terminal import toned

Document = dict[str, Any]


def crises_tables(crises: Document) -> RenderableType:
    """All crises, a row each, and what margin and stops did in them."""
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
    table.add_column("Crisis", no_wrap=True)
    for heading in ("Low", "P&L k$", "Worst k$", "Drawdown k$", "Hedges k$", "Margin", "Back"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in crises["rows"]:
        table.add_row(
            row["name"],
            f"{formats.number(100 * (row['spot_low'] - 1), 0)} %",
            *(toned(usd, _thousands(usd)) for usd in (row["pnl_usd"], row["worst"]["pnl_usd"])),
            _thousands(row["drawdown_usd"]),
            _thousands(row["hedges"]["cost_usd"]),
            use_words(row["margin"]),
            hours_words(row["recovered_hours"]),
        )
    said = [Text(f"{row['name']}: {words}", "dim") for row in crises["rows"] if (words := happened_words(row))]
    learnt = [Text(f"{row['name']}: {words}", "dim") for row in crises["rows"] if (words := learnt_words(row))]
    return Group(Text(terms_words(crises)), table, *said, *learnt)


def terms_words(crises: Document) -> str:
    """How the book was hedged, and in what market."""
    every = f" every {crises['hedge_minutes']:g} min" if crises["hedge_minutes"] else ""
    words = [f"Crises, hedged by {crises['hedge']}{every}" if crises["hedge"] != "none" else "Crises, not hedged"]
    if crises["depth_factor"] != 1.0:
        words.append(f"depth × {crises['depth_factor']:g}")
    if crises["outage_hours"]:
        words.append(f"no hedge venue for {crises['outage_hours']:g} h")
    if crises["lose_venue"]:
        words.append(
            f"loses the {crises['lose_venue']} venue"
            if crises["lose_venue"] == "winning"
            else f"loses {crises['lose_venue']}"
        )
    if crises["limit_usd"] is not None:
        words.append(f"{'within' if crises['holds'] else 'beyond'} the limit of {formats.usd(crises['limit_usd'])}")
    return ", ".join(words)


def happened_words(row: Document) -> str:
    """Margin calls, forced closing, stops, a lost venue and its own market's answer; empty where nothing did."""
    margin, words = row["margin"], []
    if margin is not None and margin["call_hours"] is not None:
        words.append(f"margin call after {hours_words(margin['call_hours'])}")
    if margin is not None and margin["closed_hours"] is not None:
        closed = formats.share(margin["closed_share"], 0)
        gain = "–" if margin["spiral_gain"] is None else formats.number(margin["spiral_gain"], 3)
        words.append(f"{closed} closed by force from {hours_words(margin['closed_hours'])}, spiral gain {gain}")
    if row["stops"]:
        stage, hours = list(row["stops"].items())[-1]
        words.append(f"loss stop at {stage.replace('_', ' ')} after {hours_words(hours)}")
    if row["lost"] is not None:
        words.append(f"{row['lost']['venue']} lost, {formats.usd(row['parts_usd']['lost_venue'])}")
    if abs(row["loop_gain"]) >= 0.01:
        words.append(f"loop gain {formats.number(row['loop_gain'], 2)}")
    return "; ".join(words)


def learnt_words(row: Document) -> str:
    """What it changed that Σ learnt on the way; empty where no rule asked for it."""
    if row["covariance"] is None:
        return ""
    learning, static = row["covariance"]["learning"], row["covariance"]["static"]
    vols = " → ".join(formats.share(learning["spot_vol"][at], 0) for at in ("start", "peak"))
    pnl, worst = (f"{_thousands(learning[key])} not {_thousands(static[key])} k$" for key in ("pnl_usd", "worst_usd"))
    hedges = f"{learning['hedges']['count']:,} not {static['hedges']['count']:,} hedges"
    return f"with Σ learning, spot vol {vols}, P&L {pnl}, worst {worst}, {hedges}"


def use_words(margin: Document | None) -> str:
    """The greatest margin use."""
    if margin is None:
        return formats.DASH
    return "all" if margin["use_peak"] is None else formats.share(margin["use_peak"], 0)


def hours_words(hours: float | None) -> str:
    """A time since the beginning: 12.5 h; a dash where it never came."""
    return formats.DASH if hours is None else f"{formats.number(hours, 1)} h"


def _thousands(usd: float) -> str:
    return formats.number(usd / 1_000.0, 1)
