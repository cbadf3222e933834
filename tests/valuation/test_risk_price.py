import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from flatbook.kernels.chain import FACTORS
from flatbook.market.covariance import CovarianceModel
from flatbook.valuation.risk_price import Liquidity, RiskPrice, no_risk_price, quadratic_risk_price, riccati

Floats = NDArray[np.float64]

WEEK = 7 / 365


def random_spd(seed: int, n: int, scale: float = 1.0) -> Floats:
    root = np.random.default_rng(seed).normal(size=(n, 2 * n))
    return np.asarray(scale * root @ root.T / n)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, FACTORS), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_gamma_solves_the_riccati_equation(seed: int, n: int, risk: float, flow: float) -> None:
    sigma, d = random_spd(seed, n, risk), random_spd(seed + 1, n, flow)
    gamma = riccati(sigma, d)
    np.testing.assert_allclose(gamma @ d @ gamma, sigma, rtol=0, atol=1e-8 * np.abs(sigma).max())
    np.testing.assert_array_equal(gamma, gamma.T)
    assert np.linalg.eigvalsh(gamma)[0] > 0


# Bergault, Evangelista, Gueant, Vieira (2021): two assets, model B; the matrix is that of a published check.
def test_gamma_of_two_assets_is_the_published_one() -> None:
    sigma, rho, a, k = np.array([1.0, 0.6]), 0.7, np.array([1.2, 0.8]), np.array([1.5, 2.0])
    covariance = np.outer(sigma, sigma) * np.array([[1, rho], [rho, 1]])
    gamma = riccati(covariance, np.diag(2 * a * k / math.e))
    np.testing.assert_allclose(gamma, [[0.836325, 0.250186], [0.250186, 0.485169]], atol=1e-6)


# Gueant, Lehalle, Fernandez-Tapia (2013), figures 1-4: sigma 0.3 tick/sqrt(s), A 0.9/s, k 0.3/tick, gamma 0.01/tick.
# Inventory, then the closed form's bid and ask distances in ticks.
GLFT = [
    (-10, 2.634257, 3.991574),
    (-5, 2.973586, 3.652244),
    (-1, 3.245049, 3.380781),
    (0, 3.312915, 3.312915),
    (1, 3.380781, 3.245049),
    (5, 3.652244, 2.973586),
    (10, 3.991574, 2.634257),
]


def glft_price(size: float = 1.0) -> RiskPrice:
    one = np.ones(1)
    liquidity = Liquidity(arrivals_per_year=0.9 * one, decay_per_usd=0.3 * one, size=size * one)
    return quadratic_risk_price(np.array([[0.3**2]]), np.ones((1, 1)), liquidity, 0.01)


@pytest.mark.parametrize(("inventory", "bid", "ask"), GLFT)
def test_one_dimension_is_gueant_lehalle_and_fernandez_tapia(inventory: int, bid: float, ask: float) -> None:
    price, spread = glft_price(), math.log1p(0.01 / 0.3) / 0.01
    held = np.array([float(inventory)])
    assert spread + price.charge_usd(held, np.ones(1)) == pytest.approx(bid, abs=1e-6)
    assert spread + price.charge_usd(held, -np.ones(1)) == pytest.approx(ask, abs=1e-6)


def test_their_closed_form_holds_for_any_size() -> None:
    # With lots of z the intensity's constant has gamma z for gamma and the rate of inventory is z times as large.
    z, k, gamma, a, sigma = 3.0, 0.3, 0.01, 0.9, 0.3
    constant = (1 + gamma * z / k) ** -(1 + k / (gamma * z))
    slope = sigma * math.sqrt(gamma / (2 * a * k * constant * z))
    assert glft_price(z).curvature[0, 0] == pytest.approx(slope, rel=1e-12)


def factor_price(seed: int = 0, aversion: float = 2e-4) -> tuple[RiskPrice, Floats]:
    """R of a plausible chain, and the chain's loadings."""
    rng = np.random.default_rng(seed)
    n = 200
    loading = rng.normal(0.0, 1.0, (n, FACTORS)) * np.array([2e4, 1e4] + [3e3, 2e3, 2e3] * 3 + [1e4, 0.0])
    liquidity = Liquidity(rng.uniform(100.0, 3_000.0, n), rng.uniform(0.02, 0.2, n), np.ones(n))
    return quadratic_risk_price(CovarianceModel().prior(), loading, liquidity, aversion, WEEK), loading


exposures = st.lists(st.floats(-1e5, 1e5), min_size=FACTORS, max_size=FACTORS).map(np.array)


@settings(deadline=None)
@given(exposures, exposures, st.floats(0.0, 1.0))
def test_r_is_convex_and_never_negative(x: Floats, y: Floats, share: float) -> None:
    price, _ = factor_price()
    between = price.cost_usd(share * x + (1 - share) * y)
    chord = share * price.cost_usd(x) + (1 - share) * price.cost_usd(y)
    assert 0.0 <= between <= chord + 1e-9 * (1 + chord)


@settings(deadline=None)
@given(exposures, exposures, exposures)
def test_charges_are_differences_of_r_and_add_up_along_any_path(x: Floats, g: Floats, h: Floats) -> None:
    price, _ = factor_price()
    scale = 1 + price.cost_usd(x) + price.cost_usd(g) + price.cost_usd(h)
    assert price.charge_usd(x, g) == pytest.approx(price.cost_usd(x + g) - price.cost_usd(x), abs=1e-9 * scale)
    both = price.charge_usd(x, g) + price.charge_usd(x + g, h)
    assert price.charge_usd(x, g + h) == pytest.approx(both, abs=1e-9 * scale)
    assert price.charge_usd(x, g) + price.charge_usd(x + g, -g) == pytest.approx(0.0, abs=1e-9 * scale)


def test_the_gradient_is_the_charge_of_a_little_more() -> None:
    price, loading = factor_price()
    x = 50 * loading[0] - 20 * loading[1]
    for factor in range(FACTORS):
        step = np.zeros(FACTORS)
        step[factor] = 1.0
        slope = (price.charge_usd(x, step) - price.charge_usd(x, -step)) / 2
        assert price.gradient(x)[factor] == pytest.approx(slope, rel=1e-9, abs=1e-12)


def test_a_flat_book_is_charged_alike_for_either_side_and_relief_is_paid_for() -> None:
    price, loading = factor_price()
    flat = np.zeros(FACTORS)
    for g in loading[:10]:
        assert price.charge_usd(flat, g) == price.charge_usd(flat, -g) > 0
        assert price.charge_usd(20 * g, -g) < 0 < price.charge_usd(20 * g, g)


def test_risk_is_dearer_for_the_averse_and_cheaper_where_flow_is() -> None:
    price, loading = factor_price()
    timid, _ = factor_price(aversion=8e-4)
    x = 10 * loading[0]
    assert price.cost_usd(x) < timid.cost_usd(x)
    plain = Liquidity(np.full(200, 100.0), np.full(200, 0.05), np.ones(200))
    busy = Liquidity(np.full(200, 400.0), np.full(200, 0.05), np.ones(200))
    sigma = CovarianceModel().prior()
    quiet_cost, busy_cost = (
        quadratic_risk_price(sigma, loading, liquidity, 2e-4, 100 * WEEK).cost_usd(x) for liquidity in (plain, busy)
    )
    assert quiet_cost == pytest.approx(2 * busy_cost, rel=1e-9)  # R goes with one over the root of the flow


def test_a_risk_that_no_flow_takes_away_is_charged_as_held_to_the_horizon() -> None:
    sigma, d, reach = random_spd(1, 3), np.diag([1.0, 1.0, 0.0]), 0.05
    gamma = riccati(sigma, d, reach)
    assert gamma[2, 2] == pytest.approx(reach * sigma[2, 2], rel=1e-2)
    np.testing.assert_allclose(riccati(sigma, np.zeros((3, 3)), reach), reach * sigma, rtol=1e-12)
    alone = riccati(np.diag([1.0, 1.0, 4.0]), d, reach)
    assert alone[2, 2] == pytest.approx(4 * reach, rel=1e-12)
    assert alone[0, 0] == pytest.approx(math.tanh(reach), rel=1e-12)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.05, 3.0))
def test_over_a_horizon_gamma_is_the_differential_equations(seed: int, reach: float) -> None:
    """A' = 2 A D A - gamma/2 Σ with A = 0 at the end (the paper's equation); R's Γ is 2 A / sqrt(gamma)."""
    n = 4
    sigma, flow = random_spd(seed, n), random_spd(seed + 1, n)
    flow[:, -1] = flow[-1, :] = 0.0  # a factor that no flow sees

    def back(_: float, a: Floats) -> Floats:
        held = a.reshape(n, n)
        return np.asarray((0.5 * sigma - 2 * held @ flow @ held).ravel())

    end = solve_ivp(back, (0.0, reach), np.zeros(n * n), rtol=1e-10, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(riccati(sigma, flow, reach), 2 * end.reshape(n, n), rtol=1e-6, atol=1e-8)


def test_a_long_horizon_changes_nothing_for_risks_that_flow_takes_away() -> None:
    sigma, d = random_spd(3, 5), random_spd(4, 5)
    np.testing.assert_allclose(riccati(sigma, d, 1e3), riccati(sigma, d), rtol=1e-9)


def test_without_a_price_nothing_is_charged() -> None:
    rng = np.random.default_rng(0)
    assert no_risk_price().charge_usd(rng.normal(size=FACTORS), rng.normal(size=FACTORS)) == 0.0
