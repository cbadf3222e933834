import math

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813

from flatbook.kernels.black import inverse
from flatbook.kernels.chain import FACTORS
from flatbook.market.market import Market
from flatbook.valuation.chain import DELTA, GAMMA, PRICE, THETA, VEGA, ChainValues
from tests.market.builders import DAY_S, World, at, new_market, shown_market, trade


def valued(market: Market, seconds: float) -> ChainValues:
    values = ChainValues()
    values.revalue(market, at(seconds))
    return values


@pytest.fixture(scope="module")
def market() -> Market:
    return shown_market(World(rate=0.1), "4APR25", "25APR25", "27JUN25")


def test_rows_are_worth_what_quantlib_says(market: Market) -> None:
    values = valued(market, 5)
    for row in range(0, values.rows, 5):
        right = ql.Option.Call if market.universe.sign[row] > 0 else ql.Option.Put
        payoff = ql.PlainVanillaPayoff(right, float(market.universe.strike_usd[row]))
        forward, years = float(values.forward_usd[row]), float(values.years[row])
        oracle = ql.BlackCalculator(payoff, forward, float(values.vol[row]) * math.sqrt(years))
        greeks = values.greeks[:, row]
        assert greeks[PRICE] == pytest.approx(oracle.value(), rel=1e-9, abs=1e-7)
        assert greeks[DELTA] == pytest.approx(oracle.deltaForward(), abs=1e-12)
        assert greeks[GAMMA] == pytest.approx(oracle.gammaForward(), rel=1e-9, abs=1e-18)
        assert greeks[VEGA] == pytest.approx(oracle.vega(years), rel=1e-9, abs=1e-7)
        assert greeks[THETA] == pytest.approx(oracle.theta(forward, years), rel=1e-9, abs=1e-4)
        assert values.fair_coin[row] == pytest.approx(oracle.value() / forward, rel=1e-9, abs=1e-12)


def test_the_columns_are_those_of_the_market_now(market: Market) -> None:
    values = valued(market, 60)
    assert (values.ts_ns, values.index_usd, values.rows) == (at(60), 80_000.0, market.universe.count)
    slot = market.universe.slot[: values.rows]
    np.testing.assert_allclose(values.years, market.years(at(60))[slot], rtol=1e-15)
    forwards = np.array([market.forwards.forward_usd(one) for one in slot.tolist()])
    np.testing.assert_allclose(values.forward_usd, forwards, rtol=1e-15)
    for row in range(0, values.rows, 7):
        k = math.log(market.universe.strike_usd[row] / values.forward_usd[row])
        assert values.vol[row] == pytest.approx(market.surface.vol(int(slot[row]), k), rel=1e-12)
        sign = market.universe.sign[row]
        fair = inverse(
            values.forward_usd[row], market.universe.strike_usd[row], values.vol[row], values.years[row], sign
        )
        assert values.fair_coin[row] == pytest.approx(float(fair.price), rel=1e-10, abs=1e-15)


def test_coin_parity_holds_in_every_expiry(market: Market) -> None:
    values, universe = valued(market, 5), market.universe
    for name, row in universe.row_of.items():
        if name.endswith("C"):
            put = universe.row_of[name[:-1] + "P"]
            parity = 1 - universe.strike_usd[row] / values.forward_usd[row]
            assert values.fair_coin[row] - values.fair_coin[put] == pytest.approx(parity, abs=1e-12)


def test_an_expired_option_is_worth_its_intrinsic_value_and_risks_only_spot(market: Market) -> None:
    values = valued(market, 4 * DAY_S)
    expired = values.years == 0
    assert expired.sum() == 18
    strike, sign = market.universe.strike_usd[: values.rows], market.universe.sign[: values.rows]
    intrinsic = np.maximum(sign * (1 - strike / values.forward_usd), 0.0)
    np.testing.assert_allclose(values.fair_coin[expired], intrinsic[expired], atol=1e-15)
    assert not values.loading[expired][:, 1:].any()
    assert np.isfinite(values.loading).all()


def test_a_row_whose_expiry_has_no_smile_is_not_a_number_and_alone() -> None:
    market = shown_market(World(), "4APR25")
    before = valued(market, 1)
    row = market.universe.row("BTC-25APR25-80000-C")
    values = valued(market, 1)
    assert row == before.rows == values.rows - 1
    assert np.isnan(values.fair_coin[row])
    assert np.isnan(values.vol[row])
    np.testing.assert_array_equal(values.fair_coin[:row], before.fair_coin)
    np.testing.assert_array_equal(values.loading[:row], before.loading)


def test_columns_are_filled_in_place_until_a_row_is_listed() -> None:
    market, world = shown_market(World(), "4APR25"), World()
    values = valued(market, 1)
    column = values.fair_coin
    market.take_index(world.index(2))
    values.revalue(market, at(2))
    assert values.fair_coin is column
    market.universe.row("BTC-4APR25-82500-C")
    values.revalue(market, at(3))
    assert values.fair_coin is not column
    assert len(values.fair_coin) == values.rows == len(column) + 1


def test_a_copy_is_a_copy() -> None:
    market = shown_market(World(), "4APR25")
    values, copy = valued(market, 1), ChainValues()
    copy.copy_from(values)
    kept = copy.fair_coin.copy()
    market.take_trade(trade(2, "BTC-4APR25-80000-C", 0.03, 0.03, math.nan))
    values.revalue(market, at(60))
    np.testing.assert_array_equal(copy.fair_coin, kept)
    assert (copy.ts_ns, values.ts_ns) == (at(1), at(60))


def test_an_empty_market_has_an_empty_chain() -> None:
    market = new_market()
    market.take_index(World().index(0))
    values = valued(market, 1)
    assert values.rows == 0
    assert values.loading.shape == (0, FACTORS)
