"""Kernels against 60-digit arithmetic on wide inputs: hours to years, vols of 5 to 300 %, wings of eight deviations."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.kernels import black, implied

from .exact import option

Floats = NDArray[np.float64]


def wide_options(n: int, seed: int) -> list[Floats]:
    rng = np.random.default_rng(seed)
    years = np.exp(rng.uniform(math.log(1 / 8760), math.log(5.0), n))
    vol = np.exp(rng.uniform(math.log(0.05), math.log(3.0), n))
    forward = np.exp(rng.uniform(math.log(0.1), math.log(2e5), n))
    deviations = rng.normal(0.0, 1.0, n) * rng.choice([0.01, 1.0, 4.0, 8.0], n)
    strike = forward * np.exp(np.clip(vol * np.sqrt(years) * deviations, -12.0, 12.0))
    return [forward, strike, vol, years, rng.choice([-1.0, 1.0], n)]


def test_price_and_greeks_to_the_last_digits() -> None:
    inputs = wide_options(600, seed=11)
    out = np.empty((11, 600))
    black.price_full(inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], out)
    worst = dict.fromkeys(black.FULL_ROWS, 0.0)
    for i in range(600):
        exact = option(*(float(column[i]) for column in inputs))
        greeks, units = exact.greeks(), exact.natural_units()
        for row, name in enumerate(black.FULL_ROWS):
            worst[name] = max(worst[name], float(abs(out[row, i] - greeks[name]) / units[name]))
    assert max(worst.values()) <= 1e-15, worst


def test_small_prices_keep_their_relative_precision() -> None:
    forward, strike, vol, years, _ = wide_options(900, seed=12)
    sign = np.where(strike > forward, 1.0, -1.0)
    price = black.black(forward, strike, vol, years, sign).price
    down_to_1e10, down_to_1e100 = 0.0, 0.0
    for i in range(price.size):
        exact = option(forward[i], strike[i], vol[i], years[i], sign[i])
        level = float(exact.price / exact.forward)
        if level > 1e-100:
            error = float(abs(price[i] / exact.price - 1))
            down_to_1e100 = max(down_to_1e100, error)
            down_to_1e10 = max(down_to_1e10, error if level > 1e-10 else 0.0)
    assert down_to_1e10 <= 5e-14
    assert down_to_1e100 <= 5e-13


def implied_errors(v_low: float, v_high: float, n: int) -> Floats:
    """|Delta sigma|/sigma beyond what the rounding of the price itself costs, wings to 1e-140 of forward."""
    rng = np.random.default_rng(13)
    rows: list[tuple[float, ...]] = []
    while len(rows) < n:
        v = math.exp(rng.uniform(math.log(v_low), math.log(v_high)))
        sign, forward = float(rng.choice([-1.0, 1.0])), math.exp(rng.uniform(-2.0, 12.0))
        strike = forward * math.exp(sign * v * rng.uniform(0.0, 26.0) * rng.choice([0.0, 0.02, 0.3, 1.0]))
        exact = option(forward, strike, v, 1.0, sign)
        if 1e-300 < strike < 1e300 and exact.price > 1e-140 * forward:
            price, vega = float(exact.price), float(exact.greeks()["vega"])
            rows.append((price, forward, strike, 1.0, sign, v, math.ulp(price) / vega / v))
    prices, forwards, strikes, years, signs, true, unavoidable = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    vol, reason = np.empty(n), np.empty(n, dtype=np.int8)
    implied.implied_vol(prices, forwards, strikes, years, signs, vol, reason)
    assert not reason.any()
    return np.asarray(np.maximum(np.abs(vol / true - 1.0) - unavoidable, 0.0))


@pytest.mark.parametrize(("v_low", "v_high", "bound"), [(1e-6, 0.02, 2e-14), (0.02, 8.0, 2e-14)])
def test_implied_vol_round_trip(v_low: float, v_high: float, bound: float) -> None:
    assert float(np.max(implied_errors(v_low, v_high, 500))) <= bound
