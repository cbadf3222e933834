"""A run's hedges in numbers: what they cost beside what they were expected to, and what the book did meanwhile."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from flatbook.report.facts import HedgingFacts
from flatbook.report.gamma_rent import CarryRow, RentRow, carry, gamma_rent

_GROUPS = 3
"""Orders are held to their estimate in so many groups of size."""


class SlippageRow(NamedTuple):
    """Hedges of similar size: what they were expected to pay over the mark, and did; shares of their notional.

    `error` is the standard error of the latter
    """

    least_usd: float
    most_usd: float
    hedges: int
    expected_rate: float
    realised_rate: float
    error: float


def slippage_rows(hedges: pl.DataFrame) -> tuple[SlippageRow, ...]:
    """The pre-trade estimate held to what happened, small hedges first; none where nothing was expected."""
    known = hedges.filter(pl.col("expected_usd").is_not_nan() & (pl.col("size_usd") > 0)).sort("size_usd", "ts_ns")
    rows = []
    for part in np.array_split(np.arange(known.height), min(_GROUPS, known.height)) if known.height else []:
        size, expected, cost = (known[column].to_numpy()[part] for column in ("size_usd", "expected_usd", "cost_usd"))
        realised = float(cost.sum() / size.sum())
        spread = float(np.sqrt(np.sum((cost - realised * size) ** 2)) / size.sum())
        expected_rate = float(expected.sum() / size.sum())
        rows.append(SlippageRow(float(size[0]), float(size[-1]), part.size, expected_rate, realised, spread))
    return tuple(rows)


def summarise_hedges(series: Mapping[str, pl.DataFrame], facts: HedgingFacts | None) -> dict[str, Any]:
    """`hedges` of report.json.

    internalised_share      of the gross delta that fills of quotes brought, what no hedge traded; below 0 where moves
                            of the market made more to hedge than flow brought
    waited_usd              what not yet being hedged earned between decisions and fills
    """
    hedges = series["hedges"]
    expected = hedges.filter(pl.col("expected_usd").is_not_nan())
    return {
        "count": hedges.height,
        "volume_usd": float(hedges["size_usd"].sum()),
        "cost_usd": float(hedges["cost_usd"].sum()),
        "fee_usd": float(hedges["fee_usd"].sum()),
        "by_kind": {row["kind"]: {name: row[name] for name in row if name != "kind"} for row in by_kind(hedges)},
        "expected_usd": float(expected["expected_usd"].sum()) if expected.height else None,
        "realised_usd": float(expected["cost_usd"].sum()) if expected.height else None,
        "slippage_by_size": [row._asdict() for row in slippage_rows(hedges)],
        "waited_usd": _sum(hedges["waited_usd"]),
        "waited_s_mean": _mean(hedges["waited_s"]),
        "delta_drift_coin_rms": _rms(hedges["delta_drift_coin"]),
        "gamma_drift_1pct_usd_rms": _rms(hedges["gamma_drift_1pct_usd"]),
        "vega_drift_usd_rms": _rms(hedges["vega_drift_usd"]),
        "loop_gain_most": _known(facts.loop_gain_most) if facts else None,
        "slowed_decisions": facts.slowed_decisions if facts else None,
        "impact_y": _known(facts.impact_y) if facts else None,
        "internalised_share": internalised_share(facts),
        "gamma_rent": [_by_day(row) for row in gamma_rent(series)],
        "carry": [_by_day(row) for row in carry(series)],
    }


def by_kind(hedges: pl.DataFrame) -> list[dict[str, Any]]:
    """Hedges by kind of instrument: how many, and sums of what they traded, paid and added."""
    return list(
        hedges.group_by("kind", maintain_order=True)
        .agg(
            pl.len().alias("count"),
            pl.col("size_usd").sum().alias("volume_usd"),
            pl.col("cost_usd", "fee_usd", "gamma_added_1pct_usd", "vega_added_usd").sum(),
        )
        .sort("kind")
        .iter_rows(named=True)
    )


def internalised_share(facts: HedgingFacts | None) -> float | None:
    """As in `summarise_hedges`; None where no fill brought delta."""
    if facts is None or not facts.flow_delta_usd > 0.0:
        return None
    return 1.0 - facts.hedge_delta_usd / facts.flow_delta_usd


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _by_day(row: RentRow | CarryRow) -> dict[str, Any]:
    """A day's row with what follows from it; null where unknown."""
    named = {**row._asdict(), "net_usd": row.net_usd, "role": row.role}
    return {name: _known(value) if isinstance(value, float) else value for name, value in named.items()}


def _numbers(values: pl.Series) -> pl.Series:
    return values.fill_nan(None).drop_nulls()


def _sum(values: pl.Series) -> float | None:
    known = _numbers(values)
    return float(known.sum()) if len(known) else None


def _mean(values: pl.Series) -> float | None:
    known = _numbers(values)
    return float(known.sum()) / len(known) if len(known) else None


def _rms(values: pl.Series) -> float | None:
    known = _numbers(values)
    return float((known**2).sum() / len(known)) ** 0.5 if len(known) else None
