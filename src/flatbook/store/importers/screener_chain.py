"""The chain snapshots of a Deribit screener export, checked against the trades that it came with.

When a snapshot was taken is known to the minute of the last trade that was stored with it; it counts as known from
that minute's end. A snapshot whose put-call parity contradicts the index of that moment was taken later than that
says: it counts from the end of the minute in which it was stored.
"""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flatbook.domain.reference import ReferenceData
from flatbook.store.chains.numbers import minute_end
from flatbook.store.chains.screener import COLUMNS, PRICES_AND_VOLS, coin_price, usd_per_coin, utc_ns, vol
from flatbook.store.importers.recording import empty
from flatbook.store.source_table import read_rows
from flatbook.store.tables import CHAIN
from flatbook.store.tradable import keep_sound, known_instruments, tradable_chain

PARITY_TOLERANCE = 0.001
"""How far the nearest expiry's forward may be from the index: its basis and a minute's move, on days like these."""


def read_snapshots(paths: list[Path], reference: ReferenceData, set_aside: Counter[str]) -> pl.DataFrame:
    """The snapshots' sound rows as the file gives them, with `captured_ns` and `stored_ns` (both minute ends).

    Set aside and counted: rows that are crossed, expired, of an unknown instrument, without a time, or with a negative
    price or vol.
    """
    raw = pl.concat([read_rows(path, COLUMNS) for path in paths])
    timed = raw.select(
        instrument=pl.col("symbol"),
        captured_ns=minute_end(utc_ns("capture_time_utc_est")),
        stored_ns=minute_end(utc_ns("commit_time_utc")),
        **{name: pl.col(name).cast(pl.Float64).fill_null(0.0) for name in PRICES_AND_VOLS},
    )
    known = known_instruments(timed["instrument"].drop_nulls().unique(), reference)
    expiries = {name: instrument.contract.expiry_ns for name, instrument in known.items()}
    coins = {name: instrument.contract.base for name, instrument in known.items()}
    reason = (
        pl.when(pl.col("captured_ns").is_null() | pl.col("stored_ns").is_null())
        .then(pl.lit("quote without a time"))
        .when(~pl.col("instrument").is_in(list(known)).fill_null(False))
        .then(pl.lit("quote of an unknown instrument"))
        .when(pl.min_horizontal(PRICES_AND_VOLS) < 0)
        .then(pl.lit("quote with a negative price or vol"))
        .when((pl.col("bid_iv") > pl.col("ask_iv")) & (pl.col("ask_iv") > 0))
        .then(pl.lit("crossed quote"))
        .when(pl.col("captured_ns") >= pl.col("instrument").replace_strict(expiries, default=None))
        .then(pl.lit("quote of an expired instrument"))
    )
    sound = keep_sound(timed.with_columns(reason=reason), set_aside)
    return sound.with_columns(underlying=pl.col("instrument").replace_strict(coins, default=None))


def to_chain(
    snapshots: pl.DataFrame, index: pl.DataFrame, reference: ReferenceData, set_aside: Counter[str]
) -> tuple[pl.DataFrame, list[str]]:
    """`snapshots` of `read_snapshots` as rows of the chain table, and a note for each that was odd.

    `index` is the index table of the same days, by which the snapshots' times are checked.
    """
    parts, notes = [empty(CHAIN)], []
    for (captured_ns, underlying), rows in snapshots.group_by("captured_ns", "underlying", maintain_order=True):
        levels = index.filter(pl.col("underlying") == underlying)
        index_usd = _as_of(levels, int(str(captured_ns)))
        rate = usd_per_coin(rows, index_usd)
        chain = _chain_rows(rows, rate)
        name = rows["captured_ns"].cast(pl.Datetime("ns"))[0]
        if math.isnan(rate):
            notes.append(
                f"Snapshot {name:%Y-%m-%d %H:%M}: no one rate turns its USD prices into coin; they are left out."
            )
        if not _parity_holds(chain, index_usd, reference):
            stored = rows["stored_ns"].max()
            chain = chain.with_columns(exch_ts_ns=pl.lit(stored), local_ts_ns=pl.lit(stored))
            notes.append(
                f"Snapshot {name:%Y-%m-%d %H:%M}: parity contradicts the index; it counts from when it was stored."
            )
        parts.append(tradable_chain(chain, reference, set_aside))
    return pl.concat(parts).sort("local_ts_ns", maintain_order=True), notes


def _as_of(index: pl.DataFrame, ts_ns: int) -> float:
    """The last index at or before `ts_ns`; NaN where there is none."""
    row = int(index["local_ts_ns"].search_sorted(ts_ns, "right")) - 1
    return float(index["price_usd"][row]) if row >= 0 else math.nan


def _chain_rows(rows: pl.DataFrame, rate: float) -> pl.DataFrame:
    nothing = float("nan")
    return rows.select(
        "underlying",
        "instrument",
        exch_ts_ns=pl.col("captured_ns"),
        local_ts_ns=pl.col("captured_ns"),
        bid=coin_price("bid", rate),
        ask=coin_price("ask", rate),
        bid_iv=vol("bid"),
        ask_iv=vol("ask"),
        mark_iv=pl.lit(nothing),
        forward_usd=pl.lit(nothing),
    ).select(CHAIN.names)


def _parity_holds(chain: pl.DataFrame, index_usd: float, reference: ReferenceData) -> bool:
    """Whether the forward that the nearest expiry's quotes allow has the index within `PARITY_TOLERANCE`.

    True where nothing can be said: no pair quoted on both sides, or no index. C − P = 1 − K/F in coin.
    """
    low, high = _forward_bounds(chain, reference)
    if not low.size or math.isnan(index_usd):
        return True
    return bool(low.max() <= index_usd * (1 + PARITY_TOLERANCE) and high.min() >= index_usd * (1 - PARITY_TOLERANCE))


def _forward_bounds(chain: pl.DataFrame, reference: ReferenceData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest forward that each strike of the nearest expiry allows, both sides of both options quoted."""
    contracts = [reference.instrument(name).contract for name in chain["instrument"]]
    quoted = chain.select("bid", "ask").with_columns(
        pl.Series("expiry_ns", [contract.expiry_ns for contract in contracts], pl.Int64),
        pl.Series("strike", [float(contract.strike or 0) for contract in contracts], pl.Float64),
        pl.Series("right", [str(contract.right) for contract in contracts], pl.String),
    )
    nearest = quoted.drop_nans(["bid", "ask"]).filter(pl.col("expiry_ns") == pl.col("expiry_ns").min())
    calls, puts = (nearest.filter(pl.col("right") == right) for right in "CP")
    pairs = calls.join(puts, on="strike", suffix="_put")
    bounds = pairs.select(
        low=pl.col("strike") / (1 - (pl.col("bid") - pl.col("ask_put"))),
        high=pl.col("strike") / (1 - (pl.col("ask") - pl.col("bid_put"))),
    )
    return bounds["low"].to_numpy(), bounds["high"].to_numpy()
