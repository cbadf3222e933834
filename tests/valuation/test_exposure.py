"""A standing book's loadings against those of the chain that the engine quotes."""

import numpy as np
import pytest

from flatbook.kernels.chain import BASIS, FACTORS, PREMIUM, SPOT
from flatbook.market.covariance import CovarianceModel
from flatbook.market.snapshot import Markets
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.exposure import position_loadings
from flatbook.valuation.portfolio import BookPosition, Portfolio
from tests.market.snapshots import snapshot
from tests.valuation.books import REFERENCE

TENOR_YEARS = np.array(CovarianceModel().tenor_days) / 365
MARKET = snapshot()
MARKETS = Markets({"BTC": MARKET})


def loadings(*positions: BookPosition) -> np.ndarray:
    return position_loadings(positions, Portfolio(positions).mark(MARKETS), TENOR_YEARS)


def test_inverse_options_load_as_in_the_chain() -> None:
    contracts = [(0, 60_000, "P"), (1, 80_000, "C"), (3, 140_000, "C"), (2, 75_000, "P")]
    expiries = ("9JAN26", "30JAN26", "27MAR26", "26JUN26")
    names = [f"BTC-{expiries[slot]}-{strike}-{right}" for slot, strike, right in contracts]
    chain = ChainValues.of_snapshot(
        MARKET,
        np.array([slot for slot, _, _ in contracts]),
        np.array([float(strike) for _, strike, _ in contracts]),
        np.array([1.0 if right == "C" else -1.0 for _, _, right in contracts]),
        TENOR_YEARS,
    )
    found = loadings(*[BookPosition(REFERENCE.instrument(name), 2.0) for name in names])
    np.testing.assert_allclose(found, 2.0 * chain.loading, rtol=1e-9, atol=1e-6)
    marks = Portfolio([BookPosition(REFERENCE.instrument(name), 1.0) for name in names]).mark(MARKETS)
    np.testing.assert_allclose(chain.fair_coin, marks.price, rtol=1e-12)


def test_a_perpetual_is_spot_and_its_premium_and_nothing_else() -> None:
    (found,) = loadings(BookPosition(REFERENCE.instrument("BTC-PERPETUAL"), -50_000.0, 70_000.0))
    assert found[[SPOT, PREMIUM]] == pytest.approx(-50_000.0)
    assert not np.delete(found, [SPOT, PREMIUM]).any()


def test_a_dated_future_is_spot_and_the_carry_until_it_expires() -> None:
    (found,) = loadings(BookPosition(REFERENCE.instrument("BTC-27MAR26"), 50_000.0, 70_000.0))
    years = MARKET.years_to(MARKET.expiry_ns[2])
    assert found[BASIS] == pytest.approx(found[SPOT] * years)
    assert not np.delete(found, [SPOT, BASIS]).any()


def test_a_linear_option_loads_its_whole_delta() -> None:
    inverse, linear = loadings(
        BookPosition(REFERENCE.instrument("BTC-30JAN26-80000-C"), 1.0),
        BookPosition(REFERENCE.instrument("BTC_USDC-30JAN26-80000-C"), 1.0),
    )
    assert linear.shape == (FACTORS,)
    assert linear[0] > inverse[0]
    ratio = MARKET.forward_usd[1] / MARKET.index_usd
    same = np.delete(np.arange(FACTORS), [SPOT, BASIS])
    np.testing.assert_allclose(linear[same], inverse[same] * ratio, rtol=1e-9)
    assert linear[BASIS] / linear[SPOT] == pytest.approx(inverse[BASIS] / inverse[SPOT])
