import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.chain import FACTORS
from flatbook.valuation.risk_price import RiskPrice
from flatbook.valuation.stress_price import StressPrice

Floats = NDArray[np.float64]

PRICE = StressPrice(weight=0.02, temper_usd=40_000.0)
SCENARIOS = 27


def drawn(seed: int, rows: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(0.0, 60_000.0, (rows, SCENARIOS))


def test_no_book_costs_nothing_and_any_book_less_than_its_worst_loss() -> None:
    assert PRICE.cost_usd(np.zeros(SCENARIOS)) == 0.0
    for pnl in drawn(1, 20):
        worst = -pnl.min()
        assert PRICE.cost_usd(pnl) < 0.02 * worst
        sharp = StressPrice(0.02, 1.0).cost_usd(pnl)
        assert sharp == pytest.approx(0.02 * worst, abs=0.02 * 1.0 * np.log(SCENARIOS) + 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_is_that_of_finite_differences(seed: int) -> None:
    (pnl,) = drawn(seed)
    chances = PRICE.chances(pnl)
    assert chances.sum() == pytest.approx(1.0)
    for scenario in range(0, SCENARIOS, 5):
        bump = np.zeros(SCENARIOS)
        bump[scenario] = 1.0
        slope = (PRICE.cost_usd(pnl + bump) - PRICE.cost_usd(pnl - bump)) / 2.0
        assert slope == pytest.approx(-0.02 * chances[scenario], rel=1e-6, abs=1e-12)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_it_is_convex_so_that_both_sides_of_a_trade_cost_more_than_nothing(seed: int, share: float) -> None:
    one, other = drawn(seed, 2)
    mixed = PRICE.cost_usd(share * one + (1 - share) * other)
    assert mixed <= share * PRICE.cost_usd(one) + (1 - share) * PRICE.cost_usd(other) + 1e-8
    buying, selling = PRICE.charges_usd(one, other[None, :], 2.0)
    assert buying[0] + selling[0] >= -1e-9
    assert buying[0] == pytest.approx(float(PRICE.cost_usd(one + 2.0 * other) - PRICE.cost_usd(one)) / 2.0)


def test_in_factors_it_is_the_parabola_at_the_book() -> None:
    """Of trades that the factors explain the charge agrees to third order."""
    rng = np.random.default_rng(3)
    moves, exposure = 0.1 * rng.normal(size=(SCENARIOS, FACTORS)), 1e5 * rng.normal(size=FACTORS)
    core = RiskPrice(np.diag(rng.uniform(0.0, 1e-9, FACTORS)))
    pnl = drawn(3)[0]
    price = PRICE.in_factors(core, pnl, moves, exposure)
    assert np.linalg.eigvalsh(price.curvature)[0] >= -1e-20
    direction = rng.normal(size=FACTORS)
    missed = []
    for size in (2e4, 1e4):
        trade = size * direction
        exact = float(PRICE.cost_usd(pnl + moves @ trade) - PRICE.cost_usd(pnl)) + core.charge_usd(exposure, trade)
        missed.append(abs(price.charge_usd(exposure, trade) - exact))
    assert 6.0 < missed[0] / missed[1] < 11.0
    charged = price.cost_usd(exposure + trade) - price.cost_usd(exposure)
    assert price.charge_usd(exposure, trade) == pytest.approx(charged)
