"""Tables of vols and deltas without prices, stamped by the hour.

Deribit's delta is N(d1) of the forward, so each row gives its forward,

    F = K exp(N^-1(delta of the call) v - v^2 / 2),    v = mark vol sqrt(T),

and all strikes of an expiry give the same one, if T is right. That tells when within its hour a snapshot was taken:
then, the forwards of each expiry differ least.
"""

from pathlib import Path

import numpy as np
import polars as pl
from scipy.optimize import minimize_scalar
from scipy.special import ndtri

from flatbook.domain.units import NS_PER_HOUR, NS_PER_YEAR
from flatbook.market.chain_snapshot import Floats, Ints
from flatbook.store.chains.numbers import UNREADABLE, from_percent, read_numbers, times_ns
from flatbook.store.chains.quotes import SCHEMA, Quotes, is_option, quote_rows, with_contracts

NAME = "table of vols and deltas"
_NUMBERS = ("delta", "bid_iv", "ask_iv", "mark_iv")
NEEDS = frozenset({"date", "instrument_name", *_NUMBERS})
PRICES = frozenset({"bid_price", "ask_price", "mark_price", "best_bid_price", "best_ask_price", "underlying_price"})
"""A table that has one of these is another format."""

_LEAST_DELTA = 0.1
"""Nearer 0 or 1, five decimals of delta say little of d1."""

_LEAST_OPTIONS = 10
"""With fewer, rounding and not time decides; the snapshot stays at its hour."""

_LATEST_IN_HOUR = 0.995

_NOTES = (
    "There are no prices. Forwards are solved from delta, mark vol and strike, the median of each expiry.",
    "Stamps are cut to the hour; a snapshot's time is when, within it, the forwards of each expiry agree best.",
    "Vols are percent and become decimals; 0 and the cap (999 %) are none.",
)
_REPEATED = "row of a snapshot that repeats the one before"


def read(path: Path) -> Quotes:
    """The table, a run for each of its stamps; what repeats the stamp before it to the digit is left out."""
    raw = read_numbers(path, ("date", "instrument_name"), _NUMBERS)
    vols = quote_rows(
        raw.with_columns(ts_ns=times_ns(path, "date", raw["date"])),
        run=pl.col("date"),
        ts_ns=pl.col("ts_ns"),
        instrument=pl.col("instrument_name"),
        bid_iv=from_percent("bid_iv"),
        ask_iv=from_percent("ask_iv"),
        mark_iv=from_percent("mark_iv"),
        reason=UNREADABLE,
    )
    told = with_contracts(vols).with_columns(call_delta=raw["delta"] + pl.when(pl.col("sign") < 0).then(1).otherwise(0))
    parts, before = [told.clear()], told.clear()
    for rows in told.partition_by("run", maintain_order=True):
        stated = rows.drop("run", "ts_ns").sort("instrument")
        parts.append(rows.with_columns(reason=pl.lit(_REPEATED)) if stated.equals(before) else _solved(rows))
        before = stated
    return Quotes(pl.concat(parts).select(*SCHEMA), _NOTES)


def _solved(rows: pl.DataFrame) -> pl.DataFrame:
    """One snapshot with its time and forwards."""
    usable = rows.filter(
        is_option()
        & pl.col("reason").is_null()
        & pl.col("call_delta").is_between(_LEAST_DELTA, 1 - _LEAST_DELTA)
        & ((pl.col("mark_iv") > 0) & pl.col("mark_iv").is_not_nan())
    )
    stamp_ns = rows["ts_ns"][0]
    if stamp_ns is None or usable.is_empty():
        return rows
    ts_ns = _capture_ns(usable, stamp_ns)
    forwards = usable.select("expiry_ns", forward_usd=pl.Series(np.exp(_log_forwards(usable, ts_ns)), dtype=pl.Float64))
    median = forwards.drop_nans().group_by("expiry_ns").agg(pl.col("forward_usd").median())
    joined = rows.drop("forward_usd").join(median, on="expiry_ns", how="left", maintain_order="left")
    return joined.with_columns(pl.col("forward_usd").fill_null(float("nan")), ts_ns=pl.lit(ts_ns)).select(rows.columns)


def _capture_ns(usable: pl.DataFrame, stamp_ns: int) -> int:
    """When in its hour the snapshot was taken: the time of the least spread of log forwards within expiries.

    The stamp itself where it is not on the hour, or the spread still falls at the hour's end: then it was not cut so.
    """
    alive = usable.filter(pl.col("expiry_ns") > stamp_ns + NS_PER_HOUR)
    expiry, number = np.unique(alive["expiry_ns"].to_numpy(), return_inverse=True)
    if stamp_ns % NS_PER_HOUR or alive.height - expiry.size < _LEAST_OPTIONS:
        return stamp_ns
    count = np.bincount(number)

    def spread(hours: float) -> float:
        log_forward = _log_forwards(alive, stamp_ns + round(hours * NS_PER_HOUR))
        mean = np.bincount(number, log_forward) / count
        return float(np.sum((log_forward - mean[number]) ** 2))

    found = minimize_scalar(spread, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-4})
    hours = float(found.x)
    return stamp_ns + round(hours * NS_PER_HOUR) if hours < _LATEST_IN_HOUR else stamp_ns


def _log_forwards(usable: pl.DataFrame, ts_ns: int) -> Floats:
    """What each option's delta says of the log forward, at a time; NaN where it had expired."""
    expiry_ns: Ints = usable["expiry_ns"].to_numpy()
    years = np.where(expiry_ns > ts_ns, (expiry_ns - ts_ns) / NS_PER_YEAR, np.nan)
    width = usable["mark_iv"].to_numpy() * np.sqrt(years)
    return np.asarray(
        np.log(usable["strike_usd"].to_numpy()) + ndtri(usable["call_delta"].to_numpy()) * width - width**2 / 2
    )
