"""The numbers of a run: `report.json` as the contract has it."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from flatbook.domain.errors import LimitBreachedError
from flatbook.report.breakdown import CENT_USD, KEYS, coin_totals, parts_by
from flatbook.report.facts import FlowFacts, LedgerFacts, RunFacts
from flatbook.report.hedge_summary import summarise_hedges
from flatbook.report.other_coins import summarise_other_coins
from flatbook.report.rfq_summary import summarise_rfqs
from flatbook.report.statistics import max_drawdown, std_per_hour, time_weighted_rms
from flatbook.report.tables import MARKOUT_HORIZONS_NS, PARTS, Tables, conform

Summary = dict[str, Any]
"""`report.json`: sections by name, each a mapping of its keys; null where a number does not apply."""


def summarise(series: Tables | Mapping[str, pl.DataFrame], facts: RunFacts) -> Summary:
    """The run's summary, every key of the contract present.

    Units       USD unless a key's suffix says otherwise; shares from 0 to 1; losses (drawdown, stress) positive
    Errors      LimitBreachedError where the parts of P&L do not sum to the total, or the total is not the ledger's,
                to the cent; or where days, strategies and expiries do not sum to that, in coin to the smallest unit
    """
    frames = conform(series.frames() if isinstance(series, Tables) else series)
    pnl = _pnl(frames["equity"], facts.ledger)
    by = frames["pnl"]
    underlying = facts.run.underlying
    return {
        "run": _run(facts),
        "pnl": pnl,
        "pnl_coin": dict(facts.ledger.pnl_coin),
        "pnl_coin_parts": None if by.is_empty() else {underlying: coin_totals(by, pnl, facts.ledger.worth_coin)},
        "pnl_by": None if by.is_empty() else {key: parts_by(by, key) for key in KEYS},
        "risk": _risk(frames["equity"], frames["exposures"], facts.limit_breaches),
        "flow": _flow(frames["fills"], facts.flow),
        "quotes": _quotes(facts),
        "hedges": summarise_hedges(frames, facts.hedging),
        "other_coins": summarise_other_coins(frames),
        "rfq": summarise_rfqs(frames["rfqs"]),
        "ledger": {
            "balanced": facts.ledger.balanced,
            "balances": dict(facts.ledger.balances),
            "positions_open": facts.ledger.positions_open,
            "venues": [msgspec.to_builtins(held) for held in facts.ledger.venues],
        },
        "limits": [msgspec.to_builtins(limit) for limit in facts.limits],
        "checks": _checks(pnl),
        "monitors": _monitors(facts),
        "latency": None if facts.latency is None else msgspec.to_builtins(facts.latency),
        "log": [msgspec.to_builtins(entry) for entry in facts.log],
    }


def _monitors(facts: RunFacts) -> Summary:
    """Every monitor at every horizon, numbers that are not known as null."""
    readings = [
        {
            key: value if not isinstance(value, float) else _known(value)
            for key, value in msgspec.to_builtins(one).items()
        }
        for one in facts.monitors
    ]
    return {
        "false_alarms_per_week": facts.false_alarms_per_week,
        "alarms": sum(one.alarms for one in facts.monitors),
        "readings": readings,
    }


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _run(facts: RunFacts) -> Summary:
    run = facts.run
    return {**msgspec.to_builtins(run), "events_per_s": run.events / run.wall_s if run.wall_s > 0 else None}


def _pnl(equity: pl.DataFrame, ledger: LedgerFacts) -> Summary:
    if equity.is_empty():
        return dict.fromkeys(("total", *PARTS))
    last = equity.row(-1, named=True)
    total, parts = last["equity_usd"], {name: last[name] for name in PARTS}
    gap = math.fsum(parts.values()) - total
    if not abs(gap) < CENT_USD:
        raise LimitBreachedError(f"the parts of P&L sum to {gap:+.2f} USD beside the total {total:.2f} USD")
    if not abs(total - ledger.pnl_usd) < CENT_USD:
        raise LimitBreachedError(f"explained P&L is {total:.2f} USD but the ledger holds {ledger.pnl_usd:.2f} USD")
    return {"total": total, **parts}


def _risk(equity: pl.DataFrame, exposures: pl.DataFrame, limit_breaches: int) -> Summary:
    money = equity["equity_usd"].to_numpy()
    times = exposures["ts_ns"].to_numpy()

    def rms(column: str) -> float | None:
        return _known(time_weighted_rms(times, exposures[column].to_numpy()))

    return {
        "pnl_std_per_hour": _known(std_per_hour(equity["ts_ns"].to_numpy(), money)),
        "max_drawdown": _known(max_drawdown(money)),
        "delta_rms": rms("delta_usd"),
        "gamma_1pct_rms": rms("gamma_1pct_usd"),
        "vega_rms": rms("vega_usd"),
        "stress_loss_max": _known(_greatest(exposures["stress_loss_usd"])),
        "limit_breaches": limit_breaches,
    }


def _greatest(values: pl.Series) -> float | None:
    greatest = values.fill_nan(None).max()
    return greatest if isinstance(greatest, float) else None


def _flow(fills: pl.DataFrame, flow: FlowFacts) -> Summary:
    known = {column.removesuffix("_usd"): fills[column].fill_nan(None).drop_nulls() for column in MARKOUT_HORIZONS_NS}
    return {
        "fills": fills.height,
        "volume_usd": flow.volume_usd,
        "fill_share": _known(flow.fill_share),
        **{name: float(values.sum()) if len(values) else None for name, values in known.items()},
        "markout_fills": {name: len(values) for name, values in known.items()},
        "edge_usd": float(fills["edge_usd"].sum()),
        "fill_models": [msgspec.to_builtins(model) for model in flow.fill_models],
    }


def _quotes(facts: RunFacts) -> Summary:
    quotes, events = facts.quotes, facts.run.events
    return {
        "uptime": _known(quotes.uptime),
        "two_sided_share": _known(quotes.two_sided_share),
        "median_half_spread_vol_pt": _known(quotes.median_half_spread_vol_pt),
        "messages_per_event": quotes.messages / events if events else None,
    }


def _checks(pnl: Summary) -> Summary:
    if pnl["total"] is None:
        return {"gross_usd": None, "unexplained_share_of_gross": None}
    gross = math.fsum(abs(pnl[name]) for name in PARTS)
    return {"gross_usd": gross, "unexplained_share_of_gross": abs(pnl["unexplained"]) / gross if gross > 0 else None}
