"""The three fill models: their table, their order, and what they carry over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import ConfigurationError
from flatbook.sim.fills import (
    SHARE_SCALE,
    FillModel,
    FillModels,
    FillRules,
    FillTally,
    entitlement,
    optimistic_lots,
    pessimistic_lots,
    queue_lots,
    through_ticks,
)

PRINT_LOTS, QUOTE_LOTS = 10, 8


@pytest.mark.parametrize(
    ("through", "optimistic", "queue", "pessimistic"),
    [
        (-1, 0, 0, 0),
        (0, 8, 5, 0),
        (1, 8, 8, 5),
        (30, 8, 8, 5),
    ],
)
def test_models_by_how_far_the_print_went(through: int, optimistic: int, queue: int, pessimistic: int) -> None:
    lots = FillModels(FillRules(queue_share=0.5)).lots(0, 1, through, PRINT_LOTS, QUOTE_LOTS)
    assert lots == {
        FillModel.OPTIMISTIC: optimistic,
        FillModel.QUEUE: queue,
        FillModel.PESSIMISTIC: pessimistic,
    }


@pytest.mark.parametrize(
    ("taker_side", "print_ticks", "quote_ticks", "through"),
    [(1, 52, 50, 2), (1, 50, 50, 0), (1, 49, 50, -1), (-1, 48, 50, 2), (-1, 50, 50, 0), (-1, 51, 50, -1)],
)
def test_through_is_seen_from_the_taker(taker_side: int, print_ticks: int, quote_ticks: int, through: int) -> None:
    assert through_ticks(taker_side, print_ticks, quote_ticks) == through


def test_fractions_of_a_lot_are_carried_to_the_next_print() -> None:
    models = FillModels(FillRules(queue_share=0.3))
    filled = [models.lots(0, 1, 0, 1, 100)[FillModel.QUEUE] for _ in range(10)]
    assert filled == [0, 0, 0, 1, 0, 0, 1, 0, 0, 1]


def test_entitlement_is_kept_by_row_and_side() -> None:
    models = FillModels(FillRules(queue_share=0.5))
    other_row, other_side = models.lots(1, 1, 0, 1, 9), models.lots(0, -1, 0, 1, 9)
    assert other_row[FillModel.QUEUE] == other_side[FillModel.QUEUE] == 0
    assert models.lots(1, 1, 0, 1, 9)[FillModel.QUEUE] == 1
    assert models.lots(0, 1, 0, 1, 9)[FillModel.QUEUE] == 0


@given(
    share=st.integers(0, SHARE_SCALE),
    prints=st.lists(st.integers(1, 5_000), max_size=30),
)
def test_entitlements_add_up_to_the_share_of_all_prints(share: int, prints: list[int]) -> None:
    carried, lots = 0, 0
    for print_lots in prints:
        whole, carried = entitlement(share, carried, print_lots)
        lots += whole
        assert 0 <= carried < SHARE_SCALE
    assert lots == share * sum(prints) // SHARE_SCALE


@given(
    share=st.floats(0, 1),
    prints=st.lists(
        st.tuples(st.integers(-3, 3), st.integers(1, 1_000), st.integers(0, 1_000)), min_size=1, max_size=20
    ),
)
def test_models_are_ordered_and_bounded_on_every_print(share: float, prints: list[tuple[int, int, int]]) -> None:
    models = FillModels(FillRules(queue_share=share))
    for through, print_lots, quote_lots in prints:
        lots = models.lots(0, 1, through, print_lots, quote_lots)
        assert 0 <= lots[FillModel.PESSIMISTIC] <= lots[FillModel.QUEUE] <= lots[FillModel.OPTIMISTIC]
        assert lots[FillModel.OPTIMISTIC] <= min(print_lots, quote_lots)


@given(
    through=st.integers(-3, 3),
    print_lots=st.integers(1, 1_000),
    quote_lots=st.integers(0, 1_000),
    less=st.integers(0, 1_000),
    more=st.integers(0, 1_000),
)
def test_a_larger_share_never_fills_less(through: int, print_lots: int, quote_lots: int, less: int, more: int) -> None:
    less, more = min(less, more), max(less, more)
    assert queue_lots(through, print_lots, quote_lots, less) <= queue_lots(through, print_lots, quote_lots, more)
    low, high = (pessimistic_lots(through, print_lots, quote_lots, lots) for lots in (less, more))
    assert low <= high <= optimistic_lots(through, print_lots, quote_lots)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_is_between_nothing_and_all(share: float) -> None:
    with pytest.raises(ConfigurationError, match="queue_share"):
        FillRules(queue_share=share)


def test_tally_counts_edge_only_where_there_was_a_mark() -> None:
    tally = FillTally().plus(3, 0.3, 12.0).plus(2, 0.2, None)
    assert (tally.fills, tally.lots, tally.edge_usd, tally.marked_fills) == (2, 5, 12.0, 1)
    assert tally.amount == pytest.approx(0.5)
