"""Fewer rows for a picture, without losing what the eye looks for."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray


def thin(frame: pl.DataFrame, limit: int, watch: Sequence[str]) -> pl.DataFrame:
    """At most about `limit` of the rows, in order: whole rows, so that columns stay consistent with each other.

    The rows are cut into equal buckets; each keeps its first row, the extremes of every `watch` column and the first
    row where one of them is NaN, so a spike or a gap of one row stays visible. The last row is always kept.
    """
    if frame.height <= limit:
        return frame
    columns = [frame[name].cast(pl.Float64).to_numpy() for name in watch]
    buckets = max(1, limit // (3 * len(columns) + 1))
    edges = np.linspace(0, frame.height, buckets + 1).astype(np.int64)
    kept = {0, frame.height - 1}
    for start, stop in pairwise(edges):
        kept.add(int(start))
        for values in columns:
            kept.update(int(start) + offset for offset in _landmarks(values[start:stop]))
    return frame[sorted(kept)]


def _landmarks(values: NDArray[np.float64]) -> set[int]:
    """Where the least, the greatest and the first unknown value stand."""
    unknown = np.isnan(values)
    marks = {int(np.argmax(unknown))} if unknown.any() else set()
    if not unknown.all():
        marks |= {int(np.nanargmin(values)), int(np.nanargmax(values))}
    return marks
