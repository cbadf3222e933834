"""The simulated surface: no butterfly and no calendar arbitrage, whatever the factors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from flatbook.sim.smile import MAX_ETA_TIMES_SKEW, Factors, TermStructure

SURFACE = TermStructure(reversion_per_year=30.0, jump_variance_per_year=0.012)
YEARS = np.array([0.001, 0.003, 0.01, 0.05, 0.2, 0.5, 1.0])

factors = st.builds(
    lambda variance, long_variance, skew, share: Factors(
        *(np.array(value) for value in (variance, long_variance, skew, share * MAX_ETA_TIMES_SKEW / (1 + abs(skew))))
    ),
    variance=st.floats(0.02, 3.0),
    long_variance=st.floats(0.02, 2.0),
    skew=st.floats(-0.9, 0.9),
    share=st.floats(0.1, 1.0),
)


@given(factors)
def test_density_is_positive_at_every_expiry(at: Factors) -> None:
    """Durrleman's g >= 0, by central differences over eight standard deviations."""
    for years in YEARS:
        width = float(np.sqrt(SURFACE.atm_total_variance(at, years)))
        k = np.linspace(-8 * width, 8 * width, 2_001)
        w = SURFACE.total_variance(at, years, k)
        slope = np.gradient(w, k)
        bend = np.gradient(slope, k)
        g = (1 - k * slope / (2 * w)) ** 2 - slope**2 / 4 * (1 / w + 0.25) + bend / 2
        assert g[2:-2].min() > -1e-3


@given(factors)
def test_total_variance_rises_with_time_at_every_strike(at: Factors) -> None:
    k = np.linspace(-3, 3, 121)
    slices = np.array([SURFACE.total_variance(at, years, k) for years in YEARS])
    assert (np.diff(slices, axis=0) >= 0).all()


@given(factors, st.floats(0.001, 2.0))
def test_at_the_money_variance_is_the_expected_variance(at: Factors, years: float) -> None:
    """Expected variance decays from its present to its long value; theta is its integral, jumps added."""

    def expected(t: float) -> float:
        return float(at.long_variance + (at.variance - at.long_variance) * np.exp(-30.0 * t))

    integral, _ = quad(expected, 0, years, epsabs=1e-13, epsrel=1e-12)
    theta = float(SURFACE.atm_total_variance(at, np.array(years)))
    assert theta == pytest.approx(integral + 0.012 * years, rel=1e-9)
    assert float(SURFACE.total_variance(at, np.array(years), np.array(0.0))) == pytest.approx(theta, rel=1e-12)
