"""The price grid of Deribit's options: ticks of 0.0001 up to 0.005, of 0.0005 above."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.ticks import ceil_tick, floor_tick, is_on_grid
from flatbook.sim.ticks import ceil_ticks, floor_ticks

from .builders import CALL, REFERENCE

STEPS = REFERENCE.instrument(CALL).spec.ticks


@given(st.floats(0, 5_000))
def test_rounding_lands_on_the_nearest_grid_points_around(exact: float) -> None:
    low, high = floor_tick(STEPS, exact), ceil_tick(STEPS, exact)
    assert low <= exact + 1e-6
    assert high >= exact - 1e-6
    assert is_on_grid(STEPS, low)
    assert is_on_grid(STEPS, high)
    between = [ticks for ticks in range(low + 1, high) if is_on_grid(STEPS, ticks)]
    assert not between


@given(st.lists(st.floats(0, 5_000), max_size=20))
def test_arrays_round_as_scalars_do(exact: list[float]) -> None:
    numbers = np.array(exact, dtype=np.float64)
    assert floor_ticks(STEPS, numbers).tolist() == [floor_tick(STEPS, number) for number in exact]
    assert ceil_ticks(STEPS, numbers).tolist() == [ceil_tick(STEPS, number) for number in exact]


def test_a_grid_price_in_floats_stays_where_it_is() -> None:
    for ticks in [*range(1, 51), *range(55, 2_000, 5)]:
        exact = ticks * 0.0001 / 0.0001
        assert floor_tick(STEPS, exact) == ceil_tick(STEPS, exact) == ticks
