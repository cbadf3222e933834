from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.decide.baselines.stoikov_saglam import (
    LinearDemand,
    Period,
    delta_premiums,
    premiums_at_slope,
    residual_premiums,
    slopes,
)
from flatbook.domain.errors import BadInputError
from tests.market_analytics.published import golden

DEMAND = LinearDemand(200.0, 1000.0)
PERIOD = Period(spot=50.0, vol=0.25, vol_of_vol=0.5, length=1 / 252, risk_aversion=0.1)


@pytest.mark.parametrize("row", golden("stoikov_saglam"), ids=lambda row: row["id"])
def test_published_premiums(row: dict[str, str]) -> None:
    variance = PERIOD.residual_variance(0.08, 0.25)
    quoted = residual_premiums(DEMAND, PERIOD, variance, float(row["inventory"]))
    assert float(quoted.bid) == pytest.approx(float(row["bid"]), abs=5.1e-11)
    assert float(quoted.ask) == pytest.approx(float(row["ask"]), abs=5.1e-11)


def test_the_published_residual_variance_and_its_two_parts() -> None:
    variance = float(PERIOD.residual_variance(0.08, 0.25))
    assert variance == pytest.approx(0.1562401581, abs=5.1e-11)
    gamma_pnl = 2 * (0.5 * 0.08 * 50**2) ** 2 * (0.25**2 / 252) ** 2  # of Γ S² r²/2, r² having variance 2 σ⁴ (T-t)²
    vega = 0.08 * 50**2 * 0.25 * 0.25
    assert variance == pytest.approx(gamma_pnl + vega**2 * 0.5**2 / 252, rel=1e-12)


def test_gamma_risk_rules_near_expiry_and_vega_risk_far_from_it() -> None:
    by_gamma = Period(50.0, 0.25, 0.0, 1 / 252, 0.1)
    share = [float(by_gamma.residual_variance(0.08, t) / PERIOD.residual_variance(0.08, t)) for t in (0.005, 1.0)]
    assert share[0] > 0.9
    assert share[1] < 0.01


def test_hedged_of_all_risk_the_premium_knows_nothing_of_inventory() -> None:
    assert float(DEMAND.best_premium()) == 0.1
    np.testing.assert_allclose(residual_premiums(DEMAND, PERIOD, 0.0, np.array([-9.0, 0.0, 9.0])), 0.1)


@settings(deadline=None)
@given(st.floats(-1.0, 1.0), st.floats(-4.0, 4.0), st.floats(0.001, 0.02))
def test_premiums_maximise_what_they_earn_less_the_variance_they_bring(
    delta: float, net_delta: float, aversion: float
) -> None:
    """Theorem 2 by brute force: a side's rate times premium and change of -γ Var, over all premiums."""
    period = Period(10.0, 0.3, 0.0, 0.01, aversion)
    quoted = delta_premiums(DEMAND, period, delta, net_delta)
    premium = np.linspace(0.0, 0.2, 20_001)
    weight = aversion * period.delta_variance()
    for side, best in ((1, float(quoted.bid)), (-1, float(quoted.ask))):
        change = -weight * ((net_delta + side * delta) ** 2 - net_delta**2)
        earned = DEMAND.rate(premium) * (premium + change)
        found = DEMAND.rate(best) * (best + change)
        assert float(found) >= float(earned.max()) - 1e-9
        assert 0.0 <= best <= 0.2


def test_every_instrument_is_tilted_by_its_delta_whatever_its_demand() -> None:
    calm = Period(spot=50.0, vol=0.25, vol_of_vol=0.0, length=1 / 252, risk_aversion=1e-4)
    by_stock = delta_premiums(LinearDemand(2000.0, 100_000.0), calm, 1.0, 30.0)
    by_option = delta_premiums(DEMAND, calm, 0.5, 30.0)
    tilt = [float(quoted.bid - quoted.ask) for quoted in (by_stock, by_option)]
    assert tilt[0] == pytest.approx(2 * tilt[1], rel=1e-12)
    assert tilt[0] == pytest.approx(2 * 1e-4 * calm.delta_variance() * 30.0, rel=1e-12)


@settings(deadline=None, max_examples=40)
@given(st.floats(1e-4, 2e-3), st.integers(1, 12))
def test_slopes_are_those_of_dynamic_programming(variance: float, steps: int) -> None:
    """Backwards from a night: what each inventory is worth once each side has taken the premium that earns it most."""
    step, held = 1e-3, np.arange(-3.0, 4.0)
    found = slopes(variance, 1.0, 1000.0, step, steps)
    assert found[steps] == -variance
    for before, after in pairwise(found):
        quoted = premiums_at_slope(DEMAND, after, held)
        value = after * held**2
        for side, best in ((1, quoted.bid), (-1, quoted.ask)):
            change = after * ((held + side) ** 2 - held**2)
            tried = best + np.linspace(-1e-3, 1e-3, 5)[:, None]
            earned = (200.0 - 1000.0 * tried) * (tried + change)
            assert (earned.argmax(axis=0) == 2).all()
            value += step * earned[2]
        np.testing.assert_allclose(np.diff(value, 2), 2 * before, rtol=1e-6)


def test_more_time_to_quote_makes_a_night_less_dear() -> None:
    m = slopes(0.002, 1.0, 1000.0, 1e-3, 50)
    assert (np.diff(m) < 0).all()
    assert m[-1] == -0.002
    last, first = (premiums_at_slope(DEMAND, float(slope), 5.0) for slope in (m[-1], m[0]))
    assert last.bid - last.ask > first.bid - first.ask > 0


def test_premiums_stay_where_demand_is_linear() -> None:
    quoted = residual_premiums(DEMAND, PERIOD, 0.15, np.array([-50.0, 50.0]))
    np.testing.assert_allclose(quoted.bid, [0.0, 0.2])
    np.testing.assert_allclose(quoted.ask, [0.2, 0.0])
    assert float(DEMAND.rate(0.3)) == 0.0


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(BadInputError, match="linear demand: slope of 0 must be above 0"):
        LinearDemand(1.0, 0.0)
    with pytest.raises(BadInputError, match="Stoikov-Saglam: vol of -1 must be 0 or more"):
        Period(1.0, -1.0, 0.0, 1.0, 1.0)
