"""From rows to chains: each row gets its snapshot, or the one reason for which it is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from flatbook.store.chains.history import History, RunHistory, UpdateHistory, latest
from flatbook.store.chains.quotes import Quotes, Updates, fault, is_option, with_contracts
from flatbook.store.chains.runs import with_runs

_SNAPSHOT = ("pair", "run")
_LONELY = "no option beside it"


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """What became of the rows of a file.

    histories   its chains, by underlying
    taken       rows of its own in them
    joined      rows in them of the files beside
    in_updates  whether each row replaces its instrument's last one
    left_out    rows of its own that are not, by reason
    """

    histories: Mapping[str, History]
    taken: int
    joined: int
    in_updates: bool
    left_out: Counter[str]


def sift(quotes: Quotes | Updates) -> Sifted:
    """The chains in `quotes`; rows of a file beside that belong to none of its snapshots are passed over."""
    if isinstance(quotes, Updates):
        return _sift_updates(quotes)
    parts = [quotes.rows.with_columns(beside=pl.lit(value=False))]
    if quotes.beside is not None:
        parts.append(quotes.beside.with_columns(beside=pl.lit(value=True)))
    in_runs = with_runs(with_contracts(pl.concat(parts)))
    if in_runs is None:
        in_time = quotes.rows.sort("ts_ns", maintain_order=True)
        return _sift_updates(Updates(lambda: iter([in_time])))
    return _sift_runs(in_runs)


def _sift_runs(rows: pl.DataFrame) -> Sifted:
    times = rows.filter(~pl.col("beside")).group_by(_SNAPSHOT).agg(taken_ns=pl.col("ts_ns").max())
    placed = rows.join(times, on=_SNAPSHOT, how="left", maintain_order="left")
    placed = placed.filter(~pl.col("beside") | pl.col("taken_ns").is_not_null())
    told = placed.with_columns(reason=fault())
    told = _left_out(told, "repeated instrument", ~pl.struct(*_SNAPSHOT, "instrument").is_last_distinct())
    told = _left_out(told, _LONELY, ~is_option().any().over(_SNAPSHOT))
    sound = told.filter(pl.col("reason").is_null())
    histories = {str(pair): RunHistory(part) for (pair,), part in sound.partition_by("pair", as_dict=True).items()}
    left_out = _reasons(told.filter(~pl.col("beside")))
    joined = int(sound["beside"].sum())
    return Sifted(histories, sound.height - joined, joined, in_updates=False, left_out=left_out)


def _left_out(told: pl.DataFrame, reason: str, holds: pl.Expr) -> pl.DataFrame:
    """`told` with `reason` on those sound rows for which it holds, asked among the sound rows only."""
    placed = told.with_row_index("row")
    found = placed.filter(pl.col("reason").is_null()).filter(holds)["row"]
    hit = pl.col("row").is_in(found.implode())
    return placed.with_columns(reason=pl.when(hit).then(pl.lit(reason)).otherwise("reason")).drop("row")


def _sift_updates(updates: Updates) -> Sifted:
    def told() -> Iterator[pl.DataFrame]:
        for batch in updates.batches():
            rows = with_contracts(batch.with_columns(beside=pl.lit(value=False), taken_ns="ts_ns"))
            yield rows.with_columns(reason=fault()).with_columns(option=is_option())

    left_out: Counter[str] = Counter()
    sound: Counter[tuple[str, bool]] = Counter()
    standing: pl.DataFrame | None = None
    first_ns: dict[str, int] = {}
    for rows in told():
        left_out += _reasons(rows)
        counts = rows.filter(pl.col("reason").is_null()).group_by("pair", "option").len()
        sound += Counter({(pair, option): count for pair, option, count in counts.iter_rows()})
        known = rows.drop_nulls(["pair", "ts_ns"])
        first_ns = dict(known.group_by("pair").agg(pl.col("ts_ns").min()).iter_rows()) | first_ns
        standing = latest(standing, known)
    pairs = {pair for pair, option in sound if option}
    lonely = sum(count for (pair, _), count in sound.items() if pair not in pairs)
    histories = {pair: UpdateHistory(pair, told, first_ns[pair], standing) for pair in pairs if standing is not None}
    left_out[_LONELY] += lonely
    return Sifted(histories, sound.total() - lonely, 0, in_updates=True, left_out=+left_out)


def _reasons(told: pl.DataFrame) -> Counter[str]:
    return Counter(dict(told["reason"].drop_nulls().value_counts().iter_rows()))
