import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.decide.baselines.intensity import ExponentialIntensity, LogisticIntensity
from flatbook.domain.errors import BadInputError

positive = st.floats(0.05, 20.0)
prices = st.floats(-3.0, 3.0)


@settings(deadline=None)
@given(positive, positive, st.floats(0.0, 5.0), prices)
def test_the_exponential_hamiltonian_is_the_best_that_any_distance_earns(
    arrivals: float, decay: float, aversion: float, price: float
) -> None:
    fills = ExponentialIntensity(arrivals, decay)
    best = float(fills.best_distance(price / decay, aversion))
    tried = best + np.linspace(-2.0, 2.0, 4001) / decay
    gained = tried - price / decay
    earned = fills.rate(tried) * (-np.expm1(-aversion * gained) / aversion if aversion > 1e-6 else gained)
    assert earned.argmax() == 2000
    assert float(fills.hamiltonian(price / decay, aversion)) == pytest.approx(float(earned.max()), rel=1e-5)


@settings(deadline=None)
@given(positive, st.floats(-3.0, 3.0), positive, prices)
def test_the_logistic_hamiltonian_is_the_best_that_any_distance_earns(
    peak: float, offset: float, slope: float, price: float
) -> None:
    fills = LogisticIntensity(peak, offset, slope)
    best = float(fills.best_distance(price / slope))
    tried = best + np.linspace(-2.0, 2.0, 4001) / slope
    earned = fills.rate(tried) * (tried - price / slope)
    assert earned.argmax() == 2000
    assert float(fills.hamiltonian(price / slope)) == pytest.approx(float(earned.max()), rel=1e-9)


@pytest.mark.parametrize("fills", [ExponentialIntensity(3.0, 0.7), LogisticIntensity(3.0, 0.4, 0.7)])
@pytest.mark.parametrize("price", [-4.0, 0.0, 2.5])
def test_the_hamiltonian_falls_by_the_fills_it_loses(
    fills: ExponentialIntensity | LogisticIntensity, price: float
) -> None:
    step = 1e-5
    slope = (float(fills.hamiltonian(price + step)) - float(fills.hamiltonian(price - step))) / (2 * step)
    assert slope == pytest.approx(-float(fills.rate(fills.best_distance(price))), rel=1e-8)


def test_with_aversion_the_best_distance_is_where_the_hamiltonian_says() -> None:
    fills, aversion, price, step = ExponentialIntensity(3.0, 0.7), 0.3, 0.9, 1e-5
    value = float(fills.hamiltonian(price, aversion))
    slope = float(fills.hamiltonian(price + step, aversion) - fills.hamiltonian(price - step, aversion)) / (2 * step)
    assert float(fills.rate(fills.best_distance(price, aversion))) == pytest.approx(aversion * value - slope, rel=1e-8)


def test_little_aversion_is_none() -> None:
    fills = ExponentialIntensity(2.0, 1.5)
    assert float(fills.spread()) == 1 / 1.5
    assert float(fills.constant()) == pytest.approx(1 / math.e, rel=1e-15)
    assert float(fills.spread(1e-9)) == pytest.approx(1 / 1.5, rel=1e-9)
    assert float(fills.constant(1e-9)) == pytest.approx(1 / math.e, rel=1e-8)


# Baldacci, Bergault, Guéant (2021), section 4.1: the call struck at 10, a year out, whose vega is 1.252364.
def test_the_logistic_hamiltonian_of_a_published_option() -> None:
    fills = LogisticIntensity(252 * 30.0, 0.7, 150 / 1.252364)
    assert float(fills.hamiltonian(0.0)) == pytest.approx(9.862777, abs=1e-5)
    assert float(fills.best_distance(0.0)) == pytest.approx(0.00965369, abs=5e-9)
    assert float(fills.rate(0.0)) / 7560 == pytest.approx(0.33, abs=0.005)  # "33 % filled at the mid"


def test_logistic_fills_overflow_nowhere() -> None:
    fills = LogisticIntensity(2.0, 0.7, 150.0)
    far = np.array([-1e3, 1e3])
    np.testing.assert_allclose(fills.hamiltonian(far), [2e3, 0.0], rtol=0.01)
    assert np.isfinite(fills.best_distance(far)).all()


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused_by_name(bad: float) -> None:
    with pytest.raises(BadInputError, match=r"^fill intensity: decay of .* must be above 0 and finite$"):
        ExponentialIntensity(np.ones(3), np.array([1.0, bad, 2.0]))
    with pytest.raises(BadInputError, match=r"^fill intensity: peak of"):
        LogisticIntensity(bad, 0.0, 1.0)
