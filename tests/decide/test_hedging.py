import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from flatbook.decide.hedging import HedgeInputs, hedge_usd
from flatbook.decide.policy import HedgingPolicy
from flatbook.kernels.chain import FACTORS, PREMIUM, SPOT
from flatbook.valuation.inventory import PERPETUAL
from flatbook.valuation.risk_price import RiskPrice, no_risk_price

Floats = NDArray[np.float64]

LOT_USD = 10.0
INDEX = 80_000.0


def risk_price(seed: int = 0) -> RiskPrice:
    root = np.random.default_rng(seed).normal(0.0, 1e-4, (FACTORS, FACTORS))
    return RiskPrice(root @ root.T + 1e-9 * np.eye(FACTORS))


def book(delta_usd: float, seed: int = 0) -> Floats:
    x = np.random.default_rng(seed).normal(0.0, 1e4, FACTORS)
    x[0] = delta_usd
    return x


def inputs(
    exposure: Floats, price: RiskPrice | None = None, carry: float = 0.0, lot_usd: float = LOT_USD
) -> HedgeInputs:
    return HedgeInputs(exposure, INDEX, price or risk_price(), carry, lot_usd)


BY_RISK = HedgingPolicy(rule="price_of_risk", max_clip_usd=1e9)
BY_BAND = HedgingPolicy(rule="band_and_timer", band_coin=0.5, max_clip_usd=1e9)


def best_usd(policy: HedgingPolicy, asked: HedgeInputs) -> float:
    """The hedge that costs least, by search: risk after it, fee, half-spread, impact, and funding while it is held."""
    h = PERPETUAL

    def cost(usd: float) -> float:
        proportional = (policy.fee_rate + policy.half_spread_rate) * abs(usd)
        impact = policy.impact_rate_per_musd * (usd / 1e6) * usd
        carry = asked.carry_rate * usd
        return asked.risk_price.cost_usd(asked.exposure + usd * h) + proportional + impact + carry

    steepest = abs(h @ asked.risk_price.gradient(asked.exposure)) / (h @ asked.risk_price.curvature @ h)
    far = 2 * float(steepest) + 1e6
    found = [
        minimize_scalar(cost, bounds=side, method="bounded", options={"xatol": 1e-3}) for side in ((-far, 0), (0, far))
    ]
    return min([0.0, *(float(one.x) for one in found)], key=cost)


@settings(deadline=None, max_examples=80)
@given(
    delta=st.floats(-5e6, 5e6),
    seed=st.integers(0, 1_000),
    carry=st.floats(-2e-3, 2e-3),
    fee=st.floats(0.0, 2e-3),
    impact=st.floats(0.0, 1e-3),
)
def test_the_price_of_risk_hedges_to_where_risk_and_cost_together_are_least(
    delta: float, seed: int, carry: float, fee: float, impact: float
) -> None:
    policy = BY_RISK.model_copy(update={"fee_rate": fee, "impact_rate_per_musd": impact})
    asked = inputs(book(delta, seed), risk_price(seed), carry, lot_usd=1e-6)
    best = best_usd(policy, asked)
    assert hedge_usd(policy, asked) == pytest.approx(best, abs=2e-4 * abs(best) + 1.0)


def test_inside_the_zone_where_relief_is_worth_less_than_it_costs_nothing_is_traded() -> None:
    price = RiskPrice(np.diag([1e-9] + [0.0] * (FACTORS - 1)))
    edge = (BY_RISK.fee_rate + BY_RISK.half_spread_rate) / 1e-9
    for delta in (0.0, 0.5 * edge, edge - 1, -edge + 1):
        assert hedge_usd(BY_RISK, inputs(book(delta) * 0 + delta * np.eye(FACTORS)[0], price)) == 0.0
    beyond = hedge_usd(BY_RISK, inputs((edge + 1e5) * np.eye(FACTORS)[0], price))
    assert -1e5 <= beyond < -0.9e5  # to the zone's edge, the impact apart; not to its centre


def test_other_risks_that_go_with_spot_are_hedged_too() -> None:
    price, flat = risk_price(3), np.zeros(FACTORS)
    vega = flat.copy()
    vega[2] = 1e6
    assert hedge_usd(BY_RISK, inputs(flat, price)) == 0.0
    assert math.copysign(1.0, hedge_usd(BY_RISK, inputs(vega, price))) == -np.sign((PERPETUAL @ price.curvature)[2])


def test_the_premium_that_a_hedge_brings_makes_it_smaller() -> None:
    """A delta to be rid of, and a price for the premium: less is hedged the dearer that is, never more than needed."""
    sizes = []
    for premium in (0.0, 1e-10, 1e-9, 1e-8):
        curvature = np.zeros((FACTORS, FACTORS))
        curvature[SPOT, SPOT], curvature[PREMIUM, PREMIUM] = 1e-9, premium
        sizes.append(-hedge_usd(BY_RISK, inputs(2e6 * np.eye(FACTORS)[SPOT], RiskPrice(curvature))))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 1.2 * sizes[2] > 0
    assert sizes[0] == pytest.approx(2e6 - (BY_RISK.fee_rate + BY_RISK.half_spread_rate) / 1e-9, rel=0.1)


@pytest.mark.parametrize("delta", [1e6, -1e6])
def test_a_hedge_that_earns_funding_is_larger_and_one_that_pays_it_smaller(delta: float) -> None:
    price = RiskPrice(np.diag([1e-9] + [0.0] * (FACTORS - 1)))
    x = delta * np.eye(FACTORS)[0]
    sizes = [abs(hedge_usd(BY_RISK, inputs(x, price, rate))) for rate in (-2e-4, 0.0, 2e-4)]
    assert sizes == sorted(sizes, reverse=delta < 0)


def test_without_a_price_of_risk_there_is_no_reason_to_hedge() -> None:
    assert hedge_usd(BY_RISK, inputs(book(1e7), no_risk_price())) == 0.0
    assert hedge_usd(HedgingPolicy(rule="none"), inputs(book(1e7))) == 0.0


@pytest.mark.parametrize(
    ("delta_coin", "hedge_coin"), [(0.0, 0.0), (0.5, 0.0), (-0.5, 0.0), (0.6, -0.1), (-2.0, 1.5), (30.0, -29.5)]
)
def test_the_band_is_left_alone_and_beyond_it_delta_goes_to_its_edge(delta_coin: float, hedge_coin: float) -> None:
    asked = inputs(book(delta_coin * INDEX))
    assert hedge_usd(BY_BAND, asked) == pytest.approx(hedge_coin * INDEX, abs=LOT_USD)


@given(
    delta=st.floats(-1e7, 1e7),
    rule=st.sampled_from([BY_BAND, BY_RISK]),
    lot=st.sampled_from([1.0, 10.0, 1_000.0]),
    clip=st.floats(1.0, 1e7),
)
def test_hedges_are_whole_lots_within_the_clip_and_never_past_the_target(
    delta: float, rule: HedgingPolicy, lot: float, clip: float
) -> None:
    x = delta * np.eye(FACTORS)[0]
    policy = rule.model_copy(update={"max_clip_usd": clip})
    usd = hedge_usd(policy, inputs(x, RiskPrice(np.diag([1e-9] + [0.0] * (FACTORS - 1))), lot_usd=lot))
    assert usd / lot == round(usd / lot)
    assert abs(usd) <= clip
    assert usd * delta <= 0
    assert abs(delta + usd) <= abs(delta)
    if rule is BY_BAND and usd:
        assert abs(delta + usd) >= 0.5 * INDEX - 1e-6


def test_a_hedge_too_small_to_be_worth_sending_waits() -> None:
    def wanted(delta_usd: float) -> float:
        policy = HedgingPolicy(rule="band_and_timer", band_coin=1.0, least_usd=5_000.0)
        exposure = np.zeros(FACTORS)
        exposure[0] = delta_usd
        return hedge_usd(policy, HedgeInputs(exposure, 80_000.0, no_risk_price(), 0.0, 10.0))

    assert wanted(84_990.0) == 0.0
    assert wanted(-85_000.0) == 5_000.0
