"""Binance spot bars as index ticks, for the holes in a tape that carries the index.

A bar's close is known when the bar ends. Times are in milliseconds until 2024 and in microseconds since 2025.
"""

from pathlib import Path

import polars as pl

from flatbook.domain.units import NS_PER_MINUTE
from flatbook.store.source_table import read_rows
from flatbook.store.tables import INDEX

SILENCE_NS = 5 * NS_PER_MINUTE
"""A tape without a trade for longer than this is silent; only there do bars speak."""

_LAST_MILLISECOND_STAMP = 10**14
"""In milliseconds the year 5138, in microseconds 1973: a larger stamp counts microseconds."""


def read_bars(path: Path, underlying: str) -> pl.DataFrame:
    """Bar closes as rows of the index table, each at the end of its bar, rising."""
    bars = read_rows(path, ("close_time", "close"))
    stamp = pl.col("close_time").cast(pl.Int64)
    # A bar's close time is its last unit of time; one more is the moment it has ended.
    ended = pl.when(stamp > _LAST_MILLISECOND_STAMP).then((stamp + 1) * 1_000).otherwise((stamp + 1) * 1_000_000)
    ticks = bars.select(exch_ts_ns=ended, price_usd=pl.col("close").cast(pl.Float64))
    return (
        ticks.with_columns(local_ts_ns=pl.col("exch_ts_ns"), underlying=pl.lit(underlying))
        .sort("exch_ts_ns")
        .select(INDEX.names)
    )


def in_silence(bars: pl.DataFrame, tape_ns: pl.Series, from_ns: int, to_ns: int) -> pl.DataFrame:
    """The `bars` between `from_ns` and `to_ns` that lie in a hole of `tape_ns` (rising) longer than `SILENCE_NS`."""
    edges = pl.concat([pl.Series([from_ns]), tape_ns, pl.Series([to_ns])]).sort()
    before = pl.DataFrame({"before_ns": edges, "after_ns": edges.shift(-1)}).drop_nulls()
    inside = bars.filter(pl.col("exch_ts_ns").is_between(from_ns, to_ns, closed="none"))
    placed = inside.join_asof(before, left_on="exch_ts_ns", right_on="before_ns", strategy="backward")
    silent = pl.col("after_ns") - pl.col("before_ns") > SILENCE_NS
    return placed.filter(silent & (pl.col("exch_ts_ns") > pl.col("before_ns"))).select(INDEX.names)
