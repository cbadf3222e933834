"""Contracts over the counter in a run: paths tick by tick, worth between full values, causes that sum to the change."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_DAY
from flatbook.kernels.chain import FACTORS
from flatbook.market.market import Market
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.contracts import Cell
from flatbook.valuation.explain import PNL_PARTS
from flatbook.valuation.inventory import NOTHING_HELD, Inventory
from flatbook.valuation.otc import parse_otc
from flatbook.valuation.otc_book import Ended, Freshness, OtcBook, price_coin_of
from flatbook.valuation.portfolio import BookPosition
from flatbook.valuation.scenarios import ShockGrid
from tests.market.builders import World, at, index, shown_market

Floats = NDArray[np.float64]
Cells = dict[str, Cell]

PART = {name: place for place, name in enumerate(PNL_PARTS)}
EXPIRY = "25APR25"
KNOCK_OUT: Cells = {
    "style": "barrier", "right": "call", "strike": 80_000, "barrier": 72_000, "barrier_kind": "down_out", "rebate": 400,
}  # fmt: skip
KNOCK_IN: Cells = KNOCK_OUT | {"barrier_kind": "down_in", "rebate": ""}
TOUCH: Cells = {"style": "touch", "barrier": 90_000, "barrier_kind": "up_in", "payoff": "cash", "cash": 1_000}
AVERAGE: Cells = {
    "style": "asian", "right": "call", "strike": 79_000, "average": "arithmetic", "fixings": 0,
    "averaging_from": "2025-03-31T12:00",
}  # fmt: skip
LOOKBACK: Cells = {"style": "lookback", "right": "call"}
EUROPEAN: Cells = {"style": "european", "right": "call", "strike": 85_000}


def position(cells: Cells, size: float = 1.0, name: str = "deal-1", expiry: str = EXPIRY) -> BookPosition:
    terms, path = parse_otc(name, {"underlying": "BTC", "expiry": expiry, **cells})
    return BookPosition(terms.instrument, size, otc=terms, path=path)


def market() -> Market:
    return shown_market(World(), "4APR25", "25APR25", "27JUN25")


def moved_to(live: Market, seconds: float, price_usd: float) -> None:
    live.take_index(index(seconds, price_usd))


def holding(live: Market, *held: BookPosition, freshness: Freshness | None = None) -> OtcBook:
    book = OtcBook(freshness)
    for one in held:
        book.hold(one, live, at(0))
    return book


def test_it_is_worth_its_positions() -> None:
    live = market()
    book = holding(live, position(KNOCK_OUT, 2.0), position(LOOKBACK, -3.0, "deal-2"))
    knock_out, lookback = (price_coin_of(position(cells), live, at(0)) for cells in (KNOCK_OUT, LOOKBACK))
    assert book.value_usd == pytest.approx((2.0 * knock_out - 3.0 * lookback) * 80_000.0)
    assert book.price_coin("deal-2") == pytest.approx(lookback)
    book.hold(position(KNOCK_OUT, 1.0), live, at(0))
    assert [one.size for one in book.positions()] == [3.0, -3.0]


@pytest.mark.parametrize("seconds", [0.001, 1e9])
def test_causes_sum_to_the_change_of_worth_whether_valued_in_full_or_not(seconds: float) -> None:
    live = market()
    rarely = Freshness(index_move=math.inf if seconds > 1.0 else 0.0, seconds=seconds)
    book = holding(live, position(KNOCK_OUT, 2.0), position(AVERAGE, 5.0, "deal-2"), freshness=rarely)
    rng = np.random.default_rng(5)
    price, total, begun = 80_000.0, np.zeros(len(PNL_PARTS)), book.value_usd
    for second in range(1, 15):
        price *= math.exp(2e-4 * rng.standard_normal())
        moved_to(live, 60.0 * second, price)
        book.take_index(price, at(60.0 * second))
        before = book.value_usd
        parts = book.mark(live, at(60.0 * second))
        assert parts.sum() == pytest.approx(book.value_usd - before, abs=1e-8)
        total += parts
    assert total.sum() == pytest.approx(book.value_usd - begun, abs=1e-6)
    assert abs(total[PART["unexplained"]]) < 0.05 * np.abs(total).sum()
    in_full = sum(2.0 * price_coin_of(one, live, at(840)) for one in book.positions()[:1]) * price
    in_full += 5.0 * price_coin_of(book.positions()[1], live, at(840)) * price
    assert book.value_usd == pytest.approx(in_full, abs=2e-3 * begun)


def test_between_full_values_it_goes_by_its_greeks_and_the_next_full_value_corrects_them() -> None:
    live = market()
    book = holding(live, position(KNOCK_OUT, 10.0), freshness=Freshness(index_move=0.01, seconds=1e9))
    begun = book.value_usd
    moved_to(live, 1, 80_400.0)
    first = book.mark(live, at(1))
    assert first[PART["vega"]] == 0.0
    assert abs(first[PART["unexplained"]]) < 1e-9
    assert first[PART["delta"]] > 0.0
    moved_to(live, 2, 81_000.0)
    second = book.mark(live, at(2))
    fresh = price_coin_of(book.positions()[0], live, at(2)) * 81_000.0 * 10.0
    assert book.value_usd == pytest.approx(fresh, rel=1e-9)
    both = first + second
    assert both.sum() == pytest.approx(fresh - begun)
    # The level that vega sees changes as spot slides along the smile; its slope gives that back, and is nobody's part.
    assert abs(both[PART["unexplained"]]) < 0.04 * abs(both[PART["delta"]])
    assert both[PART["unexplained"]] == pytest.approx(-both[PART["vega"]], rel=0.2)


def test_a_knock_out_pays_its_rebate_at_the_hit_and_is_gone() -> None:
    live = market()
    book = holding(live, position(KNOCK_OUT, 2.0))
    assert book.take_index(73_000.0, at(1)) == ()
    moved_to(live, 2, 71_900.0)
    assert book.take_index(71_900.0, at(2)) == (Ended("deal-1", 400.0 / 71_900.0),)
    book.mark(live, at(2))
    assert book.value_usd == pytest.approx(2 * 400.0)
    book.drop("deal-1", live, at(2))
    assert (len(book), book.value_usd) == (0, 0.0)
    assert not book.mark(live, at(3)).any()


def test_a_knock_in_is_its_option_after_the_hit_wherever_spot_goes() -> None:
    live = market()
    book = holding(live, position(KNOCK_IN, 2.0))
    assert book.take_index(71_000.0, at(1)) == ()
    assert book.take_index(80_000.0, at(2)) == ()
    assert book.positions()[0].path.was_hit
    book.mark(live, at(2))
    plain = price_coin_of(position(EUROPEAN | {"strike": 80_000}), live, at(2))
    assert book.value_usd == pytest.approx(2.0 * plain * 80_000.0, rel=1e-6)


def test_a_touch_pays_when_touched() -> None:
    book = holding(market(), position(TOUCH | {"pay_at": "hit"}), position(TOUCH | {"pay_at": "expiry"}, name="late"))
    (ended,) = book.take_index(90_100.0, at(1))
    assert ended == Ended("deal-1", 1_000.0 / 90_100.0)
    assert {one.instrument.name: one.path.was_hit for one in book.positions()}["late"]


def test_an_average_weighs_prices_by_how_long_they_stood() -> None:
    book = holding(market(), position(AVERAGE))
    for seconds, price in ((100, 81_000.0), (300, 78_000.0), (400, 79_000.0)):
        book.take_index(price, at(seconds))
    expected = (100 * 80_000 + 200 * 81_000 + 100 * 78_000) / 400
    assert book.positions()[0].path.average == pytest.approx(expected)


def test_a_lookback_keeps_its_lowest_price() -> None:
    book = holding(market(), position(LOOKBACK))
    for seconds, price in ((1, 81_000.0), (2, 78_500.0), (3, 82_000.0)):
        book.take_index(price, at(seconds))
    assert book.positions()[0].path.extreme == 78_500.0


def test_at_expiry_the_last_price_known_by_then_counts() -> None:
    minute = "2025-03-31T12:01"
    on_time, late = (holding(market(), position(EUROPEAN | {"strike": 70_000}, expiry=minute)) for _ in range(2))
    assert on_time.take_index(77_000.0, at(60)) == (Ended("deal-1", 7_000 / 77_000),)
    late.take_index(75_000.0, at(59))
    assert late.take_index(90_000.0, at(61)) == (Ended("deal-1", 5_000 / 75_000),)


def test_exposures_are_those_of_the_chain_for_what_the_chain_has() -> None:
    """A European of a listed strike and expiry loads every factor as the listed option does, coin and all."""
    live = market()
    row = live.universe.row_of["BTC-25APR25-85000-C"]
    values, inventory = ChainValues(), Inventory(live.universe.capacity)
    values.revalue(live, at(0))
    inventory.size_coin[row] = 3.0
    listed = inventory.measure(values)
    book = holding(live, position(EUROPEAN, 3.0))
    found = book.add_to(NOTHING_HELD)
    np.testing.assert_allclose(found.exposure, listed.exposure, rtol=1e-6, atol=1e-6)
    assert found.exposure.shape == (FACTORS,)
    for name in ("gamma_1pct_usd", "vega_usd_per_vol_pt", "theta_usd_per_day"):
        assert getattr(found, name) == pytest.approx(getattr(listed, name), rel=1e-6)
    assert OtcBook().add_to(listed) is listed


def test_stresses_are_full_revaluations_and_nothing_without_a_shock() -> None:
    live, grid = market(), ShockGrid(spot=(-0.2, 0.0, 0.1), vol=(0.0, 0.5))
    book = holding(live, position(KNOCK_OUT, 2.0))
    pnl = book.scenario_pnl_usd(grid)
    assert pnl[1, 0] == 0.0
    assert pnl[0, 0] == pytest.approx(2 * 400.0 - book.value_usd)  # knocked out for its rebate
    assert pnl[2, 0] > 0.0
    moved_to(live, 1, 81_000.0)
    book.mark(live, at(1))
    assert book.scenario_pnl_usd(grid)[2, 0] != pnl[2, 0]
    assert not OtcBook().scenario_pnl_usd(grid).any()


def test_time_passes_for_it_too() -> None:
    live = market()
    book = holding(live, position(EUROPEAN), freshness=Freshness(index_move=1.0, seconds=1e9))
    begun = book.value_usd
    parts = book.mark(live, at(0) + NS_PER_DAY)
    assert parts[PART["theta"]] < 0.0
    assert book.value_usd < begun
