"""A Deribit screener export and what lies beside it, as one recording.

Order matters: the trades give the index, spot bars fill its holes, the chain's times are checked against it.
"""

from pathlib import Path

import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import format_utc
from flatbook.store.importers import funding_history, screener_chain, screener_trades, spot_bars
from flatbook.store.importers.formats import Format, Recognised, recognise
from flatbook.store.importers.recording import Recording

NAME = "Deribit screener export"
_BESIDE = ("binance-spot-btc-5m", "funding")
_BARS_UNDERLYING = "BTC"

_CLOCKS = {
    "exch_ts_ns": "nanoseconds UTC, inside its minute by construction: the source's trades have no seconds",
    "local_ts_ns": "the same: the source has one clock, so the feed's own delay is nil",
}
_UNITS = {
    "trades.price, mark_price": "coin per coin of underlying",
    "trades.amount": "coins (contracts of one coin)",
    "iv, bid_iv, ask_iv": "decimal per square root of a year",
    "index.price_usd": "USD",
}
_CONTINUOUS_ORDER = (
    "Inside a minute trades go by id where all have one. Else only an instrument's own rows are known to follow each "
    "other (the file sorts a minute by expiry and strike), and the instruments are merged so that the index moves as "
    "little as possible."
)
_FILE_ORDER = (
    "Inside a minute trades go by id where all have one, else as the file has them: by expiry and strike, not by time. "
    "The index jumps accordingly."
)
_NOTES = (
    "Trades inside a minute are spread evenly over it: the i-th of n at (i + 1/2)/n of the minute.",
    "A trade without the venue's id is named by coin, minute and its place in the file within the minute.",
    "The index a trade carries is a tick of its own 250 ms before it, or half-way back to the trade before where that "
    "is nearer: a quote can follow the index before the trade arrives. The trade's mark and vol come with the trade.",
    "The source's Underlying Price is the index, not a forward. A vol of 0 is none.",
    "Blocks and combos (by their ids) are off_book: they did not trade against the instrument's book.",
    "A snapshot counts as known from the end of the minute it was taken in. Its USD prices are coin prices times one "
    "whole number of dollars, which is divided out; vols at the source's floor (0.8 %) and cap (999 %) are none. It "
    "has no marks or forwards.",
)


def read(found: Recognised, place: Path, reference: ReferenceData, *, keep_file_order: bool) -> Recording:
    """The export in `place`, joined by time with the spot bars and funding found there or in the folders beside it."""
    if not found.of(Format.SCREENER_TRADES):
        raise BadInputError(f"{place}: chain snapshots without a trade tape; put the export's trades beside them")
    beside = _with_neighbours(found, place)
    recording = Recording(
        NAME, clocks=_CLOCKS, units=_UNITS, notes=[_FILE_ORDER if keep_file_order else _CONTINUOUS_ORDER, *_NOTES]
    )
    recording.inputs = beside.of(Format.SCREENER_TRADES, Format.SCREENER_CHAIN)
    recording.trades = screener_trades.read_trades(
        beside.of(Format.SCREENER_TRADES), reference, recording.set_aside, keep_file_order=keep_file_order
    )
    recording.index = screener_trades.index_ticks(recording.trades)
    snapshots = _snapshots(beside, reference, recording)
    from_ns, to_ns = _span(recording.trades, snapshots)
    _fill_with_bars(recording, beside, from_ns, to_ns)
    if snapshots is not None:
        recording.chain, notes = screener_chain.to_chain(snapshots, recording.index, reference, recording.set_aside)
        recording.notes += notes
    _join_funding(recording, beside, from_ns, to_ns)
    _count(recording)
    return recording


def _with_neighbours(found: Recognised, place: Path) -> Recognised:
    folder = place if place.is_dir() else place.parent
    joined = Recognised(dict(found.files), list(found.unknown))
    for name in _BESIDE:
        neighbour = folder.resolve().parent / name
        if neighbour.is_dir():
            for kind, paths in recognise(neighbour).files.items():
                if kind not in (Format.SCREENER_TRADES, Format.SCREENER_CHAIN):
                    joined.files[kind] = [*joined.files.get(kind, []), *paths]
    return joined


def _snapshots(found: Recognised, reference: ReferenceData, recording: Recording) -> pl.DataFrame | None:
    paths = found.of(Format.SCREENER_CHAIN)
    return screener_chain.read_snapshots(paths, reference, recording.set_aside) if paths else None


def _span(trades: pl.DataFrame, snapshots: pl.DataFrame | None) -> tuple[int, int]:
    """First and last local time of the export's own rows; the joins reach no further."""
    times = [trades["local_ts_ns"]]
    if snapshots is not None and snapshots.height:
        times += [snapshots["captured_ns"], snapshots["stored_ns"]]
    every = pl.concat(times)
    return int(every.to_numpy().min()), int(every.to_numpy().max())


def _fill_with_bars(recording: Recording, found: Recognised, from_ns: int, to_ns: int) -> None:
    paths = found.of(Format.SPOT_BARS)
    tape = recording.trades.filter(pl.col("underlying") == _BARS_UNDERLYING)["local_ts_ns"]
    if not paths or tape.is_empty():
        recording.notes.append("No spot bars lie beside the export: in holes of the tape the index stands still.")
        return
    every = {path: spot_bars.read_bars(path, _BARS_UNDERLYING) for path in paths}
    used = {path: spot_bars.in_silence(bars, tape, from_ns, to_ns) for path, bars in every.items()}
    recording.inputs += [path for path, bars in used.items() if bars.height]
    bars = pl.concat(used.values()).unique("exch_ts_ns", keep="first", maintain_order=True)
    recording.index = pl.concat([recording.index, bars]).sort("local_ts_ns", maintain_order=True)
    recording.counts["index ticks from spot bars"] = bars.height
    recording.notes.append(
        "Where the tape is silent for more than 5 minutes the index follows Binance spot, a tick at each bar's close "
        "(within 0.07 % of the Deribit index where both are known)."
    )


def _join_funding(recording: Recording, found: Recognised, from_ns: int, to_ns: int) -> None:
    histories = [
        *funding_history.read_percent(found.of(Format.FUNDING_PERCENT), recording.set_aside),
        *funding_history.read_decimal(found.of(Format.FUNDING_DECIMAL), recording.set_aside),
    ]
    for underlying in recording.trades["underlying"].unique().sort():
        perpetual = f"{underlying}-PERPETUAL"
        taken, rows = funding_history.in_span(histories, underlying, perpetual, from_ns, to_ns)
        recording.funding = pl.concat([recording.funding, rows])
        if taken is not None:
            recording.inputs.append(taken.path)
            recording.notes.append(f"Funding of {perpetual} is that of {taken.contract} on its own venue, a stand-in.")
        else:
            last = max((int(h.rows["ts_ns"][-1]) for h in histories if h.rows.height), default=None)
            until = f" (the files end {format_utc(last)[:10]})" if last is not None else ""
            recording.notes.append(f"No funding row for {perpetual} falls in the span{until}: none is written.")


def _count(recording: Recording) -> None:
    recording.counts["off-book trades"] = int(recording.trades["off_book"].sum())
    recording.counts["chain snapshots"] = recording.chain.select("underlying", "local_ts_ns").n_unique()
