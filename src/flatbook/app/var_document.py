"""VaR and ES of a book as one document: by method and confidence, by position, what getting out adds, how it held."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import format_utc
from flatbook.kernels.chain import FACTORS, SPOT
from flatbook.market.snapshot import Markets
from flatbook.risk.var.backtests import Verdict
from flatbook.risk.var.history import FactorHistory
from flatbook.risk.var.liquidity import ExitCost
from flatbook.risk.var.measures import RiskMeasures
from flatbook.risk.var.parametric import moments_of, parametric_var_usd
from flatbook.risk.var.rolling import Forecasts, Judgement
from flatbook.valuation.portfolio import Portfolio

Floats = NDArray[np.float64]
Document = dict[str, Any]

VAR_UNITS: Final = {
    "var_usd": "USD, a loss is positive; by Harrell and Davis' weights of ranked losses",
    "es_usd": "USD, the mean of the losses beyond",
    "error": "one standard error of what so many scenarios tell, wider where they overlap",
    "component": "USD, sum to the total: mean of the row's own loss in the book's losses that make VaR and ES",
    "incremental": "USD that the book has over the book without the row",
    "per_lot": "USD that one more lot of the row, on its side, adds",
    "liquidity_adjusted_var_usd": "VaR while held and then wound down evenly, and half the spread when it is wide",
    "z2": "0 where VaR and ES are right, above where tails were worse; Acerbi and Székely's second, sign turned",
}
"""What is in the document, by key."""


_BINS: Final = 120
_BARS: Final = 14


@dataclass(frozen=True, eq=False)
class MethodResult:
    """P&L by row and scenario, USD, and what it measures, by confidence."""

    pnl_usd: Floats
    measures: Mapping[float, RiskMeasures]


@dataclass(frozen=True, eq=False)
class Liquidity:
    """What getting out costs, over how long, and by how much VaR grows until then."""

    cost: ExitCost
    exit_hours: float
    scale: float


@dataclass(frozen=True, eq=False)
class RollingResult:
    """Forecasts by method, and how each confidence of them held."""

    forecasts: Mapping[str, Forecasts]
    judgements: Mapping[str, list[Judgement]]


@dataclass(frozen=True, eq=False)
class VarResults:
    """All numbers of a book's VaR, before they are told.

    names, sizes    of rows: positions, then balances
    sigma           per year, of the underlyings' stacked factors
    history         its source and readings; None where there is none
    """

    names: tuple[str, ...]
    sizes: Floats
    portfolio: Portfolio
    markets: Markets
    source: str
    horizon_hours: float
    confidence: float
    seed: int
    sigma: Floats
    history: tuple[str, FactorHistory] | None
    methods: Mapping[str, MethodResult]
    liquidity: Liquidity
    backtest: RollingResult | None
    notes: tuple[str, ...]


def var_document(results: VarResults) -> Document:
    """The whole as plain data; None where there is no number."""
    worth = results.portfolio.worth_usd(results.markets).sum() + results.portfolio.balances_usd(results.markets)
    underlyings = {
        name: {"at": format_utc(market.ts_ns), "ts_ns": market.ts_ns, "index_usd": market.index_usd}
        for name, market in sorted(results.markets.snapshots.items())
    }
    return {
        "market": {"source": results.source, "underlyings": underlyings},
        "book": {"value_usd": float(worth), "rows": len(results.names)},
        "horizon_hours": results.horizon_hours,
        "confidence": results.confidence,
        "seed": results.seed,
        "spot_vol": _spot_vols(results),
        "history": _history(results),
        "methods": {name: _method(results, one) for name, one in results.methods.items()},
        "liquidity": _liquidity(results),
        "backtest": _backtest(results.backtest),
        "units": VAR_UNITS,
        "notes": list(results.notes),
    }


def _spot_vols(results: VarResults) -> Document:
    deviations = np.sqrt(np.diag(results.sigma))
    return {name: float(deviations[at * FACTORS + SPOT]) for at, name in enumerate(sorted(results.markets.snapshots))}


def _history(results: VarResults) -> Document | None:
    if results.history is None:
        return None
    source, factors = results.history
    return {
        "source": source,
        "readings": int(factors.times_ns.size),
        "from": format_utc(int(factors.times_ns[0])),
        "to": format_utc(int(factors.times_ns[-1])),
        "step_hours": factors.step_ns / 3.6e12,
    }


def _method(results: VarResults, method: MethodResult) -> Document:
    total = method.pnl_usd.sum(axis=0)
    moments = moments_of(total)
    main = method.measures[results.confidence]
    return {
        "scenarios": int(total.size),
        "by_confidence": [_level(one, results.liquidity, total) for one in method.measures.values()],
        "pnl": {
            "mean_usd": moments.mean,
            "deviation_usd": moments.deviation,
            "skewness": moments.skewness,
            "excess_kurtosis": moments.kurtosis,
            "worst_usd": float(total.min()),
            "best_usd": float(total.max()),
        },
        "rows": [_row(results, main, at) for at in range(len(results.names))],
    }


def _level(measures: RiskMeasures, liquidity: Liquidity, total: Floats) -> Document:
    stressed = float(np.nansum(liquidity.cost.stressed_usd))
    laws = parametric_var_usd(moments_of(total), measures.confidence)
    return {
        "confidence": measures.confidence,
        "var_usd": measures.var.value,
        "var_error_usd": measures.var.error,
        "es_usd": measures.shortfall.value,
        "es_error_usd": measures.shortfall.error,
        "liquidity_adjusted_var_usd": liquidity.scale * measures.var.value + stressed,
        "liquidity_adjusted_es_usd": liquidity.scale * measures.shortfall.value + stressed,
        "parametric_var_usd": {name: known(value) for name, value in laws.items()},
    }


def _row(results: VarResults, measures: RiskMeasures, at: int) -> Document:
    return {
        "instrument": results.names[at],
        "size": float(results.sizes[at]),
        "component_var_usd": float(measures.component_var[at]),
        "component_es_usd": float(measures.component_shortfall[at]),
        "incremental_var_usd": float(measures.incremental_var[at]),
        "incremental_es_usd": float(measures.incremental_shortfall[at]),
        "var_per_lot_usd": known(measures.var_per_lot[at]),
        "es_per_lot_usd": known(measures.shortfall_per_lot[at]),
    }


def _liquidity(results: VarResults) -> Document:
    liquidity, names = results.liquidity, results.names
    return {
        "exit_hours": liquidity.exit_hours,
        "scale": liquidity.scale,
        "usual_cost_usd": float(np.nansum(liquidity.cost.usual_usd)),
        "stressed_cost_usd": float(np.nansum(liquidity.cost.stressed_usd)),
        "rows": [
            {
                "instrument": name,
                "usual_cost_usd": known(liquidity.cost.usual_usd[at]),
                "stressed_cost_usd": known(liquidity.cost.stressed_usd[at]),
            }
            for at, name in enumerate(names)
        ],
        "not_quoted": [name for name, cost in zip(names, liquidity.cost.usual_usd, strict=True) if math.isnan(cost)],
    }


def _backtest(rolling: RollingResult | None) -> Document | None:
    if rolling is None:
        return None
    first = next(iter(rolling.forecasts.values()))
    return {
        "forecasts": int(first.loss.size),
        "from": format_utc(int(first.made_ns[0])),
        "to": format_utc(int(first.made_ns[-1])),
        "methods": {
            name: [_judged(one, first.loss) for one in judgements] for name, judgements in rolling.judgements.items()
        },
    }


def _judged(one: Judgement, loss: Floats) -> Document:
    return {
        "confidence": one.confidence,
        "exceedances": one.exceedances,
        "expected": float(loss.size * (1.0 - one.confidence)),
        "mean_var_usd": float(one.var.mean()),
        "mean_es_usd": float(one.shortfall.mean()),
        "kupiec": _verdict(one.coverage),
        "independence": _verdict(one.independence),
        "conditional_coverage": _verdict(one.conditional),
        "acerbi_szekely": {"z2": known(one.shortfall_test.statistic), "p_value": known(one.shortfall_test.p_value)},
        "zone": one.light.zone,
        "zone_probability": one.light.probability,
        "multiplier": one.light.multiplier,
    }


def _verdict(verdict: Verdict) -> Document:
    return {"statistic": verdict.statistic, "p_value": verdict.p_value}


def var_charts(results: VarResults) -> Document:
    """What the page draws: the distribution of P&L by method, rows by component, forecasts against what came."""
    main = results.confidence
    everything = np.concatenate([one.pnl_usd.sum(axis=0) for one in results.methods.values()])
    low, high = np.quantile(everything, [0.0005, 0.9995])
    edges = np.linspace(low, high, _BINS + 1) if high > low else np.linspace(low - 1.0, low + 1.0, _BINS + 1)
    return {
        "edges": edges.tolist(),
        "methods": {name: _distribution(one, main, edges) for name, one in results.methods.items()},
        "components": _component_bars(results),
        "backtest": None if results.backtest is None else _backtest_chart(results.backtest, main),
    }


def _distribution(method: MethodResult, confidence: float, edges: Floats) -> Document:
    total, measures = method.pnl_usd.sum(axis=0), method.measures[confidence]
    counts, _ = np.histogram(np.clip(total, edges[0], edges[-1]), edges)
    return {
        "share": (counts / total.size).tolist(),
        "var": measures.var.value,
        "es": measures.shortfall.value,
        "var_error": measures.var.error,
        "es_error": measures.shortfall.error,
    }


def _component_bars(results: VarResults) -> Document:
    """The rows that matter most to the ES of any method; the others together."""
    parts = {name: one.measures[results.confidence].component_shortfall for name, one in results.methods.items()}
    weight = np.sum([np.abs(part) for part in parts.values()], axis=0)
    order = np.argsort(-weight, kind="stable")
    first, rest = order[:_BARS], order[_BARS:]
    names = [results.names[at] for at in first] + ([f"{rest.size} others"] if rest.size else [])
    values = {
        name: [*part[first].tolist(), *([float(part[rest].sum())] if rest.size else [])] for name, part in parts.items()
    }
    return {"names": names, "values": values}


def _backtest_chart(rolling: RollingResult, confidence: float) -> Document:
    first = next(iter(rolling.forecasts.values()))
    judged = {
        name: next(one for one in judgements if one.confidence == confidence)
        for name, judgements in rolling.judgements.items()
    }
    return {
        "t": (first.made_ns // 1_000_000).tolist(),
        "pnl": (-first.loss).tolist(),
        "confidence": confidence,
        "methods": {name: {"var": one.var.tolist(), "es": one.shortfall.tolist()} for name, one in judged.items()},
    }


def known(value: float) -> float | None:
    """A number, or None where it is none."""
    return float(value) if math.isfinite(value) else None
