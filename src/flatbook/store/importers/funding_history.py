"""Funding histories as FundingRate rows of a perpetual, their clocks turned into UTC.

    Time, Contracts, Funding Interval, Funding Rate     the rate as text in percent, London's local time, newest first
    Symbol, Date, Funding Rate                          the rate as a decimal; by the hour UTC, every 8 hours UTC+3

Binance pays at 00:00, 08:00 and 16:00 UTC, so a clock rightly read puts every row on its interval's grid; rows that
stay off it are set aside.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flatbook.domain.units import NS_PER_HOUR
from flatbook.store.importers.recording import empty
from flatbook.store.source_table import divided, read_rows
from flatbook.store.tables import FUNDING

_PERCENT_ZONE = "Europe/London"
_EIGHT_HOUR_ZONE = "Etc/GMT-3"  # POSIX sign: this is UTC+3


@dataclass(frozen=True, slots=True)
class FundingHistory:
    """One contract's funding, rising in time; `contract` as its file calls it."""

    path: Path
    contract: str
    is_inverse: bool
    rows: pl.DataFrame


def read_percent(paths: list[Path], set_aside: Counter[str]) -> list[FundingHistory]:
    """The contracts of files with rates as text in percent, stamped in London's local time."""
    return [history for path in paths for history in _histories(path, _percent_rows(path), set_aside)]


def read_decimal(paths: list[Path], set_aside: Counter[str]) -> list[FundingHistory]:
    """The contracts of files with decimal rates; the interval is the usual distance between a file's rows."""
    return [history for path in paths for history in _histories(path, _decimal_rows(path), set_aside)]


def in_span(
    histories: list[FundingHistory], underlying: str, perpetual: str, from_ns: int, to_ns: int
) -> tuple[FundingHistory | None, pl.DataFrame]:
    """The history that serves for `perpetual`, and its rows between the two times; None where none falls in.

    Of several, an inverse contract before a linear one, as the perpetual is inverse; then the one with more rows.
    """
    best, rows = None, empty(FUNDING)
    for history in histories:
        inside = history.rows.filter(pl.col("ts_ns").is_between(from_ns, to_ns))
        ours = history.contract.replace("-", "").startswith(underlying) and inside.height > 0
        if ours and (best is None or (history.is_inverse, inside.height) > (best.is_inverse, rows.height)):
            best, rows = history, inside
    if best is None:
        return None, rows
    ts_ns = pl.col("ts_ns")
    table = rows.select("rate", "hours", exch_ts_ns=ts_ns, local_ts_ns=ts_ns, instrument=pl.lit(perpetual))
    return best, table.select(FUNDING.names)


def _percent_rows(path: Path) -> pl.DataFrame:
    raw = read_rows(path, ("Time", "Contracts", "Funding Interval", "Funding Rate"), as_text=True)
    return raw.select(
        contract=pl.col("Contracts"),
        ts_ns=_utc_ns("Time", _PERCENT_ZONE),
        rate=divided(pl.col("Funding Rate").str.strip_suffix("%").cast(pl.Float64, strict=False), 100),
        hours=pl.col("Funding Interval").str.strip_suffix("h").cast(pl.Float64, strict=False),
    )


def _decimal_rows(path: Path) -> pl.DataFrame:
    raw = read_rows(path, ("Symbol", "Date", "Funding Rate"), as_text=True)
    spacing = raw.select(_utc_ns("Date", "UTC").sort().diff().median()).item()
    hours = round((spacing or 0) / NS_PER_HOUR)
    return raw.select(
        contract=pl.col("Symbol"),
        ts_ns=_utc_ns("Date", "UTC" if hours <= 1 else _EIGHT_HOUR_ZONE),
        rate=pl.col("Funding Rate").cast(pl.Float64, strict=False),
        hours=pl.lit(float(hours)),
    )


def _utc_ns(column: str, zone: str) -> pl.Expr:
    # When London's clocks go back, 01:00 comes twice; the first is 00:00 UTC, the one at which funding is paid.
    local = pl.col(column).str.slice(0, 19).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="ns")
    zoned = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return zoned.dt.convert_time_zone("UTC").cast(pl.Int64)


def _histories(path: Path, rows: pl.DataFrame, set_aside: Counter[str]) -> list[FundingHistory]:
    interval_ns = (pl.col("hours") * NS_PER_HOUR).cast(pl.Int64)
    whole = pl.col("ts_ns").is_not_null() & pl.col("rate").is_finite().fill_null(False) & (pl.col("hours") > 0)
    on_grid = (whole & (pl.col("ts_ns") % interval_ns == 0)).fill_null(False)
    off = rows.height - int(rows.select(on_grid.sum()).item())
    if off:
        set_aside["funding row unreadable or off its interval"] += off
    kept = rows.filter(on_grid).unique(["contract", "ts_ns"], keep="first", maintain_order=True).sort("ts_ns")
    return [
        FundingHistory(path, str(name), " CM " in f" {name} ", part.drop("contract"))
        for (name,), part in kept.group_by("contract", maintain_order=True)
    ]
