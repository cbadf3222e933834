"""A clock that is set once, and knows when its machine slept."""

import time

from flatbook.app.steady import SteadyClock
from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND


def test_steps_of_the_walls_clock_are_not_felt_and_it_begins_no_earlier_than_it_is_told() -> None:
    wall, monotonic = [1_000], [50]
    clock = SteadyClock(wall_ns=lambda: wall[0], monotonic_ns=lambda: monotonic[0])
    late = SteadyClock(1_500, lambda: wall[0], lambda: monotonic[0])
    assert (clock.now_ns(), late.now_ns()) == (1_000, 1_500)
    wall[0], monotonic[0] = -9_000, 57
    assert (clock.now_ns(), late.now_ns()) == (1_007, 1_507)


class Machine:
    """Three clocks of a machine that can sleep, be stopped from without, and be set."""

    def __init__(self) -> None:
        self.wall_ns, self.monotonic_ns, self.with_sleep_ns = 10 * NS_PER_HOUR, NS_PER_HOUR, 2 * NS_PER_HOUR
        self.clock = SteadyClock(0, lambda: self.wall_ns, lambda: self.monotonic_ns, lambda: self.with_sleep_ns)

    def pass_time(self, wall_ns: int, monotonic_ns: int, with_sleep_ns: int) -> tuple[int, int]:
        """What the clock says has passed since, and how much of it was slept."""
        before_ns = self.clock.now_ns()
        self.wall_ns += wall_ns
        self.monotonic_ns += monotonic_ns
        self.with_sleep_ns += with_sleep_ns
        slept_ns = self.clock.slept_ns()
        return self.clock.now_ns() - before_ns, slept_ns


def test_what_was_slept_has_passed_and_is_said_once() -> None:
    machine, hour, second = Machine(), NS_PER_HOUR, NS_PER_SECOND
    assert machine.pass_time(second, second, second) == (second, 0)
    assert machine.pass_time(hour + second, second, hour + second) == (hour + second, hour), "it slept"
    assert machine.pass_time(second, second, second) == (second, 0)
    assert machine.pass_time(hour, 7, 7) == (hour, hour - 7), "it was stopped, and its wall clock set right"
    assert machine.pass_time(-hour, second, second) == (second, 0), "it was set back"
    assert machine.pass_time(hour + second, second, second) == (second, 0), "and right again"
    assert machine.pass_time(-hour, second, second) == (second, 0), "and back"
    assert machine.pass_time(second + second // 50, second, second) == (second, 0), "it was slewed"
    assert machine.pass_time(second, second, 9 * second) == (second, 8 * second), "a nap of what the wall was ahead by"
    assert machine.pass_time(second, second, second) == (second, 0)


def test_a_machine_that_is_awake_does_not_seem_to_sleep() -> None:
    clock = SteadyClock()
    time.sleep(0.05)
    assert clock.slept_ns() == 0
    assert abs(clock.now_ns() - time.time_ns()) < NS_PER_SECOND
