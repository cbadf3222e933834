"""What the report's charts draw: columns rounded and thinned, times in milliseconds as the browser counts them."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from flatbook.report.downsample import thin
from flatbook.report.smile import smile_pictures
from flatbook.report.tables import PARTS

NS_PER_MS = 1_000_000
CHART_ROWS = 1_500
QUOTE_ROWS = 900
HEDGE_ROWS = 3_000
TENORS = ("vega_short_usd", "vega_mid_usd", "vega_long_usd")

Chart = dict[str, Any]
Frames = Mapping[str, pl.DataFrame]


def chart_data(frames: Frames) -> Chart:
    """Everything the page's script needs, from conforming frames; NaN stands for unknown throughout."""
    return {
        "equity": _equity(frames["equity"]),
        "stages": stage_spans(frames["equity"]),
        "exposures": _exposures(frames["exposures"]),
        "quotes": _quotes(frames["quotes"], frames["fills"]),
        "hedges": _hedges(frames["hedges"]),
        "smiles": smile_pictures(frames["smiles"], frames["smile_points"]),
    }


def stage_spans(equity: pl.DataFrame) -> list[Chart]:
    """Runs of one stage, in order: from its first row to the next stage's first, or to the end."""
    if equity.is_empty():
        return []
    starts = equity.filter(pl.col("stage").ne_missing(pl.col("stage").shift(1)))
    begins = [ts // NS_PER_MS for ts in starts["ts_ns"]]
    ends = [*begins[1:], equity["ts_ns"][-1] // NS_PER_MS]
    return [
        {"stage": stage, "from": begin, "to": end}
        for stage, begin, end in zip(starts["stage"], begins, ends, strict=True)
    ]


def _columns(frame: pl.DataFrame, names: tuple[str, ...], digits: int = 6) -> Chart:
    """Columns by name, with six significant digits unless told, and `t` in milliseconds."""
    rounded = frame.select(pl.col(names).round_sig_figs(digits))
    return {"t": (frame["ts_ns"] // NS_PER_MS).to_list(), **rounded.to_dict(as_series=False)}


def _equity(equity: pl.DataFrame) -> Chart:
    # Parts are rounded to the cent, not to digits: they are read against each other and must still sum.
    rows = thin(equity, CHART_ROWS, ("equity_usd", "index_usd"))
    money = rows.select(pl.col("equity_usd", *PARTS).round(2))
    return {
        **_columns(rows, ("index_usd",), 7),
        "equity": money["equity_usd"].to_list(),
        "parts": money.select(PARTS).to_dict(as_series=False),
    }


def _exposures(exposures: pl.DataFrame) -> Chart:
    rows = thin(exposures, CHART_ROWS, ("delta_usd", "vega_usd"))
    names = ("delta_coin", "delta_usd", "gamma_1pct_usd", "vega_usd", "theta_usd_day", *TENORS, "stress_loss_usd")
    return {**_columns(rows, names), "open_positions": rows["open_positions"].to_list()}


def _quotes(quotes: pl.DataFrame, fills: pl.DataFrame) -> list[Chart]:
    """One entry an instrument, most rows first, with our fills in it."""
    parts = {str(key[0]): part for key, part in quotes.group_by("instrument")}
    out = []
    for instrument, part in sorted(parts.items(), key=lambda item: (-item[1].height, item[0])):
        rows = thin(part.sort("ts_ns"), QUOTE_ROWS, ("fair", "market"))
        ours = fills.filter(pl.col("instrument") == instrument).sort("ts_ns")
        out.append(
            {
                "instrument": instrument,
                **_columns(rows, ("bid", "ask", "fair", "market", "market_age_s")),
                "fills": {**_columns(ours, ("price", "size", "edge_usd")), "side": ours["side"].to_list()},
            }
        )
    return out


def _hedges(hedges: pl.DataFrame) -> Chart:
    running = hedges.sort("ts_ns").with_columns(
        paid_usd=(pl.col("cost_usd").fill_nan(0.0) + pl.col("fee_usd").fill_nan(0.0)).cum_sum()
    )
    rows = thin(running, HEDGE_ROWS, ("delta_before_coin",))
    return {
        **_columns(rows, ("size_usd", "price", "cost_usd", "delta_before_coin", "delta_after_coin", "paid_usd")),
        "side": rows["side"].to_list(),
        "reason": rows["reason"].to_list(),
    }


def fill_outcomes(fills: pl.DataFrame) -> pl.DataFrame:
    """Fills with `outcome_usd`, the longest known markout or else the edge, less the fee; `judged_at` says which."""
    horizons = (("1 h", "markout_1h_usd"), ("10 min", "markout_10m_usd"), ("1 min", "markout_1m_usd"))
    value, label = pl.col("edge_usd"), pl.lit("fill")
    for name, column in reversed(horizons):
        known = pl.col(column).is_not_nan()
        value = pl.when(known).then(pl.col(column)).otherwise(value)
        label = pl.when(known).then(pl.lit(name)).otherwise(label)
    return fills.with_columns(outcome_usd=value - pl.col("fee_usd"), judged_at=label)


def best_and_worst(fills: pl.DataFrame, count: int = 10) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The `count` fills that turned out best, best first, and worst, worst first; none is in both."""
    ranked = fill_outcomes(fills).sort("outcome_usd", descending=True, maintain_order=True)
    best = min(count, (ranked.height + 1) // 2)
    worst = min(count, ranked.height - best)
    return ranked.head(best), ranked.tail(worst).reverse()


def hedge_reasons(hedges: pl.DataFrame) -> pl.DataFrame:
    """Hedges by reason: count, volume, cost and fees in USD; most volume first."""
    return (
        hedges.group_by("reason", maintain_order=True)
        .agg(
            pl.len().alias("count"),
            pl.col("size_usd").sum(),
            pl.col("cost_usd").sum(),
            pl.col("fee_usd").sum(),
        )
        .sort(["size_usd", "reason"], descending=[True, False])
    )
