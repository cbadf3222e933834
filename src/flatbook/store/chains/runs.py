"""Which rows of a file belong to one snapshot.

A recorder goes over the whole chain again and again, and each pass is a snapshot. Where the file does not name them,
passes show by equal times, or by an instrument that comes again, in the file's order; passes hold mostly the same
instruments, by which they are told from a stream of single updates.
"""

import numpy as np
import polars as pl

_LEAST_SHARED = 0.8
"""Of a pass' instruments, the median share that the next pass has again."""


def with_runs(rows: pl.DataFrame) -> pl.DataFrame | None:
    """`rows` (`pair, ts_ns, instrument, run`) with every `run` named; None where rows are single updates.

    Named runs stay. Rows without a pair or a time keep a null.
    """
    if rows["run"].null_count() < rows.height:
        return rows
    placed = rows.with_row_index("row")
    parts = []
    for _, part in placed.drop_nulls(["pair", "ts_ns"]).group_by("pair", maintain_order=True):
        run = _found(part)
        if run is None:
            return None
        parts.append(part.select("row", run=run.cast(pl.String)))
    if not parts:
        return rows
    return placed.drop("run").join(pl.concat(parts), on="row", how="left", maintain_order="left").drop("row")


def _found(rows: pl.DataFrame) -> pl.Series | None:
    """The number of each row's run, of one pair; None where they show none."""
    instruments = rows["instrument"]
    if instruments.n_unique() == rows.height:
        return pl.Series([0] * rows.height)
    by_time = rows["ts_ns"].rank("dense")
    if _is_passes(by_time, instruments):
        return by_time
    by_repeat = _counted_by_repeats(instruments)
    return by_repeat if _is_passes(by_repeat, instruments) else None


def _is_passes(run: pl.Series, instruments: pl.Series) -> bool:
    held = pl.DataFrame({"run": run.cast(pl.Int64), "instrument": instruments}).unique()
    again = held.with_columns(run=pl.col("run") - 1, again=pl.lit(value=True))
    share = (
        held.filter(pl.col("run") < pl.col("run").max())
        .join(again, on=["run", "instrument"], how="left")
        .group_by("run")
        .agg(share=pl.col("again").count() / pl.len())["share"]
    )
    return share.is_empty() or float(np.median(share.to_numpy())) >= _LEAST_SHARED


def _counted_by_repeats(instruments: pl.Series) -> pl.Series:
    """A number for each row, one more at each instrument that came since the number rose last."""
    seen: set[str] = set()
    run, runs = 0, []
    for name in instruments:
        if name in seen:
            run += 1
            seen.clear()
        seen.add(name)
        runs.append(run)
    return pl.Series(runs, dtype=pl.Int64)
