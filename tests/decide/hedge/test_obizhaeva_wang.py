import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from flatbook.decide.hedge.obizhaeva_wang import (
    cheapest_shares,
    exponential_decay,
    impact_cost,
    power_decay,
    refilling_blocks,
)
from flatbook.domain.errors import BadInputError
from tests.market_analytics.published import golden


@pytest.mark.parametrize("row", golden("obizhaeva_wang"), ids=lambda row: row["id"])
def test_blocks_are_as_published(row: dict[str, str]) -> None:
    resilience = float(row["resilience_horizon"]) / 3.0
    blocks = refilling_blocks(resilience, 3.0)
    assert blocks.first == blocks.last == pytest.approx(float(row["block"]))
    assert blocks.rate * 3.0 == pytest.approx(float(row["between"]))
    assert blocks.first + 3.0 * blocks.rate + blocks.last == pytest.approx(1.0)


def test_many_trades_come_near_the_blocks() -> None:
    times = np.linspace(0.0, 1.0, 1_001)
    shares = cheapest_shares(exponential_decay(times, 2.0))
    assert shares[0] == pytest.approx(0.250250, abs=5e-7)
    assert shares[-1] == pytest.approx(shares[0])
    assert shares[1:-1] * 1_000 == pytest.approx(np.full(999, 0.5), abs=5e-7)


@given(gaps=st.lists(st.floats(0.01, 5.0), min_size=1, max_size=12))
def test_at_uneven_times_shares_are_the_known_inverse(gaps: list[float]) -> None:
    """K of an exponential has a tridiagonal inverse, whose row sums have a closed form."""
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    kept = np.exp(-np.array(gaps))
    weights = np.empty(times.size)
    weights[0], weights[-1] = 1 / (1 + kept[0]), 1 / (1 + kept[-1])
    weights[1:-1] = 1 / (1 + kept[:-1]) - kept[1:] / (1 + kept[1:])
    assert cheapest_shares(exponential_decay(times, 1.0)) == pytest.approx(weights / weights.sum())


@pytest.mark.parametrize("decay", [exponential_decay(np.arange(6.0), 0.4), power_decay(np.arange(6.0), 1.0, 0.5)])
def test_no_other_shares_cost_less(decay: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    def cost(first: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        return impact_cost(np.append(first, 1 - first.sum()), decay)

    found = minimize(cost, np.full(5, 1 / 6), method="BFGS", options={"gtol": 1e-9})
    shares = cheapest_shares(decay)
    assert shares[:-1] == pytest.approx(found.x, abs=1e-5)
    assert np.all(shares > 0.0)
    assert impact_cost(shares, decay) < impact_cost(np.full(6, 1 / 6), decay) < impact_cost(np.eye(6)[0], decay) == 0.5


def test_a_decay_with_which_round_trips_earn_is_refused() -> None:
    rising = np.array([[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(BadInputError, match=r"shape \(2, 2\) is not positive definite: round trips would earn"):
        cheapest_shares(rising)
