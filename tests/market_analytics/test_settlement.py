import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.kernels.black import black
from flatbook.market.analytics.settlement import (
    DERIBIT_WINDOW_YEARS,
    Window,
    open_option,
    settlement_value,
    venue_delta,
)

HALF_HOUR = DERIBIT_WINDOW_YEARS
VOL = 0.6
SIGNS = st.sampled_from([1.0, -1.0])


def inside(passed: float, average_usd: float) -> Window:
    return Window((1.0 - passed) * HALF_HOUR, average_usd=average_usd)


def simulated(passed: float, average: float, forward: float, strike: float, sign: float) -> tuple[float, float, float]:
    """Price with its standard error, and delta, of 20,000 paths of the index sampled every five seconds."""
    rng = np.random.default_rng(8)
    steps = round((1.0 - passed) * 360)
    step_years = HALF_HOUR / 360
    half = rng.normal(0.0, VOL * math.sqrt(step_years), (10_000, steps))
    moves = np.concatenate((half, -half)) - 0.5 * VOL**2 * step_years
    rest = np.exp(np.cumsum(moves, axis=1)).mean(axis=1)
    final = passed * average + (1.0 - passed) * forward * rest
    paid = np.maximum(sign * (final - strike), 0.0)
    delta = np.where(sign * (final - strike) > 0.0, sign * (1.0 - passed) * rest, 0.0)
    pairs = 0.5 * (paid[:10_000] + paid[10_000:])
    return float(paid.mean()), float(pairs.std() / 100.0), float(delta.mean())


@pytest.mark.parametrize("passed", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("moneyness", [-100.0, 0.0, 150.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_against_paths_of_the_index(passed: float, moneyness: float, sign: float) -> None:
    average, forward = 80_000.0, 80_120.0
    strike = passed * average + (1 - passed) * forward + moneyness
    price, error, delta = simulated(passed, average, forward, strike, sign)
    found = settlement_value(forward, strike, VOL, sign, inside(passed, average))
    # Samples are few, and the first comes a step late: a share 1.5 / n of the deviation.
    deviation = (1 - passed) * forward * VOL * math.sqrt((1 - passed) * HALF_HOUR / 3)
    assert found.price == pytest.approx(price, abs=4 * error + 0.4 * deviation * 1.5 / (360 * (1 - passed)) + 1e-9)
    assert found.delta == pytest.approx(delta, abs=0.03 * (1 - passed))


@given(SIGNS, st.floats(-800.0, 800.0))
def test_at_the_start_of_the_window_it_is_a_european_with_a_third_of_the_time(sign: float, moneyness: float) -> None:
    found = settlement_value(80_000.0, 80_000.0 + moneyness, VOL, sign, Window(HALF_HOUR))
    expected = black(80_000.0, 80_000.0 + moneyness, VOL, HALF_HOUR / 3, sign)
    assert found == pytest.approx((expected.price, expected.delta, expected.gamma, expected.vega))


def test_long_before_the_window_two_thirds_of_it_are_missing() -> None:
    found = settlement_value(80_000.0, 82_000.0, VOL, 1.0, Window(0.1))
    assert found.price == pytest.approx(black(80_000.0, 82_000.0, VOL, 0.1 - HALF_HOUR * 2 / 3, 1.0).price)
    assert found.price == pytest.approx(black(80_000.0, 82_000.0, VOL, 0.1, 1.0).price, rel=1e-3)


@given(SIGNS, st.floats(79_000.0, 81_000.0), st.floats(79_000.0, 81_000.0))
def test_at_the_end_it_is_the_intrinsic_value_of_the_average(sign: float, average: float, strike: float) -> None:
    found = settlement_value(95_000.0, strike, VOL, sign, inside(1.0, average))
    assert found == (max(sign * (average - strike), 0.0), 0.0, 0.0, 0.0)
    just_before = settlement_value(80_000.0, strike, VOL, sign, inside(1.0 - 1e-9, average))
    assert just_before.price == pytest.approx(found.price, abs=0.01)


def test_prices_meet_where_the_window_opens() -> None:
    before, after = Window(HALF_HOUR * (1 + 1e-9)), Window(HALF_HOUR * (1 - 1e-9), average_usd=80_000.0)
    for strike in (79_900.0, 80_000.0, 80_100.0):
        expected = settlement_value(80_000.0, strike, VOL, 1.0, before)
        assert settlement_value(80_000.0, strike, VOL, 1.0, after) == pytest.approx(expected, rel=1e-6)


@given(st.floats(0.0, 0.999), st.floats(79_500.0, 80_500.0), st.floats(79_500.0, 80_500.0), st.floats(1.0, 160_000.0))
def test_parity_and_the_delta_of_a_pair(passed: float, average: float, forward: float, strike: float) -> None:
    window = inside(passed, average)
    call, put = (settlement_value(forward, strike, VOL, sign, window) for sign in (1.0, -1.0))
    expected = passed * average + (1 - passed) * forward
    assert call.price - put.price == pytest.approx(expected - strike, abs=1e-6)
    assert call.delta - put.delta == pytest.approx(1.0 - window.passed_share, abs=1e-12)


def test_greeks_are_bumps() -> None:
    window, h = inside(0.4, 80_050.0), 0.5

    def price(forward: float = 80_010.0, vol: float = VOL) -> float:
        return settlement_value(forward, 80_000.0, vol, 1.0, window).price

    found = settlement_value(80_010.0, 80_000.0, VOL, 1.0, window)
    assert found.delta == pytest.approx((price(80_010.0 + h) - price(80_010.0 - h)) / (2 * h), rel=1e-6)
    assert found.gamma == pytest.approx((price(80_010.0 + h) - 2 * price() + price(80_010.0 - h)) / h**2, rel=1e-4)
    assert found.vega == pytest.approx((price(vol=VOL + 1e-4) - price(vol=VOL - 1e-4)) / 2e-4, rel=1e-6)


def test_deep_in_the_money_the_delta_is_the_venue_s_and_at_the_money_it_is_what_is_open() -> None:
    for passed in (0.1, 0.5, 0.9):
        window = inside(passed, 80_000.0)
        deep = settlement_value(80_000.0, 60_000.0, VOL, 1.0, window)
        assert deep.delta == pytest.approx(venue_delta(1.0, window), rel=1e-9)
        near = settlement_value(80_000.0, 80_000.0, VOL, 1.0, window)
        assert near.delta == pytest.approx(0.5 * (1 - passed), rel=1e-2)


def test_a_call_that_the_average_has_decided_is_a_forward() -> None:
    """Half the window at 80,000 against a strike of 30,000: K' = -20,000."""
    window = inside(0.5, 80_000.0)
    assert open_option(30_000.0, window) == pytest.approx((0.5, -20_000.0, HALF_HOUR / 6))
    call, put = (settlement_value(79_000.0, 30_000.0, VOL, sign, window) for sign in (1.0, -1.0))
    assert call == pytest.approx((0.5 * 99_000.0, 0.5, 0.0, 0.0))
    assert put == (0.0, 0.0, 0.0, 0.0)


def test_windows_that_cannot_be() -> None:
    with pytest.raises(BadInputError, match="running average"):
        Window(0.5 * HALF_HOUR)
    with pytest.raises(BadInputError, match="0 or more"):
        Window(-1e-9)
    with pytest.raises(BadInputError, match="above 0"):
        Window(0.1, window_years=0.0)
