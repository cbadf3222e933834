"""Tables of whole chains, a run of the collector at a time: bid, ask, mark vol, forward and index of every option.

`timestamp` is when a run started. Prices and forwards come from one call at the start; vols and the index from one
call an instrument afterwards, over some minutes. A run counts as known when it has surely ended; so do the candles of
perpetuals and dated futures that lie beside the table, one for each run: the price at the end nearer to its start.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from flatbook.store.chains.bulk_table import NAME, read_table
from flatbook.store.importers.recording import Recording
from flatbook.store.source_table import read_rows
from flatbook.store.tables import CHAIN, INDEX, QUOTES
from flatbook.store.tradable import keep_sound, known_instruments, tradable_chain, tradable_quotes

_NS_PER_MS = NS_PER_SECOND // 1_000
RUN_LENGTH_NS = 10 * NS_PER_MINUTE
"""No run takes longer: a call for each of some 2,000 options, 5 a second (Deribit's lowest tier), are 7 minutes."""

_NUMBERS = ("bid", "ask", "mark_iv", "forward_usd", "index_usd")
_CLOCKS = {
    "exch_ts_ns": "the start of the collector's run",
    "local_ts_ns": "10 minutes later, when the run has surely ended",
}
_UNITS = {
    "chain.bid, chain.ask": "coin per coin of underlying",
    "mark_iv": "decimal per square root of a year",
    "forward_usd, index.price_usd, quotes.mark_price": "USD",
}
_NOTES = (
    "Chains only: there are no trades, so nothing fills a resting quote.",
    "Prices and forwards are of the run's start, mark vols and the index some minutes younger; all count as known 10 "
    "minutes after the start. The index is the run's median. Quotes carry no vols of their own.",
    "Marks of perpetuals and dated futures are prices of candles of a minute, within half a minute of the run's start.",
)


def read(
    paths: list[Path], reference: ReferenceData, perpetuals: Sequence[Path] = (), futures: Sequence[Path] = ()
) -> Recording:
    """The chain tables and the candles beside them as one recording; odd rows are set aside and counted."""
    recording = Recording(NAME, clocks=_CLOCKS, units=_UNITS, notes=list(_NOTES), inputs=paths)
    raw = pl.concat([read_table(path) for path in paths]).rename({"ts_ns": "exch_ts_ns"})
    rows = _sound(raw, reference, recording).with_columns(local_ts_ns=pl.col("exch_ts_ns") + RUN_LENGTH_NS)
    runs = rows.filter(pl.col("index_usd").is_not_nan()).group_by("exch_ts_ns", "local_ts_ns", "underlying")
    recording.index = runs.agg(price_usd=pl.col("index_usd").median()).select(INDEX.names).sort(pl.all())
    chain = rows.select(CHAIN.names).sort("local_ts_ns", maintain_order=True)
    recording.chain = tradable_chain(chain, reference, recording.set_aside)
    recording.counts["chain snapshots"] = recording.chain.select("underlying", "local_ts_ns").n_unique()
    _take_candles(recording, reference, perpetuals, "instrument_name", "candle")
    _take_candles(recording, reference, futures, "futures_instrument_name", "term_candle")
    return recording


def _take_candles(
    recording: Recording, reference: ReferenceData, paths: Sequence[Path], name: str, candle: str
) -> None:
    """Adds one mark a run and contract; `candle` starts the names of the price's columns."""
    at, price = f"{candle}_price_timestamp_ms", f"{candle}_price_used"
    nothing = pl.lit(float("nan"))
    for path in paths:
        marks = read_rows(path, ("snapshot_timestamp_ms", name, at, price)).select(
            exch_ts_ns=pl.col(at).cast(pl.Int64) * _NS_PER_MS,
            # The run's start is cut to the millisecond here: a mark must not come before the index it is held against.
            local_ts_ns=(pl.col("snapshot_timestamp_ms").cast(pl.Int64) + 1) * _NS_PER_MS + RUN_LENGTH_NS,
            instrument=pl.col(name),
            **dict.fromkeys(("bid", "ask", "bid_amount", "ask_amount"), nothing),
            mark_price=pl.col(price).cast(pl.Float64),
        )
        whole = (pl.col("mark_price") > 0) & pl.col("exch_ts_ns").is_not_null()
        reason = pl.when(~whole.fill_null(value=False)).then(pl.lit("candle without a time or a price"))
        sound = keep_sound(marks.with_columns(reason=reason), recording.set_aside)
        rows = tradable_quotes(sound.select(QUOTES.names), reference, recording.set_aside)
        recording.quotes = pl.concat([recording.quotes, rows])
        recording.inputs = [*recording.inputs, path]


def _sound(rows: pl.DataFrame, reference: ReferenceData, recording: Recording) -> pl.DataFrame:
    known = known_instruments(rows["instrument"].drop_nulls().unique(), reference)
    expiries = {name: instrument.contract.expiry_ns for name, instrument in known.items()}
    expiry_ns = pl.col("instrument").replace_strict(expiries, default=None, return_dtype=pl.Int64)
    reason = (
        pl.when(pl.col("exch_ts_ns").is_null())
        .then(pl.lit("quote without a time"))
        .when(~pl.col("instrument").is_in(list(known)).fill_null(value=False))
        .then(pl.lit("quote of an unknown instrument"))
        .when(pl.col("reason").is_not_null())
        .then(pl.lit("quote with a number that is none"))
        .when(pl.any_horizontal(pl.col(name) < 0 for name in _NUMBERS))
        .then(pl.lit("quote with a negative price or vol"))
        .when(pl.col("exch_ts_ns") + RUN_LENGTH_NS >= expiry_ns)
        .then(pl.lit("quote of an expired instrument"))
    )
    coins = {name: instrument.contract.base for name, instrument in known.items()}
    underlying = pl.col("instrument").replace_strict(coins, default=None, return_dtype=pl.String)
    return keep_sound(rows.with_columns(underlying=underlying, reason=reason), recording.set_aside)
