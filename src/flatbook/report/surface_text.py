"""A calibrated surface in a terminal: a line an expiry, twice, and why what is not fitted is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flatbook.report import formats
from flatbook.report.surface_rows import SVI, Row

_LEFT = "<"


def surface_text(document: dict[str, Any], source: str) -> str:
    """`surface_document` as text, some 110 columns wide; vols in points."""
    rows: list[Row] = document["expiries"]
    parts = [_headline(document, source), _table(_FIT, [_fit(row) for row in rows])]
    parts.append(_table(_MADE_OF, [_made_of(row) for row in rows]))
    reasons = [f"{row['expiry']} is {_standing(row)}: {row['reason']}" for row in rows if row["reason"]]
    return "\n\n".join([*parts, *(["\n".join(reasons)] if reasons else [])])


def _headline(document: dict[str, Any], source: str) -> str:
    arbitraged = ", ".join(document["arbitrage"])
    arbitrage = f"ARBITRAGE at {arbitraged}" if arbitraged else "no arbitrage"
    missed = (
        f"missed by {_points(document['rmse_vol'])} vol points, half the bid-ask {_points(document['half_spread_vol'])}"
    )
    when = document["time"][:19].replace("T", " ")
    fitted = f"{document['fitted']} of {document['slices']} expiries fitted"
    return f"{document['underlying']}, {when} UTC, {source}\n{fitted}, {arbitrage}, {missed}"


_FIT = (
    f"{_LEFT}expiry",
    "days",
    "forward",
    "± bp",
    "ATM",
    "RR 25",
    "BF 25",
    "missed by",
    "½ bid-ask",
    "least g",
    "rise",
    f"{_LEFT}status",
)


def _fit(row: Row) -> list[str]:
    return [
        row["expiry"],
        formats.number(row["days"], 2),
        formats.number(row["forward_usd"], 2),
        formats.number(row["forward_error_bp"], 1),
        _points(row["atm_vol"]),
        _points(row["risk_reversal_25_vol"]),
        _points(row["butterfly_25_vol"]),
        _points(row["rmse_vol"]),
        _points(row["half_spread_vol"]),
        formats.number(row["least_g"], 4),
        formats.DASH if row["calendar_gap"] is None else f"{row['calendar_gap']:.1e}",
        row["status"],
    ]


_MADE_OF = (f"{_LEFT}expiry", "a", "b", "rho", "m", "s", f"{_LEFT}forward from, and their shares")


def _made_of(row: Row) -> list[str]:
    shares = (f"{source['name']} {formats.share(source['weight'], 0)}" for source in row["forward_sources"])
    return [
        row["expiry"],
        *(formats.number(row["svi"][name], 5) for name in SVI),
        ", ".join(shares) or formats.DASH,
    ]


def _standing(row: Row) -> str:
    return f"{row['status']} {formats.age(row['age_s'])}" if row["status"] == "aged" else row["status"]


def _points(vol: float | None) -> str:
    return formats.number(None if vol is None else 100.0 * vol, 2)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    names = [name.removeprefix(_LEFT) for name in head]
    widths = [max(len(cell) for cell in column) for column in zip(names, *rows, strict=True)]
    sides = [_LEFT if name.startswith(_LEFT) else ">" for name in head]
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(cells, sides, widths, strict=True)).rstrip()
        for cells in (names, *rows)
    )
