import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.risk.var.liquidity import exit_cost, exit_scale


def test_half_the_spread_usual_and_wide() -> None:
    spreads = np.array([[10.0, 20.0, 30.0], [np.nan, 4.0, np.nan], [np.nan] * 3])
    cost = exit_cost(np.array([-2.0, 5.0, 1.0]), spreads, deviations=3.0)
    assert cost.usual_usd[:2] == pytest.approx([20.0, 10.0])
    assert cost.stressed_usd[:2] == pytest.approx([0.5 * 2.0 * (20.0 + 3.0 * 10.0), 10.0])
    assert np.isnan(cost.usual_usd[2])
    assert np.isnan(cost.stressed_usd[2])


def test_winding_down_evenly_has_a_third_of_the_variance() -> None:
    assert exit_scale(24.0, 0.0) == 1.0
    # The second witness: the variance of a position that falls step by step.
    steps, rng = 400, np.random.default_rng(1)
    left = 1.0 - (np.arange(steps) + 0.5) / steps
    held = rng.standard_normal(20_000)
    wound = held + (rng.standard_normal((20_000, steps)) / np.sqrt(steps)) @ left
    assert np.std(wound) == pytest.approx(exit_scale(24.0, 24.0), rel=0.02)


def test_no_exit_before_now() -> None:
    with pytest.raises(BadInputError, match="both must be above 0"):
        exit_scale(24.0, -1.0)
