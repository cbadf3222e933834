"""A stressed book as one document, and what is drawn of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np

from flatbook.app.stress import StressResults
from flatbook.domain.units import format_utc
from flatbook.market.shock import Shock
from flatbook.valuation.reverse_stress import FARTHEST, Breaking
from flatbook.valuation.stress import Scenario, Stressed

Document = dict[str, Any]

STRESS_UNITS: Final = {
    "pnl_usd": "USD, below 0 a loss, of positions and balances",
    "spot, vol, basis": "relative moves: -0.2 is a fall of 20 %",
    "days": "that pass",
    "term": "vols move by (30 / days to expiry)^term besides",
    "skew, convexity": "vol at one standard deviation",
    "deviations": "standard deviations of a day: of the axis alone, or together under Σ",
}
"""What is in the document, by key."""

_ALONG: Final = ("spot down", "spot up", "vol down", "vol up", "together")


def stress_document(results: StressResults) -> Document:
    """Everything that was found; None where there is no such number."""
    request, opened = results.request, results.opened
    return {
        "market": {
            "source": opened.found.source,
            "underlyings": {
                name: {"at": format_utc(one.ts_ns), "ts_ns": one.ts_ns, "index_usd": one.index_usd}
                for name, one in sorted(opened.markets.snapshots.items())
            },
        },
        "book": {"value_usd": results.worth_usd, "positions": len(opened.portfolio.positions)},
        "set": {
            "name": results.chosen.name,
            "as_of": results.chosen.as_of.isoformat(),
            "source": results.chosen.source,
        },
        "scenarios": [_row(one) for one in results.stressed],
        "worst": _worst(results),
        "limit_usd": request.limit_usd,
        "holds": results.holds,
        "grid": {
            "spot": list(request.spots),
            "vol": list(request.vols),
            "days": list(request.days),
            "pnl_usd": results.grid_usd.tolist(),
        },
        "ladder": {
            "spot": results.ladder_spots.tolist(),
            "vol": list(request.vols),
            "pnl_usd": results.ladder_usd.tolist(),
        },
        "reverse": {
            "loss_usd": results.loss_usd if results.breaks else None,
            "farthest_deviations": FARTHEST,
            "moves": [_break(along, one) for along, one in zip(_ALONG, results.breaks or [None] * 5, strict=False)],
        },
        "units": STRESS_UNITS,
        "notes": [*opened.notes, *results.notes],
    }


def stress_charts(document: Document) -> Document:
    """What the page's script draws."""
    worst = document["worst"]["positions"][:24]
    return {
        "grid": document["grid"],
        "ladder": document["ladder"],
        "scenarios": [{"name": row["name"], "pnl": row["pnl_usd"]} for row in _ranked(document["scenarios"])],
        "positions": {
            "names": [row["instrument"] for row in worst],
            "pnl": [row["pnl_usd"] for row in worst],
        },
        "limit": document["limit_usd"],
    }


def _ranked(rows: list[Document]) -> list[Document]:
    return sorted(rows, key=lambda row: float(row["pnl_usd"]))


def _row(one: Stressed) -> Document:
    return {
        "name": one.scenario.name,
        "note": one.scenario.note,
        "pnl_usd": one.pnl_usd,
        "revalued_usd": float(one.revalued_usd.sum()),
        "funding_usd": float(one.funding_usd.sum()),
        "lost_usd": float(one.lost_usd.sum()),
        "balances_usd": one.balances_usd,
        "lost_venue": one.lost_venue or None,
        **_happening(one.scenario),
    }


def _happening(scenario: Scenario) -> Document:
    unhedged = scenario.unhedged
    return {
        "shock": _moved(scenario.shock),
        "own": {name: _moved(shock) for name, shock in scenario.own.items()},
        "unhedged": None if unhedged is None else {"hours": unhedged.hours, "deviations": unhedged.deviations},
        "correlation": scenario.correlation,
        "dollars": dict(scenario.dollars),
        "funding_8h": scenario.funding_8h,
        "funding_hours": scenario.funding_hours,
    }


def _moved(shock: Shock) -> Document:
    """What of a shock is something, by field."""
    return {name: value for name, value in asdict(shock).items() if value}


def _worst(results: StressResults) -> Document:
    worst, book = results.worst, results.opened.portfolio
    gained = worst.by_position_usd
    order = np.argsort(gained, kind="stable").tolist()
    return {
        **_row(worst),
        "positions": [
            {
                "instrument": book.positions[at].instrument.name,
                "venue": book.positions[at].venue or None,
                "size": book.positions[at].size,
                "pnl_usd": float(gained[at]),
            }
            for at in order
        ],
    }


def _break(along: str, found: Breaking | None) -> Document:
    if found is None:
        return {"along": along, "deviations": None, "shocks": None, "pnl_usd": None}
    return {
        "along": along,
        "deviations": found.deviations,
        "shocks": {name: _moved(shock) for name, shock in found.shocks.items()},
        "pnl_usd": found.pnl_usd,
    }
