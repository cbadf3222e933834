import msgspec

from flatbook.service.live import LiveView
from flatbook.service.noticeboard import Noticeboard


class HandClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _board(view: LiveView) -> tuple[Noticeboard, HandClock]:
    clock = HandClock()
    return Noticeboard(view, per_second=4.0, clock=clock), clock


def test_nobody_looking_means_no_view_is_wanted(live_view: LiveView) -> None:
    board, clock = _board(live_view)
    for _ in range(100):
        clock.now_s += 1.0
        assert not board.wanted()


def test_a_look_makes_one_view_wanted(live_view: LiveView) -> None:
    board, clock = _board(live_view)
    assert board() is live_view
    assert board.wanted()
    later = msgspec.structs.replace(live_view, clock_ns=live_view.clock_ns + 1)
    board.post(later)
    assert not board.wanted()
    clock.now_s += 1.0
    assert not board.wanted(), "nobody has looked since"
    assert board() is later
    assert board.wanted()


def test_views_are_wanted_at_most_four_times_a_second(live_view: LiveView) -> None:
    board, clock = _board(live_view)
    posts = 0
    for _ in range(1_000):
        clock.now_s += 0.01
        board()
        if board.wanted():
            board.post(live_view)
            posts += 1
    assert 38 <= posts <= 41
