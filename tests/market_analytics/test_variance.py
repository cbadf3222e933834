import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.kernels.black import black
from flatbook.market.analytics.smile import Smile
from flatbook.market.analytics.variance import (
    Strip,
    log_contract_weights,
    replicated_variance,
    smile_variance,
    smile_variance_between,
    vol_swap_strike,
)
from tests.market_analytics.published import Floats, flat, golden, ssvi

SMILES = st.builds(ssvi, st.floats(1e-3, 0.5), st.floats(-0.8, 0.8), st.floats(0.05, 1.0), st.floats(0.01, 2.0))


def strip_of(strike: Floats, vol: Floats, forward: float, years: float) -> Strip:
    put, call = (np.asarray(black(forward, strike, vol, years, sign).price) for sign in (-1.0, 1.0))
    return Strip(put, call)


@pytest.mark.parametrize("row", golden("variance_swap"), ids=lambda row: row["id"])
def test_the_strip_of_demeterfi_and_others(row: dict[str, str]) -> None:
    years, strike = float(row["years"]), np.arange(50.0, 136.0, 5.0)
    forward = 100.0 * math.exp(0.05 * years)
    prices = strip_of(strike, 0.20 - 0.01 * (strike - 100.0) / 5.0, forward, years)
    found = replicated_variance(strike, prices, forward, 100.0, years)
    assert found == pytest.approx(float(row["variance"]), abs=6e-8)
    assert round(found, 5) == pytest.approx(0.04189 if years < 0.25 else 0.04187)


def test_weights_pay_the_chord_of_the_log_contract() -> None:
    strike = np.array([60.0, 75.0, 90.0, 100.0, 112.0, 140.0])
    weights = log_contract_weights(strike, 90.0)
    for terminal in strike:
        paid = weights.put @ np.maximum(strike - terminal, 0) + weights.call @ np.maximum(terminal - strike, 0)
        assert paid == pytest.approx(2 * ((terminal - 90) / 90 - math.log(terminal / 90)), abs=1e-14)


@given(st.floats(0.05, 2.0), st.floats(0.01, 3.0))
def test_without_a_smile_the_strike_is_the_vol(vol: float, years: float) -> None:
    assert smile_variance(flat(vol, years)) == pytest.approx(vol * vol, rel=1e-12)


@given(SMILES)
def test_the_mean_over_z_is_what_options_pay(smile: Smile) -> None:
    """Two derivations of one number: an integral of vols, and one of prices."""
    reach = 60.0 * smile.deviation()
    k = np.concatenate((-np.geomspace(reach, 1e-9, 6_000), [0.0], np.geomspace(1e-9, reach, 6_000)))
    below, above = k[k <= 0.0], k[k >= 0.0]
    paid = sum(float(np.trapezoid(smile.otm_price(part) * np.exp(-part), part)) for part in (below, above))
    assert smile_variance(smile) == pytest.approx(2.0 * paid / smile.years, rel=2e-4)


@given(SMILES)
def test_the_part_between_strikes_is_what_they_pay(smile: Smile) -> None:
    k_lo, k_hi = -1.5 * smile.deviation(), 2.0 * smile.deviation()
    k = np.linspace(k_lo, k_hi, 20_001)
    paid = 2.0 * float(np.trapezoid(smile.otm_price(k) * np.exp(-k), k)) / smile.years
    assert smile_variance_between(smile, k_lo, k_hi) == pytest.approx(paid, rel=1e-4)
    assert paid < smile_variance(smile)


def test_a_dense_strip_comes_to_the_strike_of_the_smile() -> None:
    smile = ssvi(0.09, -0.3, 0.8, years=0.5)
    errors = []
    for spacing in (4.0, 2.0, 1.0):
        strike = np.arange(2.0 * spacing, 1_500.0, spacing)
        prices = strip_of(strike, smile.vol(np.log(strike / 100.0)), 100.0, smile.years)
        errors.append(replicated_variance(strike, prices, 100.0, 100.0, smile.years) - smile_variance(smile))
    assert errors[-1] == pytest.approx(0.0, abs=2e-4)
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)  # a chord is above the curve, to second order
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.1)


def test_wings_beyond_the_moment_bound_have_no_strike() -> None:
    with pytest.raises(BadInputError, match="too steep"):
        smile_variance(Smile(np.array([0.0, 1.7, -0.3, 0.0, 0.1]), 0.1, 100.0))


def test_a_vol_swap_is_below_by_convexity() -> None:
    """Realised variance lognormal of relative deviation x: E[sqrt V] = sqrt(K) (1 + x^2)^(-1/8)."""
    for relative in (0.05, 0.1, 0.2):
        exact = 0.6 * (1.0 + relative**2) ** -0.125
        found = vol_swap_strike(0.36, (0.36 * relative) ** 2)
        assert found == pytest.approx(exact, rel=relative**4)
        assert found < 0.6
    assert vol_swap_strike(0.36, 0.0) == pytest.approx(0.6)


@pytest.mark.parametrize(("variance", "of_variance"), [(0.0, 0.1), (-1.0, 0.0), (0.1, 0.081), (0.1, -1e-9)])
def test_a_vol_swap_refuses_what_second_order_cannot_say(variance: float, of_variance: float) -> None:
    with pytest.raises(BadInputError, match="second-order"):
        vol_swap_strike(variance, of_variance)


@pytest.mark.parametrize(
    ("strike", "boundary"),
    [([90.0, 100.0], 95.0), ([100.0, 90.0], 100.0), ([100.0], 100.0), ([90.0, 100.0], 100.0), ([1.0, 100.0], 100.0)],
)
def test_a_strip_needs_its_boundary_and_rising_strikes(strike: list[float], boundary: float) -> None:
    with pytest.raises(BadInputError):
        log_contract_weights(np.array(strike), boundary)
