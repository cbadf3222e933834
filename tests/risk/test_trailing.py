from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.units import NS_PER_SECOND
from flatbook.risk.trailing import TrailingHigh

S = NS_PER_SECOND


def highs(*marks: tuple[int, float]) -> list[float]:
    """After each (second, value), over a minute of what stood for ten seconds, from 0."""
    high = TrailingHigh(60 * S, 10 * S, 0.0)
    return [high.take(value, second * S) for second, value in marks]


def test_a_value_counts_once_it_stood_and_until_the_window_has_passed() -> None:
    assert highs((0, 5.0), (5, 9.0), (11, 9.0), (16, 2.0), (70, 2.0), (72, 2.0), (85, 1.0)) == [
        0.0, 0.0, 5.0, 5.0, 5.0, 5.0, 2.0,
    ]  # fmt: skip


def test_what_was_last_seen_holds_over_a_pause() -> None:
    assert highs((0, 0.0), (20, 7.0), (40, 7.0), (4_000, -3.0), (4_030, -3.0), (4_070, -3.0)) == [
        0.0, 0.0, 7.0, 7.0, 7.0, -3.0,
    ]  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.floats(-100, 100)), max_size=30))
def test_it_is_not_beyond_what_was_seen_nor_below_what_stands(steps: list[tuple[int, float]]) -> None:
    high, now, seen = TrailingHigh(60 * S, 10 * S, 0.0), 0, [(0, 0.0)]
    for seconds, value in steps:
        now += seconds
        seen.append((now, value))
        said = high.take(value, now * S)
        since = [i for i, (second, _) in enumerate(seen) if second <= now - 11]
        stands = min(value for _, value in seen[since[-1] if since else 0 :])
        assert stands <= said <= max(value for _, value in seen)


def test_memory_is_bounded() -> None:
    high = TrailingHigh(3_600 * S, 10 * S, 0.0)
    for n in range(10_000):
        high.take(-float(n), n * S)
    assert len(high._high._held) <= 62
    assert len(high._stood._held) <= 62
