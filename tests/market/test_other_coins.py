import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.events import FundingRate, IndexTick
from flatbook.domain.units import NS_PER_MINUTE
from flatbook.market.market import Market, MarketModel
from flatbook.market.other_coins import OtherCoins, comovement

from .builders import REFERENCE, START_NS, World, at, top

SIGMA, OTHER = 0.6, 0.8
ETH = "ETH_USDC-PERPETUAL"


def market_with(*coins: str) -> Market:
    model = MarketModel()
    market = Market("BTC", REFERENCE, model)
    market.others = OtherCoins("BTC", coins, REFERENCE, (model.covariance, model.perpetual, model.meter))
    return market


def of_two(correlation: float, error: float) -> tuple[float, float]:
    """Beta and the rest's variance of one coin whose correlation is known with an error."""
    across = correlation * SIGMA * OTHER
    found = comovement(
        np.array([[SIGMA**2, across], [across, OTHER**2]]), error * SIGMA * OTHER * np.array([[0.0, 1.0], [1.0, 0.0]])
    )
    return float(found.beta[0]), float(found.rest[0, 0])


def test_a_correlation_that_is_sure_is_believed_whole_and_one_within_two_errors_not_at_all() -> None:
    beta, rest = of_two(0.75, 0.0)
    assert beta == pytest.approx(0.75 * OTHER / SIGMA)
    assert rest == pytest.approx(OTHER**2 * (1 - 0.75**2))
    assert of_two(0.75, 0.375) == pytest.approx((0.0, OTHER**2))
    assert of_two(0.0, 0.1) == pytest.approx((0.0, OTHER**2))
    assert of_two(1.0, 0.0) == pytest.approx((OTHER / SIGMA, 0.0), abs=1e-15)


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_less_sure_the_less_is_expected_of_a_coin_and_the_more_is_rest(
    correlation: float, one: float, more: float
) -> None:
    (beta, rest), (less, larger) = of_two(correlation, one), of_two(correlation, one + more)
    assert abs(less) <= abs(beta) <= abs(correlation) * OTHER / SIGMA * (1 + 1e-12)
    assert larger >= rest - 1e-12
    assert beta**2 * SIGMA**2 + rest == pytest.approx(OTHER**2), "every coin keeps its own variance"


def test_several_coins_leave_a_covariance_whatever_is_believed_of_each() -> None:
    random = np.random.default_rng(5)
    for _ in range(50):
        root = random.standard_normal((4, 4))
        sigma = root @ root.T
        found = comovement(sigma, random.uniform(0, 1) * np.sqrt(np.outer(np.diag(sigma), np.diag(sigma))))
        assert np.linalg.eigvalsh(found.rest).min() > -1e-12 * sigma.max()


def two_coins(correlation: float, hours: float, seed: int = 3, other_every: int = 1) -> OtherCoins:
    """A market that heard the index of both coins every minute, the other's only every so many."""
    random, vols = np.random.default_rng(seed), np.array([SIGMA, OTHER])
    market = market_with("ETH")
    others, world = market.others, World()
    assert others is not None
    prices = np.array([80_000.0, 2_000.0])
    for minute in range(round(hours * 60)):
        one, own = random.standard_normal(2)
        step = np.array([one, correlation * one + math.sqrt(1 - correlation**2) * own])
        prices = prices * np.exp(vols * math.sqrt(1 / 525_600) * step)
        world.index_usd = float(prices[0])
        market.take_index(world.index(60.0 * minute))
        if minute % other_every == 0:
            others.coins[0].take_index(_index("ETH", float(prices[1]), 60.0 * minute))
    return others


def _index(coin: str, price_usd: float, seconds: float) -> IndexTick:
    return IndexTick(exch_ts_ns=at(seconds), local_ts_ns=at(seconds), underlying=coin, price_usd=price_usd)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_what_both_indices_did_teaches_how_they_move_together(correlation: float) -> None:
    found = two_coins(correlation, 48.0).comovement()
    assert found.correlation[0] == pytest.approx(correlation, abs=0.15)
    assert 0.03 < found.error[0] < 0.15
    assert abs(found.beta[0]) <= abs(found.correlation[0]) * found.vol[0] / SIGMA * 1.1
    assert found.vol[0] == pytest.approx(OTHER, rel=0.15)


def test_nothing_is_believed_before_anything_was_seen_and_more_as_it_is() -> None:
    betas = [float(two_coins(0.9, hours).comovement().beta[0]) for hours in (0.1, 1.0, 6.0, 24.0)]
    assert betas[0] == 0.0
    assert betas == sorted(betas)
    assert betas[-1] == pytest.approx(0.9 * OTHER / SIGMA, rel=0.2)


def test_a_coin_that_speaks_too_seldom_teaches_nothing() -> None:
    assert two_coins(0.9, 12.0, other_every=25).comovement().beta[0] == 0.0


def test_its_perpetual_is_worth_its_index_until_it_was_seen() -> None:
    market = market_with("ETH")
    assert market.others is not None
    coin = market.others.coins[0]
    assert np.isnan(market.others.prices_usd(START_NS)).all()
    market.others.take_top(top(0.1, 1_999.0, 2_001.0, ETH))
    assert math.isnan(coin.touch.half_spread), "no index to hold it against"
    coin.take_index(_index("ETH", 2_000.0, 0.2))
    np.testing.assert_array_equal(market.others.prices_usd(at(0.2)), [[2_000.0], [2_000.0]])
    market.others.take_top(top(0.3, 2_001.5, 2_002.5, ETH))
    assert market.others.prices_usd(at(0.3))[0, 0] == pytest.approx(2_002.0, abs=0.3), "seen a tenth of a second apart"
    assert coin.touch.half_spread == pytest.approx(0.5 / 2_002)
    market.others.take_funding(
        FundingRate(exch_ts_ns=at(1), local_ts_ns=at(NS_PER_MINUTE / 1e9), instrument=ETH, rate=1e-4, hours=8.0)
    )
    assert coin.perpetual.funding_rate_8h == 1e-4


def test_our_own_coin_is_no_other_one() -> None:
    for names in (("BTC",), ("ETH", "ETH")):
        with pytest.raises(ConfigurationError, match=r"hedging\.correlated: .*; name each other coin once"):
            market_with(*names)
