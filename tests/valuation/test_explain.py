import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from flatbook.kernels import explain as kernel
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.explain import PNL_PARTS, PnlBook
from flatbook.valuation.inventory import Inventory
from tests.market.builders import DAY_S, World, at, shown_market

DATES = ("4APR25", "25APR25")

Owner = tuple[str, int]
"""A strategy, and the slot of an expiry or -1."""


class Desk:
    """A maker's afternoon in a world that moves as it is told, with accounts of its own beside the book of P&L."""

    def __init__(self) -> None:
        self.world = World(rate=0.08)
        self.market = shown_market(self.world, *DATES)
        self.values, self.spare = ChainValues(), ChainValues()
        self.values.revalue(self.market, at(1))
        self.inventory, self.pnl = Inventory(self.values.rows), PnlBook()
        self.seconds = 1.0
        self.premium = 0.0
        # What is owned, without any of the code under test: coin and contracts by strategy and expiry, and dollars of
        # the perpetual by its entry price.
        self.cash_coin: dict[Owner, float] = defaultdict(float)
        self.contracts: dict[tuple[str, int], float] = defaultdict(float)
        self.perpetuals: list[tuple[float, float]] = []

    @property
    def perp_usd(self) -> float:
        return self.values.index_usd * (1 + self.premium)

    def mark(self) -> None:
        """The market is valued as it is now, and the move explained."""
        before = self.values
        self.spare.revalue(self.market, at(self.seconds))
        self.spare.perp_usd = self.spare.index_usd * (1 + self.premium)
        self.values, self.spare = self.spare, before
        self.pnl.market_moved(before, self.values, self.inventory)

    def tick(self, log_move: float, seconds: float = 1.0) -> None:
        self.seconds += seconds
        self.world.index_usd *= math.exp(log_move)
        self.market.take_index(self.world.index(self.seconds))
        self.mark()

    def print_at(self, row: int, vol_ratio: float) -> None:
        self.seconds += 1
        name = self.market.universe.instruments[row].name
        self.market.take_trade(
            self.world.trade(self.seconds, name, vol=vol_ratio * self.world.vol_at(name, self.seconds))
        )
        self.mark()

    def fill(self, row: int, size_coin: float, edge_coin: float, fee_coin: float, fresh: bool = False) -> float:
        """An option traded at fair less an edge; the spread it earned."""
        self._trade("making", row, size_coin, edge_coin, fee_coin)
        if fresh:
            self.inventory.add_fresh(row, size_coin, at(self.seconds + 60))
        return self.pnl.booked("spread", self.values, self.inventory)

    def hedge_by_option(self, row: int, size_coin: float, cost_coin: float, fee_coin: float) -> float:
        """The same as a hedge, at fair and a cost."""
        self._trade("hedging", row, size_coin, -cost_coin, fee_coin)
        self.inventory.hedged_coin[row] += size_coin
        return self.pnl.booked("hedge_cost", self.values, self.inventory)

    def _trade(self, strategy: str, row: int, size_coin: float, edge_coin: float, fee_coin: float) -> None:
        price = float(self.values.fair_coin[row]) - math.copysign(1.0, size_coin) * edge_coin
        self.contracts[strategy, row] += size_coin
        self.inventory.size_coin[row] += size_coin
        self._pay((strategy, int(self.values.slot[row])), size_coin * price, fee_coin)

    def _pay(self, owner: Owner, coin: float, fee_coin: float, owed_coin: float = 0.0) -> None:
        self.cash_coin[owner] -= coin + fee_coin
        self.inventory.cells_coin[cell(owner)] -= coin + fee_coin + owed_coin
        self.inventory.carried_coin -= coin + fee_coin + owed_coin
        self.inventory.fees_coin[cell(owner)] += fee_coin

    def hedge(self, usd: float, through: float, fee_coin: float) -> float:
        """The perpetual traded at a price worse than the mark; what was put under its cost."""
        price = self.perp_usd * (1 + math.copysign(through, usd))
        self.perpetuals.append((usd, price))
        self.inventory.perp_usd += usd
        self._pay(("hedging", -1), 0.0, fee_coin, owed_coin=-usd / price)
        return self.pnl.booked("hedge_cost", self.values, self.inventory)

    def receive(self, cause: str, coin: float, owner: Owner = ("hedging", -1)) -> None:
        self._pay(owner, -coin, 0.0)
        self.pnl.booked(cause, self.values, self.inventory)

    def owned_coin(self) -> dict[Owner, float]:
        """Cash, options at fair value, and each perpetual's own gain since it was entered."""
        owned = defaultdict(float, self.cash_coin)
        for (strategy, row), size in self.contracts.items():
            if size:
                owned[strategy, int(self.values.slot[row])] += size * float(self.values.fair_coin[row])
        for usd, entry in self.perpetuals:
            owned["hedging", -1] += usd / entry - usd / self.perp_usd
        return owned

    def owned_usd(self) -> float:
        return sum(self.owned_coin().values()) * self.values.index_usd


def cell(owner: Owner) -> int:
    strategy, slot = owner
    return 2 * (slot + 1) + ["making", "hedging"].index(strategy)


rows = st.integers(0, 35)
coins = st.floats(-20.0, 20.0).filter(lambda size: abs(size) > 0.05)


class Books(RuleBasedStateMachine):
    """Whatever happens in whatever order, the parts sum to the equity that the accounts show."""

    @initialize()
    def start(self) -> None:
        self.desk = Desk()

    @rule(log_move=st.floats(-0.2, 0.2), seconds=st.floats(0.0, 50_000.0))
    def tick(self, log_move: float, seconds: float) -> None:
        self.desk.tick(log_move, seconds)

    @rule(row=rows, vol_ratio=st.floats(0.9, 1.1))
    def print_at(self, row: int, vol_ratio: float) -> None:
        self.desk.print_at(row, vol_ratio)

    @rule(row=rows, size=coins, edge=st.floats(0.0, 0.005), fee=st.floats(-1e-4, 1e-3), fresh=st.booleans())
    def fill(self, row: int, size: float, edge: float, fee: float, fresh: bool) -> None:
        self.desk.fill(row, size, edge, fee, fresh)

    @rule(row=rows, size=coins, cost=st.floats(0.0, 0.005), fee=st.floats(0.0, 1e-3))
    def hedge_by_option(self, row: int, size: float, cost: float, fee: float) -> None:
        self.desk.hedge_by_option(row, size, cost, fee)

    @rule(usd=coins.map(lambda size: 1e5 * size), through=st.floats(0.0, 0.002), fee=st.floats(0.0, 1e-3))
    def hedge(self, usd: float, through: float, fee: float) -> None:
        self.desk.hedge(usd, through, fee)

    @rule(cause=st.sampled_from(["funding", "settlement"]), coin=st.floats(-0.1, 0.1))
    def receive(self, cause: str, coin: float) -> None:
        self.desk.receive(cause, coin)

    @rule(premium=st.floats(-0.01, 0.01))
    def premium(self, premium: float) -> None:
        self.desk.seconds += 1
        self.desk.premium = premium
        self.desk.mark()

    @rule()
    def grow_old(self) -> None:
        self.desk.inventory.age(at(self.desk.seconds))

    @invariant()
    def parts_sum_to_what_is_owned(self) -> None:
        pnl = self.desk.pnl
        tolerance = 1e-11 * (pnl.gross_usd + 1e6)
        assert sum(pnl.by_name().values()) == pytest.approx(pnl.equity_usd, abs=tolerance)
        assert pnl.equity_usd == pytest.approx(self.desk.owned_usd(), abs=1e-9 * (pnl.gross_usd + 1e6))

    @invariant()
    def days_strategies_and_expiries_sum_to_what_is_owned_in_coin_and_in_dollars(self) -> None:
        desk = self.desk
        days = desk.pnl.days()
        if not days:
            return
        usd, coin = (np.sum([day.gains[unit] for day in days], axis=0) for unit in (0, 1))
        owned = np.zeros(len(coin))
        for owner, amount in desk.owned_coin().items():
            owned[cell(owner)] = amount
        tolerance = 1e-11 * (desk.pnl.gross_usd + 1e6)
        np.testing.assert_allclose(usd.sum(axis=1), owned * desk.values.index_usd, rtol=0, atol=100 * tolerance)
        np.testing.assert_allclose(coin.sum(axis=1), owned, rtol=0, atol=1e-8)
        np.testing.assert_allclose(usd.sum(axis=0), list(desk.pnl.by_name().values()), rtol=0, atol=tolerance)
        np.testing.assert_allclose(coin.sum(axis=0), list(desk.pnl.coin_by_name().values()), rtol=0, atol=1e-8)


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def parts_of(desk: Desk) -> dict[str, float]:
    return {name: part for name, part in desk.pnl.by_name().items() if abs(part) > 1e-6}


def test_a_fill_earns_its_edge_and_pays_its_fee() -> None:
    desk = Desk()
    index = desk.values.index_usd
    assert desk.fill(4, 2.0, 0.001, 0.0003) == pytest.approx(2.0 * 0.001 * index)
    assert parts_of(desk) == pytest.approx({"spread": 0.002 * index, "fees": -0.0003 * index})


def test_a_hedge_costs_what_it_paid_over_the_mark() -> None:
    desk = Desk()
    assert desk.hedge(80_000.0, 0.0005, 1e-4) == pytest.approx(-80_000.0 * 0.0005, rel=1e-3)
    assert set(parts_of(desk)) == {"hedge_cost", "fees"}


def test_a_hedged_tick_is_delta_against_delta_and_leaves_gamma() -> None:
    desk = Desk()
    desk.fill(desk.market.universe.row_of["BTC-25APR25-80000-C"], 10.0, 0.0, 0.0)
    delta_usd = float(desk.inventory.measure(desk.values).exposure[0])
    desk.hedge(-delta_usd, 0.0, 0.0)
    gamma = float(desk.inventory.measure(desk.values).exposure[1])
    desk.tick(0.01, 0.0)
    parts = parts_of(desk)
    assert parts["gamma"] == pytest.approx(gamma * math.expm1(0.01) ** 2, rel=1e-6)
    assert set(parts) <= {"gamma", "vega", "vanna", "volga", "unexplained"}  # its vol slid along the smile
    assert abs(parts["unexplained"]) < 0.1 * parts["gamma"]


def test_a_premium_that_moves_is_basis() -> None:
    desk = Desk()
    desk.hedge(80_000.0, 0.0, 0.0)
    desk.premium = 0.001
    desk.mark()
    assert parts_of(desk) == pytest.approx({"basis": 80_000.0 * (1 - 1 / 1.001)})


def test_what_a_fresh_fill_loses_is_adverse_selection_until_it_is_old() -> None:
    desk = Desk()
    desk.fill(desk.market.universe.row_of["BTC-25APR25-80000-C"], 1.0, 0.0, 0.0, fresh=True)
    desk.tick(-0.001)
    first = parts_of(desk)
    assert first["adverse_selection"] < 0
    assert set(first) == {"adverse_selection", "delta"}  # the delta is the coin's that paid the premium
    desk.inventory.age(at(desk.seconds + 60))
    desk.tick(-0.001)
    assert parts_of(desk)["adverse_selection"] == first["adverse_selection"]
    assert parts_of(desk)["delta"] < first["delta"] - 30


def test_a_quiet_day_is_explained_to_a_hundredth_of_the_gross() -> None:
    desk = Desk()
    for row in range(0, 36, 3):
        desk.fill(row, (-1.0) ** row * 3.0, 0.0005, 0.0)
    for n in range(200):
        desk.tick(0.002 * (-1) ** n + 1e-4, 300.0)
        desk.print_at(n % 36, 1.0 + 0.002 * (-1) ** n)
    assert abs(desk.pnl.by_name()["unexplained"]) < 0.01 * desk.pnl.gross_usd


def test_expiry_passes_through_the_books_without_a_hole() -> None:
    desk = Desk()
    row = desk.market.universe.row_of["BTC-4APR25-75000-C"]
    desk.fill(row, 2.0, 0.0, 0.0)
    desk.tick(0.01, 4 * DAY_S)
    assert desk.values.years[row] == 0.0
    coin = 2.0 * float(desk.values.fair_coin[row])
    desk.inventory.size_coin[row] = desk.contracts["making", row] = 0.0
    desk.receive("settlement", coin, ("making", int(desk.values.slot[row])))
    assert desk.pnl.by_name()["settlement"] == pytest.approx(0.0, abs=1e-6)
    assert desk.pnl.equity_usd == pytest.approx(desk.owned_usd(), rel=1e-9)


def test_the_parts_have_the_names_of_the_report_and_of_the_kernel() -> None:
    assert set(kernel.PARTS) <= set(PNL_PARTS)
    assert tuple(PnlBook().by_name()) == PNL_PARTS


def test_a_book_of_coin_alone_gains_nothing_in_coin_and_its_delta_in_dollars() -> None:
    desk = Desk()
    desk.receive("funding", 0.5)
    before = desk.values.index_usd
    desk.tick(0.02)
    assert parts_of(desk) == pytest.approx({"funding": 0.5 * before, "delta": 0.5 * (desk.values.index_usd - before)})
    assert known(desk.pnl.coin_by_name()) == {"funding": 0.5}


def test_a_short_perpetual_over_its_own_coin_is_dollars_and_has_all_its_delta_in_coin() -> None:
    desk = Desk()
    desk.receive("funding", 1.0)
    desk.hedge(-desk.values.index_usd, 0.0, 0.0)
    before = desk.values.index_usd
    desk.tick(0.02)
    assert parts_of(desk) == pytest.approx({"funding": before})
    assert known(desk.pnl.coin_by_name()) == pytest.approx({"funding": 1.0, "delta": math.exp(-0.02) - 1.0})


def known(parts: dict[str, float]) -> dict[str, float]:
    return {name: part for name, part in parts.items() if abs(part) > 1e-12}


def test_a_step_counts_for_the_day_in_which_it_ends() -> None:
    desk = Desk()
    desk.receive("funding", 1.0)
    for _ in range(3):
        desk.tick(0.01, DAY_S)
    funding, delta = PNL_PARTS.index("funding"), PNL_PARTS.index("delta")
    days = desk.pnl.days()
    assert [day.day_ns % 86_400_000_000_000 for day in days] == [0, 0, 0, 0]
    assert [float(day.gains.usd[1, funding] > 0) for day in days] == [1.0, 0.0, 0.0, 0.0]
    assert [float(day.gains.usd[1, delta] > 0) for day in days] == [0.0, 1.0, 1.0, 1.0]


def test_a_dated_future_is_the_hedgers_under_its_own_expiry() -> None:
    desk = Desk()
    slot, usd = 1, 80_000.0
    desk.values.delivery_usd[slot] *= 0.999  # bought cheap: its basis comes back with the next tick
    price, index = float(desk.values.delivery_usd[slot]), desk.values.index_usd
    desk.inventory.future_usd[slot] += usd
    desk._pay(("hedging", slot), 0.0, 1e-4, owed_coin=-usd / price)
    assert desk.pnl.booked("hedge_cost", desk.values, desk.inventory) == pytest.approx(0.0, abs=1e-9)
    desk.tick(0.01, 3_600.0)
    now, later = float(desk.values.delivery_usd[slot]), desk.values.index_usd
    assert parts_of(desk) == pytest.approx(
        {
            "fees": -1e-4 * index,
            "delta": (usd / price - 1e-4) * (later - index),
            "basis": usd * (index / price - later / now),
        }
    )
    (day,) = desk.pnl.days()
    gained = day.gains.coin.sum(axis=1)
    assert np.flatnonzero(gained).tolist() == [cell(("hedging", slot))]
    assert gained.sum() == pytest.approx(usd / price - usd / now - 1e-4, abs=1e-12)
