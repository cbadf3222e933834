"""The section of a stressed book's page on crises."""

from __future__ import annotations

from typing import Any

from flatbook.report import formats
from flatbook.report.crises_text import happened_words, hours_words, terms_words, use_words
from flatbook.report.markup import Cell, Column, Html, figure, section, table, tag, toned

Document = dict[str, Any]

_NOTE = (
    "The book of today, in today's market, moved as each crisis moved it: spot, vols, terms, basis and funding as "
    "recorded where they were. It is revalued in full at each step and hedged by the rule above, in a market that its "
    "own trades move. P&L is of positions and hedges; balances are collateral, and count for margin alone. Dots mark a "
    "margin call, crosses the first forced closing; spans without a hedge venue are drawn heavier."
)


def crises_section(crises: Document) -> Html:
    """Pictures of P&L and margin use, the table of all, and what of each is real."""
    drawn = [
        figure("crisis-pnl-chart", "P&L", "USD, by hours since the beginning"),
        figure("crisis-spot-chart", "Spot", "over its first price"),
        figure("crisis-delta-chart", "Net delta", "USD, with hedges"),
    ]
    if any(row["margin"] is not None for row in crises["rows"]):
        drawn.insert(1, figure("crisis-use-chart", "Margin use", "maintenance over margin balance, cut at 200 %"))
    return section(
        "crises",
        "Crises",
        f"{terms_words(crises)}. {_NOTE}",
        *drawn,
        _table(crises["rows"]),
        *_covariances(crises["rows"]),
        _sources(crises["rows"]),
    )


def _table(rows: list[Document]) -> Html:
    columns = (
        Column("Crisis", is_number=False),
        Column("Low"),
        Column("Vol", "times"),
        Column("P&L", "USD"),
        Column("Worst", "USD"),
        Column("Drawdown", "USD"),
        Column("Hedge cost", "USD"),
        Column("Worst gap", "USD"),
        Column("Delta peak", "USD"),
        Column("Margin use"),
        Column("Back after"),
        Column("What happened", is_number=False),
    )
    return table(columns, [_row(row) for row in rows], css="told")


def _row(row: Document) -> list[Cell]:
    gap = row["worst_gap"]
    return [
        row["name"],
        f"{formats.number(100 * (row['spot_low'] - 1), 0)} %",
        formats.number(row["vol_high"], 2),
        toned(row["pnl_usd"], formats.number(row["pnl_usd"])),
        toned(row["worst"]["pnl_usd"], formats.number(row["worst"]["pnl_usd"])),
        formats.number(row["drawdown_usd"]),
        formats.number(row["hedges"]["cost_usd"]),
        formats.DASH if gap is None else formats.number(gap["pnl_usd"]),
        formats.number(row["net_delta_peak_usd"]),
        use_words(row["margin"]),
        hours_words(row["recovered_hours"]),
        happened_words(row) or formats.DASH,
    ]


_LEARNT = (
    "R is charged by the covariance Σ of factors as the engine's own estimator had it at each step, from steps before: "
    "hedge ratios and no-trade zones follow it, and margin follows the hedges. Below each, the same hedged by the Σ of "
    "before the crisis."
)


def _covariances(rows: list[Document]) -> list[Html]:
    """What it changed that Σ learnt on the way; nothing where no rule asked for Σ."""
    columns = (
        Column("Crisis", is_number=False),
        Column("Σ", is_number=False),
        Column("Spot vol", "most"),
        Column("P&L", "USD"),
        Column("Worst", "USD"),
        Column("P&L of a step", "std, USD"),
        Column("Delta", "rms, USD"),
        Column("Hedges"),
        Column("Hedge cost", "USD"),
        Column("Margin use"),
    )
    told = [
        _by_sigma(row["name"] if name == "learning" else "", words, row["covariance"][name])
        for row in rows
        if row["covariance"] is not None
        for name, words in (("learning", "learning"), ("static", "as before it"))
    ]
    if not told:
        return []
    return [Html(tag("h3", "What Σ learnt on the way") + tag("p", _LEARNT, css="lead") + table(columns, told))]


def _by_sigma(crisis: str, sigma: str, found: Document) -> list[Cell]:
    return [
        crisis,
        sigma,
        formats.share(found["spot_vol"]["peak"], 0),
        toned(found["pnl_usd"], formats.number(found["pnl_usd"])),
        toned(found["worst_usd"], formats.number(found["worst_usd"])),
        formats.number(found["pnl_step_std_usd"]),
        formats.number(found["net_delta_rms_usd"]),
        formats.number(found["hedges"]["count"]),
        formats.number(found["hedges"]["cost_usd"]),
        formats.DASH if found["margin_use_peak"] is None else formats.share(found["margin_use_peak"], 0),
    ]


def _sources(rows: list[Document]) -> Html:
    columns = (
        Column("Crisis", is_number=False),
        Column("From, to", is_number=False),
        Column("What is real", is_number=False),
    )
    told = [
        (
            f"{row['name']}: {row['title']}",
            f"{row['begins'][:10]} – {row['ends'][:10]}",
            f"As recorded: {row['real']}. Modelled: {row['modelled']}.",
        )
        for row in rows
    ]
    return Html(tag("h3", "What they are made of") + table(columns, told, css="told"))
