import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.kernels.telling import (
    keep_told,
    keep_told_plain,
    settle_rows,
    settle_rows_plain,
    tell_rows,
    tell_rows_plain,
)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 30))
def test_the_table_becomes_what_its_plain_twin_makes_of_it(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = rng.integers(0, 9, (4, rows + 1))
    told_rows = np.flatnonzero(rng.random(rows + 1) < 0.5)
    room = rows + 3
    ends = []
    for twin in (tell_rows, tell_rows_plain):
        rng = np.random.default_rng(seed)
        grid, loose, lost = (rng.integers(0, 9, (lines, room)) for lines in (4, 2, 2))
        unsure = rng.integers(0, 2, room).astype(np.int8)
        may_fill = grid[1::2, told_rows] + loose[:, told_rows]
        replaced, told = np.empty((2, len(told_rows)), np.int64), np.empty((4, len(told_rows)), np.int64)
        twin(told_rows, wanted, grid, loose, lost, unsure, replaced, told)
        ends.append((grid, loose, lost, unsure, replaced, told))
        np.testing.assert_array_equal(loose[:, told_rows], may_fill)
        np.testing.assert_array_equal(grid[:, told_rows], wanted[:, told_rows])
        assert not unsure[told_rows].any()
    for fast, plain in zip(*ends, strict=True):
        np.testing.assert_array_equal(fast, plain)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 30))
def test_what_is_acknowledged_can_fill_no_more(seed: int, rows: int) -> None:
    ends = []
    for twin in (settle_rows, settle_rows_plain):
        rng = np.random.default_rng(seed)
        told_rows = np.flatnonzero(rng.random(rows + 1) < 0.5)
        lots, filled = rng.integers(0, 9, (2, len(told_rows))), rng.integers(0, 9, (2, rows + 3))
        loose = rng.integers(9, 20, (2, rows + 3))
        may_fill, was_filled = loose[:, told_rows], filled[:, told_rows]
        twin(told_rows, lots, loose, filled)
        # What is acknowledged was filled already, or is taken off what may.
        np.testing.assert_array_equal(may_fill - loose[:, told_rows] + was_filled - filled[:, told_rows], lots)
        assert (filled >= 0).all()
        ends.append((loose, filled))
    for fast, plain in zip(*ends, strict=True):
        np.testing.assert_array_equal(fast, plain)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 30))
def test_of_the_rows_that_are_told_the_parts_are_kept_and_of_no_other(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    told_rows, parts = np.flatnonzero(rng.random(rows) < 0.5), rng.normal(0.0, 1.0, (3, rows))
    kept = rng.normal(0.0, 1.0, (3, rows + 2))
    before, plain = kept.copy(), kept.copy()
    keep_told(told_rows, parts[0], parts[1], parts[2], kept)
    keep_told_plain(told_rows, parts[0], parts[1], parts[2], plain)
    np.testing.assert_array_equal(kept, plain)
    np.testing.assert_array_equal(kept[:, told_rows], parts[:, told_rows] * [[1.0], [-1.0], [1.0]])
    others = np.setdiff1d(np.arange(rows + 2), told_rows)
    np.testing.assert_array_equal(kept[:, others], before[:, others])
