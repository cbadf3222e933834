"""A book's crises as a part of a document, and what is drawn of them."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flatbook.app.crises import CrisisResults
from flatbook.domain.units import format_utc
from flatbook.policies.crises import Crisis
from flatbook.sim.crises.outcome import Gap, Replayed

Document = dict[str, Any]

CRISIS_UNITS: Final = {
    "pnl_usd": "of positions and hedges at the end, USD; parts_usd sum to it",
    "balances_usd": "what the currencies of balances did to them, apart",
    "spot_low, spot_end": "of the leading coin over its first price",
    "vol_high": "a month's vol over its first",
    "hours": "since the crisis began; null where it never came",
    "margin_use": "maintenance over margin balance; null where none is followed, or nothing is left to cover it",
    "loop_gain": "dollars of new delta that hedging a dollar opens, as a move of 1 % meets it: from 1 on it runs away",
    "spiral_gain": "surplus margin that a forced closing's own impact costs, over what the closing freed",
    "covariance": "with Σ learning on the way, and as it was before the crisis: spot_vol is annual, as Σ has it; null "
    "where the rule asks for no Σ",
    "pushed": "log move of the leading coin's price by our own trades, the farthest",
}
"""What is in the document, by key."""

_POINTS = 400
"""Of a drawn path."""


def crises_document(results: CrisisResults, limit_usd: float | None) -> Document:
    """Everything that was found; None where there is no such number."""
    request = results.request
    both = zip(results.replays, results.static, strict=True)
    rows = [_row(crisis, found) | {"covariance": _covariance(found, static)} for (crisis, found), static in both]
    worst = min(rows, key=lambda row: float(row["worst"]["pnl_usd"]))
    return {
        "hedge": request.hedge,
        "hedge_minutes": request.hedge_minutes,
        "risk_aversion_per_usd": request.risk_aversion,
        "outage_hours": request.outage_hours,
        "depth_factor": request.depth_factor,
        "lose_venue": request.lost_venue or None,
        "margin_model": request.margin_model,
        "rows": rows,
        "worst": worst["name"],
        "limit_usd": limit_usd,
        "holds": limit_usd is None or -worst["worst"]["pnl_usd"] <= limit_usd,
        "units": CRISIS_UNITS,
        "notes": list(results.notes),
    }


def crises_charts(results: CrisisResults) -> list[Document]:
    """Paths as they are drawn, a crisis each; margin use beyond twice all there is is drawn as that."""
    drawn = []
    for crisis, found in results.replays:
        at = np.unique(np.linspace(0, len(found.path) - 1, _POINTS).astype(np.int64))
        use = np.minimum(found.steps.usage, 2.0)
        drawn.append({
            "name": crisis.name,
            "title": crisis.title,
            "hours": _numbers((found.path.ts_ns - found.path.ts_ns[0])[at] / 3.6e12, 3),
            "spot": _numbers(np.exp(found.path.log_spot)[at], 5),
            "pnl": _numbers(found.steps.pnl_usd[at], 0),
            "delta": _numbers(found.steps.net_delta_usd[at], 0),
            "use": _numbers(use[at], 4),
            "call": found.hours(found.margin_call_at),
            "closed": found.hours(found.closed_at),
            "outage": None if found.outage is None else [found.hours(step) for step in found.outage],
        })  # fmt: skip
    return drawn


def _row(crisis: Crisis, found: Replayed) -> Document:
    steps, lead = found.steps, found.path.of(found.path.lead)
    return {
        "name": crisis.name,
        "title": crisis.title,
        "begins": format_utc(int(found.path.ts_ns[0])),
        "ends": format_utc(int(found.path.ts_ns[-1])),
        "steps": len(found.path),
        "real": crisis.real,
        "modelled": crisis.modelled,
        "sources": sorted(crisis.files),
        "spot_low": 1.0 + float(lead.spot.min()),
        "spot_end": 1.0 + float(lead.spot[-1, 0]),
        "vol_high": 1.0 + float(lead.vol.max()),
        "pnl_usd": float(steps.pnl_usd[-1]),
        "balances_usd": float(steps.balances_usd[-1]),
        "worst": _moment(found, found.worst),
        "drawdown_usd": found.drawdown_usd,
        "recovered_hours": found.hours(found.recovered_at),
        "book_delta_peak_usd": _farthest(steps.book_delta_usd),
        "net_delta_peak_usd": _farthest(steps.net_delta_usd),
        "hedges": _hedges(found),
        "worst_gap": _gap(found, found.worst_gap),
        "margin": _margin(found),
        "loop_gain": _farthest(steps.loop_gain),
        "pushed": _farthest(steps.pushed_log),
        "stops": {stage: found.hours(step) for stage, step in found.stages().items()},
        "outage_hours": None if found.outage is None else [found.hours(step) for step in found.outage],
        "lost": {"venue": found.lost_venue, "hours": found.hours(found.lost_at)} if found.lost_venue else None,
        "parts_usd": dict(found.parts),
    }


def _hedges(found: Replayed) -> Document:
    return {"count": found.hedges, "volume_usd": found.hedged_usd, "cost_usd": -found.parts["hedge_cost"]}


def _covariance(learning: Replayed, static: Replayed | None) -> Document | None:
    """What came of the book by either Σ."""
    if static is None:
        return None
    return {"learning": _by_sigma(learning), "static": _by_sigma(static)}


def _by_sigma(found: Replayed) -> Document:
    vol, margin = found.steps.spot_vol, _margin(found)
    return {
        "spot_vol": {"start": float(vol[0]), "peak": float(vol.max()), "end": float(vol[-1])},
        "pnl_usd": float(found.steps.pnl_usd[-1]),
        "worst_usd": float(found.steps.pnl_usd[found.worst]),
        "pnl_step_std_usd": float(np.std(np.diff(found.steps.pnl_usd))),
        "net_delta_rms_usd": float(np.sqrt(np.mean(np.square(found.steps.net_delta_usd)))),
        "hedges": _hedges(found),
        "margin_use_peak": None if margin is None else margin["use_peak"],
    }


def _moment(found: Replayed, step: int) -> Document:
    return {
        "at": format_utc(int(found.path.ts_ns[step])),
        "hours": found.hours(step),
        "pnl_usd": float(found.steps.pnl_usd[step]),
        "spot": math.exp(float(found.path.log_spot[step])),
    }


def _gap(found: Replayed, gap: Gap | None) -> Document | None:
    if gap is None:
        return None
    begins, ends = found.hours(gap.first), found.hours(gap.last)
    moved = math.expm1(gap.log_move)
    return {"hours": [begins, ends], "spot": moved, "pnl_usd": gap.pnl_usd, "gamma_usd": gap.gamma_usd}


def _margin(found: Replayed) -> Document | None:
    if math.isnan(found.steps.maintenance_usd[0]):
        return None
    most = float(np.max(found.steps.usage))
    return {
        "use_at_start": _finite(float(found.steps.usage[0])),
        "use_peak": _finite(most),
        "call_hours": found.hours(found.margin_call_at),
        "closed_hours": found.hours(found.closed_at),
        "closed_share": 1.0 - float(found.steps.left[-1]),
        "rounds": found.closing_rounds,
        "spiral_gain": _finite(found.spiral_gain),
    }


def _farthest(values: NDArray[np.float64]) -> float:
    """The value farthest from 0."""
    return float(values[int(np.argmax(np.abs(values)))])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _numbers(values: NDArray[np.float64], places: int) -> list[float | None]:
    return [_finite(value) for value in np.round(values, places).tolist()]
