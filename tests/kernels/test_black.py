import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels import black as kernel
from flatbook.kernels import black_plain
from flatbook.kernels.black import CHAIN_ROWS, FULL_ROWS, black, black_full, inverse

Floats = NDArray[np.float64]

# Haug, The Complete Guide to Option Pricing Formulas (2007), pp. 2-8: sign, K, S, q, r, years, vol, price.
HAUG_PRICES = [
    (1, 65, 60, 0.0, 0.08, 0.25, 0.3, 2.1334),
    (-1, 95, 100, 0.05, 0.1, 0.5, 0.2, 2.4648),
    (-1, 19, 19, 0.1, 0.1, 0.75, 0.28, 1.7011),
    (1, 19, 19, 0.1, 0.1, 0.75, 0.28, 1.7011),
    (1, 1.6, 1.56, 0.08, 0.06, 0.5, 0.12, 0.0291),
    (-1, 70, 75, 0.05, 0.1, 0.5, 0.35, 4.087),
    (1, 100, 90, 0.1, 0.1, 0.1, 0.15, 0.0205),
    (1, 100, 110, 0.1, 0.1, 0.1, 0.25, 10.3556),
    (-1, 100, 90, 0.1, 0.1, 0.1, 0.15, 9.921),
    (-1, 100, 110, 0.1, 0.1, 0.5, 0.35, 5.7963),
    (1, 40, 42, 0.08, 0.04, 0.75, 0.35, 5.0975),
]

# Coin-settled values computed with r = 0: sign, F, K, days, vol, price USD, price coin, net transaction delta,
# gamma per USD, vega USD per vol point, theta USD per day.
INVERSE_VALUES = [
    (1, 6e4, 6.5e4, 30, 0.6, 2237.868155, 0.03729780259, 0.31492821, 3.597077737e-05, 63.86044859, -63.86044859),
    (-1, 6e4, 5e4, 30, 0.7, 1083.474948, 0.01805791581, -0.1745827234, 1.991781069e-05, 41.25442433, -48.13016172),
    (1, 3e3, 3e3, 7, 0.8, 132.526228, 0.0441754092, 0.4779122954, 0.001198477601, 1.65488414, -9.45648079),
    (1, 1e5, 1.4e5, 180, 0.55, 4783.051709, 0.04783051709, 0.2010427445, 8.20779979e-06, 222.6225148, -34.0117731),
]


@pytest.mark.parametrize("row", HAUG_PRICES)
def test_prices_of_haug(row: tuple[float, ...]) -> None:
    sign, strike, spot, dividend, rate, years, vol, price = row
    forward = spot * math.exp((rate - dividend) * years)
    value = black(forward, strike, vol, years, sign)
    assert math.exp(-rate * years) * value.price == pytest.approx(price, abs=1e-4)


def test_greeks_of_haug() -> None:
    # pp. 11-16; with carry r - q = 0 in the first, spot and forward delta differ by the discount factor.
    delta = black(105.0, 100.0, 0.36, 0.5, 1.0).delta * math.exp(-0.1 * 0.5)
    assert delta == pytest.approx(0.5946, abs=1e-4)
    growth = math.exp(0.1 * 0.75)  # dF/dS, squared in gamma and discounted once
    assert black(55.0 * growth, 60.0, 0.3, 0.75, 1.0).gamma * growth == pytest.approx(0.0278, abs=1e-4)


@pytest.mark.parametrize("row", INVERSE_VALUES)
def test_coin_settled_values(row: tuple[float, ...]) -> None:
    sign, forward, strike, days, vol, usd, coin, net_delta, gamma, vega_point, theta_day = row
    in_usd = black(forward, strike, vol, days / 365, sign)
    in_coin = inverse(forward, strike, vol, days / 365, sign)
    assert in_usd.price == pytest.approx(usd, rel=5e-9)
    assert in_coin.price == pytest.approx(coin, rel=1e-9)
    assert in_coin.delta * forward == pytest.approx(net_delta, rel=1e-9)
    assert in_usd.gamma == pytest.approx(gamma, rel=1e-9)
    assert in_usd.vega / 100 == pytest.approx(vega_point, rel=1e-8)
    assert in_usd.theta / 365 == pytest.approx(theta_day, rel=1e-8)


def wide_inputs(n: int, seed: int) -> list[Floats]:
    rng = np.random.default_rng(seed)
    years = np.exp(rng.uniform(np.log(1 / 8760), np.log(5.0), n))
    vol = rng.uniform(0.05, 3.0, n)
    forward = np.exp(rng.uniform(np.log(0.1), np.log(2e5), n))
    strike = forward * np.exp(vol * np.sqrt(years) * rng.normal(0.0, 3.0, n))
    return [forward, strike, vol, years, rng.choice([-1.0, 1.0], n)]


@pytest.mark.parametrize("n", [0, 1, 7, 8, 1001])
def test_kernel_and_plain_twin_agree(n: int) -> None:
    inputs = wide_inputs(n, seed=n)
    fast, plain = np.empty((11, n)), np.empty((11, n))
    kernel.price_full(*inputs, fast)  # type: ignore[call-arg]
    black_plain.price_full(*inputs, plain)  # type: ignore[call-arg]
    np.testing.assert_allclose(fast, plain, rtol=2e-11, atol=0.0)
    five = np.empty((5, n))
    kernel.price_greeks(*inputs, *five)
    np.testing.assert_allclose(five, plain[:5], rtol=2e-11, atol=0.0)


@given(
    st.floats(0.1, 1e6),
    st.floats(-3.0, 3.0),
    st.floats(0.01, 4.0),
    st.floats(1e-4, 10.0),
)
def test_parity_and_bounds(forward: float, log_moneyness: float, vol: float, years: float) -> None:
    strike = forward * math.exp(log_moneyness)
    call, put = black(forward, strike, vol, years, 1.0), black(forward, strike, vol, years, -1.0)
    assert call.price - put.price == pytest.approx(forward - strike, abs=4e-16 * (forward + strike))
    assert call.delta - put.delta == pytest.approx(1.0, abs=3e-16)
    assert max(forward - strike, 0.0) <= call.price <= forward
    assert max(strike - forward, 0.0) <= put.price <= strike
    assert (call.gamma, call.vega, call.theta) == (put.gamma, put.vega, put.theta)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_greeks_are_the_derivatives(sign: float) -> None:
    forward, strike, vol, years = 60_000.0, 64_000.0, 0.65, 0.2
    at = black_full(forward, strike, vol, years, sign)

    def slope(name: str, shift: Callable[[float], tuple[float, float, float]], step: float) -> float:
        up_f, up_v, up_t = shift(step)
        down_f, down_v, down_t = shift(-step)
        up = black_full(up_f, strike, up_v, up_t, sign)
        down = black_full(down_f, strike, down_v, down_t, sign)
        return float(getattr(up, name) - getattr(down, name)) / (2.0 * step)

    def in_forward(h: float) -> tuple[float, float, float]:
        return forward + h, vol, years

    def in_vol(h: float) -> tuple[float, float, float]:
        return forward, vol + h, years

    def in_calendar(h: float) -> tuple[float, float, float]:
        return forward, vol, years - h

    bumps = [
        ("delta", "price", in_forward, 1.0),
        ("gamma", "delta", in_forward, 1.0),
        ("vega", "price", in_vol, 1e-5),
        ("theta", "price", in_calendar, 1e-6),
        ("vanna", "delta", in_vol, 1e-5),
        ("volga", "vega", in_vol, 1e-5),
        ("charm", "delta", in_calendar, 1e-6),
        ("speed", "gamma", in_forward, 1.0),
        ("zomma", "gamma", in_vol, 1e-5),
        ("color", "gamma", in_calendar, 1e-6),
    ]
    for greek, of, shift, step in bumps:
        assert getattr(at, greek) == pytest.approx(slope(of, shift, step), rel=2e-7), greek
    assert at.rho == pytest.approx(-years * at.price)


def test_coin_greeks_are_the_derivatives_of_the_coin_price() -> None:
    forward, strike, vol, years = 3_000.0, 2_800.0, 0.7, 0.1
    at = inverse(forward, strike, vol, years, -1.0)
    up, down = inverse(forward + 0.1, strike, vol, years, -1.0), inverse(forward - 0.1, strike, vol, years, -1.0)
    assert at.delta == pytest.approx((up.price - down.price) / 0.2, rel=1e-7)
    assert at.gamma == pytest.approx((up.delta - down.delta) / 0.2, rel=1e-7)


@pytest.mark.parametrize("twin", [kernel, black_plain], ids=["kernel", "plain"])
@pytest.mark.parametrize(("vol", "years"), [(0.0, 1.0), (0.5, 0.0), (0.0, 0.0)])
def test_without_variance_the_price_is_intrinsic(twin: object, vol: float, years: float) -> None:
    forward = np.array([90.0, 100.0, 110.0] * 2)
    sign = np.repeat([1.0, -1.0], 3)
    full = np.full(6, 100.0), np.full(6, vol), np.full(6, years), sign
    out = np.full((11, 6), np.nan)
    twin.price_full(forward, *full, out)  # type: ignore[attr-defined]
    assert out[0].tolist() == [0.0, 0.0, 10.0, 10.0, 0.0, 0.0]
    assert out[1].tolist() == [0.0, 0.5, 1.0, -1.0, -0.5, 0.0]
    assert not out[2:].any()


@pytest.mark.parametrize("twin", [kernel, black_plain], ids=["kernel", "plain"])
@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1.0, 0.0])
def test_a_row_outside_the_domain_is_nan_and_alone(twin: object, column: int, bad: float) -> None:
    inputs = [np.full(9, value) for value in (100.0, 110.0, 0.5, 0.3, 1.0)]
    clean = np.empty((11, 9))
    twin.price_full(*inputs, clean)  # type: ignore[attr-defined]
    inputs[column][4] = bad
    out = np.empty((11, 9))
    twin.price_full(*inputs, out)  # type: ignore[attr-defined]
    defined = (column == 4 and bad == -1.0) or (column in (2, 3) and bad == 0.0)
    assert np.isnan(out[:, 4]).all() != defined
    others = [0, 1, 2, 3, 5, 6, 7, 8]
    np.testing.assert_array_equal(out[:, others], clean[:, others])


@pytest.mark.parametrize("twin", [kernel, black_plain], ids=["kernel", "plain"])
def test_a_chain_is_priced_as_one_by_one_whatever_is_said_where_there_is_no_variance(twin: object) -> None:
    forward, strike, vol, years, sign = wide_inputs(500, 3)
    vol[::50], years[25::50], strike[::100], forward[7] = 0.0, 0.0, forward[::100], math.nan
    width = vol * np.sqrt(years)
    moneyness = np.divide(np.log(strike / forward), width, out=np.full(500, 3.0), where=width > 0.0)
    full, fair, chain = np.empty((11, 500)), np.empty(500), np.empty((len(CHAIN_ROWS), 500))
    kernel.price_full(forward, strike, vol, years, sign, full)
    twin.price_chain(forward, strike, moneyness, vol, years, sign, fair, chain)  # type: ignore[attr-defined]
    for name, one, other in zip(CHAIN_ROWS, chain, full, strict=False):
        scale = np.nanmax(np.abs(other))
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(fair, full[0] / forward, rtol=1e-9, atol=1e-14)


def test_scalars_give_scalars_and_arrays_broadcast() -> None:
    one = black(100, 110, 0.5, 0.25, 1)
    assert all(isinstance(value, float) for value in one)
    grid = black(100.0, np.array([90.0, 110.0]), np.full((3, 1), 0.5), 0.25, 1)
    assert grid.price.shape == (3, 2)
    assert grid.price[2, 1] == one.price
    assert len(black_full(100, 110, 0.5, 0.25, 1)) == len(FULL_ROWS) + 1
