import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import DailySettlement, FundingRate, IndexTick
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from tests.market.builders import World, at, chain, index, options, trade

from .builders import SIMULATED_FROM_NS, engine, opened, policy, replayed, simulated

NAN = float("nan")


def test_a_clock_that_runs_backwards_is_refused_with_both_times() -> None:
    maker = engine()
    maker.step(index(60, 80_000.0))
    with pytest.raises(BadInputError) as error:
        maker.step(index(59, 80_000.0))
    assert str(error.value) == (
        "the clock runs backwards: an event at 2025-03-31T12:00:59.000Z follows one at 2025-03-31T12:01:00.000Z; "
        "sort the session by local_ts_ns"
    )
    assert maker.state.events == 1


def test_events_at_one_moment_are_taken_in_the_order_they_come() -> None:
    maker = engine()
    for _ in range(3):
        maker.step(index(60, 80_000.0))
    assert (maker.state.events, maker.state.now_ns) == (3, at(60))


def test_while_it_warms_up_the_engine_learns_and_does_nothing() -> None:
    world, maker = World(), engine(trade_from_ns=at(100))
    for n in range(99):
        event = world.index(n) if n % 9 == 0 else world.trade(n, options("4APR25", 74_000, 88_000)[n % 6])
        assert maker.step(event).is_empty
    assert maker.state.market.surface.is_known(0)
    assert maker.state.trades_seen == 0
    effects = maker.step(world.index(100))
    assert effects.quotes is not None
    assert effects.ts_ns == at(100)


def test_until_it_knows_index_and_chain_the_engine_does_nothing() -> None:
    maker = engine()
    assert maker.step(trade(1, "BTC-4APR25-80000-C", 0.03, 0.03, 0.5)).is_empty
    assert maker.step(index(2, 80_000.0)).quotes is None
    assert maker.step(index(3, 80_000.0)).is_empty


def test_the_first_sight_of_a_chain_is_quoted_whole() -> None:
    maker, _ = opened()
    grid = maker.state.table.grid[:, : maker.state.market.universe.count]
    assert (grid[3] > 0).sum() > 20
    assert maker.state.recorder.messages == ((grid[1] > 0) | (grid[3] > 0)).sum()


def quote_rows(effects: Effects) -> list[int]:
    return [] if effects.quotes is None else effects.quotes.row.tolist()


def test_what_moves_within_its_cutoff_changes_no_quote() -> None:
    maker, _ = opened(policy(quoting={"index_cutoff_bp": 1.0, "refresh_s": 1e6}))
    assert maker.step(index(1, 80_000.0 * (1 + 0.9e-4))).is_empty
    assert maker.step(index(2, 80_000.0 * (1 - 0.9e-4))).is_empty
    assert quote_rows(maker.step(index(3, 80_000.0 * (1 + 20e-4))))
    assert maker.step(index(4, 80_000.0 * (1 + 20.9e-4))).is_empty  # counted from the last quotes


def test_quotes_are_made_anew_when_they_are_as_old_as_the_policy_allows() -> None:
    maker, _ = opened(policy(quoting={"index_cutoff_bp": 1e6, "refresh_s": 30.0}))
    made_ns = maker.state.values.ts_ns
    maker.step(index(30.4, 80_000.0))
    assert maker.state.values.ts_ns == made_ns
    maker.step(index(30.5, 80_000.0))
    assert maker.state.values.ts_ns == at(30.5)


def test_an_index_that_stops_pulls_every_quote() -> None:
    maker, world = opened(policy(quoting={"max_index_age_s": 60.0}))
    last = maker.step(world.trade(61, "BTC-4APR25-80000-C"))
    assert last.quotes is not None
    assert not maker.state.table.grid.any()


@pytest.mark.parametrize(
    "first",
    [
        FundingRate(exch_ts_ns=at(100), local_ts_ns=at(100), instrument="BTC-PERPETUAL", rate=1e-4, hours=8.0),
        DailySettlement(exch_ts_ns=at(100), local_ts_ns=at(100), instrument="BTC-PERPETUAL", price_usd=80_000.0),
    ],
    ids=["funding", "settlement"],
)
def test_trading_may_begin_with_any_event(first: FundingRate | DailySettlement) -> None:
    world, maker = World(), engine(trade_from_ns=at(100))
    maker.step(world.index(0))
    maker.step(chain(1, [world.quote(1, name) for name in options("4APR25")]))
    maker.step(first)
    assert maker.state.pnl.equity_usd == 0.0
    assert all(part == 0.0 for part in maker.state.pnl.by_name().values())
    assert np.isfinite(maker.state.equity_usd())


def test_another_underlyings_index_is_not_ours() -> None:
    maker, _ = opened()
    event = IndexTick(exch_ts_ns=at(1), local_ts_ns=at(1), underlying="ETH", price_usd=2_000.0)
    assert maker.step(event).is_empty
    assert maker.state.market.forwards.index_usd == 80_000.0


def digests(maker: Engine) -> tuple[str, str]:
    return maker.state.sha256(), maker.state.outputs.hexdigest()


@pytest.mark.parametrize("name", ["primitive", "intermediate", "advanced"])
def test_the_same_events_have_the_same_effects_to_the_bit(name: str) -> None:
    heard, did, maker = simulated(policy(name), 0.05)
    again, twin = replayed(policy(name), heard)
    assert digests(twin) == digests(maker)
    assert len(again) == len(did)
    assert all(repr(one) == repr(other) for one, other in zip(again, did, strict=True))


def test_the_digest_tells_runs_apart() -> None:
    heard, _, maker = simulated(policy(), 0.05)
    _, shorter = replayed(policy(), heard[:-1])
    _, wider = replayed(policy(quoting={"half_spread_coin": 0.0004}), heard)
    assert len({digests(run)[0] for run in (maker, shorter, wider)}) == 3
    assert digests(wider)[1] != digests(maker)[1]


def test_a_run_keeps_its_books_and_its_pnl_at_every_step() -> None:
    heard, _, _ = simulated(policy("intermediate", hedging={"band_coin": 0.1, "every_s": 5.0}), 0.1)
    maker = engine(policy("intermediate", hedging={"band_coin": 0.1, "every_s": 5.0}), trade_from_ns=SIMULATED_FROM_NS)
    for event in heard:
        maker.step(event)
        state = maker.state
        if not state.values.rows:
            continue
        assert sum(state.pnl.by_name().values()) == pytest.approx(state.pnl.equity_usd, abs=1e-6)
        assert state.pnl.equity_usd == pytest.approx(state.equity_usd(), abs=1e-6)
    state.ledger.invariant()
    universe, ledger = state.market.universe, state.ledger
    coin = ledger.carried_units("BTC") / 1e8
    for name, lots in ledger.open_lots().items():
        if name == "BTC-PERPETUAL":
            coin -= lots * 10.0 / state.perp_price_usd
        else:
            coin += lots * 0.1 * float(state.values.fair_coin[universe.row_of[name]])
    assert state.pnl.equity_usd == pytest.approx(coin * state.values.index_usd, abs=1e-6)
    assert len(ledger.open_lots()) > 1
    assert abs(state.perp_price_usd / state.values.index_usd - 1) > 1e-6, "a premium was seen"
    assert state.recorder.tables.hedges.frame().height > 0
