import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.execution.quote_table import QuoteTable

Ints = NDArray[np.int64]


def grid(*quotes: tuple[int, int, int, int]) -> Ints:
    """Rows of bid ticks, bid lots, ask ticks, ask lots."""
    return np.array(quotes, np.int64).reshape(-1, 4).T.copy()


def test_only_what_differs_from_what_the_venue_was_told_is_told_again() -> None:
    table = QuoteTable(4)
    wanted = grid((10, 5, 12, 5), (0, 0, 0, 0), (20, 5, 0, 0))
    assert table.differing(wanted).tolist() == [0, 2]
    table.told(table.differing(wanted), wanted)
    assert table.differing(wanted).tolist() == []
    wanted[2, 0] = 13
    assert table.differing(wanted).tolist() == [0]


def test_what_filled_rests_no_more_and_is_quoted_again() -> None:
    table, wanted = QuoteTable(1), grid((10, 5, 12, 5))
    table.told(np.array([0]), wanted)
    table.filled(0, 1, 3)
    assert table.grid[:, 0].tolist() == [10, 2, 12, 5]
    table.filled(0, 1, 2)
    assert table.grid[:, 0].tolist() == [0, 0, 12, 5]
    table.filled(0, -1, 9)  # a quote replaced meanwhile may fill beyond what rests now
    assert table.grid[:, 0].tolist() == [0, 0, 0, 0]
    assert table.differing(wanted).tolist() == [0]


def test_room_for_more_rows_keeps_what_rests() -> None:
    table = QuoteTable(1)
    table.told(np.array([0]), grid((10, 5, 12, 5)))
    table.grow(3)
    assert table.grid.T.tolist() == [[10, 5, 12, 5], [0, 0, 0, 0], [0, 0, 0, 0]]


side = st.tuples(st.integers(1, 99), st.integers(0, 9)).map(lambda quote: quote if quote[1] else (0, 0))
quote = st.tuples(side, side).map(lambda sides: (*sides[0], *sides[1]))
fills = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([1, -1]), st.integers(1, 9)), max_size=6)


@given(st.lists(st.tuples(st.tuples(quote, quote, quote), fills), max_size=8))
def test_the_table_is_what_the_venue_holds(
    steps: list[tuple[tuple[tuple[int, int, int, int], ...], list[tuple[int, int, int]]]],
) -> None:
    table, venue = QuoteTable(3), np.zeros((4, 3), np.int64)
    for quotes, traded in steps:
        wanted = grid(*quotes)
        rows = table.differing(wanted)
        assert set(rows.tolist()) >= set(np.flatnonzero((venue != wanted).any(axis=0)).tolist())
        table.told(rows, wanted)
        venue[:, rows] = wanted[:, rows]
        np.testing.assert_array_equal(table.grid, wanted)
        for row, which, lots in traded:
            at = 1 if which == 1 else 3
            taken = min(lots, int(venue[at, row]))
            if taken:
                table.filled(row, which, taken)
                venue[at, row] -= taken
                venue[at - 1, row] *= venue[at, row] > 0
        np.testing.assert_array_equal(table.grid, venue)
        assert np.array_equal(table.grid[0] > 0, table.grid[1] > 0)
        assert np.array_equal(table.grid[2] > 0, table.grid[3] > 0)


def test_a_row_the_venue_answered_about_is_told_again_even_if_nothing_is_wanted() -> None:
    nothing = np.zeros((4, 2), np.int64)
    both = np.array([[10, 10], [5, 5], [12, 12], [5, 5]])
    for answered in ("filled", "gone"):
        table = QuoteTable(2)
        table.told(np.array([0, 1]), both)
        # The fill is of the quote before: the one just told may be on its way, at full size.
        table.filled(0, 1, 5) if answered == "filled" else table.gone(0)
        wanted = nothing.copy()
        wanted[:, 1] = both[:, 1]
        assert table.differing(wanted).tolist() == [0]
        table.told(np.array([0]), wanted)
        assert table.differing(wanted).tolist() == []
