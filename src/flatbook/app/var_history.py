"""What the factors of some underlyings did, read from recorded chains, a session, or tables of prices.

A path is told by what is in it: a directory with `session.toml` is a session, a file or a directory of files with
options' quotes are chains, each calibrated anew, and a table with a time and a price is a price history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flatbook.app.book_markets import MarketLearner, calibrated_snapshot, history_name
from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_HOUR, format_utc, parse_utc
from flatbook.kernels.chain import FACTORS, SPOT
from flatbook.market.calibration.surface import calibrate
from flatbook.market.snapshot import MarketSnapshot
from flatbook.risk.var.history import FactorHistory, levels_of
from flatbook.store.chains import ChainFile, read_chains
from flatbook.store.session import META_FILE, open_session
from flatbook.store.source_table import header, read_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TIMES: Final = ("close_time", "timestamp", "datetime", "time", "date", "open_time")
_PRICES: Final = ("close", "price", "index_price", "index_usd")
_NAMES: Final = ("underlying", "ticker", "symbol", "coin")
_SUFFIXES: Final = (".parquet", ".csv", ".csv.gz", ".json", ".json.gz")
_UNITS_PER_SECOND: Final = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3), (0, 1))
"""A stamp at least so large counts so many a second: seconds reach the first bound in the year 5138."""


@dataclass(frozen=True)
class RecordedHistory:
    """Readings of the factors up to a moment, and where whole chains were read, the markets themselves.

    markets     by underlying, one an entry of `factors.times_ns`, None where it was not seen; empty for prices alone
    """

    factors: FactorHistory
    markets: Mapping[str, Sequence[MarketSnapshot | None]]
    source: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class HistoryPath:
    """Where a history is: of one underlying (`BTC=FILE`), or of all."""

    path: Path
    underlying: str | None = None

    @classmethod
    def parse(cls, text: str) -> HistoryPath:
        """As an option of the command line has it."""
        name, equals, path = text.partition("=")
        return cls(Path(path), name.upper()) if equals and name.isalpha() else cls(Path(text))


def read_history(
    paths: Sequence[HistoryPath],
    underlyings: Sequence[str],
    until_ns: int,
    tenor_years: Floats,
    reference: ReferenceData,
) -> RecordedHistory:
    """The factors of `underlyings` until `until_ns`, inclusive.

    Errors      BadInputError where a path is none of what is known, or says nothing of an underlying by then
    """
    for one in paths:
        if not one.path.exists():
            raise BadInputError(f"--history {one.path}: no such file or directory; name chains, prices or a session")
    source = ", ".join(one.path.name for one in paths)
    if len(paths) == 1 and (paths[0].path / META_FILE).is_file():
        markets, notes = _session_markets(paths[0].path, underlyings, until_ns, reference)
        return _of_markets(markets, underlyings, tenor_years, source, notes)
    if all(_is_prices(one.path) for one in paths):
        return _prices(paths, underlyings, until_ns, source)
    if len(paths) > 1:
        raise BadInputError("--history: several are tables of prices, one an underlying; give chains as one directory")
    markets, notes = _chain_markets(paths[0].path, underlyings, until_ns)
    return _of_markets(markets, underlyings, tenor_years, source, notes)


Snapshots = dict[int, dict[str, MarketSnapshot]]
"""Markets by time and underlying."""


def _of_markets(
    found: Snapshots, underlyings: Sequence[str], tenor_years: Floats, source: str, notes: list[str]
) -> RecordedHistory:
    times = sorted(found)
    markets = {name: [found[ts].get(name) for ts in times] for name in underlyings}
    levels = np.full((len(times), len(underlyings), FACTORS), np.nan)
    for place, name in enumerate(underlyings):
        for at, market in enumerate(markets[name]):
            if market is not None:
                levels[at, place] = levels_of(market, tenor_years)
    factors = FactorHistory(tuple(underlyings), np.array(times, dtype=np.int64), levels)
    _refuse_unseen(factors, source)
    return RecordedHistory(factors, markets, source, tuple(notes))


def _refuse_unseen(factors: FactorHistory, source: str) -> None:
    for place, name in enumerate(factors.underlyings):
        seen = int(np.isfinite(factors.levels[:, place, SPOT]).sum())
        if seen < 3:
            raise BadInputError(
                f"--history {source}: {seen} readings of {name} by then; give a history of it that begins earlier"
            )


def _chain_markets(path: Path, underlyings: Sequence[str], until_ns: int) -> tuple[Snapshots, list[str]]:
    found: Snapshots = {}
    chains, notes = 0, []
    for file in _chain_files(path):
        here = [name for name in underlyings if any(each.partition("_")[0] == name for each in file.underlyings)]
        for name in here:
            history = file.histories[history_name(file, name)]
            for number, ts in enumerate(history.times_ns.tolist()):
                if ts <= until_ns:
                    chain = history.snapshot(number)
                    found.setdefault(ts, {})[name] = calibrated_snapshot(chain, calibrate(chain), [])
                    chains += 1
    if not chains:
        raise BadInputError(
            f"--history {path}: no chain of {', '.join(underlyings)} by {format_utc(until_ns)}; give another"
        )
    notes.append(f"{path}: {chains:,} chains calibrated, {format_utc(min(found))} to {format_utc(max(found))}")
    return found, notes


def _chain_files(path: Path) -> Iterable[ChainFile]:
    """The chain files at a path; of a directory those that are any, for prices of futures may lie beside them."""
    if path.is_file():
        try:
            file = read_chains(path)
        except BadInputError as error:
            raise BadInputError(f"--history {error}; or a table with a time and a price") from None
        yield file
        return
    for each in sorted(path.iterdir()):
        if each.is_file() and each.name.endswith(_SUFFIXES):
            try:
                file = read_chains(each)
            except BadInputError:
                continue
            yield file


def _session_markets(
    path: Path, underlyings: Sequence[str], until_ns: int, reference: ReferenceData
) -> tuple[Snapshots, list[str]]:
    """What a maker who listened knew at the end of every hour."""
    session = open_session(path)
    learners = {name: MarketLearner(name, reference) for name in underlyings}
    found: Snapshots = {}
    due_ns = session.from_ns + NS_PER_HOUR
    for event in session.market_events(session.from_ns, min(session.to_ns, until_ns) + 1, reference):
        while event.local_ts_ns >= due_ns:
            found[due_ns] = {name: one.snapshot(due_ns, path) for name, one in learners.items() if one.index()[0].size}
            due_ns += NS_PER_HOUR
        for learner in learners.values():
            learner.take(event)
    return found, [f"{path}: {len(found):,} readings, one an hour"]


def _is_prices(path: Path) -> bool:
    """Whether a file is a table with a time and a price, and with nothing that only chains have."""
    if not path.is_file() or path.name.endswith((".json", ".json.gz")):
        return False
    columns = {name.lower() for name in header(path)}
    is_chain = bool(
        columns & {"strike", "strike_price", "instrument_name", "option_type", "expiry_date", "symbol_type"}
    )
    return not is_chain and bool(columns & set(_TIMES)) and bool(columns & set(_PRICES))


def _prices(paths: Sequence[HistoryPath], underlyings: Sequence[str], until_ns: int, source: str) -> RecordedHistory:
    frames = [_price_table(one, underlyings, until_ns) for one in paths]
    joined = pl.concat(frames).unique(["ts_ns", "underlying"], keep="last").sort("ts_ns")
    times = joined["ts_ns"].unique().sort()
    levels = np.full((times.len(), len(underlyings), FACTORS), np.nan)
    for place, name in enumerate(underlyings):
        own = joined.filter(pl.col("underlying") == name)
        at = np.searchsorted(times.to_numpy(), own["ts_ns"].to_numpy())
        levels[at, place, SPOT] = np.log(own["price"].to_numpy())
    factors = FactorHistory(tuple(underlyings), times.to_numpy().astype(np.int64), levels)
    _refuse_unseen(factors, source)
    notes = (
        f"{source}: {times.len():,} prices; what vols and carry did beside is drawn from Σ, for it is not in them",
    )
    return RecordedHistory(factors, {}, source, notes)


def _price_table(one: HistoryPath, underlyings: Sequence[str], until_ns: int) -> pl.DataFrame:
    """Columns `ts_ns, underlying, price`."""
    names = {name.lower(): name for name in reversed(header(one.path))}
    time, price, coin = (next((names[n] for n in known if n in names), None) for known in (_TIMES, _PRICES, _NAMES))
    assert time is not None
    assert price is not None
    rows = read_rows(one.path, [name for name in (time, price, coin) if name is not None])
    values = rows[price].cast(pl.Float64, strict=False)
    bad = (values.is_null() | ~values.is_finite() | (values <= 0.0)).fill_null(value=True)
    if bad.any():
        at = int(bad.arg_max() or 0)
        raise BadInputError(f"{one.path}:{at + 2}: {price} {rows[price][at]} is no price; mend or leave out the row")
    frame = pl.DataFrame({"ts_ns": stamps_ns(one.path, rows[time]), "price": values})
    named = _underlying_column(one, underlyings, rows[coin] if coin else None, rows.height)
    return frame.with_columns(named).filter(pl.col("ts_ns") <= until_ns).select("ts_ns", "underlying", "price")


def _underlying_column(one: HistoryPath, underlyings: Sequence[str], told: pl.Series | None, height: int) -> pl.Series:
    if one.underlying is not None:
        return pl.Series("underlying", [one.underlying] * height, dtype=pl.String)
    if told is not None:
        words = told.cast(pl.String).str.to_uppercase()
        mapping = {word: next((n for n in underlyings if str(word).startswith(n)), "") for word in words.unique()}
        return words.replace_strict(mapping, return_dtype=pl.String).alias("underlying")
    if len(underlyings) != 1:
        raise BadInputError(
            f"--history {one.path}: of which of {', '.join(underlyings)} are these prices? write "
            f"--history {underlyings[0]}={one.path}"
        )
    return pl.Series("underlying", [underlyings[0]] * height, dtype=pl.String)


def stamps_ns(path: Path, times: pl.Series) -> pl.Series:
    """Nanoseconds UTC, of numbers counted from 1970 or of text."""
    if times.dtype.is_numeric():
        largest = float(times.cast(pl.Float64).max() or 0.0)  # type: ignore[arg-type]
        per_second = next(units for bound, units in _UNITS_PER_SECOND if largest >= bound)
        return (times.cast(pl.Int64) * (10**9 // per_second)).alias("ts_ns")
    if times.dtype.is_temporal():
        return times.cast(pl.Datetime("ns")).cast(pl.Int64).alias("ts_ns")
    stamps = []
    for line, text in enumerate(times.cast(pl.String).to_list(), start=2):
        try:
            stamps.append(parse_utc(text or ""))
        except BadInputError as error:
            raise BadInputError(f"{path}:{line}: {error}") from None
    return pl.Series("ts_ns", stamps, dtype=pl.Int64)
