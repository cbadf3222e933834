import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.market.analytics.skew import forward_vols, smile_shape, term_slope, vol_at, wings
from flatbook.market.analytics.strikes import Atm, DeltaConvention, log_moneyness_at_delta
from tests.market_analytics.published import flat, ssvi

TIMES = np.array([0.02, 0.1, 0.25, 1.0])


@pytest.mark.parametrize("convention", list(DeltaConvention))
def test_wings_are_read_at_the_strikes_of_their_delta(convention: DeltaConvention) -> None:
    smile = ssvi(0.04, -0.4, 1.2, years=0.1)
    read = wings(smile, 0.25, convention, Atm.FORWARD)
    assert read.call_vol == float(smile.vol(log_moneyness_at_delta(smile, 0.25, convention)))
    assert read.risk_reversal == pytest.approx(read.call_vol - read.put_vol)
    assert read.risk_reversal < 0.0 < read.butterfly
    assert read.atm_vol == pytest.approx(math.sqrt(0.4))


def test_a_flat_smile_has_no_shape() -> None:
    shape = smile_shape(flat(0.5, 0.1))
    assert shape.atm_vol == pytest.approx(0.5)
    assert max(abs(number) for number in shape[1:]) < 1e-12


@given(st.floats(-0.7, 0.7), st.floats(0.2, 1.0))
def test_shape_in_the_terms_of_ssvi(rho: float, eta: float) -> None:
    """vol^2 T = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)): slope and curvature at 0 by hand."""
    theta, years = 0.03, 0.12
    phi = eta / math.sqrt(theta * (1 + theta))
    shape = smile_shape(ssvi(theta, rho, eta, years))
    level, slope = math.sqrt(theta / years), 0.5 * math.sqrt(theta / years) * rho * phi
    assert shape.skew == pytest.approx(slope, rel=1e-9, abs=1e-12)
    assert shape.normalised_skew == pytest.approx(slope * math.sqrt(years), rel=1e-9, abs=1e-12)
    second = 0.5 * theta * phi**2 * (1 - rho**2)
    expected = second / (2 * level * years) - slope**2 / level
    assert shape.curvature == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_wider_wings_show_more_of_both() -> None:
    shape = smile_shape(ssvi(0.04, -0.4, 1.2, years=0.1))
    assert shape.risk_reversal_10 < shape.risk_reversal_25 < 0.0
    assert shape.butterfly_10 > shape.butterfly_25 > 0.0


@given(st.lists(st.floats(0.1, 2.0), min_size=4, max_size=4))
def test_forward_vols_add_up_to_the_vols_they_come_from(spans: list[float]) -> None:
    length = np.diff(TIMES, prepend=0.0)
    vol = np.sqrt(np.cumsum(np.square(spans) * length) / TIMES)
    np.testing.assert_allclose(forward_vols(TIMES, vol), spans, rtol=1e-9)
    np.testing.assert_allclose(vol_at(TIMES, vol, TIMES), vol, rtol=1e-12)
    beyond = float(vol_at(TIMES, vol, 2.0))
    assert beyond**2 * 2.0 == pytest.approx(vol[-1] ** 2 + spans[-1] ** 2)


def test_falling_total_variance_has_no_forward_vol() -> None:
    found = forward_vols(np.array([0.1, 0.2, 0.3]), np.array([0.6, 0.4, 0.5]))
    assert math.isnan(found[1])
    assert found[0] == pytest.approx(0.6)
    assert found[2] == pytest.approx(math.sqrt((0.075 - 0.032) / 0.1))


def test_stress_turns_the_term_structure_down() -> None:
    calm, stressed = np.array([0.4, 0.45, 0.5, 0.55]), np.array([1.1, 0.9, 0.7, 0.6])
    assert term_slope(TIMES, calm, 7 / 365, 90 / 365) > 0.0 > term_slope(TIMES, stressed, 7 / 365, 90 / 365)


def test_bad_term_structures_and_deltas_are_refused() -> None:
    with pytest.raises(BadInputError, match="rising"):
        forward_vols(np.array([0.2, 0.1]), np.array([0.5, 0.5]))
    with pytest.raises(BadInputError, match="one vol for each"):
        forward_vols(np.array([0.2]), np.array([0.5, 0.5]))
    with pytest.raises(BadInputError, match="tenors"):
        vol_at(TIMES, np.full(4, 0.5), 0.0)
    with pytest.raises(BadInputError, match="between 0 and 1"):
        wings(flat(0.5, 0.1), 25.0, DeltaConvention.FORWARD, Atm.FORWARD)
