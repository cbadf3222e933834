"""The chain snapshots of a Deribit screener export: bid and ask of every option, in USD and in vol.

Every USD price of a snapshot is a coin price times one whole number of dollars, so their greatest common divisor gives
that number back, and with it the coin prices, exactly. The vols' floor (0.8 %) and cap (999 %) are the source's
solver giving up, not a quote.

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
from flatbook.store.importers.recording import empty, minute_end
from flatbook.store.source_table import divided, read_rows
from flatbook.store.tables import CHAIN
from flatbook.store.tradable import keep_sound, known_instruments, tradable_chain

PARITY_TOLERANCE = 0.001
"""How far the nearest expiry's forward may be from the index: its basis and a minute's move, on days like these."""

_COLUMNS = (
    *("capture_time_utc_est", "commit_time_utc", "symbol", "bid_price_usd", "ask_price_usd", "bid_iv", "ask_iv"),
)
_USD_PLACES = 10_000
_IV_FLOOR_PERCENT, _IV_CAP_PERCENT = 0.8, 999.0
_COIN_PER_INDEX_TOLERANCE = 0.05


def read_snapshots(paths: list[Path], reference: ReferenceData, set_aside: Counter[str]) -> pl.DataFrame:
    """The snapshots' sound rows as the file gives them, with `captured_ns` and `stored_ns` (both minute ends).

    Set aside and counted: rows that are crossed, expired, of an unknown instrument, without a time, or with a negative
    price or vol.
    """
    raw = pl.concat([read_rows(path, _COLUMNS) for path in paths])
    timed = raw.select(
        instrument=pl.col("symbol"),
        captured_ns=minute_end(_utc_ns("capture_time_utc_est")),
        stored_ns=minute_end(_utc_ns("commit_time_utc")),
        **{name: pl.col(name).cast(pl.Float64).fill_null(0.0) for name in _COLUMNS[3:]},
    )
    known = known_instruments(timed["instrument"].drop_nulls().unique(), reference)
    expiries = {name: instrument.contract.expiry_ns for name, instrument in known.items()}
    coins = {name: instrument.contract.base for name, instrument in known.items()}
    reason = (
        pl.when(pl.col("captured_ns").is_null() | pl.col("stored_ns").is_null())
        .then(pl.lit("quote without a time"))
        .when(~pl.col("instrument").is_in(list(known)).fill_null(False))
        .then(pl.lit("quote of an unknown instrument"))
        .when(pl.min_horizontal(_COLUMNS[3:]) < 0)
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
        usd_per_coin = _usd_per_coin(rows, index_usd)
        chain = _chain_rows(rows, usd_per_coin)
        name = rows["captured_ns"].cast(pl.Datetime("ns"))[0]
        if math.isnan(usd_per_coin):
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


def _utc_ns(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False, time_unit="ns").cast(pl.Int64)


def _as_of(index: pl.DataFrame, ts_ns: int) -> float:
    """The last index at or before `ts_ns`; NaN where there is none."""
    row = int(index["local_ts_ns"].search_sorted(ts_ns, "right")) - 1
    return float(index["price_usd"][row]) if row >= 0 else math.nan


def _usd_per_coin(rows: pl.DataFrame, index_usd: float) -> float:
    """The whole number of dollars that turned the snapshot's coin prices into USD; NaN where it does not show.

    A coin price is a multiple of 0.0001, so that a USD price, in its 4 places, is a multiple of the rate.
    """
    prices = pl.concat([rows["bid_price_usd"], rows["ask_price_usd"]]).to_numpy() * _USD_PLACES
    whole = np.rint(prices[prices > 0]).astype(np.int64)
    divisor = int(np.gcd.reduce(whole)) if whole.size else 0
    if math.isnan(index_usd) or divisor == 0:
        return math.nan
    # The prices may share a factor of their own, on top of the rate: few rows, or all of them on the coarse tick.
    factor = max(round(divisor / index_usd), 1)
    rate = divisor / factor
    return rate if rate.is_integer() and abs(rate / index_usd - 1) < _COIN_PER_INDEX_TOLERANCE else math.nan


def _chain_rows(rows: pl.DataFrame, usd_per_coin: float) -> pl.DataFrame:
    nothing = float("nan")

    def coin_price(side: str) -> pl.Expr:
        price = pl.col(f"{side}_price_usd")
        exact = divided((price / usd_per_coin * _USD_PLACES).round(), _USD_PLACES)
        return pl.when(price > 0).then(exact).otherwise(nothing)

    def vol(side: str) -> pl.Expr:
        percent = pl.col(f"{side}_iv")
        quoted = (pl.col(f"{side}_price_usd") > 0) & (percent > _IV_FLOOR_PERCENT) & (percent < _IV_CAP_PERCENT)
        return pl.when(quoted).then(divided(percent, 100)).otherwise(nothing)

    return rows.select(
        "underlying",
        "instrument",
        exch_ts_ns=pl.col("captured_ns"),
        local_ts_ns=pl.col("captured_ns"),
        bid=coin_price("bid"),
        ask=coin_price("ask"),
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
