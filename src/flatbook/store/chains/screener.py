"""Chain snapshots of a Deribit screener export: bid and ask of every option, in USD and in vol.

Every USD price of a snapshot is a coin price times one whole number of dollars, so their greatest common divisor gives
that number back, and with it the coin prices, exactly. The vols' floor (0.8 %) and cap (999 %) are the source's
solver giving up, not a quote.
"""

import math
from pathlib import Path

import numpy as np
import polars as pl

from flatbook.store.chains.numbers import UNREADABLE, minute_end, read_numbers
from flatbook.store.chains.quotes import Quotes, is_option, quote_rows, with_contracts
from flatbook.store.source_table import divided

NAME = "Deribit screener chain snapshots"
PRICES_AND_VOLS = ("bid_price_usd", "ask_price_usd", "bid_iv", "ask_iv")
COLUMNS = ("capture_time_utc_est", "commit_time_utc", "symbol", *PRICES_AND_VOLS)
NEEDS = frozenset(COLUMNS)

_USD_PLACES = 10_000
_IV_FLOOR_PERCENT, _IV_CAP_PERCENT = 0.8, 999.0
_COIN_PER_INDEX_TOLERANCE = 0.05
_LEAST_PAIRS = 3

_NOTES = (
    "A snapshot's time is the end of the minute of the last trade stored with it.",
    "Prices are in USD in the file: coin prices times one whole number of dollars a snapshot, which is divided out and "
    "stands for its index.",
    "Vols are percent and become decimals; the source's floor (0.8 %) and cap (999 %) are none. It has no marks and no "
    "forwards.",
)


def read(path: Path) -> Quotes:
    """The snapshots, a run for each capture."""
    raw = read_numbers(path, ("capture_time_utc_est", "symbol"), PRICES_AND_VOLS)
    timed = raw.with_columns(pl.col(*PRICES_AND_VOLS).fill_null(0.0), ts_ns=minute_end(utc_ns("capture_time_utc_est")))
    notes = list(_NOTES)
    parts = []
    for rows in timed.partition_by("capture_time_utc_est", maintain_order=True):
        rate = usd_per_coin(rows, _index_by_parity(rows))
        if math.isnan(rate):
            notes.append(
                f"{rows['capture_time_utc_est'][0]}: no one rate turns its prices into coin; it has vols only."
            )
        parts.append(_quotes(rows, rate))
    return Quotes(pl.concat(parts) if parts else _quotes(timed, math.nan), tuple(notes))


def utc_ns(column: str) -> pl.Expr:
    """The export's times as nanoseconds UTC."""
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False, time_unit="ns").cast(pl.Int64)


def usd_per_coin(rows: pl.DataFrame, index_usd: float) -> float:
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


def coin_price(side: str, rate: float) -> pl.Expr:
    """The price of a side in coin, exact; NaN where there is none."""
    price = pl.col(f"{side}_price_usd")
    exact = divided((price / rate * _USD_PLACES).round(), _USD_PLACES)
    return pl.when(price > 0).then(exact).otherwise(float("nan"))


def vol(side: str) -> pl.Expr:
    """The vol of a side as a decimal, NaN where it is none."""
    percent = pl.col(f"{side}_iv")
    quoted = (pl.col(f"{side}_price_usd") > 0) & (percent > _IV_FLOOR_PERCENT) & (percent < _IV_CAP_PERCENT)
    return pl.when(quoted).then(divided(percent, 100)).otherwise(float("nan"))


def _quotes(rows: pl.DataFrame, rate: float) -> pl.DataFrame:
    def unless_negative(price: pl.Expr, column: str) -> pl.Expr:
        return pl.when(pl.col(column) < 0).then(pl.col(column)).otherwise(price)

    sides = ("bid", "ask")
    return quote_rows(
        rows,
        run=pl.col("capture_time_utc_est"),
        ts_ns=pl.col("ts_ns"),
        instrument=pl.col("symbol"),
        index_usd=pl.lit(rate),
        reason=UNREADABLE,
        **{side: unless_negative(coin_price(side, rate), f"{side}_price_usd") for side in sides},
        **{f"{side}_iv": unless_negative(vol(side), f"{side}_iv") for side in sides},
    )


def _index_by_parity(rows: pl.DataFrame) -> float:
    """About the index, from the quotes alone; NaN where no expiry has enough pairs quoted on both sides.

    C - P = 1 - K/F in coin, so in USD it falls in a line over the strike, from the index at a strike of 0.
    """
    told = with_contracts(rows.rename({"symbol": "instrument"})).filter(
        is_option() & (pl.col("bid_price_usd") > 0) & (pl.col("ask_price_usd") > 0)
    )
    middles = told.select(
        "expiry_ns", "strike_usd", "sign", usd=(pl.col("bid_price_usd") + pl.col("ask_price_usd")) / 2
    )
    calls, puts = (middles.filter(pl.col("sign") == sign).drop("sign") for sign in (1.0, -1.0))
    pairs = calls.join(puts, on=["expiry_ns", "strike_usd"], suffix="_put")
    found = [
        np.polyfit(part["strike_usd"].to_numpy(), (part["usd"] - part["usd_put"]).to_numpy(), 1)[1]
        for part in pairs.partition_by("expiry_ns")
        if part.height >= _LEAST_PAIRS
    ]
    return float(np.median(found)) if found else math.nan
