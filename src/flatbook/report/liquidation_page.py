"""The picture of a venue's insolvency risk as one file that opens without network."""

from __future__ import annotations

from collections.abc import Mapping

from flatbook.report import formats
from flatbook.report.book_value import Document
from flatbook.report.html import page
from flatbook.report.liquidation_text import (
    OWERS,
    axes,
    crashes_words,
    debts_words,
    engine,
    holds_options,
    late_words,
    misvalued_words,
    more_words,
)
from flatbook.report.markup import Column, Html, figure, section, table, tag, tile

_LATE_NOTE = (
    "What accounts owe beyond all they had, by how old the prices are that the engine sees; a line a mis-valuation of "
    "collateral. Means over drawn crashes, bars two standard errors. All engines met the same crashes: differences "
    "between them, in the table, are known far better than their levels."
)
_WRONG_NOTE = (
    "The same debts by how much too high the engine takes the token that some accounts post; a line a lateness. "
    "Accounts chose their size by what they were credited with."
)
_FUND_NOTE = "Share of crashes in which the insurance fund did not suffice, so that winners or everybody paid."
_PAID_NOTE = (
    "What the fund lost, what winners bore by auto-deleveraging, and what was socialised, in the mean. The fund's loss "
    "has its costs of selling and its fees in it: below nothing it earned more than it paid."
)
_OWED_NOTE = (
    "The same debts by who owed them: futures; strangles sold and not hedged; makers of every option, short on "
    "balance, whose delta was hedged in the perpetual at the start; one option bought; one sold bare. Options are "
    "marked along the crash with index and vols, which rise as it falls, and margined and closed by the same rules."
)
_MADE_NOTE = "What the venue, its people and the crash were; every number is an argument."


def render_liquidation(document: Document) -> str:
    """The whole page."""
    body = (
        _header(document),
        _tiles(document),
        section("late", "A late engine", _LATE_NOTE, figure("by-late", "Debts", "basis points of open interest")),
        section("wrong", "Collateral valued too high", _WRONG_NOTE,
                figure("by-value", "Debts", "basis points of open interest")),
        section("fund", "Beyond the fund", _FUND_NOTE, figure("uncovered", "Fund did not suffice", "share of crashes")),
        section("paid", "Who paid", _PAID_NOTE, figure("payers", "Paid by", "USD a crash"), _engines(document)),
        *_owed(document),
        section("made", "What it was made from", _MADE_NOTE, _parameters(document)),
        tag("footer", tag("p", "All is settled in dollars, the perpetual at an index of jumps and diffusion, options "
                               "on flat smiles; no account adds margin; makers take the other side of what is left.")),
    )  # fmt: skip
    late, misvalued = axes(document)
    data = {
        "late": late,
        "late_names": [late_words(seconds).removesuffix(" late") for seconds in late],
        "misvalued": misvalued,
        "misvalued_names": [misvalued_words(share) for share in misvalued],
        "owers": [[f"{field}_usd", name] for field, name in OWERS.items()] if holds_options(document) else [],
        "engines": [[engine(document, seconds, share) for share in misvalued] for seconds in late],
    }
    return page(title="flatbook · liquidation", body=Html("".join(body)), script="liquidation.js", data=data)


def _header(document: Document) -> Html:
    model = document["model"]
    owed = {"owed": "Who owed"} if holds_options(document) else {}
    names = {"late": "Late", "wrong": "Mis-valued", "fund": "Beyond the fund", "paid": "Who paid", **owed}
    names["made"] = "Made from"
    lead = (
        f"{crashes_words(document)} · {document['population']['accounts']:,} accounts · "
        f"seed {document['seed']} · parameters of {model['since']}"
    )
    return tag(
        "header",
        tag("p", "flatbook", css="brand"),
        tag("h1", "Insolvency risk", tag("span", f" of {model['title']}, {_waterfall(document)}", css="quiet")),
        tag("p", lead, css="lead"),
        tag("nav", *(Html(f'<a href="#{link}">{name}</a>') for link, name in names.items())),
    )


def _waterfall(document: Document) -> str:
    names = {
        "ranked": "deleveraged by rank",
        "water_filling": "deleveraged to the least leverage",
        "socialised": "socialised beyond the fund",
        "auction": "by Dutch auction",
    }
    return names[document["waterfall"]]


def _tiles(document: Document) -> Html:
    late, misvalued = axes(document)
    corners = ((late[0], misvalued[0]), (late[-1], misvalued[0]), (late[0], misvalued[-1]), (late[-1], misvalued[-1]))
    tiles = []
    for seconds, share in dict.fromkeys(corners):
        row = engine(document, seconds, share)
        what = f"{late_words(seconds)}, {misvalued_words(share)}"
        tiles.append(tile(what, f"{debts_words(row)} bp", f"fund not enough in {formats.share(row['uncovered'], 0)}"))
    return tag("div", *tiles, css="tiles")


def _engines(document: Document) -> Html:
    columns = (
        Column("Engine", is_number=False),
        Column("Collateral", is_number=False),
        Column("Debts", "bp of open interest"),
        Column("More than the first", "bp, on the same paths"),
        Column("Debts", "USD"),
        Column("Fund", "USD"),
        Column("Winners", "USD"),
        Column("Everybody", "USD"),
        Column("Fund not enough", "of crashes"),
    )
    rows = [
        (
            late_words(row["late_s"]),
            misvalued_words(row["misvalued"]),
            debts_words(row),
            more_words(row),
            *(formats.usd(row[f"{name}_usd"]) for name in ("debts", "fund_loss", "deleveraged", "socialised")),
            formats.share(row["uncovered"], 0),
        )
        for row in document["engines"]
    ]
    return table(columns, rows)


def _owed(document: Document) -> list[Html]:
    if not holds_options(document):
        return []
    columns = (
        Column("Engine", is_number=False),
        Column("Collateral", is_number=False),
        *(Column(name, "USD") for name in OWERS.values()),
    )
    rows = [
        (
            late_words(row["late_s"]),
            misvalued_words(row["misvalued"]),
            *(formats.usd(row[f"{field}_usd"]) for field in OWERS),
        )
        for row in document["engines"]
    ]
    return [section("owed", "Who owed", _OWED_NOTE, figure("owers", "Owed by", "USD a crash"), table(columns, rows))]


def _parameters(document: Document) -> Html:
    columns = (Column("Of", is_number=False), Column("Parameter", is_number=False), Column("Value"))
    parts: dict[str, Mapping[str, object]] = {
        "people": document["population"],
        **({"options": document["menu"]} if holds_options(document) else {}),
        "crash": document["crash"],
        "venue": {**document["design"], **document["rules"]},
    }
    return table(
        columns,
        [(part, formats.words(name), str(value)) for part, held in parts.items() for name, value in held.items()],
    )
