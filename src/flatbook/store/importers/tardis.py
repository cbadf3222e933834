"""Tardis CSV types of Deribit: trades, quotes, options_chain, derivative_ticker. Both clocks, in microseconds UTC.

Vols are in percent, prices in the instrument's quote currency (coin for inverse options), 0 or empty where there is no
quote. Each options_chain row updates one instrument; its `underlying_price` is the expiry's forward. The index comes
with derivative_ticker, and so do marks of perpetuals and futures; their best prices with quotes. Trades do not say
whether they were blocks.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from flatbook.domain.reference import ReferenceData
from flatbook.store.chains.tardis import VENUE, check_microseconds
from flatbook.store.importers.formats import Format, Recognised
from flatbook.store.importers.recording import Recording
from flatbook.store.source_table import divided, quoted, read_rows
from flatbook.store.tables import CHAIN, INDEX, QUOTES, TRADES
from flatbook.store.tradable import (
    keep_sound,
    known_instruments,
    tradable_chain,
    tradable_quotes,
    tradable_trades,
)

NAME = "Tardis CSV"
_CLOCKS = {
    "exch_ts_ns": "the venue's, from microseconds UTC",
    "local_ts_ns": "Tardis' recorder's, from microseconds UTC",
}
_UNITS = {
    "trades.price, chain.bid, chain.ask": "quote currency: coin for inverse options",
    "trades.amount": "coins, or USD for inverse futures",
    "iv, bid_iv, ask_iv, mark_iv": "decimal per square root of a year",
    "index.price_usd": "USD",
}
_NOTES = (
    "Trades carry no mark and no vol; their index is the last one heard of before them.",
    "Block trades are not marked in this source: every trade counts as book flow.",
    "Each chain row is an update of one instrument. Funding is not taken: the ticker's rate accrues continuously.",
)
_SIDES = {"": "price", "_amount": "amount"}
_PRICES = ("bid", "ask", "bid_amount", "ask_amount")


def read(found: Recognised, reference: ReferenceData) -> Recording:
    """The Tardis files of `found` as one recording; rows of other venues are set aside and counted."""
    recording = Recording(NAME, clocks=_CLOCKS, units=_UNITS, notes=list(_NOTES))
    recording.inputs = found.of(Format.TARDIS_TRADES, Format.TARDIS_CHAIN, Format.TARDIS_QUOTES, Format.TARDIS_TICKER)
    ticker = _rows(found.of(Format.TARDIS_TICKER), ("index_price", "mark_price"), reference, recording.set_aside)
    recording.index = _index(ticker)
    recording.quotes = _quotes(found.of(Format.TARDIS_QUOTES), ticker, reference, recording.set_aside)
    recording.trades = _trades(found.of(Format.TARDIS_TRADES), recording.index, reference, recording.set_aside)
    recording.chain = _chain(found.of(Format.TARDIS_CHAIN), reference, recording.set_aside)
    return recording


def _rows(
    paths: list[Path], columns: Iterable[str], reference: ReferenceData, set_aside: Counter[str]
) -> pl.DataFrame | None:
    """The venue's rows of known instruments, by local time, with `underlying`; None where there is no file."""
    if not paths:
        return None
    names = ("exchange", "symbol", "timestamp", "local_timestamp", *columns)
    raw = pl.concat(
        [check_microseconds(path, read_rows(path, names), "timestamp", "local_timestamp") for path in paths]
    )
    known = known_instruments(raw["symbol"].unique(), reference)
    coins = {name: instrument.contract.base for name, instrument in known.items()}
    reason = (
        pl.when(pl.col("exchange") != VENUE)
        .then(pl.lit("row of another venue"))
        .when(~pl.col("symbol").is_in(list(known)))
        .then(pl.lit("row of an unknown instrument"))
    )
    ours = keep_sound(raw.with_columns(reason=reason), set_aside)
    return ours.select(
        exch_ts_ns=pl.col("timestamp") * 1_000,
        local_ts_ns=pl.col("local_timestamp") * 1_000,
        instrument=pl.col("symbol"),
        underlying=pl.col("symbol").replace_strict(coins, default=None, return_dtype=pl.String),
        **{name: pl.col(name) for name in columns},
    ).sort("local_ts_ns", maintain_order=True)


def _index(ticker: pl.DataFrame | None) -> pl.DataFrame:
    if ticker is None:
        return pl.DataFrame(schema=INDEX.schema)
    ticks = ticker.select("exch_ts_ns", "local_ts_ns", "underlying", price_usd=_number("index_price"))
    sound = ticks.filter(pl.col("price_usd") > 0)
    # Every contract's ticker repeats the coin's one index: only its changes are news.
    return sound.filter(pl.col("price_usd").ne_missing(pl.col("price_usd").shift().over("underlying")))


def _quotes(
    paths: list[Path], ticker: pl.DataFrame | None, reference: ReferenceData, set_aside: Counter[str]
) -> pl.DataFrame:
    """Best prices, and marks where they or the index changed, of what is not an option."""
    nothing = pl.lit(float("nan"))
    parts = []
    tops = _rows(paths, ("bid_price", "ask_price", "bid_amount", "ask_amount"), reference, set_aside)
    if tops is not None:
        sides = {f"{side}{what}": quoted(f"{side}_{kind}") for side in ("bid", "ask") for what, kind in _SIDES.items()}
        parts.append(tops.with_columns(mark_price=nothing, **sides))
    if ticker is not None:
        marked = ticker.with_columns(mark_price=quoted("mark_price"), **dict.fromkeys(_PRICES, nothing))
        # A mark that stands still while the index moves is news of its premium.
        news = pl.any_horizontal(
            pl.col(name).ne_missing(pl.col(name).shift().over("instrument")) for name in ("mark_price", "index_price")
        )
        parts.append(marked.filter(pl.col("mark_price").is_not_nan() & news))
    if not parts:
        return pl.DataFrame(schema=QUOTES.schema)
    rows = pl.concat([part.select(QUOTES.names) for part in parts]).sort("local_ts_ns", maintain_order=True)
    return tradable_quotes(rows, reference, set_aside)


def _trades(paths: list[Path], index: pl.DataFrame, reference: ReferenceData, set_aside: Counter[str]) -> pl.DataFrame:
    rows = _rows(paths, ("id", "side", "price", "amount"), reference, set_aside)
    if rows is None:
        return pl.DataFrame(schema=TRADES.schema)
    heard = index.select("local_ts_ns", "underlying", index_usd=pl.col("price_usd"))
    trades = rows.join_asof(heard, on="local_ts_ns", by="underlying", check_sortedness=False).with_columns(
        trade_id=pl.col("id").cast(pl.String),
        taker_side=pl.col("side").replace_strict({"buy": 1, "sell": -1}, default=None, return_dtype=pl.Int8),
        price=_number("price"),
        amount=_number("amount"),
        mark_price=pl.lit(float("nan")),
        iv=pl.lit(float("nan")),
        off_book=pl.lit(value=False),
    )
    whole = pl.col("taker_side").is_not_null() & (pl.col("price") > 0) & (pl.col("amount") > 0)
    reason = pl.when(~whole).then(pl.lit("trade without a side, or a price and size above zero"))
    sound = keep_sound(trades.with_columns(reason=reason), set_aside)
    return tradable_trades(sound, reference, set_aside).select(TRADES.names)


def _chain(paths: list[Path], reference: ReferenceData, set_aside: Counter[str]) -> pl.DataFrame:
    prices, vols = ("bid_price", "ask_price", "underlying_price"), ("bid_iv", "ask_iv", "mark_iv")
    rows = _rows(paths, (*prices, *vols), reference, set_aside)
    if rows is None:
        return pl.DataFrame(schema=CHAIN.schema)
    negative = pl.min_horizontal(*prices, *vols) < 0
    reason = pl.when(negative).then(pl.lit("quote with a negative price or vol"))
    chain = keep_sound(rows.with_columns(reason=reason), set_aside).with_columns(
        bid=quoted("bid_price"),
        ask=quoted("ask_price"),
        forward_usd=quoted("underlying_price"),
        **{name: divided(quoted(name), 100) for name in vols},
    )
    return tradable_chain(chain.select(CHAIN.names), reference, set_aside)


def _number(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Float64)
