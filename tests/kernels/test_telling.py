import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.kernels.telling import tell_rows, tell_rows_plain


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
