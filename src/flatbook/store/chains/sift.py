"""From rows to chains: each row gets its snapshot, or the one reason for which it is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from flatbook.store.chains.history import History, RunHistory, UpdateHistory
from flatbook.store.chains.quotes import Quotes, fault, is_option, with_contracts
from flatbook.store.chains.runs import with_runs

_SNAPSHOT = ("pair", "run")


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """What became of the rows of a file.

    histories   its chains, by underlying
    taken       rows of its own in them
    joined      rows in them of the files beside
    left_out    rows of its own that are not, by reason
    """

    histories: Mapping[str, History]
    taken: int
    joined: int
    left_out: Counter[str]


def sift(quotes: Quotes) -> Sifted:
    """The chains in `quotes`; rows of a file beside that belong to none of its snapshots are passed over."""
    parts = [quotes.rows.with_columns(beside=pl.lit(value=False))]
    if quotes.beside is not None:
        parts.append(quotes.beside.with_columns(beside=pl.lit(value=True)))
    rows = with_contracts(pl.concat(parts))
    in_runs = None if quotes.is_updates else with_runs(rows)
    told = _of_updates(rows) if in_runs is None else _of_runs(in_runs)
    own = told.filter(~pl.col("beside"))
    left_out = Counter(dict(own["reason"].drop_nulls().value_counts().iter_rows()))
    kept = told.drop_nulls(["pair", "ts_ns"]) if in_runs is None else told.filter(pl.col("reason").is_null())
    history = UpdateHistory if in_runs is None else RunHistory
    histories = {
        str(pair): history(part)
        for (pair,), part in kept.partition_by("pair", as_dict=True).items()
        if part.filter(is_option() & pl.col("reason").is_null()).height
    }
    joined = told.filter(pl.col("beside") & pl.col("reason").is_null()).height
    return Sifted(histories, own.height - left_out.total(), joined, quotes.left_out + left_out)


def _of_runs(rows: pl.DataFrame) -> pl.DataFrame:
    times = rows.filter(~pl.col("beside")).group_by(_SNAPSHOT).agg(taken_ns=pl.col("ts_ns").max())
    placed = rows.join(times, on=_SNAPSHOT, how="left", maintain_order="left")
    placed = placed.filter(~pl.col("beside") | pl.col("taken_ns").is_not_null())
    told = placed.with_columns(reason=fault())
    told = _left_out(told, "repeated instrument", ~pl.struct(*_SNAPSHOT, "instrument").is_last_distinct())
    return _left_out(told, "no option beside it", ~is_option().any().over(_SNAPSHOT))


def _of_updates(rows: pl.DataFrame) -> pl.DataFrame:
    told = rows.with_columns(taken_ns=pl.col("ts_ns")).with_columns(reason=fault())
    return _left_out(told, "no option beside it", ~is_option().any().over("pair"))


def _left_out(told: pl.DataFrame, reason: str, holds: pl.Expr) -> pl.DataFrame:
    """`told` with `reason` on those sound rows for which it holds, asked among the sound rows only."""
    placed = told.with_row_index("row")
    found = placed.filter(pl.col("reason").is_null()).filter(holds)["row"]
    hit = pl.col("row").is_in(found.implode())
    return placed.with_columns(reason=pl.when(hit).then(pl.lit(reason)).otherwise("reason")).drop("row")
