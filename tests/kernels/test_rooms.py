import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.fill_units import LINEAR
from flatbook.kernels.rooms import leave_room, leave_room_plain

Floats = NDArray[np.float64]
KNOWN, SCENARIOS = len(LINEAR), 3
GROSS = LINEAR.index("contracts")


def room_of(seed: int, rows: int, through: float, kernel: bool = True) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    held: Floats = np.rint(rng.normal(0.0, 3.0, rows)) * rng.integers(0, 2, rows)
    sums, room = np.empty(3), np.empty((2, KNOWN + SCENARIOS + 1))
    twin = leave_room if kernel else leave_room_plain
    twin(
        rng.uniform(5.0, 60.0, KNOWN), rng.normal(0.0, 10.0, 6), rng.normal(0.0, 1.0, (KNOWN + SCENARIOS, rows + 2)),
        held, rng.normal(0.0, 100.0, SCENARIOS), 250.0, through, 40.0, rng.uniform(0.0, 5.0, room.shape), sums, room,
    )  # fmt: skip
    return sums, room


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40), st.sampled_from([math.inf, 4.0]))
def test_kernel_and_plain_twin_agree(seed: int, rows: int, through: float) -> None:
    fast, plain = room_of(seed, rows, through), room_of(seed, rows, through, kernel=False)
    np.testing.assert_allclose(fast[0], plain[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(fast[1], plain[1], rtol=1e-12, atol=1e-12)


def test_what_is_left_is_the_bound_less_the_book_and_less_the_orders() -> None:
    unit = np.zeros((KNOWN + SCENARIOS, 2))
    unit[6], unit[7] = [1.0, 2.0], [0.5, 0.0]
    orders = np.zeros((2, KNOWN + SCENARIOS + 1))
    orders[0, 0], orders[1, KNOWN] = 2.0, 30.0
    sums, room = np.empty(3), np.empty_like(orders)
    book, held, scenario = np.linspace(0.0, 5.0, 6), np.array([3.0, -1.0]), np.array([-100.0, 0.0, 50.0])
    leave_room(
        np.full(KNOWN, 10.0), book, unit, held, scenario, 250.0, math.inf, 7.0, orders, sums, room,
    )  # fmt: skip
    assert sums.tolist() == [1.0, 1.5, 4.0]
    assert room[0, :GROSS].tolist() == [8.0, 9.0, 8.0, 7.0, 6.0, 5.0, 9.0, 8.5]
    assert room[1, :GROSS].tolist() == [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 11.0, 11.5]
    assert room[:, GROSS].tolist() == [3.0, 3.0]  # bids and asks may both fill, so either has half of the six left
    assert room[1, KNOWN:-1].tolist() == [120.0, 250.0, 300.0]
    assert np.isinf(room[0, KNOWN:-1]).all()
    assert room[:, -1].tolist() == [7.0, 7.0]


@pytest.mark.parametrize(("through", "left"), [(6.0, 6.0), (6.1, 3.0)])
def test_where_no_more_can_fill_than_is_left_either_side_may_have_it_all(through: float, left: float) -> None:
    room = np.empty((2, KNOWN + 1))
    unit = np.zeros((KNOWN, 1))
    leave_room(
        np.full(KNOWN, 10.0), np.zeros(6), unit, np.array([-4.0]), np.zeros(0), 1.0, through, math.inf,
        np.zeros_like(room), np.empty(3), room,
    )  # fmt: skip
    assert room[:, GROSS].tolist() == [left, left]
