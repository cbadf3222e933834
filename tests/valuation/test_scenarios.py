from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.black import black
from flatbook.market.universe import Universe
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.inventory import Inventory
from flatbook.valuation.scenarios import ShockGrid, scenario_pnl_usd, worst_loss_usd
from tests.market.builders import World, at, shown_market

Floats = NDArray[np.float64]

GRID = ShockGrid()


@cache
def chain() -> tuple[Universe, ChainValues]:
    """Three expiries, valued."""
    market, values = shown_market(World(rate=0.1), "4APR25", "25APR25", "27JUN25"), ChainValues()
    values.revalue(market, at(1))
    return market.universe, values


def pnl_usd(made: Inventory) -> Floats:
    return scenario_pnl_usd(GRID, *chain(), made)


def book(seed: int, rows: int = 20) -> Inventory:
    rng, held = np.random.default_rng(seed), chain()[1].rows
    made = Inventory(held)
    made.size_coin[rng.choice(held, rows, replace=False)] = np.rint(rng.normal(0.0, 50.0, rows)) / 10
    made.carried_coin, made.perp_usd = rng.normal(0.0, 10.0), 10.0 * round(rng.normal(0.0, 1e4))
    return made


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_without_a_shock_there_is_exactly_no_profit(seed: int, rows: int) -> None:
    pnl = pnl_usd(book(seed, rows))
    assert pnl.shape == (len(GRID.spot), len(GRID.vol))
    assert pnl[GRID.spot.index(0.0), GRID.vol.index(0.0)] == 0.0


@settings(deadline=None)
@given(st.floats(-50.0, 50.0), st.integers(-10_000, 10_000))
def test_a_linear_book_gains_linearly_and_knows_no_vol(coin: float, perp_lots: int) -> None:
    made = Inventory(chain()[1].rows)
    made.carried_coin, made.perp_usd = coin, 10.0 * perp_lots
    pnl = pnl_usd(made)
    expected = coin * chain()[1].index_usd * np.array(GRID.spot)
    np.testing.assert_array_equal(pnl, np.repeat(expected[:, None], len(GRID.vol), axis=1))


@pytest.mark.parametrize("seed", range(4))
def test_shocks_are_full_revaluations(seed: int) -> None:
    made, (universe, values) = book(seed), chain()
    pnl, n = pnl_usd(made), values.rows

    def equity_usd(spot: float, vol: float) -> float:
        forward, index = values.forward_usd * (1 + spot), values.index_usd * (1 + spot)
        price = black(forward, universe.strike_usd[:n], values.vol * (1 + vol), values.years, universe.sign[:n]).price
        coin = made.carried_coin + float(made.size_coin[:n] @ (price / forward)) - made.perp_usd / index
        return coin * index

    for i, spot in enumerate(GRID.spot):
        for j, vol in enumerate(GRID.vol):
            gained = equity_usd(spot, vol) - equity_usd(0.0, 0.0)
            assert pnl[i, j] == pytest.approx(gained, rel=1e-8, abs=1e-4), (spot, vol)


def test_a_short_straddle_loses_most_at_the_ends_and_a_long_one_never() -> None:
    universe, values = chain()
    short, long = Inventory(values.rows), Inventory(values.rows)
    for right in "CP":
        row = universe.row_of[f"BTC-4APR25-80000-{right}"]
        for made, side in ((short, -1.0), (long, 1.0)):
            made.size_coin[row] = side
            made.carried_coin -= side * values.fair_coin[row]
    pnl = pnl_usd(short)
    at_spot = [float(pnl[i, GRID.vol.index(0.0)]) for i in range(len(GRID.spot))]
    assert int(np.argmin(at_spot)) in (0, len(GRID.spot) - 1)
    assert np.all(np.diff(pnl[GRID.spot.index(0.0)]) < 0)  # and more where vol rises
    np.testing.assert_allclose(pnl_usd(long), -pnl, atol=1e-9)


def test_the_worst_loss_is_the_deepest_cell_and_none_where_nothing_loses() -> None:
    assert worst_loss_usd(np.array([[1.0, -250.0], [30.0, 0.0]])) == 250.0
    assert worst_loss_usd(np.array([[1.0, 0.0], [30.0, 5.0]])) == 0.0
