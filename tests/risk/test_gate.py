import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.kernels.gate import REFUSALS
from flatbook.risk.gate import BookRisk, Gate, OrderRisk
from flatbook.risk.limits import LimitPolicy
from flatbook.risk.loss_stop import Stage
from flatbook.valuation.chain import PRICE, ChainValues
from flatbook.valuation.inventory import Inventory
from tests.market.builders import World, at, shown_market

Ints = NDArray[np.int64]

LOTS = 10
SIZE_COIN = 1.0
CALL, PUT = "BTC-4APR25-85000-C", "BTC-4APR25-75000-P"


def risk(*, stage: Stage = Stage.NORMAL, **measured: float) -> BookRisk:
    delta, gamma, vega, stress, age_s = (
        measured.get(name, 0.0) for name in ("delta", "gamma", "vega", "stress", "age_s")
    )
    return BookRisk(delta, gamma, vega, stress, stage, age_s)


class Desk:
    """A chain with a quote of one coin on both sides of every option, and a book."""

    def __init__(self, **limits: Any) -> None:
        self.market = shown_market(World(), "4APR25", "25APR25")
        self.values = ChainValues()
        self.values.revalue(self.market, at(1))
        self.rows = self.values.rows
        self.book = Inventory(self.rows)
        self.gate = Gate(LimitPolicy(**limits))

    def row(self, name: str) -> int:
        return self.market.universe.row_of[name]

    def passed(self, book: BookRisk, off_ticks: int = 0) -> Ints:
        """(2, rows): lots let through, bids then asks."""
        fair = np.rint(np.nan_to_num(self.values.fair_coin) / 0.0001).astype(np.int64)
        lots = np.full(self.rows, LOTS)
        grid = np.stack([np.maximum(fair - 1 - off_ticks, 1), lots, fair + 1 + off_ticks, lots])
        self.gate.pass_quotes(grid, self.market.universe, self.values, self.book.size_coin, book)
        assert np.array_equal(grid[0] == 0, grid[1] == 0)  # no price without lots
        assert np.array_equal(grid[2] == 0, grid[3] == 0)
        return np.stack([grid[1], grid[3]])

    def after(self, row: int, side: int) -> tuple[float, float, float]:
        """Delta in coin, gamma and vega in USD that one fill at fair value adds, by the book's own measure."""
        book = Inventory(self.rows)
        book.size_coin[row] = side * SIZE_COIN
        book.carried_coin = -side * SIZE_COIN * float(self.values.fair_coin[row])
        measured = book.measure(self.values)
        delta_coin = float(measured.exposure[0]) / self.values.index_usd
        return delta_coin, measured.gamma_1pct_usd, measured.vega_usd_per_vol_pt


def test_a_calm_book_quotes_everything() -> None:
    desk = Desk()
    assert np.all(desk.passed(risk()) == LOTS)
    assert not desk.gate.refused.any()


@pytest.mark.parametrize(("which", "limit"), [(0, "delta_coin"), (1, "gamma_1pct_usd"), (2, "vega_usd")])
def test_a_side_passes_exactly_if_the_book_after_its_fill_is_within_bounds(which: int, limit: str) -> None:
    whole = Desk()
    effects = np.array([[whole.after(row, side)[which] for row in range(whole.rows)] for side in (1, -1)])
    bound = float(np.quantile(np.abs(effects), 0.5)) * 1.0001
    desk = Desk(**{limit: bound})
    passed = desk.passed(risk()) > 0
    clear = np.abs(np.abs(effects) - bound) > 0.02 * bound
    assert clear.sum() > 0.8 * clear.size
    np.testing.assert_array_equal(passed[clear], (np.abs(effects) <= bound)[clear])
    refusal = ("delta", "gamma", "vega")[which]
    assert desk.gate.refused[REFUSALS.index(refusal)] == (~passed).sum() > 0


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("sign", [1, -1])
def test_beyond_a_bound_only_what_relieves_passes(which: int, sign: int) -> None:
    desk = Desk(delta_coin=5.0, gamma_1pct_usd=1e5, vega_usd=1e4)
    bound = (5.0, 1e5, 1e4)[which]
    beyond = sign * 1.5 * bound
    passed = desk.passed((risk(delta=beyond), risk(gamma=beyond), risk(vega=beyond))[which]) > 0
    for s, side in enumerate((1, -1)):
        effects = np.array([desk.after(row, side)[which] for row in range(desk.rows)])
        clear = np.abs(effects) > 1e-3 * np.abs(effects).max()
        np.testing.assert_array_equal(passed[s][clear], (sign * effects < 0)[clear])


def test_a_position_bound_leaves_only_the_side_that_shrinks_it() -> None:
    desk = Desk(position_coin=3.0)
    desk.book.size_coin[desk.row(CALL)], desk.book.size_coin[desk.row(PUT)] = 3.0, -2.5
    bids, asks = desk.passed(risk())
    assert (bids[desk.row(CALL)], asks[desk.row(CALL)]) == (0, LOTS)
    assert (bids[desk.row(PUT)], asks[desk.row(PUT)]) == (LOTS, 0)


@pytest.mark.parametrize(
    "book", [risk(stage=Stage.REDUCE_ONLY), risk(stress=2_000.0)], ids=["loss stop", "stress loss"]
)
def test_reduce_only_lets_positions_shrink(book: BookRisk) -> None:
    desk = Desk(stress_loss_usd=1_999.0)
    desk.book.size_coin[desk.row(CALL)], desk.book.size_coin[desk.row(PUT)] = 3.0, -3.0
    bids, asks = desk.passed(book)
    assert np.flatnonzero(bids).tolist() == [desk.row(PUT)]
    assert np.flatnonzero(asks).tolist() == [desk.row(CALL)]


@pytest.mark.parametrize("stage", [Stage.FLAT, Stage.HALT])
def test_from_flat_on_nothing_is_quoted(stage: Stage) -> None:
    assert not Desk().passed(risk(stage=stage)).any()


def test_prices_far_from_fair_are_refused_by_vol_and_by_coin_where_there_is_no_vega() -> None:
    desk = Desk(price_band_vol=0.05)
    vega = desk.values.greeks[3] / desk.values.forward_usd
    _, asks = desk.passed(risk(), off_ticks=40)
    off = (np.rint(desk.values.fair_coin / 0.0001) + 41) * 0.0001 - desk.values.fair_coin
    np.testing.assert_array_equal(asks > 0, off <= 0.05 * vega + 0.001)
    assert 0 < (asks > 0).sum() < desk.rows


def test_a_quote_larger_than_the_largest_order_is_refused() -> None:
    assert not Desk(order_coin=0.9).passed(risk()).any()


def test_an_option_that_has_no_value_is_not_quoted() -> None:
    desk = Desk()
    desk.values.greeks[PRICE, 3] = math.nan
    assert desk.passed(risk())[:, 3].tolist() == [0, 0]


def hedge(side: int, usd: float = 10_000.0, limit_usd: float = 80_100.0) -> OrderRisk:
    """An order in the perpetual, which is marked at 80,000 USD."""
    return OrderRisk(side * usd, 0.0, abs(limit_usd / 80_000.0 - 1), side * usd / 80_000.0)


@pytest.mark.parametrize(
    ("side", "usd", "limit_usd", "delta", "stage", "reason"),
    [
        (1, 10_000.0, 80_100.0, 0.0, Stage.NORMAL, None),
        (1, 10_000.0, 80_100.0, 0.0, Stage.FLAT, "reduce_only"),
        (1, 10_000.0, 80_100.0, -1.0, Stage.FLAT, None),
        (-1, 10_000.0, 79_900.0, -1.0, Stage.REDUCE_ONLY, "reduce_only"),
        (1, 10_000.0, 80_100.0, 0.0, Stage.HALT, "halted"),
        (1, 50_001.0, 80_100.0, 0.0, Stage.NORMAL, "order_size"),
        (1, 10_000.0, 81_700.0, 0.0, Stage.NORMAL, "price_band"),
        (-1, 10_000.0, 78_300.0, 0.0, Stage.NORMAL, "price_band"),
        (1, 40_000.0, 80_100.0, 1.8, Stage.NORMAL, "delta"),
        (1, 40_000.0, 80_100.0, -9.0, Stage.NORMAL, None),  # beyond the bound, and nearer than before
        (-1, 40_000.0, 80_100.0, -9.0, Stage.NORMAL, "delta"),
        (1, 10_000.0, math.nan, 0.0, Stage.NORMAL, "price_band"),
        (1, 10_000.0, 80_100.0, math.nan, Stage.NORMAL, "delta"),
    ],
)
def test_hedges_pass_by_their_own_bounds(
    side: int, usd: float, limit_usd: float, delta: float, stage: Stage, reason: str | None
) -> None:
    gate = Gate(LimitPolicy(hedge_order_usd=50_000.0, price_band_rate=0.02, delta_coin=2.0))
    assert gate.refusal(hedge(side, usd, limit_usd), risk(delta=delta, stage=stage)) == reason
    assert gate.refused_orders == ({reason: 1} if reason else {})


@pytest.mark.parametrize(
    ("size", "held", "off", "stage", "reason"),
    [
        (2.0, 0.0, 0.0035, Stage.NORMAL, None),
        (2.5, 0.0, 0.0005, Stage.NORMAL, "order_size"),
        (2.0, 0.0, 0.0036, Stage.NORMAL, "price_band"),
        (2.0, 0.0, math.nan, Stage.NORMAL, "price_band"),
        (2.0, 9.0, 0.0005, Stage.NORMAL, "position"),
        (-2.0, 12.0, 0.0005, Stage.NORMAL, None),  # beyond the bound, and nearer than before
        (2.0, -2.0, 0.0005, Stage.REDUCE_ONLY, None),
        (2.0, -1.0, 0.0005, Stage.REDUCE_ONLY, "reduce_only"),
    ],
)
def test_an_option_that_hedges_is_bound_like_a_quote_of_it(
    size: float, held: float, off: float, stage: Stage, reason: str | None
) -> None:
    """A vega of 0.005 coin a unit of vol makes a band of 0.5 in vol 0.0025 coin, and 0.001 beside it."""
    gate = Gate(LimitPolicy(order_coin=2.0, position_coin=10.0, price_band_vol=0.5))
    order = OrderRisk(size, held, off, 0.5 * size, 100.0 * size, 20.0 * size, vega_coin=0.005)
    assert gate.refusal(order, risk(stage=stage)) == reason


@pytest.mark.parametrize(("which", "bound"), [("delta", 1.0), ("gamma", 1e4), ("vega", 500.0)])
def test_an_option_that_hedges_leaves_no_exposure_beyond_its_bound(which: str, bound: float) -> None:
    gate = Gate(LimitPolicy(delta_coin=1.0, gamma_1pct_usd=1e4, vega_usd=500.0))
    order = OrderRisk(1.0, 0.0, 0.0, 0.2, 2e3, 100.0, vega_coin=0.005)

    def measured(held: float) -> dict[str, Any]:
        return {which: held}

    def refusal(held: float) -> str | None:
        return gate.refusal(order, risk(**measured(held)))

    assert [refusal(held * bound) for held in (0.79, 0.81, -3.0, math.nan)] == [None, which] * 2


def test_nothing_goes_out_on_an_old_index() -> None:
    desk = Desk(max_index_age_s=60.0)
    assert desk.passed(risk(age_s=60.0)).all()
    assert not desk.passed(risk(age_s=60.1)).any()
    assert not desk.passed(risk(age_s=math.nan)).any()
    assert desk.gate.refusal(hedge(1), risk(age_s=60.1)) == "stale_index"


def test_a_stress_loss_that_cannot_be_measured_leaves_only_reduction() -> None:
    desk = Desk()
    desk.book.size_coin[desk.row(CALL)] = 3.0
    bids, asks = desk.passed(risk(stress=math.nan))
    assert not bids.any()
    assert np.flatnonzero(asks).tolist() == [desk.row(CALL)]
    assert desk.gate.breaches(risk(stress=math.nan)) == ["stress_loss"]


def test_breaches_name_every_bound_that_the_book_stands_beyond() -> None:
    gate = Gate(LimitPolicy(delta_coin=1.0, gamma_1pct_usd=10.0, vega_usd=100.0, stress_loss_usd=1_000.0))
    assert gate.breaches(risk(delta=1.0, gamma=-10.0, vega=100.0, stress=1_000.0)) == []
    assert gate.breaches(risk(delta=-1.1, gamma=10.1, vega=-101.0, stress=1_001.0)) == [
        "delta",
        "gamma",
        "vega",
        "stress_loss",
    ]


def test_no_hedge_leaves_on_an_index_that_stood_still() -> None:
    gate = Gate(LimitPolicy(max_index_age_s=60.0))
    book = risk(delta=-1.0)
    for age_s, reason in ((60.0, None), (60.1, "stale_index"), (math.nan, "stale_index")):
        old = replace(book, index_age_s=age_s)
        assert gate.refusal(hedge(1), old) == reason
