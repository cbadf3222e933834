"""A crisis of the library read from recorded files: its path, in moves since its beginning."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flatbook.app.book_markets import calibrated_snapshot, history_name
from flatbook.app.var_history import stamps_ns
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_DAY, NS_PER_MINUTE, format_utc
from flatbook.kernels.chain import CONVEXITIES, LEVELS, SKEWS
from flatbook.market.calibration.surface import calibrate
from flatbook.market.shock import TERM_DAYS, Shocks
from flatbook.policies.crises import Crisis, PriceSource
from flatbook.risk.var.history import levels_of
from flatbook.sim.crises.path import CrisisPath, days_since_first
from flatbook.store.chains import read_chains
from flatbook.store.importers.funding_history import read_percent
from flatbook.store.source_table import header, read_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_TENOR_DAYS = np.array([7.0, TERM_DAYS, 90.0])
_MIDDLE = 1
_OLDEST_BARS = 3.0
"""A price older than so many of its bars is a hole in the record."""


def read_crisis(crisis: Crisis, data: Path) -> CrisisPath:
    """The crisis as recorded in the folder `data`.

    Errors      BadInputError where a file is not there, or does not span the crisis
    """
    begins, ends = (round(moment.timestamp()) * 10**9 for moment in (crisis.begins, crisis.ends))
    ts_ns = np.arange(begins, ends + 1, round(crisis.step_minutes * NS_PER_MINUTE), dtype=np.int64)
    index = {coin: _prices(crisis, data, source, ts_ns) for coin, source in crisis.index.items()}
    lead = next(iter(index))
    smiles = _smiles(crisis, data, index, ts_ns)
    shocks: dict[str, Shocks] = {}
    for coin, moved in smiles.items():
        columns = dict(moved)
        if coin in crisis.perpetual:
            columns["basis"] = _basis(crisis, data, coin, ts_ns)
        elif lead in crisis.perpetual:
            columns["basis"] = shocks[lead].basis.ravel()
        spot = index[coin] / index[coin][0] - 1.0
        shocks[coin] = Shocks.made(len(ts_ns), spot=spot, days=days_since_first(ts_ns), **columns)
    funding, volume_usd = _funding(crisis, data, ts_ns), _daily_volume_usd(crisis, data, ts_ns)
    return CrisisPath(crisis.name, ts_ns, shocks, funding, volume_usd, _smiles_seen(crisis, data, lead, ts_ns))


def _rows(crisis: Crisis, data: Path, file: str, columns: tuple[str, ...]) -> pl.DataFrame:
    path = _found(crisis, data, file)
    missing = set(columns) - set(header(path))
    if missing:
        raise BadInputError(f"{path}: no column {', '.join(sorted(missing))}; fetch the file again")
    return read_rows(path, columns)


def _found(crisis: Crisis, data: Path, file: str) -> Path:
    path = data / file
    if not path.is_file():
        raise BadInputError(
            f"{path}: no such file, and crisis {crisis.name} is read from it; name the folder of recordings by --data"
        )
    return path


def _prices(crisis: Crisis, data: Path, source: PriceSource, ts_ns: Ints) -> Floats:
    """The last price known at each step: a bar's close is known when it ends."""
    rows = _rows(crisis, data, source.file, (source.time, source.price))
    bar_ns = round(source.bar_minutes * NS_PER_MINUTE)
    frame = pl.DataFrame(
        {"ts_ns": stamps_ns(data / source.file, rows[source.time]) + bar_ns, "price": rows[source.price]}
    )
    known = frame.sort("ts_ns").drop_nulls()
    times, prices = known["ts_ns"].to_numpy(), known["price"].cast(pl.Float64).to_numpy()
    at = np.searchsorted(times, ts_ns, side="right") - 1
    old = (at < 0) | (ts_ns - times[np.maximum(at, 0)] > _OLDEST_BARS * bar_ns)
    if old.any():
        moment = format_utc(int(ts_ns[int(old.argmax())]))
        raise BadInputError(
            f"{data / source.file}: no price at {moment}, which crisis {crisis.name} needs; fetch it again"
        )
    return np.asarray(prices[at])


def _basis(crisis: Crisis, data: Path, coin: str, ts_ns: Ints) -> Floats:
    """The perpetual's move against the index: read where its bars end, for it may be recorded less often."""
    source = crisis.perpetual[coin]
    bar_ns = max(round(source.bar_minutes * NS_PER_MINUTE), int(ts_ns[1] - ts_ns[0]))
    ends_ns = np.arange(ts_ns[0], ts_ns[-1] + 1, bar_ns, dtype=np.int64)
    perpetual, index = (_prices(crisis, data, one, ends_ns) for one in (source, crisis.index[coin]))
    over = perpetual / index
    return np.asarray(np.interp(ts_ns, ends_ns, over / over[0] - 1.0))


def _smiles(crisis: Crisis, data: Path, index: dict[str, Floats], ts_ns: Ints) -> dict[str, dict[str, Floats]]:
    """Moves of each coin's smile; chains may tell of coins that `index` has not, and then add them to it."""
    if crisis.vol.chains:
        return _of_chains(crisis, data, index, ts_ns)
    if crisis.vol.dvol:
        log_vol = np.interp(ts_ns, *_dvol(crisis, data))
        log_rise = log_vol - log_vol[0]
        return {coin: _risen(log_rise, crisis.vol.term_per_log) for coin in index}
    return {
        coin: _risen(crisis.vol.per_log_fall * np.maximum(-np.log(spot / spot[0]), 0.0), crisis.vol.term_per_log)
        for coin, spot in index.items()
    }


def _smiles_seen(crisis: Crisis, data: Path, lead: str, ts_ns: Ints) -> Flags | None:
    """The first step, and the first at or after each recorded smile; None where a rule gives every step its own."""
    if crisis.vol.chains:
        file = read_chains(_found(crisis, data, crisis.vol.chains))
        recorded_ns = file.histories[history_name(file, lead)].times_ns
    elif crisis.vol.dvol:
        recorded_ns = _dvol(crisis, data)[0]
    else:
        return None
    seen = np.zeros(len(ts_ns), np.bool_)
    inside = (recorded_ns >= ts_ns[0]) & (recorded_ns <= ts_ns[-1])
    seen[np.searchsorted(ts_ns, recorded_ns[inside])] = True
    seen[0] = True
    return seen


def _dvol(crisis: Crisis, data: Path) -> tuple[Ints, Floats]:
    """When each day of the index closed, and its log there."""
    rows = _rows(crisis, data, crisis.vol.dvol, ("time", "close")).sort("time")
    closed_ns = rows["time"].cast(pl.Int64).to_numpy() * 10**9 + NS_PER_DAY
    return closed_ns, np.log(rows["close"].cast(pl.Float64).to_numpy())


def _risen(log_rise: Floats, term_per_log: float) -> dict[str, Floats]:
    return {"vol": np.expm1(log_rise), "term": term_per_log * log_rise}


def _of_chains(crisis: Crisis, data: Path, index: dict[str, Floats], ts_ns: Ints) -> dict[str, dict[str, Floats]]:
    file = read_chains(_found(crisis, data, crisis.vol.chains))
    lead = next(iter(index))
    found, ratio = {}, {}
    for coin in sorted({name.partition("_")[0] for name in file.underlyings}, key=lambda name: name != lead):
        history = file.histories[history_name(file, coin)]
        first = max(int(np.searchsorted(history.times_ns, ts_ns[0])) - 1, 0)
        last = min(int(np.searchsorted(history.times_ns, ts_ns[-1])) + 1, len(history.times_ns))
        times = history.times_ns[first:last].astype(np.float64)
        chains = [history.snapshot(number) for number in range(first, last)]
        markets = [calibrated_snapshot(chain, calibrate(chain), []) for chain in chains]
        read = np.array([levels_of(one, _TENOR_DAYS / 365.0) for one in markets])
        basis = np.array([float(one.log_basis(TERM_DAYS / 365.0)) for one in markets])
        rows = np.column_stack([read[:, LEVELS], read[:, SKEWS][:, _MIDDLE], read[:, CONVEXITIES][:, _MIDDLE], basis])
        along = np.column_stack([np.interp(ts_ns, times, column) for column in rows.T])
        found[coin] = _twisted(along)
        ratio[coin] = times, np.log([one.index_usd for one in markets])
        if coin not in index:
            own, leads = np.interp(ts_ns, *ratio[coin]), np.interp(ts_ns, *ratio[lead])
            index[coin] = index[lead] * np.exp(own - leads)
    return found


def _twisted(along: Floats) -> dict[str, Floats]:
    """Shocks that make of the first smile each that followed: a month's level, skew and wings; terms by least squares.

    Shapes      along (n, 6): levels at `_TENOR_DAYS`, the middle's skew and convexity, log basis
    """
    levels, skew, convexity, basis = along[:, :3], along[:, 3], along[:, 4], along[:, 5]
    logs = np.log(levels / levels[0])
    apart = np.log(TERM_DAYS / _TENOR_DAYS)
    factor = np.exp(logs[:, _MIDDLE])
    return {
        "vol": factor - 1.0,
        "term": (logs - logs[:, _MIDDLE : _MIDDLE + 1]) @ apart / (apart @ apart),
        "skew": skew - factor * skew[0],
        "convexity": convexity - factor * convexity[0],
        "basis": np.expm1(basis - basis[0]),
    }


def _funding(crisis: Crisis, data: Path, ts_ns: Ints) -> Floats:
    """What longs paid since the step before; nothing at the first."""
    paid = np.zeros(len(ts_ns))
    if crisis.funding is None:
        return paid
    (history,) = read_percent([_found(crisis, data, crisis.funding.file)], Counter())
    inside = history.rows.filter(pl.col("ts_ns").is_between(int(ts_ns[0]), int(ts_ns[-1]), closed="right"))
    np.add.at(paid, np.searchsorted(ts_ns, inside["ts_ns"].to_numpy()), inside["rate"].to_numpy())
    return paid


def _daily_volume_usd(crisis: Crisis, data: Path, ts_ns: Ints) -> float:
    """Traded a day, on average over the crisis."""
    source = crisis.volume
    rows = _rows(crisis, data, source.file, (source.time, source.volume))
    stamps = stamps_ns(data / source.file, rows[source.time])
    inside = rows.filter(stamps.is_between(int(ts_ns[0]), int(ts_ns[-1])))
    days = float(ts_ns[-1] - ts_ns[0]) / NS_PER_DAY
    return float(inside[source.volume].cast(pl.Float64).sum()) * source.usd / days
