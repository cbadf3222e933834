import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.kernels.black import black
from flatbook.market.analytics.strikes import (
    Atm,
    DeltaConvention,
    atm_log_moneyness,
    delta_of_strike,
    log_moneyness_at_delta,
    strike_at_delta,
)
from tests.market_analytics.published import flat, golden, ssvi

ADJUSTED = DeltaConvention.PREMIUM_ADJUSTED_FORWARD


@pytest.mark.parametrize("row", golden("delta_conventions"), ids=lambda row: row["id"])
def test_strikes_and_deltas_as_published(row: dict[str, str]) -> None:
    convention, sign = DeltaConvention[row["convention"]], 1.0 if row["right"] == "call" else -1.0
    foreign, width = float(row["foreign_discount"]), float(row["width"])
    forward = float(row["spot"]) * foreign / float(row["domestic_discount"])
    strike, delta = float(row["strike"]), float(row["delta"])
    # Castagna prints strike and vol to fewer digits.
    tolerance, of_delta = (6e-3, 2.4e-4) if row["id"] == "A25-13" else (2.3e-4, 2.3e-4)
    assert strike_at_delta(delta, forward, width, convention, foreign) == pytest.approx(strike, abs=tolerance)
    found = delta_of_strike(math.log(strike / forward), width, sign, convention, foreign)
    assert float(found) == pytest.approx(delta, abs=of_delta)


@given(st.floats(0.02, 1.5), st.floats(0.01, 0.99), st.sampled_from([1.0, -1.0]))
def test_a_strike_has_the_delta_it_was_asked_for(width: float, delta: float, sign: float) -> None:
    k = math.log(strike_at_delta(sign * delta, 100.0, width, DeltaConvention.FORWARD) / 100.0)
    assert float(delta_of_strike(k, width, sign, DeltaConvention.FORWARD)) == pytest.approx(sign * delta, abs=1e-12)
    assert log_moneyness_at_delta(flat(width, 1.0), sign * delta, DeltaConvention.FORWARD) == pytest.approx(k, abs=1e-9)


@given(st.floats(0.05, 1.5), st.floats(0.01, 0.3))
def test_of_two_premium_adjusted_calls_the_one_beyond_the_maximum_is_meant(width: float, delta: float) -> None:
    k = np.linspace(-10.0 * width, 10.0 * width, 20_001)
    curve = delta_of_strike(k, width, 1.0, ADJUSTED)
    top = int(np.argmax(curve))
    assert 0 < top < k.size - 1
    if delta < curve[top]:
        found = math.log(strike_at_delta(delta, 100.0, width, ADJUSTED) / 100.0)
        assert found >= k[top] - 1e-9
        assert float(delta_of_strike(found, width, 1.0, ADJUSTED)) == pytest.approx(delta, abs=1e-10)
    else:
        with pytest.raises(BadInputError, match="no strike"):
            strike_at_delta(delta, 100.0, width, ADJUSTED)


def test_the_premium_adjusted_delta_is_net_of_the_coin_price() -> None:
    k = np.linspace(-0.5, 0.5, 11)
    usd = black(80_000.0, 80_000.0 * np.exp(k), 0.6, 0.1, -1.0)
    net = delta_of_strike(k, 0.6 * math.sqrt(0.1), -1.0, ADJUSTED)
    np.testing.assert_allclose(net, usd.delta - usd.price / 80_000.0, atol=1e-14)


@pytest.mark.parametrize(
    ("atm", "convention"),
    [
        (Atm.DELTA_NEUTRAL, DeltaConvention.FORWARD),
        (Atm.DELTA_NEUTRAL_PREMIUM_ADJUSTED, ADJUSTED),
    ],
)
def test_a_straddle_at_the_money_has_no_delta(atm: Atm, convention: DeltaConvention) -> None:
    smile = ssvi(0.04, -0.5, 1.0, years=0.2)
    k = atm_log_moneyness(smile, atm)
    width = math.sqrt(float(smile.variance(k)[0]))
    call, put = delta_of_strike(k, width, np.array([1.0, -1.0]), convention)
    assert call + put == pytest.approx(0.0, abs=1e-14)
    assert (k > 0.0) == (atm is Atm.DELTA_NEUTRAL)
    assert atm_log_moneyness(smile, Atm.FORWARD) == 0.0


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, 1.5, math.nan])
def test_no_strike_has_an_impossible_delta(delta: float) -> None:
    with pytest.raises(BadInputError, match="no strike"):
        strike_at_delta(delta, 100.0, 0.2, DeltaConvention.FORWARD)
