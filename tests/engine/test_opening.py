"""What a run begins with: when it is booked, at what price, and what becomes of contracts over the counter."""

import pytest

from flatbook.domain.errors import UnpricedError
from flatbook.engine.loop import Engine
from flatbook.engine.setup import Setup
from flatbook.valuation.contracts import Cell
from flatbook.valuation.otc import parse_otc
from flatbook.valuation.portfolio import BookPosition, Portfolio
from tests.market.builders import REFERENCE, START_NS, World, at, chain, index, options, top

from .builders import policy

KNOCK: dict[str, Cell] = {
    "style": "barrier", "right": "call", "strike": 80_000, "barrier": 76_000, "barrier_kind": "down_out", "rebate": 500,
    "underlying": "BTC", "expiry": "25APR25",
}  # fmt: skip
TERMS, UNTOUCHED = parse_otc("knock-1", KNOCK)
REFERENCE.register(TERMS.instrument)


def listed(name: str, size: float, price: float = float("nan")) -> BookPosition:
    return BookPosition(REFERENCE.instrument(name), size, price, source="book.csv:2")


def begun(*positions: BookPosition) -> Engine:
    return Engine(
        Setup(
            underlying="BTC",
            venue="sim",
            reference=REFERENCE,
            policy=policy(),
            trade_from_ns=START_NS,
            capital_units=100 * 10**8,
            book=Portfolio(positions),
        )
    )


def shown(engine: Engine, world: World, seconds: float) -> None:
    """The index and whole chains of two expiries."""
    engine.step(world.index(seconds))
    names = [name for date in ("4APR25", "25APR25") for name in options(date)]
    engine.step(chain(seconds + 0.5, [world.quote(seconds + 0.5, name) for name in names]))


def test_it_waits_for_a_smile_and_quotes_nothing_until_then() -> None:
    engine, world = begun(listed("BTC-25APR25-80000-C", 2.0, 0.05), listed("BTC-PERPETUAL", 1_000.0)), World()
    engine.step(world.index(0))
    rows = [world.quote(0.5, name) for name in options("4APR25")]
    assert engine.step(chain(0.5, rows)).is_empty
    assert not engine.state.is_opened
    shown(engine, world, 1.0)
    state = engine.state
    assert state.is_opened
    assert state.ledger.net_lots("BTC-25APR25-80000-C") == 20
    row = state.market.universe.row_of["BTC-25APR25-80000-C"]
    assert state.inventory.size_coin[row] == 2.0
    assert state.inventory.perp_usd == 1_000.0
    fair = float(state.values.fair_coin[row])
    assert state.pnl.by_name()["spread"] == pytest.approx(2.0 * (fair - 0.05) * 80_000.0, rel=1e-6)
    assert state.pnl.equity_usd == pytest.approx(state.equity_usd())


def test_what_is_never_priced_ends_the_run_with_its_name() -> None:
    engine, world = begun(listed("BTC-27JUN25-80000-C", 2.0)), World()
    shown(engine, world, 0.0)
    shown(engine, world, 3_000.0)
    with pytest.raises(UnpricedError, match=r"book\.csv:2: BTC-27JUN25-80000-C: the market has no smile"):
        shown(engine, world, 3_700.0)


def test_contracts_over_the_counter_move_the_book_and_end_in_the_ledger() -> None:
    engine = begun(BookPosition(TERMS.instrument, 4.0, otc=TERMS, path=UNTOUCHED))
    world = World()
    shown(engine, world, 0.0)
    state = engine.state
    assert state.otc is not None
    bought = state.otc.value_usd
    assert state.ledger.carried_units("BTC") == pytest.approx(-bought / 80_000.0 * 1e8, abs=500.0)
    assert state.pnl.equity_usd == pytest.approx(0.0, abs=1.0)  # booked at its worth, on the tick
    assert state.book.exposure[0] == pytest.approx(state.otc.add_to(state.inventory.measure(state.values)).exposure[0])
    engine.step(index(10, 80_800.0))
    assert state.pnl.by_name()["delta"] > 0.0
    engine.step(index(20, 75_900.0))
    assert len(state.otc) == 1, "a jump that nothing else shows"
    engine.step(top(20, 75_899.5, 75_900.5))
    assert len(state.otc) == 0
    paid = state.ledger.totals("BTC").delivery_units
    assert paid == int(4.0 * 500.0 / 75_900.0 * 1e8)
    assert state.pnl.equity_usd == pytest.approx(state.equity_usd())
    assert sum(state.pnl.by_name().values()) == pytest.approx(state.pnl.equity_usd, abs=1e-6)
    assert state.pnl.equity_usd == pytest.approx(2_000.0 - bought * 75_900.0 / 80_000.0, rel=1e-3)
    assert state.now_ns == at(20)
