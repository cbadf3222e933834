"""The margin of a book by venue as one file that opens without network."""

from __future__ import annotations

from flatbook.report import formats
from flatbook.report.book_value import Document
from flatbook.report.html import page
from flatbook.report.markup import Column, Html, figure, nothing, section, table, tag, tile, toned
from flatbook.report.venues_text import EXPOSURE_NAMES, as_one_words, deviation_words, reach, short_words

_USE_NOTE = (
    "Maintenance over the margin balance, now and after the transfers. At the dashed line money is asked for; at the "
    "solid one a venue has what it is meant to; at 100 % it is liquidated."
)
_VENUES_NOTE = (
    "Each venue by its own rules. Spot moves alike in every underlying, all else still, until maintenance is not "
    "covered."
)
_NETS_NOTE = (
    "Exposures of venues sum to the book's, and what one holds against another needs no hedge. Delta counts coin held."
)
_TRANSFERS_NOTE = (
    "The cheapest by fees and by what a dollar under way is worth. Proposals: nothing is moved. Uses after them are of "
    "margins made anew with the collateral where it would be."
)


def render_venues(document: Document, book: str) -> str:
    """The whole page of the margin by venue of the book file `book`."""
    body = (
        _header(document, book),
        _tiles(document),
        section("use", "Margin use", _USE_NOTE, figure("use-chart", "By venue", "share of the margin balance")),
        section("venues", "Venues", _VENUES_NOTE, _venues(document)),
        section("transfers", "Transfers", _TRANSFERS_NOTE, *_transfers(document)),
        section("nets", "What nets", f"{_NETS_NOTE} {deviation_words(document)}", _exposures(document)),
        section("collateral", "Collateral", as_one_words(document), _collateral(document)),
        _footer(document),
    )
    data = {"bounds": document["bounds"], "venues": [_bar(row) for row in document["venues"]]}
    return page(title=f"flatbook · venues of {book}", body=Html("".join(body)), script="venues.js", data=data)


def _header(document: Document, book: str) -> Html:
    markets = " · ".join(
        f"{name} {formats.usd(market['index_usd'])} at {market['at'][:16].replace('T', ' ')} UTC"
        for name, market in document["market"]["underlyings"].items()
    )
    links = {
        "use": "Use",
        "venues": "Venues",
        "transfers": "Transfers",
        "nets": "What nets",
        "collateral": "Collateral",
    }
    return tag(
        "header",
        tag("p", "flatbook", css="brand"),
        tag("h1", "Margin by venue", tag("span", f" of {book}", css="quiet")),
        tag("p", f"{markets} · {document['market']['source']}", css="lead"),
        tag("nav", *(Html(f'<a href="#{link}">{name}</a>') for link, name in links.items())),
    )


def _tiles(document: Document) -> Html:
    total, day = document["total"], document["day_deviation"]
    worst = max(document["venues"], key=lambda row: row["maintenance_usage"] or 0.0)
    moved = sum(one["sent_usd"] for one in document["transfers"])
    fees = sum(one["fee_usd"] for one in document["transfers"])
    surplus = total["margin_balance_usd"] - total["maintenance_margin_usd"]
    return tag(
        "div",
        tile(
            "Highest use", formats.share(worst["maintenance_usage"], 0), f"of the margin balance, at {worst['venue']}"
        ),
        tile("Margin balance", formats.usd(total["margin_balance_usd"]), f"at {len(document['venues'])} venues"),
        tile(
            "Maintenance",
            formats.usd(total["maintenance_margin_usd"]),
            f"initial {formats.usd(total['initial_margin_usd'])}",
        ),
        tile("Left to lose", toned(surplus, formats.usd(surplus)), "over maintenance, if it could be anywhere"),
        tile("A day's deviation", formats.usd(day["net_usd"]), f"venues apart: {formats.usd(day['gross_usd'])}"),
        tile("To move", formats.usd(moved), f"fees {formats.usd(fees, 2)}"),
        css="tiles",
    )


def _venues(document: Document) -> Html:
    columns = (
        Column("Venue", is_number=False),
        Column("Model", is_number=False),
        Column("Balance", "USD"),
        Column("Initial", "USD"),
        Column("Maintenance", "USD"),
        Column("Use"),
        Column("After"),
        Column("Spot down"),
        Column("Spot up"),
        Column("Vols up"),
    )
    rows = [
        (
            tag("b", row["venue"]) if row["is_called"] else row["venue"],
            row["model"],
            *(formats.usd(row[f"{name}_usd"]) for name in ("margin_balance", "initial_margin", "maintenance_margin")),
            formats.share(row["maintenance_usage"], 0),
            formats.share(row["maintenance_usage_after"], 0),
            *(reach(row, name) for name in ("spot down", "spot up", "vol up")),
        )
        for row in document["venues"]
    ]
    return table(columns, rows)


def _transfers(document: Document) -> list[Html]:
    found = [nothing(line) for line in short_words(document)]
    if not document["transfers"]:
        return found or [nothing("No venue is near a margin call: nothing is to be moved.")]
    columns = (
        Column("From", is_number=False),
        Column("To", is_number=False),
        Column("Sent"),
        Column("", is_number=False),
        Column("Worth", "USD"),
        Column("Fee", "USD"),
    )
    rows = [
        (
            one["from"],
            one["to"],
            formats.coin(one["sent"]),
            one["currency"],
            formats.usd(one["sent_usd"]),
            formats.usd(one["fee_usd"], 2),
        )
        for one in document["transfers"]
    ]
    reasons = dict.fromkeys(f"To {one['to']}: {one['reason']}." for one in document["transfers"])
    return [table(columns, rows), *(tag("p", reason, css="note") for reason in reasons), *found]


def _exposures(document: Document) -> Html:
    venues = [row["venue"] for row in document["venues"]]
    columns = (
        Column("Exposure", is_number=False),
        *(Column(venue, "USD") for venue in venues),
        Column("Gross", "USD"),
        Column("Net", "USD"),
        Column("Nets away", "USD"),
    )
    rows = [
        (
            f"{row['underlying']} {EXPOSURE_NAMES[row['exposure']].removesuffix(', $')}",
            *(formats.usd(row["by_venue"][venue]) for venue in venues),
            *(formats.usd(row[name]) for name in ("gross", "net", "netted")),
        )
        for row in document["exposures"]
    ]
    return table(columns, rows)


def _collateral(document: Document) -> Html:
    columns = (
        Column("Venue", is_number=False),
        Column("Currency", is_number=False),
        Column("Held"),
        Column("Worth", "USD"),
        Column("Haircut"),
    )
    rows = [
        (
            row["venue"],
            held["currency"],
            formats.coin(held["amount"]),
            formats.usd(held["usd"]),
            formats.share(held["maintenance_haircut"]),
        )
        for row in document["venues"]
        for held in row["collateral"]
    ]
    return table(columns, rows) if rows else nothing("The book names no balances.")


def _footer(document: Document) -> Html:
    terms = document["transfer_terms"]
    return tag("footer", tag("p", f"Cost of transfers as of {terms['since']}. Source: {terms['source']}."))


def _bar(row: Document) -> Document:
    return {"venue": row["venue"], "now": row["maintenance_usage"], "after": row["maintenance_usage_after"]}
