import math

import numpy as np
import pytest

from flatbook.domain.events import ChainQuotes, Clock, QuoteRow
from flatbook.domain.instruments import format_expiry
from flatbook.domain.intents import OrderIntent, Purpose, TimeInForce
from flatbook.domain.units import NS_PER_DAY, parse_utc
from flatbook.engine.state import State
from flatbook.market.universe import FIRST_ROWS
from tests.market.builders import at, chain, top, trade

from .builders import opened, our_fill, policy

CALL = "BTC-25APR25-80000-C"
NAN = float("nan")


def test_a_print_that_moves_its_smile_beyond_the_cutoff_requotes_the_chain() -> None:
    cutoff = 0.0005
    maker, world = opened(policy(quoting={"price_cutoff_coin": cutoff, "refresh_s": 1e6}))
    width = math.sqrt(world.years(CALL, 1))
    valued_ns, seconds = maker.state.values.ts_ns, 1.0
    level = maker.state.values.level[1]
    vol = world.vol_at(CALL, 1)
    while maker.state.values.ts_ns == valued_ns:
        seconds += 60.0
        vol *= 1.002
        maker.step(world.trade(seconds, CALL, vol=vol))
        moved = abs(maker.state.market.surface.vol(1, 0.0) - level) * width / math.sqrt(2 * math.pi)
        assert (moved > cutoff) == (maker.state.values.ts_ns != valued_ns)
    assert seconds > 100
    assert maker.state.values.ts_ns == at(seconds)


def test_a_print_of_an_expiry_never_valued_requotes() -> None:
    maker, world = opened(policy(quoting={"refresh_s": 1e6}))
    maker.step(world.trade(1, "BTC-27JUN25-80000-C"))
    assert maker.state.values.ts_ns == at(1)


@pytest.mark.parametrize("name", ["ETH-25APR25-2000-C", "BTC_USDC-25APR25-80000-C"])
def test_prints_of_other_markets_change_nothing(name: str) -> None:
    maker, _ = opened()
    before = maker.state.table.grid.copy()
    assert maker.step(trade(1, name, 0.05, 0.05, 0.6)).is_empty
    np.testing.assert_array_equal(maker.state.table.grid, before)
    assert maker.state.trades_seen == 0


def test_a_chain_of_another_underlying_is_not_ours() -> None:
    maker, _ = opened()
    rows = (QuoteRow("ETH-25APR25-2000-C", 0.05, 0.06, 0.6, 0.62, NAN, NAN),)
    assert maker.step(ChainQuotes(exch_ts_ns=at(1), local_ts_ns=at(1), underlying="ETH", rows=rows)).is_empty
    assert all(name.startswith("BTC") for name in maker.state.market.universe.row_of)


@pytest.mark.parametrize(("quoting_s", "limit_s"), [(5.0, 600.0), (600.0, 5.0)])
def test_where_nothing_is_heard_quotes_go_as_the_index_becomes_too_old(quoting_s: float, limit_s: float) -> None:
    quoting = {"refresh_s": 1e6, "max_index_age_s": quoting_s}
    maker, world = opened(policy(quoting=dict[str, object](quoting), limits={"max_index_age_s": limit_s}))
    quoted = maker.state.table.grid.copy()

    def quiet(seconds: float) -> bool:
        return maker.step(Clock(exch_ts_ns=at(seconds), local_ts_ns=at(seconds))).is_empty

    assert quiet(4.9)
    np.testing.assert_array_equal(maker.state.table.grid, quoted)
    assert maker.state.now_ns == at(4.9)
    assert not quiet(5.1)
    assert not maker.state.table.grid[[1, 3]].any()
    assert quiet(6.1)
    maker.step(world.index(7))
    maker.step(chain(7.1, [world.quote(7.1, CALL)]))
    assert maker.state.table.grid[[1, 3]].any()


def test_tables_grow_with_the_chain_and_keep_what_they_hold() -> None:
    maker, world = opened()
    maker.step(our_fill(maker.state, 1, CALL, 1))
    row = maker.state.market.universe.row_of[CALL]
    rested = maker.state.table.grid[:, row].copy()
    first = parse_utc("2025-05-01T08:00")
    dates = [format_expiry(first + n * NS_PER_DAY) for n in range(40)]
    names = [
        f"BTC-{date}-{strike}-{right}" for date in dates for strike in range(60_000, 100_000, 2_500) for right in "CP"
    ]
    maker.step(chain(2, [world.quote(2, name) for name in names]))
    state = maker.state
    assert state.market.universe.count > FIRST_ROWS
    assert len(state.inventory.size_coin) == state.table.grid.shape[1] == state.market.universe.capacity
    assert state.inventory.size_coin[row] == 1.0
    np.testing.assert_array_equal(state.table.grid[:, row], rested)
    assert state.pnl.equity_usd == pytest.approx(state.equity_usd(), abs=1e-7)
    assert (state.table.grid[3, FIRST_ROWS:] > 0).any()


def test_a_premium_that_moves_beyond_the_indexs_cutoff_revalues_the_book_and_a_smaller_one_does_not() -> None:
    maker, world = opened(policy(quoting={"index_cutoff_bp": 2.0, "refresh_s": 1e6}))
    state = maker.state
    assert state.perp_price_usd == state.values.index_usd, "never seen: the index"
    first = state.values.ts_ns
    maker.step(world.index(1))
    maker.step(top(1, 80_011.5, 80_012.5))
    assert state.values.ts_ns == first
    maker.step(world.index(2))
    for _ in range(3):
        maker.step(top(2, 80_031.5, 80_032.5))
    assert state.values.ts_ns == at(2)
    assert state.perp_price_usd == pytest.approx(80_032, rel=5e-5)
    assert maker.step(top(3, 80_000.0, 80_001.0, "ETH-PERPETUAL")).is_empty
    assert state.values.ts_ns == at(2)


def test_the_perpetual_is_worth_its_mark_and_what_the_premium_does_is_basis() -> None:
    maker, world = opened(policy(quoting={"refresh_s": 1e6}))
    state = maker.state
    maker.step(our_fill(state, 1, "BTC-PERPETUAL", 1, lots=80_000, order_id=sent(state)))
    maker.step(world.index(2))
    maker.step(top(2, 80_079.5, 80_080.5))
    parts = state.pnl.by_name()
    assert parts["basis"] == pytest.approx(800_000 * (1 - 80_000 / state.perp_price_usd))
    assert parts["basis"] == pytest.approx(800, rel=1e-2)
    assert state.pnl.equity_usd == pytest.approx(state.equity_usd(), abs=1e-6)
    assert sum(parts.values()) == pytest.approx(state.pnl.equity_usd, abs=1e-6)


def sent(state: State) -> str:
    """The id of a hedge that works."""
    intent = OrderIntent(
        instrument="BTC-PERPETUAL", side=1, limit_ticks=160_400, size_lots=80_000,
        time_in_force=TimeInForce.IOC, purpose=Purpose.HEDGE, reason="test",
    )  # fmt: skip
    return state.orders.send(intent, state.now_ns).order_id
