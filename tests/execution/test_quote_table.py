import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
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
    table.filled(0, -1, 9)
    assert table.grid[:, 0].tolist() == [0, 0, 0, 0]
    assert table.differing(wanted).tolist() == [0]


def test_room_for_more_rows_keeps_what_rests() -> None:
    table = QuoteTable(1)
    table.told(np.array([0]), grid((10, 5, 12, 5)))
    table.grow(3)
    assert table.grid.T.tolist() == [[10, 5, 12, 5], [0, 0, 0, 0], [0, 0, 0, 0]]


side = st.tuples(st.integers(1, 99), st.integers(0, 9)).map(lambda quote: quote if quote[1] else (0, 0))
quote = st.tuples(side, side).map(lambda sides: (*sides[0], *sides[1]))


class AgainstAVenue(RuleBasedStateMachine):
    """Messages take effect late, fills happen on what stands then, and we hear of both later still, in order.

    The table knows exactly what may yet fill: every lot of the version that stands, of those on their way, and none of
    what the venue has said is gone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table = QuoteTable(3)
        self.standing = np.zeros((4, 3), np.int64)
        self.on_its_way: list[tuple[int, Ints, Ints]] = []
        self.said: list[tuple[str, int, int, int]] = []

    @rule(quotes=st.tuples(quote, quote, quote))
    def tell(self, quotes: tuple[tuple[int, int, int, int], ...]) -> None:
        wanted = grid(*quotes)
        rows = self.table.differing(wanted)
        if len(rows):
            number, _ = self.table.told(rows, wanted)
            self.on_its_way.append((number, rows, wanted[:, rows].copy()))
        np.testing.assert_array_equal(self.table.grid, wanted)

    @precondition(lambda self: self.on_its_way)
    @rule()
    def take_effect(self) -> None:
        number, rows, quotes = self.on_its_way.pop(0)
        self.standing[:, rows] = quotes
        self.said.append(("taken", number, 0, 0))

    @rule(row=st.integers(0, 2), which=st.sampled_from([1, -1]), lots=st.integers(1, 9))
    def fill(self, row: int, which: int, lots: int) -> None:
        at = 1 if which == 1 else 3
        filled = min(lots, int(self.standing[at, row]))
        if filled:
            self.standing[at, row] -= filled
            self.said.append(("filled", row, which, filled))

    @precondition(lambda self: self.said)
    @rule()
    def hear(self) -> None:
        what, first, which, lots = self.said.pop(0)
        if what == "taken":
            self.table.acknowledged(first)
        else:
            self.table.filled(first, which, lots)

    @invariant()
    def what_may_fill_is_known_exactly(self) -> None:
        may = self.standing[1::2] + sum(
            (
                np.where(np.isin(np.arange(3), rows), _spread(rows, quotes[1::2]), 0)
                for _, rows, quotes in self.on_its_way
            ),
            np.zeros((2, 3), np.int64),
        )
        for what, row, which, lots in self.said:
            if what == "filled":
                may[0 if which == 1 else 1, row] += lots
        # Heard of or not, a version that took effect stood until the next did; what we still have to hear of it counts.
        known = self.table.grid[1::2] + self.table.loose
        assert (known >= may).all()
        if not any(what == "taken" for what, *_ in self.said):
            np.testing.assert_array_equal(known, may)


def _spread(rows: Ints, lots: Ints) -> Ints:
    whole = np.zeros((2, 3), np.int64)
    whole[:, rows] = lots
    return whole


TestAgainstAVenue = AgainstAVenue.TestCase
TestAgainstAVenue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_row_the_venue_refused_is_told_again_and_may_fill_until_that_is_acknowledged() -> None:
    nothing = np.zeros((4, 2), np.int64)
    both = np.array([[10, 10], [5, 5], [12, 12], [5, 5]])
    table = QuoteTable(2)
    table.told(np.array([0, 1]), both)
    table.gone(0)
    wanted = nothing.copy()
    wanted[:, 1] = both[:, 1]
    assert table.differing(wanted).tolist() == [0]
    assert table.loose.tolist() == [[5, 0], [5, 0]]
    number, _ = table.told(np.array([0]), wanted)
    assert table.differing(wanted).tolist() == []
    table.acknowledged(number - 1)
    assert table.loose.tolist() == [[5, 0], [5, 0]]
    table.acknowledged(number)
    assert not table.loose.any()


def test_a_venue_that_pulls_everything_leaves_nothing_to_rely_on_until_told_anew() -> None:
    both = np.array([[10, 10], [5, 5], [12, 12], [5, 5]])
    table = QuoteTable(2)
    table.told(np.array([0, 1]), both, now_ns=3)
    assert table.waited_ns(10) == 7
    table.acknowledged(1)
    assert table.waited_ns(10) == 0
    table.all_gone()
    assert not table.grid.any()
    assert (table.loose == 5).all()
    assert table.differing(np.zeros((4, 2), np.int64)).tolist() == [0, 1]
    table.acknowledged(table.told(np.array([0, 1]), both)[0])
    assert not table.loose.any()


def test_what_expired_fills_no_more_whatever_is_acknowledged_later() -> None:
    table = QuoteTable(1)
    table.told(np.array([0]), grid((10, 5, 12, 5)))
    table.told(np.array([0]), grid((11, 5, 13, 5)))
    table.expired(0)
    table.acknowledged(2)
    assert not table.grid.any()
    assert not table.loose.any()
