"""What the perpetual costs a hedger, and its funding."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.units import NS_PER_SECOND
from flatbook.sim.perpetual import PerpetualMarket, PerpetualTerms, funding_rate_8h

from .builders import PERPETUAL, REFERENCE

BTC = REFERENCE.instrument(PERPETUAL)
INDEX = 80_000.0
FAR = {1: 200_000_000, -1: 1}


def take(
    market: PerpetualMarket, side: int, lots: int, limit_ticks: int | None = None, now_ns: int = 0
) -> tuple[int, float]:
    """Lots and price in USD."""
    done = market.take(BTC, side, lots, FAR[side] if limit_ticks is None else limit_ticks, INDEX, now_ns)
    return done.size_lots, done.price_ticks * BTC.tick_size


@pytest.mark.parametrize("side", [1, -1])
def test_price_is_premium_spread_and_square_root_impact(side: int) -> None:
    terms = PerpetualTerms(
        premium_bp=3.0, half_spread_bp=0.5, impact_y=0.8, daily_vol=0.04, daily_volume_usd=1e10, impact_memory_s=0
    )
    lots = 100_000
    impact = 0.8 * 0.04 * math.sqrt(lots * 10 / 1e10)
    exact = INDEX * 1.0003 * (1 + side * (0.00005 + impact))
    filled, price = take(PerpetualMarket(terms), side, lots)
    assert filled == lots
    assert 0 <= side * (price - exact) < 0.5, "rounded against us, by less than a tick"


@given(side=st.sampled_from([1, -1]), lots=st.integers(1, 10**6), more=st.integers(1, 10**6))
def test_costs_are_against_us_and_grow_with_size(side: int, lots: int, more: int) -> None:
    _, small = take(PerpetualMarket(PerpetualTerms()), side, lots)
    _, large = take(PerpetualMarket(PerpetualTerms()), side, lots + more)
    assert side * (small - INDEX) > 0
    assert side * (large - small) >= 0


@given(
    side=st.sampled_from([1, -1]),
    lots=st.integers(1, 10**7),
    limit_bp=st.floats(-1, 60),
)
def test_a_limit_is_never_passed_and_never_wasted(side: int, lots: int, limit_bp: float) -> None:
    limit_ticks = round(INDEX * (1 + side * limit_bp * 1e-4) / BTC.tick_size)
    filled, price = take(PerpetualMarket(PerpetualTerms()), side, lots, limit_ticks)
    assert 0 <= filled <= lots
    if filled:
        assert side * (limit_ticks * BTC.tick_size - price) >= 0
    if filled < lots:
        _, one_more = take(PerpetualMarket(PerpetualTerms()), side, filled + 1)
        assert side * (one_more - limit_ticks * BTC.tick_size) > -0.5, "one more lot would pass the limit"


def test_slicing_an_order_does_not_dodge_its_impact() -> None:
    whole = PerpetualMarket(PerpetualTerms(impact_memory_s=300))
    sliced = PerpetualMarket(PerpetualTerms(impact_memory_s=300))
    _, at_once = take(whole, 1, 100_000)
    prices = [take(sliced, 1, 10_000)[1] for _ in range(10)]
    assert prices == sorted(prices)
    assert prices[-1] == at_once
    _, rested = take(sliced, 1, 10_000, now_ns=3_600 * NS_PER_SECOND)
    assert rested == prices[0]


def test_a_round_trip_always_costs() -> None:
    market = PerpetualMarket(PerpetualTerms())
    _, bought = take(market, 1, 50_000)
    _, sold = take(market, -1, 50_000)
    assert sold < INDEX < bought


@given(st.floats(20_000, 200_000), st.floats(-30, 30))
def test_what_is_shown_is_the_touch_on_the_grid_rounded_outward(index_usd: float, premium_bp: float) -> None:
    market = PerpetualMarket(PerpetualTerms())
    market.premium_of[PERPETUAL] = premium_bp * 1e-4
    bid, ask = (ticks * BTC.tick_size for ticks in market.shown_ticks(BTC, index_usd))
    for side, shown in ((-1, bid), (1, ask)):
        touch = market.touch_usd(PERPETUAL, index_usd, side)
        assert -1e-6 <= side * (shown - touch) < BTC.tick_size
    assert bid < market.mid_usd(PERPETUAL, index_usd) < ask
    assert market.mid_usd("ETH-PERPETUAL", index_usd) == index_usd, "another's premium is its own"


def test_linear_contracts_count_their_size_in_coins() -> None:
    linear = REFERENCE.instrument("BTC_USDC-PERPETUAL")
    terms = PerpetualTerms(half_spread_bp=0, impact_memory_s=0)
    coins = 12.5
    done = PerpetualMarket(terms).take(linear, 1, round(coins / linear.lot_size), 10**9, INDEX, 0)
    inverse_lots = round(coins * INDEX / 10)
    same = PerpetualMarket(terms).take(BTC, 1, inverse_lots, FAR[1], INDEX, 0)
    assert done.price_ticks * linear.tick_size == pytest.approx(same.price_ticks * BTC.tick_size, abs=1.0)


@pytest.mark.parametrize(
    ("premium", "rate"),
    [(0.0, 0.0), (0.0002, 0.0), (-0.00025, 0.0), (0.001, 0.00075), (-0.001, -0.00075), (0.02, 0.005), (-0.02, -0.005)],
)
def test_funding_by_the_published_rule(premium: float, rate: float) -> None:
    assert funding_rate_8h(premium) == pytest.approx(rate, abs=1e-15)


def test_funding_of_an_array_is_that_of_its_elements() -> None:
    premiums = np.linspace(-0.01, 0.01, 41)
    assert funding_rate_8h(premiums).tolist() == [float(funding_rate_8h(premium)) for premium in premiums]


@pytest.mark.parametrize("field", ["half_spread_bp", "impact_y", "daily_vol", "impact_memory_s", "daily_volume_usd"])
def test_terms_below_zero_are_refused(field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        PerpetualTerms(**{field: -1.0})
