"""How fast market time passes, on a wall clock of the test's own."""

import pytest

from flatbook.app import pace
from flatbook.app.pace import Pacer, parse_pace
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_SECOND

BEGIN_NS = 1_767_600_000 * NS_PER_SECOND


class WallClock:
    """Stands still but for the sleeping."""

    def __init__(self) -> None:
        self.now = 100.0
        self.longest = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.longest = max(self.longest, seconds)
        self.now += seconds


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    clock = WallClock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("text", "speed"), [("max", None), ("real", 1.0), ("60x", 60.0), ("0.5x", 0.5), ("240x", 240.0)]
)
def test_paces(text: str, speed: float | None) -> None:
    assert parse_pace(text) == speed


@pytest.mark.parametrize("text", ["", "x", "0x", "-3x", "60", "fast", "1e3x", "60X"])
def test_what_is_no_pace(text: str) -> None:
    with pytest.raises(BadInputError, match=r"--pace '.*': use max, real, or a multiple such as 60x"):
        parse_pace(text)


@pytest.mark.parametrize("speed", [1.0, 60.0, 0.5])
def test_market_time_passes_so_many_times_as_fast(wall: WallClock, speed: float) -> None:
    pacer = Pacer(speed)
    for second in (0, 1, 7, 7, 30):
        pacer.wait(BEGIN_NS + second * NS_PER_SECOND)
        assert wall.now == pytest.approx(100 + second / speed)
    assert wall.longest <= 0.2, "an interrupt is heeded between sleeps"


def test_time_lost_is_made_up(wall: WallClock) -> None:
    pacer = Pacer(1.0)
    pacer.wait(BEGIN_NS)
    wall.now += 5
    pacer.wait(BEGIN_NS + 2 * NS_PER_SECOND)
    assert wall.now == 105
    pacer.wait(BEGIN_NS + 6 * NS_PER_SECOND)
    assert wall.now == pytest.approx(106)


def test_as_fast_as_it_goes_never_sleeps(wall: WallClock) -> None:
    pacer = Pacer(None)
    for hour in range(3):
        pacer.wait(BEGIN_NS + hour * 3_600 * NS_PER_SECOND)
    assert wall.now == 100


def test_an_interrupt_ends_the_wait(wall: WallClock) -> None:
    pacer = Pacer(1.0)
    pacer.wait(BEGIN_NS)
    pacer.wait(BEGIN_NS + 3_600 * NS_PER_SECOND, lambda: wall.now >= 103)
    assert wall.now == pytest.approx(103, abs=0.2)
