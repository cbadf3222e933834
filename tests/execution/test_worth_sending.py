import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.execution.worth_sending import Limits, SidePrices, worth_sending

ALL = Limits(10**6, 0.0)


def going(resting: list[list[int]], wanted: list[list[int]], limits: Limits, unsure: int = -1) -> list[int]:
    """Which rows go, of rows given as bid ticks, bid lots, ask ticks, ask lots; half-spread 10 about a fair of 100."""
    n = len(resting)
    prices = SidePrices(np.full((2, n), 10.0), np.full((2, n), 100.0))
    columns = np.array(resting).T.copy(), np.array(wanted).T.copy()
    return [int(row) for row in worth_sending(np.arange(n), *columns, np.arange(n) == unsure, prices, limits)]


OLD = [90, 10, 110, 10]


@pytest.mark.parametrize(
    ("resting", "new", "goes"),
    [
        (OLD, [91, 10, 110, 10], False),
        (OLD, [92, 10, 110, 10], True),
        (OLD, [90, 10, 107, 10], True),
        (OLD, [90, 9, 110, 10], True),
        (OLD, [0, 0, 110, 10], True),
        ([101, 10, 110, 10], [100, 10, 110, 10], True),
        ([90, 10, 99, 10], [90, 10, 100, 10], True),
    ],
    ids=["small move", "bid moved", "ask moved", "size", "pulled", "bid above worth", "ask below worth"],
)
def test_a_small_move_waits_unless_what_rests_is_of_another_size_or_unacceptable(
    resting: list[int], new: list[int], goes: bool
) -> None:
    assert going([resting], [new], Limits(10, 0.2)) == ([0] if goes else [])
    assert going([resting], [new], ALL) == [0]
    assert going([resting], [new], Limits(10, 0.2), unsure=0) == [0]


def test_what_is_taken_back_goes_first_then_what_is_unacceptable_then_the_largest_move() -> None:
    resting = [OLD, OLD, [101, 10, 110, 10], OLD, OLD]
    wanted = [[95, 10, 110, 10], [80, 10, 110, 10], [100, 10, 110, 10], [0, 0, 110, 10], [92, 10, 110, 10]]
    for most, expected in ((1, [3]), (2, [2, 3]), (3, [1, 2, 3]), (4, [0, 1, 2, 3]), (0, [])):
        assert going(resting, wanted, Limits(most, 0.0)) == expected


sides = st.tuples(st.integers(60, 140), st.integers(0, 3), st.integers(60, 140), st.integers(0, 3)).map(list)


@given(st.lists(st.tuples(sides, sides), max_size=30), st.integers(0, 30), st.floats(0.0, 2.0))
def test_never_more_than_allowed_and_no_cut_waits_for_a_move(
    rows: list[tuple[list[int], list[int]]], most: int, share: float
) -> None:
    if not rows:
        return
    resting, wanted = [row[0] for row in rows], [row[1] for row in rows]
    gone = going(resting, wanted, Limits(most, share))
    assert gone == sorted(set(gone))
    assert len(gone) <= most
    cut = {n for n, (old, new) in enumerate(rows) if new[1] < old[1] or new[3] < old[3]}
    assert cut <= set(gone) or set(gone) <= cut
    assert len(gone) == min(most, len(going(resting, wanted, Limits(10**6, share))))
