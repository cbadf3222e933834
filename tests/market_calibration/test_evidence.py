import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.market.calibration.evidence import NOBODY, Observed, birge_ratio, combine, deviations_between


def test_sources_join_by_inverse_variance() -> None:
    joined = combine([Observed("a", 1.0, 0.3), Observed("b", 1.3, 0.6)], outlier=4.0)
    assert joined.log == pytest.approx((1.0 / 0.09 + 1.3 / 0.36) / (1 / 0.09 + 1 / 0.36))
    assert joined.deviation == pytest.approx((1 / 0.09 + 1 / 0.36) ** -0.5)
    assert joined.names == ("a", "b")
    assert combine([], outlier=4.0) == NOBODY


def test_one_against_two_is_thrown_out() -> None:
    joined = combine([Observed("good", 0.0, 1.0), Observed("lone", 9.0, 1.0), Observed("too", 0.4, 1.0)], outlier=4.0)
    assert joined.names == ("good", "too")
    assert joined.log == pytest.approx(0.2)
    assert joined.deviation == pytest.approx(1.0 / math.sqrt(2.0))


def test_of_two_that_disagree_nobody_knows_which_is_wrong() -> None:
    joined = combine([Observed("a", 0.0, 1.0), Observed("b", 10.0, 1.0)], outlier=4.0)
    assert joined.names == ("a", "b")
    assert joined.log == pytest.approx(5.0)
    assert joined.deviation == pytest.approx(5.0)


def test_a_vague_third_does_not_decide_between_two() -> None:
    observed = [Observed("a", 0.0, 1.0), Observed("b", 10.0, 1.0), Observed("vague", 9.0, 20.0)]
    assert combine(observed, outlier=4.0).names == ("a", "b", "vague")


@given(st.lists(st.tuples(st.floats(-1.0, 1.0), st.floats(0.01, 1.0)), min_size=1, max_size=6))
def test_the_joined_value_lies_among_its_sources(told: list[tuple[float, float]]) -> None:
    observed = [Observed(str(i), log, deviation) for i, (log, deviation) in enumerate(told)]
    joined = combine(observed, outlier=4.0)
    kept = [one.log for one in observed if one.name in joined.names]
    assert min(kept) - 1e-9 <= joined.log <= max(kept) + 1e-9
    assert len(joined.names) >= min(len(observed), 2)


def test_the_error_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    missed = []
    for _ in range(2000):
        deviations = rng.uniform(0.5, 2.0, 3)
        observed = [Observed(str(i), rng.normal(0.0, one), float(one)) for i, one in enumerate(deviations)]
        joined = combine(observed, outlier=4.0)
        missed.append(abs(joined.log) / joined.deviation)
    assert np.mean(np.array(missed) < 1.0) == pytest.approx(0.75, abs=0.06)  # Birge's ratio makes it wider than 0.68
    assert np.mean(np.array(missed) < 2.0) > 0.95


def test_scatter_and_distance_are_in_deviations() -> None:
    assert birge_ratio(8.0, 3) == pytest.approx(2.0)
    assert birge_ratio(1.0, 3) == birge_ratio(9.0, 1) == 1.0
    assert deviations_between(Observed("a", 0.0, 3.0), Observed("b", 10.0, 4.0)) == pytest.approx(2.0)
