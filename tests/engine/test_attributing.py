"""Days, strategies and expiries: what each is said to have gained is what its positions are worth by the ledger."""

import numpy as np
import pytest

from flatbook.domain.events import Delivery, FundingRate
from flatbook.engine.attributing import pnl_rows
from flatbook.engine.state import State
from flatbook.report.breakdown import coin_totals, totals
from flatbook.report.tables import NO_EXPIRY, PnlRow, Series
from tests.market.builders import at

from .builders import opened, our_fill, policy, simulated
from .test_booking import hedge

NEAR, FAR = "BTC-4APR25-80000-P", "BTC-25APR25-80000-C"
NEAR_NS = at((3 * 24 + 20) * 3_600)


def worth_by_position(state: State) -> dict[tuple[str, str], float]:
    """What each strategy's positions of one expiry are worth with all that they paid and received, by the ledger."""
    worth: dict[tuple[str, str], float] = {}
    for key, position in state.ledger.positions().items():
        instrument = state.setup.reference.instrument(key.instrument)
        row = state.market.universe.row_of.get(key.instrument)
        size = position.size_lots * instrument.lot_size
        value = -size / state.values.perp_usd if row is None else size * state.values.fair_coin[row]
        coin = (position.realised_units + position.funding_units - position.fees_units - position.cost_units) / 1e8
        named = instrument.contract.expiry_ns
        expiry = NO_EXPIRY if named is None else str(np.datetime64(named, "ns").astype("datetime64[D]"))
        cell = key.strategy, expiry
        worth[cell] = worth.get(cell, 0.0) + coin + (value if position.size_lots else 0.0)
    return worth


def series_of(state: State) -> Series[PnlRow]:
    series = Series(PnlRow)
    for row in pnl_rows(state.pnl, state.market.universe):
        series.append(row)
    return series


def in_step(state: State) -> None:
    """Every cell's parts are its positions' worth, and all cells are the book."""
    assert sum(state.cells.carried_units) == state.ledger.carried_units("BTC")
    assert sum(state.cells.fees_units) == state.ledger.totals("BTC").fees_paid_units
    frame = series_of(state).frame()
    gained = {(row["strategy"], row["expiry"]): 0.0 for row in frame.iter_rows(named=True)}
    for row in frame.iter_rows(named=True):
        gained[row["strategy"], row["expiry"]] += row["coin"]
    worth = worth_by_position(state)
    assert gained == pytest.approx({cell: worth.get(cell, 0.0) for cell in gained}, abs=1e-9)
    assert set(gained) >= {cell for cell, coin in worth.items() if coin}
    coin = coin_totals(frame, state.pnl.by_name(), state.pnl.equity_usd / state.values.index_usd)
    assert coin == pytest.approx({"total": coin["total"], **state.pnl.coin_by_name()}, abs=1e-9)
    assert totals(frame, "usd")["total"] == pytest.approx(state.pnl.equity_usd, abs=1e-6)


def test_each_strategy_and_expiry_is_told_what_its_own_positions_did_through_a_delivery() -> None:
    maker, world = opened()
    state = maker.state
    maker.step(our_fill(state, 1, NEAR, 1, price=0.02, fee_coin="0.0003"))
    maker.step(our_fill(state, 2, FAR, -1, fee_coin="0.0003"))
    hedge(maker, 3, 1, 800, 80_040.0, "0.00005")
    maker.step(FundingRate(exch_ts_ns=at(4), local_ts_ns=at(4), instrument="BTC-PERPETUAL", rate=1e-4, hours=8.0))
    in_step(state)
    world.index_usd = 79_000.0
    maker.step(world.index(3 * 24 * 3_600))
    in_step(state)
    maker.step(world.index((NEAR_NS - at(0)) / 1e9))
    maker.step(
        Delivery(exch_ts_ns=NEAR_NS, local_ts_ns=NEAR_NS, underlying="BTC", expiry_ns=NEAR_NS, price_usd=78_900.0)
    )
    in_step(state)
    frame = series_of(state).frame()
    settled = frame.filter((frame["part"] == "settlement") & (frame["usd"].abs() > 0.01))
    assert settled.select("day", "strategy", "expiry").rows() == [("2025-04-04", "making", "2025-04-04")]
    hedging = frame.filter(frame["strategy"] == "hedging")
    assert {"funding", "hedge_cost", "fees", "delta"} <= set(hedging["part"])
    assert set(hedging["expiry"]) == {NO_EXPIRY}
    spreads = frame.filter(frame["part"] == "spread")
    assert set(spreads.select("day", "expiry").rows()) == {("2025-03-31", "2025-04-04"), ("2025-03-31", "2025-04-25")}


def test_a_simulated_makers_cells_are_its_ledger() -> None:
    _, _, maker = simulated(policy("intermediate"), 0.2)
    state = maker.state
    in_step(state)
    rows = series_of(state).frame()
    assert rows["expiry"].n_unique() > 3
