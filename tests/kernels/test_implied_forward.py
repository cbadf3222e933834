import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.kernels.black import inverse
from flatbook.kernels.implied_forward import implied_forward, implied_forward_plain

Solve = Callable[[float, float, float, float, float, float], float]

TWINS = pytest.mark.parametrize("solve", [implied_forward, implied_forward_plain], ids=["kernel", "plain"])


@TWINS
@settings(deadline=None, max_examples=60)
@given(
    forward=st.floats(100.0, 2e5),
    deviations=st.floats(-2.0, 2.0),
    vol=st.floats(0.1, 2.0),
    years=st.floats(1 / 8760, 2.0),
    sign=st.sampled_from([1.0, -1.0]),
    off=st.floats(-0.05, 0.05),
)
def test_the_forward_that_made_a_price_is_found(
    solve: Solve, forward: float, deviations: float, vol: float, years: float, sign: float, off: float
) -> None:
    width = vol * math.sqrt(years)
    strike = forward * math.exp(deviations * width)
    price = float(inverse(forward, strike, vol, years, sign).price)
    found = solve(price, strike, vol, years, sign, forward * (1 + off * min(width, 1.0)))
    assert found == pytest.approx(forward, rel=1e-9)
    again = float(inverse(found, strike, vol, years, sign).price)
    assert again == pytest.approx(price, rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    price=st.floats(1e-4, 0.5),
    strike=st.floats(1e3, 2e5),
    vol=st.floats(0.1, 2.0),
    years=st.floats(1e-3, 2.0),
    sign=st.sampled_from([1.0, -1.0]),
)
def test_kernel_and_plain_twin_agree(price: float, strike: float, vol: float, years: float, sign: float) -> None:
    fast = implied_forward(price, strike, vol, years, sign, strike)
    plain = implied_forward_plain(price, strike, vol, years, sign, strike)
    assert fast == pytest.approx(plain, rel=1e-10, nan_ok=True)


def test_a_dear_call_means_a_high_forward_and_a_dear_put_a_low_one() -> None:
    call = float(inverse(80_000.0, 82_000.0, 0.6, 0.1, 1.0).price)
    put = float(inverse(80_000.0, 82_000.0, 0.6, 0.1, -1.0).price)
    assert implied_forward(call * 1.01, 82_000.0, 0.6, 0.1, 1.0, 80_000.0) > 80_000.0
    assert implied_forward(put * 1.01, 82_000.0, 0.6, 0.1, -1.0, 80_000.0) < 80_000.0


@TWINS
@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_what_is_not_positive_implies_nothing(solve: Solve, column: int, bad: float) -> None:
    inputs = [0.02, 82_000.0, 0.6, 0.1, 80_000.0]
    inputs[column] = bad
    price, strike, vol, years, guess = inputs
    assert math.isnan(solve(price, strike, vol, years, 1.0, guess))


@TWINS
@pytest.mark.parametrize("price", [1.0, 1.5])
def test_a_call_dearer_than_its_coin_implies_nothing(solve: Solve, price: float) -> None:
    assert math.isnan(solve(price, 82_000.0, 0.6, 0.1, 1.0, 80_000.0))
