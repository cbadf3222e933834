import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.market.shock import NOTHING, Shock
from flatbook.valuation.portfolio import Portfolio
from flatbook.valuation.revaluation import Happening, gains_usd
from tests.market.snapshots import after, snapshot

from .books import NAN, listed, markets, over_the_counter

Floats = NDArray[np.float64]

LISTED = [
    listed("BTC-30JAN26-80000-C", 10.0), listed("BTC-9JAN26-75000-P", -4.0), listed("BTC-27MAR26-100000-C", -25.0),
    listed("BTC_USDC-30JAN26-90000-P", 3.0), listed("ETH-27MAR26-3200-C", -20.0), listed("BTC-26JUN26-40000-P", 8.0),
    listed("BTC-PERPETUAL", -50_000.0), listed("BTC-27MAR26", 30_000.0), listed("BTC_USDC-PERPETUAL", 0.5),
    over_the_counter({"style": "european", "right": "call", "strike": 85_000, "expiry": after(40.0)}, 2.0),
]  # fmt: skip
"""Two underlyings, both settlements, one option between the listed expiries."""

BOOK = Portfolio(LISTED)
MARKETS = markets()

shocks = st.builds(
    Shock,
    spot=st.floats(-0.9, 4.0),
    vol=st.floats(-0.9, 3.0),
    days=st.floats(0.0, 200.0),
    term=st.floats(-0.4, 0.4),
    skew=st.floats(-0.1, 0.1),
    convexity=st.floats(-0.1, 0.1),
    basis=st.floats(-0.2, 0.2),
)


@settings(deadline=None, max_examples=60)
@given(shocks, shocks)
def test_a_table_of_scenarios_gives_what_the_shocked_markets_give(first: Shock, second: Shock) -> None:
    happenings: list[Happening] = [first, NOTHING, {"BTC": second}, {"BTC": first, "ETH": second}, second]
    gained = gains_usd(BOOK, MARKETS, happenings)
    assert not gained[1].any()
    assert not gained[2, 4]
    for row, happening in zip(gained, happenings, strict=True):
        one_by_one = BOOK.revalue(MARKETS, happening)
        np.testing.assert_allclose(row, one_by_one, rtol=1e-11, atol=1e-11 * 80_000 * 25 * 5)


@settings(deadline=None, max_examples=20)
@given(st.floats(-0.9, 4.0), st.floats(-0.2, 0.2))
def test_linear_contracts_are_a_formula_where_no_time_passes(spot: float, basis: float) -> None:
    quoted = snapshot(linear_usd={"BTC-PERPETUAL": 80_400.0, "BTC-27MAR26": 81_000.0, "BTC_USDC": 79_990.0})
    names = ["BTC-PERPETUAL", "BTC-27MAR26", "BTC-26JUN26", "BTC_USDC-PERPETUAL", "BTC_USDC", "ETH-PERPETUAL"]
    book = Portfolio([listed(name, 1_000.0, 79_000.0 if number % 2 else NAN) for number, name in enumerate(names)])
    shock = Shock(spot=spot, basis=basis)
    for at in (markets(quoted), MARKETS):
        gained = gains_usd(book, at, [shock, NOTHING])
        np.testing.assert_allclose(gained[0], book.revalue(at, shock), rtol=1e-9, atol=1e-6)
        assert not gained[1].any()


def test_no_positions_and_no_happenings_are_empty() -> None:
    assert gains_usd(Portfolio([]), MARKETS, [NOTHING]).shape == (1, 0)
    assert gains_usd(BOOK, MARKETS, []).shape == (0, len(LISTED))


@pytest.mark.parametrize("count", [1, 15, 16])
def test_no_shock_is_no_profit_wherever_it_stands(count: int) -> None:
    happenings: list[Happening] = [Shock(spot=0.01 * number) for number in range(count)]
    for place in range(count):
        happenings[place], kept = NOTHING, happenings[place]
        assert not gains_usd(BOOK, MARKETS, happenings)[place].any()
        happenings[place] = kept
