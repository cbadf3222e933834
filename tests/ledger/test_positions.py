from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flatbook.ledger.positions import Position, apply_delivery, apply_funding, apply_settlement, apply_trade

lots = st.integers(-50, 50).filter(bool)
values_per_lot = st.integers(1, 10**9)
trades = st.lists(st.tuples(lots, values_per_lot), max_size=30)


@dataclass
class AverageCost:
    """The textbook: an average price that only opening trades move, in fractions, one lot's sign at a time."""

    size: int = 0
    average: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)
    closes: int = 0

    def trade(self, size: int, price: int) -> None:
        if self.size * size < 0:
            closed = min(abs(size), abs(self.size)) * (1 if size > 0 else -1)
            self.realised += closed * (self.average - price)
            self.size += closed
            self.closes += 1
            size -= closed
        if size:
            self.average = (self.average * self.size + price * size) / (self.size + size)
            self.size += size


@given(trades)
def test_average_cost_is_the_textbooks_rounded_late(blotter: list[tuple[int, int]]) -> None:
    """Never ahead of the exact realised P&L, behind it by less than a unit a close, and equal to it when flat."""
    position, twin = Position(), AverageCost()
    for size, price in blotter:
        position = apply_trade(position, size, size * price, 0)
        twin.trade(size, price)
        assert position.size_lots == twin.size
        assert twin.realised - twin.closes <= position.realised_units <= twin.realised
        assert position.cost_units - position.realised_units == twin.average * twin.size - twin.realised
        if not position.size_lots:
            assert position.cost_units == 0
            assert position.realised_units == twin.realised


@given(st.lists(st.tuples(lots, st.integers(-(10**9), 10**9)), max_size=30), st.integers(-(10**9), 10**9))
def test_a_full_close_realises_exactly_proceeds_less_cost(blotter: list[tuple[int, int]], last_value: int) -> None:
    """Whatever whole values trades have: a reciprocal contract's are rounded, and of no constant price."""
    position = Position()
    for size, value in blotter:
        position = apply_trade(position, size, value, 0)
    assume(position.size_lots)
    closed = apply_trade(position, -position.size_lots, last_value, 0)
    assert closed.realised_units == position.realised_units - last_value - position.cost_units
    assert closed.realised_units == -sum(value for _, value in blotter) - last_value
    assert (closed.size_lots, closed.cost_units) == (0, 0)


@given(trades)
def test_a_mirrored_blotter_mirrors_the_size_and_the_outlay(blotter: list[tuple[int, int]]) -> None:
    position, mirrored = Position(), Position()
    for size, price in blotter:
        position = apply_trade(position, size, size * price, 0)
        mirrored = apply_trade(mirrored, -size, -size * price, 0)
    assert mirrored.size_lots == -position.size_lots
    outlay = position.cost_units - position.realised_units
    assert mirrored.cost_units - mirrored.realised_units == -outlay


@pytest.mark.parametrize(
    ("before", "trade", "after"),
    [
        (Position(), (3, 10, 1), Position(3, 10, 0, 1)),
        (Position(3, 10), (-1, -5, 0), Position(2, 6, 1)),
        (Position(2, 6, 1), (-1, -5, 0), Position(1, 3, 3)),
        (Position(-3, -10), (1, 5, 0), Position(-2, -7, -2)),
        (Position(3, 10), (-3, -12, 2), Position(0, 0, 2, 2)),
        (Position(3, 10), (-5, -21, 0), Position(-2, -9, 2)),
        (Position(-3, -10), (5, 21, 0), Position(2, 8, -3)),
        (Position(2, 6, 1, 4, -8), (1, 3, -2), Position(3, 9, 1, 2, -8)),
    ],
)
def test_trades(before: Position, trade: tuple[int, int, int], after: Position) -> None:
    """Shares of cost and of a flip's value are rounded up: 10/3 is 4, -10/3 is -3, 3/5 of -21 is -12, of 21 is 13."""
    assert apply_trade(before, *trade) == after


def test_settlement_pays_up_to_the_value_and_makes_it_the_cost() -> None:
    assert apply_settlement(Position(5, 100, 7, 3, 2), 130) == Position(5, 130, 37, 3, 2)
    assert apply_settlement(Position(-5, -100, 7, 3, 2), -130) == Position(-5, -130, -23, 3, 2)


def test_delivery_leaves_nothing_open() -> None:
    assert apply_delivery(Position(5, 100, 7, 3, 2), 130, 4) == Position(0, 0, 37, 7, 2)


def test_funding_is_kept_apart_and_net_is_all_of_it() -> None:
    position = apply_funding(Position(5, 100, 7, 3, 2), -10)
    assert position == Position(5, 100, 7, 3, -8)
    assert position.net_units == 7 - 8 - 3
