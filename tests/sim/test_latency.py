"""Delays: constant part, jitter, and lines that keep their order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.units import NS_PER_SECOND
from flatbook.sim.latency import Delay, DelayStream, FeedLine
from flatbook.sim.streams import stream


def test_without_jitter_a_delay_is_its_constant() -> None:
    delays = DelayStream(Delay(7), stream(0, "test"))
    assert [delays.next_ns() for _ in range(3)] == [7, 7, 7]


def test_jitter_is_exponential_on_top_of_the_constant() -> None:
    delays = DelayStream(Delay(1_000_000, 500_000), stream(3, "test"))
    drawn = np.array([delays.next_ns() for _ in range(20_000)]) - 1_000_000
    assert drawn.min() >= 0
    assert drawn.mean() == pytest.approx(500_000, rel=0.03)
    assert drawn.std() == pytest.approx(500_000, rel=0.05)


def test_a_seed_gives_its_delays_again() -> None:
    first, again, other = (DelayStream(Delay(0, 1_000), stream(seed, "test")) for seed in (1, 1, 2))
    drawn = [[delays.next_ns() for _ in range(2_000)] for delays in (first, again, other)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("field", ["constant_ns", "jitter_mean_ns"])
def test_negative_delays_are_refused(field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        Delay(**{field: -1})


@given(
    seed=st.integers(0, 50),
    jitter_ns=st.integers(0, 3 * NS_PER_SECOND),
    moments=st.lists(st.integers(0, 10 * NS_PER_SECOND - 1), min_size=2, max_size=40),
)
def test_the_feed_never_reorders(seed: int, jitter_ns: int, moments: list[int]) -> None:
    line = FeedLine(Delay(1_000, jitter_ns), stream(seed, "feed"), start_ns=0, seconds=10)
    heard = [line.local_ns(moment) for moment in sorted(moments)]
    assert heard == sorted(heard)
    assert all(local >= moment + 1_000 for local, moment in zip(heard, sorted(moments), strict=True))
