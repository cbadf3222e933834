"""Matching: price, then time; nothing crossed, nothing lost; the same as the plain twin whatever comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.sim.matching import Book, Outcome, Resting, SelfTrade, TimeInForce
from flatbook.sim.matching.book import UNBOUNDED_TICKS
from flatbook.sim.matching.plain import PlainBook

GTC, IOC, FOK = TimeInForce.GOOD_TIL_CANCELLED, TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL


def filled(*orders: tuple[int, str, int, int, int]) -> Book:
    book = Book()
    for number, owner, side, price, lots in orders:
        book.submit(Resting(number, owner, side, price, lots))
    return book


def numbers(outcome: Outcome) -> list[tuple[int, int, int]]:
    return [(trade.maker.number, trade.price_ticks, trade.size_lots) for trade in outcome.trades]


def test_a_better_price_trades_first_and_then_the_earlier_order() -> None:
    book = filled((1, "a", -1, 11, 5), (2, "b", -1, 10, 5), (3, "c", -1, 10, 5))
    outcome = book.submit(Resting(4, "d", 1, 11, 12))
    assert numbers(outcome) == [(2, 10, 5), (3, 10, 5), (1, 11, 2)]
    assert (outcome.left_lots, outcome.rests) == (0, False)
    assert book.depth(-1) == [(11, 3)]


def test_what_is_left_rests_or_goes_as_its_time_in_force_says() -> None:
    for time_in_force, bids, asks in ((GTC, [(10, 3)], []), (IOC, [], []), (FOK, [], [(10, 2)])):
        book = filled((1, "a", -1, 10, 2))
        book.submit(Resting(2, "b", 1, 10, 5), time_in_force)
        assert (book.depth(1), book.depth(-1)) == (bids, asks)


def test_a_market_order_takes_any_price_and_never_rests() -> None:
    book = filled((1, "a", 1, 3, 2))
    assert numbers(book.submit(Resting(2, "b", -1, -UNBOUNDED_TICKS, 5), IOC)) == [(1, 3, 2)]
    with pytest.raises(BadInputError, match="cannot rest"):
        book.submit(Resting(3, "b", -1, -UNBOUNDED_TICKS, 5))


def test_an_account_does_not_trade_with_itself() -> None:
    orders = (1, "b", -1, 10, 2), (2, "a", -1, 10, 2), (3, "b", -1, 11, 2)
    book = filled(*orders)
    assert book.submit(Resting(4, "a", 1, 11, 4)).overlaps
    assert book.depth(-1) == [(10, 4), (11, 2)], "a refused order changes nothing"
    assert not book.submit(Resting(5, "a", 1, 11, 2)).overlaps, "it would be filled before it met its own"
    outcome = filled(*orders).submit(Resting(4, "a", 1, 11, 4), GTC, SelfTrade.CANCEL_MAKER)
    assert numbers(outcome) == [(1, 10, 2), (3, 11, 2)]
    assert [order.number for order in outcome.displaced] == [2]


def test_a_smaller_order_keeps_its_place() -> None:
    book = filled((1, "a", 1, 10, 5), (2, "b", 1, 10, 5))
    book.reduce(1, 2)
    assert [(order.number, order.left_lots) for order in book.queue(1, 10)] == [(1, 2), (2, 5)]
    with pytest.raises(BadInputError, match="cannot be reduced to 3"):
        book.reduce(1, 3)


def test_changes_are_those_of_levels_since_they_were_taken() -> None:
    book = filled((1, "a", 1, 10, 5), (2, "a", -1, 12, 5))
    assert [tuple(change) for change in book.take_changes()] == [(1, 10, 0, 5), (-1, 12, 0, 5)]
    book.submit(Resting(3, "b", 1, 10, 1))
    book.cancel(3)
    assert book.take_changes() == [], "a level that is as it was did not change"
    book.submit(Resting(4, "b", -1, 10, 7), GTC)
    assert [tuple(change) for change in book.take_changes()] == [(1, 10, 5, 0), (-1, 10, 0, 2)]


orders = st.tuples(
    st.sampled_from("abc"),
    st.sampled_from((1, -1)),
    st.integers(95, 105),
    st.integers(1, 9),
    st.sampled_from((GTC, GTC, GTC, IOC, FOK)),
    st.sampled_from(SelfTrade),
)
actions = st.lists(st.one_of(orders, st.integers(0, 60), st.tuples(st.integers(0, 60), st.integers(1, 5))), max_size=60)


@given(actions)
def test_whatever_comes_the_book_is_the_plain_one_uncrossed_and_no_lot_is_lost(
    script: list[tuple[str, int, int, int, TimeInForce, SelfTrade] | int | tuple[int, int]],
) -> None:
    book, plain = Book(), PlainBook()
    seen: dict[int, dict[int, int]] = {1: {}, -1: {}}
    for number, action in enumerate(script):
        resting = sum(lots for side in (1, -1) for _, lots in book.depth(side))
        gone = 0
        match action:
            case (str(owner), side, price, lots, time_in_force, self_trade):
                outcome = book.submit(Resting(number, owner, side, price, lots), time_in_force, self_trade)
                expected = plain.submit(Resting(number, owner, side, price, lots), time_in_force, self_trade)
                assert numbers(outcome) == numbers(expected)
                assert [o.number for o in outcome.displaced] == [o.number for o in expected.displaced]
                assert (outcome.left_lots, outcome.rests, outcome.overlaps) == (
                    expected.left_lots, expected.rests, expected.overlaps,
                )  # fmt: skip
                traded = sum(trade.size_lots for trade in outcome.trades)
                assert traded + outcome.left_lots == lots
                gone = traded + sum(o.left_lots for o in outcome.displaced) - outcome.left_lots * outcome.rests
            case int(number) if number in book:
                gone = book.cancel(number).left_lots
                plain.cancel(number)
            case (int(number), int(lots)) if number in book and lots <= book.order(number).left_lots:
                gone = book.order(number).left_lots - lots
                book.reduce(number, lots)
                plain.reduce(number, lots)
        for change in book.take_changes():
            assert seen[change.side].pop(change.price_ticks, 0) == change.before_lots
            if change.now_lots:
                seen[change.side][change.price_ticks] = change.now_lots
        for side in (1, -1):
            assert book.depth(side) == plain.depth(side)
            assert dict(book.depth(side)) == seen[side], "the changes add up to the book"
        assert resting - gone == sum(lots for side in (1, -1) for _, lots in book.depth(side))
        bid, ask = book.best_ticks(1), book.best_ticks(-1)
        assert bid is None or ask is None or bid < ask
