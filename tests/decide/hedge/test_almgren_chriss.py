import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from flatbook.decide.hedge.almgren_chriss import Liquidation, least_l_var
from flatbook.domain.errors import BadInputError
from tests.market_analytics.published import golden

PAPER = Liquidation(
    size=1e6, horizon=5.0, steps=5, deviation=0.95, fixed_cost=0.0625, permanent=2.5e-7, temporary=2.5e-6
)


@pytest.mark.parametrize("row", golden("almgren_chriss"), ids=lambda row: row["id"])
def test_the_papers_case_is_met(row: dict[str, str]) -> None:
    aversion = float(row["risk_aversion"])
    holdings = PAPER.holdings(aversion)
    assert PAPER.kappa(aversion) == pytest.approx(float(row["kappa"]), abs=5e-7)
    assert holdings[1:-1] == pytest.approx([float(row[f"x{k}"]) for k in range(1, 5)], abs=0.05)
    assert PAPER.expected_cost(holdings) == pytest.approx(float(row["cost"]), abs=0.005)
    assert math.sqrt(PAPER.variance(holdings)) == pytest.approx(float(row["deviation"]), abs=0.005)


def test_what_a_rising_price_makes_worth_keeping_is_as_published() -> None:
    assert PAPER.static_holding(drift=0.02, risk_aversion=1e-6) == pytest.approx(11_080.33, abs=0.005)


def test_the_least_value_at_risk_is_as_published() -> None:
    best = least_l_var(PAPER)
    naive = PAPER.holdings(0.0)
    assert best.risk_aversion == pytest.approx(1.6944e-6, rel=1e-3)
    assert best.l_var == pytest.approx(1_877_207, abs=0.5)
    assert PAPER.expected_cost(naive) + 1.645 * math.sqrt(PAPER.variance(naive)) == pytest.approx(2_374_407, abs=0.5)


@given(
    steps=st.integers(2, 60),
    size=st.floats(1.0, 1e8),
    log_aversion=st.floats(-12, 3),
    deviation=st.floats(0.01, 10.0),
)
def test_a_schedule_sells_all_of_it_and_ever_less_a_step(
    steps: int, size: float, log_aversion: float, deviation: float
) -> None:
    case = Liquidation(size, 3.0, steps, deviation, 0.01, 1e-9, 1e-6)
    holdings = case.holdings(10**log_aversion)
    assert holdings[0] == pytest.approx(size)
    assert holdings[-1] == 0.0
    trades = -np.diff(holdings)
    assert np.all(trades >= 0.0)
    assert np.all(np.diff(trades) <= 1e-9 * size)


def test_without_risk_aversion_it_is_a_straight_line_and_nearby_it_is_nearly_one() -> None:
    straight = np.linspace(1e6, 0.0, 6)
    assert PAPER.holdings(0.0) == pytest.approx(straight)
    assert PAPER.holdings(1e-15) == pytest.approx(straight, rel=1e-6)
    # the closed form takes over from the straight line without a step
    edge = 1e-12 / 25 * PAPER.temporary_net / PAPER.deviation**2
    assert PAPER.holdings(0.99 * edge)[1:5] == pytest.approx(PAPER.holdings(1.01 * edge)[1:5], rel=1e-9)


def test_no_other_schedule_is_cheaper_for_its_risk() -> None:
    case = Liquidation(size=3.0, horizon=2.0, steps=6, deviation=0.7, fixed_cost=0.01, permanent=0.02, temporary=0.3)

    def objective(inner: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        holdings = np.concatenate([[3.0], inner, [0.0]])
        return case.expected_cost(holdings) + 0.8 * case.variance(holdings)

    found = minimize(objective, np.linspace(2.5, 0.5, 5), method="BFGS", options={"gtol": 1e-9})
    assert case.holdings(0.8)[1:-1] == pytest.approx(found.x, abs=1e-5)


def test_what_cannot_be_scheduled_is_refused() -> None:
    with pytest.raises(BadInputError, match="cannot sell 0 in 5 and 5 steps"):
        Liquidation(0.0, 5.0, 5, 1.0, 0.0, 0.0, 1.0)
    with pytest.raises(BadInputError, match=r"does not exceed half the permanent one of a step, 0.5; use more steps"):
        Liquidation(1.0, 5.0, 5, 1.0, 0.0, permanent=1.0, temporary=0.4)
