import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels import implied, implied_plain
from flatbook.kernels.black import black

Floats = NDArray[np.float64]

# 60-digit arithmetic in the regimes of Jaeckel (2015), "Let's be rational": sign, F, K, sigma sqrt(T), price.
ROUND_TRIPS = [
    (1, 100.0, 150.0, 0.1, 6.8512534734325269e-5),
    (1, 100.0, 200.0, 0.05, 2.6808420799285901e-44),
    (-1, 100.0, 60.0, 0.2, 0.02611181190724062),
    (-1, 100.0, 99.9, 0.001, 0.0083194485245609392),
    (1, 100.0, 100.0001, 1e-05, 0.00035093552967777428),
    (1, 60000.0, 65000.0, 0.17201465372429875, 2237.8681554046647),
    (-1, 60000.0, 20000.0, 0.12463645764920658, 2.8666777076633821e-16),
    (1, 100.0, 110.0, 3.0, 85.991056019881476),
]


def invert(
    price: float, forward: float, strike: float, years: float, sign: float, plain: bool = False
) -> tuple[float, str]:
    vol, reason = np.empty(1), np.empty(1, dtype=np.int8)
    columns = [np.array([value], dtype=np.float64) for value in (price, forward, strike, years, sign)]
    function = implied_plain.implied_vol if plain else implied.implied_vol
    function(columns[0], columns[1], columns[2], columns[3], columns[4], vol, reason)
    return float(vol[0]), implied.REASONS[reason[0]]


@pytest.mark.parametrize("row", ROUND_TRIPS)
def test_published_regimes(row: tuple[float, ...]) -> None:
    sign, forward, strike, deviation, price = row
    vol, reason = invert(price, forward, strike, 0.25, sign)
    assert reason == "ok"
    assert vol == pytest.approx(2.0 * deviation, rel=2e-14)


@pytest.mark.parametrize("plain", [False, True], ids=["kernel", "plain"])
@pytest.mark.parametrize(
    ("price", "forward", "strike", "years", "sign", "reason"),
    [
        (9.0, 110.0, 100.0, 1.0, 1.0, "below_intrinsic"),
        (9.0, 100.0, 110.0, 1.0, -1.0, "below_intrinsic"),
        (-1.0, 100.0, 110.0, 1.0, 1.0, "below_intrinsic"),
        (100.0, 100.0, 110.0, 1.0, 1.0, "above_bound"),
        (111.0, 100.0, 110.0, 1.0, -1.0, "above_bound"),
        (10.0, 110.0, 100.0, 1.0, 1.0, "no_information"),
        (math.nextafter(10.0, 11.0), 110.0, 100.0, 1.0, 1.0, "no_information"),
        (math.nextafter(10.0, 9.0), 110.0, 100.0, 1.0, 1.0, "no_information"),
        (0.0, 100.0, 110.0, 1.0, 1.0, "no_information"),
        (1e-305, 100.0, 110.0, 1.0, 1.0, "no_information"),
        (3.0, 100.0, 110.0, 0.0, 1.0, "no_information"),
        (math.nan, 100.0, 110.0, 1.0, 1.0, "bad_input"),
        (math.inf, 100.0, 110.0, 1.0, 1.0, "bad_input"),
        (3.0, math.nan, 110.0, 1.0, 1.0, "bad_input"),
        (3.0, 100.0, -110.0, 1.0, 1.0, "bad_input"),
        (3.0, 0.0, 110.0, 1.0, 1.0, "bad_input"),
        (3.0, 100.0, 110.0, -1.0, 1.0, "bad_input"),
        (3.0, 100.0, 110.0, math.inf, 1.0, "bad_input"),
        (3.0, 100.0, 110.0, 1.0, 0.0, "bad_input"),
        (3.0, 100.0, 110.0, 1.0, math.nan, "bad_input"),
    ],
)
def test_a_price_without_a_vol_says_why(
    price: float, forward: float, strike: float, years: float, sign: float, reason: str, plain: bool
) -> None:
    vol, said = invert(price, forward, strike, years, sign, plain)
    assert said == reason
    assert math.isnan(vol)


def test_bad_rows_leave_their_neighbours_alone() -> None:
    forward, years, sign, n = np.full(64, 100.0), np.full(64, 0.5), np.full(64, 1.0), 64
    strike = np.linspace(60.0, 180.0, n)
    price = black(forward, strike, 0.6, years, sign).price
    price[::5] = math.nan
    vol, reason = np.empty(n), np.empty(n, dtype=np.int8)
    implied.implied_vol(price, forward, strike, years, sign, vol, reason)
    bad = np.arange(n) % 5 == 0
    assert (reason[bad] == implied.BAD_INPUT).all()
    np.testing.assert_allclose(vol[~bad], 0.6, rtol=1e-12)


@given(
    st.floats(0.1, 1e6), st.floats(-6.0, 6.0), st.floats(0.05, 3.0), st.floats(1e-4, 5.0), st.sampled_from([-1.0, 1.0])
)
def test_vol_to_price_to_vol(forward: float, deviations: float, vol: float, years: float, sign: float) -> None:
    strike = forward * math.exp(deviations * vol * math.sqrt(years))
    value = black(forward, strike, vol, years, sign)
    found, reason = invert(value.price, forward, strike, years, sign)
    intrinsic = max(sign * (forward - strike), 0.0)
    if reason == "ok":
        # An in-the-money price carries its time value only to its own last digit.
        rounding = 8.0 * np.spacing(max(value.price, intrinsic)) / (value.vega * vol)
        assert found == pytest.approx(vol, rel=1e-13 + rounding)
    else:
        assert reason == "no_information"
        assert value.price - intrinsic <= 4.0 * np.finfo(float).eps * intrinsic


def test_kernel_and_plain_twin_agree() -> None:
    rng = np.random.default_rng(21)
    n = 4000
    v = np.exp(rng.uniform(math.log(1e-5), math.log(7.0), n))
    forward, years = np.full(n, 30_000.0), np.full(n, 0.5)
    strike = forward * np.exp(v * rng.normal(0.0, 3.0, n))
    sign = np.where(strike > forward, 1.0, -1.0)
    price = black(forward, strike, v / math.sqrt(0.5), years, sign).price * rng.choice([1.0, 1.0, -1.0, 1e3], n)
    fast, plain = np.empty(n), np.empty(n)
    fast_reason, plain_reason = np.empty(n, dtype=np.int8), np.empty(n, dtype=np.int8)
    implied.implied_vol(price, forward, strike, years, sign, fast, fast_reason)
    implied_plain.implied_vol(price, forward, strike, years, sign, plain, plain_reason)
    np.testing.assert_array_equal(fast_reason, plain_reason)
    assert len(set(fast_reason.tolist())) >= 3
    np.testing.assert_allclose(fast, plain, rtol=1e-12)
