import math

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from flatbook.report.downsample import thin

VALUES = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan)), min_size=1, max_size=400)


def _frame(values: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"ts_ns": range(len(values)), "value": values}, schema={"ts_ns": pl.Int64, "value": pl.Float64})


@given(VALUES, st.integers(4, 100))
def test_thinning_keeps_order_ends_extremes_and_gaps(values: list[float], limit: int) -> None:
    frame = _frame(values)
    thinned = thin(frame, limit, ["value"])
    assert thinned.height <= max(limit, 4) + 1
    assert thinned["ts_ns"].is_sorted()
    assert thinned.join(frame, on=["ts_ns", "value"], how="inner", nulls_equal=True).height == thinned.height
    assert thinned.row(0)[0] == 0
    assert thinned.row(-1)[0] == len(values) - 1
    known = frame["value"].drop_nans()
    if len(known):
        assert thinned["value"].drop_nans().min() == known.min()
        assert thinned["value"].drop_nans().max() == known.max()
    assert thinned["value"].is_nan().any() == frame["value"].is_nan().any()


def test_a_short_frame_is_left_alone() -> None:
    frame = _frame([3.0, 1.0, 2.0])
    assert thin(frame, 3, ["value"]).equals(frame)


def test_a_spike_of_one_row_survives() -> None:
    values = [0.0] * 5_000
    values[3_217] = 1.0
    thinned = thin(_frame(values), 100, ["value"])
    assert thinned.height <= 101
    assert 3_217 in thinned["ts_ns"]
