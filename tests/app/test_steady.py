"""A clock that is set once."""

from flatbook.app.steady import SteadyClock


def test_steps_of_the_walls_clock_are_not_felt_and_it_begins_no_earlier_than_it_is_told() -> None:
    wall, monotonic = [1_000], [50]
    clock = SteadyClock(wall_ns=lambda: wall[0], monotonic_ns=lambda: monotonic[0])
    late = SteadyClock(1_500, lambda: wall[0], lambda: monotonic[0])
    assert (clock.now_ns(), late.now_ns()) == (1_000, 1_500)
    wall[0], monotonic[0] = -9_000, 57
    assert (clock.now_ns(), late.now_ns()) == (1_007, 1_507)
