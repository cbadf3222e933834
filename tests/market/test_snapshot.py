import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_DAY
from flatbook.market.analytics.funding import carry_curve
from flatbook.market.analytics.smile import Smile
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets, MarketSnapshot

from .snapshots import FLAT, NOW_NS, snapshot

MARKET = snapshot(linear_usd={"BTC-PERPETUAL": 80_040.0})

strikes = st.floats(30_000.0, 200_000.0)
years = st.floats(1e-3, 1.0)


def test_at_a_listed_expiry_it_is_the_venues_forward_and_slice() -> None:
    for number, at in enumerate(MARKET.years):
        slice_ = Smile(MARKET.slices[number], float(at), float(MARKET.forward_usd[number]))
        assert float(MARKET.forward_at(at)) == pytest.approx(slice_.forward_usd, rel=1e-14)
        k = math.log(70_000.0 / slice_.forward_usd)
        assert float(MARKET.vol(70_000.0, at)) == pytest.approx(float(slice_.vol(k)), rel=1e-12)


@given(years)
def test_forwards_between_expiries_are_those_of_the_carry_curve(at: float) -> None:
    market = snapshot(carry=0.03)
    bent = MarketSnapshot(
        "BTC", NOW_NS, 80_000.0, market.expiry_ns, market.forward_usd * [1.0, 1.01, 1.0, 1.02], market.slices
    )
    curve = carry_curve(bent.years, bent.forward_usd, bent.index_usd)
    assert float(bent.log_basis(at)) == pytest.approx(float(curve.log_basis(at)), abs=1e-12)


def test_now_is_the_index_and_a_market_without_expiries_has_no_basis_and_no_vol() -> None:
    assert float(MARKET.forward_at(0.0)) == 80_000.0
    bare = MarketSnapshot("BTC", NOW_NS, 80_000.0, np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 5)))
    assert bare.forward_at([0.0, 0.5]).tolist() == [80_000.0, 80_000.0]
    assert np.isnan(bare.vol(80_000.0, 0.5))


@given(strikes, years)
def test_a_shock_of_nothing_gives_the_same_bits(strike: float, at: float) -> None:
    same = MARKET.shocked(Shock())
    assert same.ts_ns == MARKET.ts_ns
    assert float(same.vol(strike, at)) == float(MARKET.vol(strike, at))
    assert float(same.forward_at(at)) == float(MARKET.forward_at(at))
    assert same.linear_usd == MARKET.linear_usd


@given(strikes, years, st.floats(-0.5, 1.0), st.floats(-0.5, 1.0))
def test_a_strike_keeps_its_vol_when_spot_moves_and_all_vols_move_alike(
    strike: float, at: float, spot: float, vol: float
) -> None:
    moved = MARKET.shocked(Shock(spot=spot, vol=vol))
    assert float(moved.vol(strike, at)) == pytest.approx(float(MARKET.vol(strike, at)) * (1 + vol), rel=1e-9)
    assert float(moved.forward_at(at)) == pytest.approx(float(MARKET.forward_at(at)) * (1 + spot), rel=1e-12)
    assert moved.linear_usd["BTC-PERPETUAL"] == pytest.approx(80_040.0 * (1 + spot))


@given(st.floats(0.0, 30.0))
def test_while_days_pass_expiries_keep_their_vols_and_forwards(days: float) -> None:
    later = MARKET.shocked(Shock(days=days))
    assert later.ts_ns == NOW_NS + round(days * NS_PER_DAY)
    for number, left in enumerate(later.years):
        if left > 1e-6:
            assert float(later.vol(70_000.0, left)) == pytest.approx(
                float(MARKET.vol(70_000.0, MARKET.years[number])), rel=1e-6
            )
            assert float(later.forward_at(left)) == pytest.approx(float(MARKET.forward_usd[number]), rel=1e-9)


@pytest.mark.parametrize("shock", [{"spot": -1.0}, {"spot": math.nan}, {"vol": -1.1}, {"days": -1.0}])
def test_a_shock_that_leaves_no_market_is_refused(shock: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match=r"spot must stay above 0|time must not run backwards"):
        Shock(**shock)


@pytest.mark.parametrize(
    ("index", "forward", "answer"), [(math.nan, 1.0, "all must be known"), (0.0, 1.0, "above 0"), (1.0, -1.0, "above")]
)
def test_a_market_without_prices_is_none(index: float, forward: float, answer: str) -> None:
    with pytest.raises(BadInputError, match=answer):
        MarketSnapshot("BTC", NOW_NS, index, np.array([NOW_NS + 1]), np.array([forward]), FLAT[None, :])
    with pytest.raises(BadInputError, match="must rise, each with a forward"):
        MarketSnapshot("BTC", NOW_NS, 1.0, np.array([2, 1]), np.ones(2), np.ones((2, 5)))


def test_prices_may_be_told_in_a_currency_that_is_no_dollar() -> None:
    cheaper = MARKET.in_units_of(0.8)
    assert cheaper.index_usd == pytest.approx(100_000.0)
    assert float(cheaper.vol(100_000.0, 0.1)) == pytest.approx(float(MARKET.vol(80_000.0, 0.1)), rel=1e-12)
    assert MARKET.in_units_of(1.0) is MARKET


def test_several_markets_know_each_currency_and_each_pair() -> None:
    markets = Markets({"BTC": MARKET, "ETH": snapshot("ETH", 3_000.0)}, correlations={("BTC", "ETH"): 0.8})
    assert [markets.usd_per(currency) for currency in ("BTC", "ETH", "USDC")] == [80_000.0, 3_000.0, 1.0]
    assert markets.correlation("ETH", "BTC") == markets.correlation("BTC", "ETH") == 0.8
    assert markets.correlation("BTC", "SOL") is None
    moved = markets.shocked({"ETH": Shock(spot=0.1)})
    assert moved.of("ETH").index_usd == pytest.approx(3_300.0)
    assert moved.of("BTC").index_usd == 80_000.0
    assert markets.shocked(Shock(spot=0.1)).of("BTC").index_usd == pytest.approx(88_000.0)
    with pytest.raises(BadInputError, match="SOL: no market; known are those of BTC, ETH"):
        markets.of("SOL")
    with pytest.raises(BadInputError, match="SOL: no price in USD; known are BTC, ETH, USD"):
        markets.usd_per("SOL")
