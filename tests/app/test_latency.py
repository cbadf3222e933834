"""Durations counted in fixed memory."""

import math
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flatbook.app.latency import Histogram


@given(st.lists(st.integers(1_000, 50_000_000_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_the_sorted_lists_or_up_to_a_hundredth_more(durations: list[int], share: float) -> None:
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    exact = float(np.quantile(durations, share, method="inverted_cdf"))
    assert exact * (1 - 1e-9) <= histogram.quantile_ns(share) <= exact * 1.0101
    assert (histogram.samples, histogram.most_ns) == (len(durations), max(durations))


def test_memory_does_not_grow_and_nothing_is_out_of_range() -> None:
    histogram = Histogram()
    assert math.isnan(histogram.quantile_ns(0.5))
    size = sys.getsizeof(histogram._counts)
    for duration in (0, 1, 10**9, 10**15):
        histogram.add(duration)
    assert sys.getsizeof(histogram._counts) == size
    assert histogram.quantile_ns(0.01) <= 1_000
    assert histogram.most_ns == 10**15
