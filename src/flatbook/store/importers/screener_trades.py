"""The trade tape of a Deribit screener export: minute stamps, index as "underlying", block and combo ids.

`Underlying Price` is the index of the moment, not the expiry's forward. `Price` and `Mark Price` are in coin, `IV` in
percent (0: none), `Size` in coins. `Entry Date` is UTC, cut to the minute.
"""

import re
from collections import Counter
from pathlib import Path

import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.store.importers.minute_clock import index_times, spread_over_minute, tape_order
from flatbook.store.importers.recording import reasons
from flatbook.store.source_table import divided, header, read_rows
from flatbook.store.tables import INDEX, TRADES
from flatbook.store.tradable import keep_sound, known_instruments, tradable_trades

_COIN = re.compile(r"Price \(([A-Z]+)\)")
_NAMES = {
    "Side": "side",
    "Instrument": "instrument",
    "IV (%)": "iv_percent",
    "Size": "amount",
    "Underlying Price": "index_usd",
    "Entry Date": "minute",
    "BlockTrade IDs": "block_id",
    "Combo ID": "combo_id",
    "Trade ID": "id_number",
}
_OPTIONAL = ("BlockTrade IDs", "Combo ID", "Trade ID")


def read_trades(
    paths: list[Path], reference: ReferenceData, set_aside: Counter[str], *, keep_file_order: bool = False
) -> pl.DataFrame:
    """The tape as rows of the trades table, with `underlying`, each coin's in time order.

    Rows that cannot be true or traded are counted in `set_aside`. `keep_file_order` leaves rows without a trade id as
    the file has them inside a minute, instead of in the order of `minute_clock`.

    Errors      BadInputError for a file with other columns, or where no row is left
    """
    raw = pl.concat([_read_file(path) for path in paths])
    named = raw.with_columns(
        trade_id=pl.coalesce(pl.col("id_number").cast(pl.String), _synthetic_id()),
        minute_ns=pl.col("minute").str.to_datetime("%Y-%m-%d %H:%M", time_unit="ns", strict=False).cast(pl.Int64),
        # A block or combo prints at a price that its parties or the combo's book made, not this instrument's.
        off_book=(pl.col("block_id") != "") | (pl.col("combo_id") != ""),
        iv=pl.when(pl.col("iv_percent") == 0).then(float("nan")).otherwise(divided(pl.col("iv_percent"), 100)),
        taker_side=pl.col("side").replace_strict({"BUY": 1, "SELL": -1}, default=None, return_dtype=pl.Int8),
    )
    sound = tradable_trades(_sound(named, reference, set_aside), reference, set_aside)
    if sound.is_empty():
        raise BadInputError(f"{paths[0].parent}: no usable trade is left ({reasons(set_aside)}); check the export")
    return pl.concat([_timed(coin, keep_file_order=keep_file_order) for coin in sound.partition_by("underlying")])


def index_ticks(trades: pl.DataFrame) -> pl.DataFrame:
    """The index that each trade carries, as rows of the index table, each before its trade."""
    per_coin = [
        coin.select(
            pl.Series("exch_ts_ns", index_times(coin["exch_ts_ns"].to_numpy())),
            "underlying",
            price_usd=pl.col("index_usd"),
        )
        for coin in trades.partition_by("underlying")
    ]
    ticks = pl.concat(per_coin).with_columns(local_ts_ns=pl.col("exch_ts_ns"))
    return ticks.select(INDEX.names).sort("local_ts_ns", maintain_order=True)


def _read_file(path: Path) -> pl.DataFrame:
    columns = header(path)
    coins = [found[1] for name in columns if (found := _COIN.fullmatch(name)) and found[1] != "USD"]
    if len(coins) != 1:
        raise BadInputError(f"{path}: expected one price column in coin, such as 'Price (BTC)'; it has {coins}")
    coin = coins[0]
    names = {f"Price ({coin})": "price", f"Mark Price ({coin})": "mark_price"} | _NAMES
    present = {name: to for name, to in names.items() if name in columns}
    missing = [name for name in names if name not in present and name not in _OPTIONAL]
    if missing:
        raise BadInputError(f"{path}: column {missing[0]!r} is missing; export the trades again with all columns")
    frame = read_rows(path, present).rename(present)
    absent = [pl.lit(None).alias(names[name]) for name in names if name not in present]
    try:
        return frame.with_columns(absent).select(
            pl.lit(coin).alias("underlying"),
            *(pl.col(name).cast(pl.String) for name in ("side", "instrument", "minute")),
            *(pl.col(name).cast(pl.String).fill_null("") for name in ("block_id", "combo_id")),
            *(
                pl.col(name).cast(pl.Float64).fill_null(float("nan"))
                for name in ("price", "mark_price", "iv_percent", "amount", "index_usd")
            ),
            pl.col("id_number").cast(pl.Int64),
        )
    except pl.exceptions.PolarsError as error:
        raise BadInputError(f"{path}: {str(error).splitlines()[0]}; export the trades again") from None


def _synthetic_id() -> pl.Expr:
    """A trade's id where the venue's is missing: coin, minute, and its place in the file within that minute."""
    place = pl.int_range(pl.len()).over("underlying", "minute")
    return pl.format("{}-{}-{}", "underlying", "minute", place)


def _sound(trades: pl.DataFrame, reference: ReferenceData, set_aside: Counter[str]) -> pl.DataFrame:
    known = known_instruments(trades["instrument"].drop_nulls().unique(), reference)
    expiries = {name: instrument.contract.expiry_ns for name, instrument in known.items()}
    expiry_ns = pl.col("instrument").replace_strict(expiries, default=None, return_dtype=pl.Int64)
    numbers = ("price", "amount", "index_usd")
    reason = (
        pl.when(pl.col("instrument").is_null() | pl.col("minute_ns").is_null())
        .then(pl.lit("trade without an instrument or a time"))
        .when(pl.col("taker_side").is_null())
        .then(pl.lit("trade without a side"))
        .when(pl.any_horizontal(~((pl.col(name) > 0) & pl.col(name).is_finite()) for name in numbers))
        .then(pl.lit("trade without a price, size or index above zero"))
        .when((pl.col("iv") < 0) | (pl.col("mark_price") <= 0))
        .then(pl.lit("trade with a vol or mark below zero"))
        .when(pl.col("minute_ns") >= expiry_ns)
        .then(pl.lit("trade of an expired instrument"))
        .when(pl.col("trade_id").is_duplicated() & ~pl.col("trade_id").is_first_distinct())
        .then(pl.lit("trade id seen before"))
    )
    return keep_sound(trades.with_columns(reason=reason), set_aside)


def _timed(tape: pl.DataFrame, *, keep_file_order: bool) -> pl.DataFrame:
    """One coin's tape in time order, its clocks filled in."""
    tape = tape.sort("minute_ns", maintain_order=True)
    names = tape["instrument"].to_list()
    # With one name for all rows, the merge of `minute_clock` keeps the file's order.
    order = tape_order(
        tape["minute_ns"].to_list(),
        [""] * len(names) if keep_file_order else names,
        tape["index_usd"].to_list(),
        tape["id_number"].to_list(),
    )
    tape = tape[order]
    exch_ts_ns = pl.Series("exch_ts_ns", spread_over_minute(tape["minute_ns"].to_numpy()))
    return tape.with_columns(exch_ts_ns, exch_ts_ns.alias("local_ts_ns")).select(*TRADES.names, "underlying")
