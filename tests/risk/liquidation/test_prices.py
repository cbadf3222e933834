"""Closed forms of one position against the equations they solve, and against an engine that liquidates at them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.risk.liquidation.incremental import short_of_margin
from flatbook.risk.liquidation.market import Asset, VenueMarket, market_of
from flatbook.risk.liquidation.prices import inverse_liquidation_price, linear_liquidation_price
from flatbook.risk.liquidation.state import VenueState
from flatbook.venues.margin import editions
from tests.risk.margin.columns import Row, contracts

RATE = st.sampled_from([0.0, 0.005, 0.05])
LEVERAGE = st.floats(1.5, 50.0)
SIDE = st.sampled_from([-1.0, 1.0])


@given(side=SIDE, leverage=LEVERAGE, rate=RATE, entry=st.floats(100.0, 1e5))
def test_a_linear_position_just_covers_its_requirement_there(
    side: float, leverage: float, rate: float, entry: float
) -> None:
    size = side * 3.0
    margin = 3.0 * entry / leverage
    price = float(linear_liquidation_price(np.array(size), np.array(entry), np.array(margin), rate))
    assert margin + size * (price - entry) == pytest.approx(rate * abs(size) * price, abs=1e-9 * entry)


@given(side=SIDE, leverage=LEVERAGE, rate=RATE, entry=st.floats(100.0, 1e5))
def test_an_inverse_position_just_covers_its_requirement_there(
    side: float, leverage: float, rate: float, entry: float
) -> None:
    dollars = side * 10_000.0
    margin = 10_000.0 / entry / leverage
    price = float(inverse_liquidation_price(np.array(dollars), np.array(entry), np.array(margin), rate))
    gained = dollars * (1.0 / entry - 1.0 / price)
    assert margin + gained == pytest.approx(rate * abs(dollars) / price, rel=1e-9, abs=1e-12)


def test_by_hand() -> None:
    """Ten times levered: a long is bankrupt a tenth lower, and liquidated before; an inverse one sooner than that."""
    size, entry = np.array([1.0, -1.0]), np.array(100.0)
    assert linear_liquidation_price(size, entry, np.array(10.0)) == pytest.approx([90.0, 110.0])
    assert linear_liquidation_price(size, entry, np.array(10.0), 0.05) == pytest.approx([90.0 / 0.95, 110.0 / 1.05])
    dollars, coins = np.array([100.0, -100.0]), np.array(0.1)
    assert inverse_liquidation_price(dollars, entry, coins) == pytest.approx([100.0 / 1.1, 100.0 / 0.9])
    assert inverse_liquidation_price(np.array(-100.0), entry, np.array(1.0)) == np.inf


def perpetual(mark_usd: float, *, inverse: bool) -> VenueMarket:
    """One perpetual under Deribit's standard rules of 2019: lots of 0.001 coins, or of ten dollars paid in coin."""
    model = editions("deribit_sm")[0].model
    listed = contracts([Row(forward=mark_usd, in_coin=inverse)], mark_usd)
    if not inverse:
        return market_of(listed, np.array([0.001]), Asset(1.0, 0.0), model, 1e6)
    requirement = model.requirement(listed)

    def maintenance(lots: NDArray[np.int64]) -> NDArray[np.int64]:
        usd = requirement.margins(lots.astype(np.float64) * 10.0 / mark_usd).maintenance
        return np.ceil(usd / mark_usd * 1e8).astype(np.int64)

    coins = np.rint(np.array([10.0 / mark_usd]) * 1e8).astype(np.int64)
    yes, no = np.ones(1, dtype=np.bool_), np.zeros(1, dtype=np.bool_)
    return VenueMarket(-coins, coins, yes, no, np.zeros(1), yes, maintenance)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("side", [-1, 1])
def test_the_engine_liquidates_at_the_closed_form(inverse: bool, side: int) -> None:
    """MM is 1 % and 0.005 % a coin, so the position's own size sets its rate; within a basis point of price."""
    entry, lots, coins = 10_000.0, side * 2_000, 2.0
    rate = 0.01 + 0.00005 * coins
    at = perpetual(entry, inverse=inverse)
    margin = int(0.1 * abs(lots) * int(at.notional[0]))
    held = np.array([[lots]] if inverse else [[lots, 0]], dtype=np.int64)
    state = VenueState.opened(margin - held @ at.mark, held, np.zeros(held.shape), at)
    if inverse:
        # An inverse position grows in coins as the price falls, and its rate with it: solved for at the price itself.
        price = entry
        for _ in range(50):
            rate = 0.01 + 0.00005 * abs(lots) * 10.0 / price
            price = float(
                inverse_liquidation_price(np.array(10.0 * lots), np.array(entry), np.array(margin / 1e8), rate)
            )
    else:
        price = float(linear_liquidation_price(np.array(side * coins), np.array(entry), np.array(margin / 1e6), rate))
    safe, late = (perpetual(price * (1.0 + side * away), inverse=inverse) for away in (1e-4, -1e-4))
    assert not short_of_margin(state, safe).size
    assert short_of_margin(state, late).tolist() == [0]
