"""Why a side is absent, and why what rests is not what was decided."""

import numpy as np
import pytest

from flatbook.engine.explaining import QuoteExplained, explain_quote
from flatbook.engine.state import State
from flatbook.risk.loss_stop import Stage
from tests.market.builders import index

from .builders import fall, opened, our_fill, policy, row_of

CALL = "BTC-25APR25-80000-C"


def explained(state: State, name: str = CALL) -> QuoteExplained:
    found = explain_quote(state, row_of(state, name))
    assert found is not None
    return found


def test_a_quote_that_rests_is_told_as_it_rests() -> None:
    maker, _ = opened(policy("advanced"))
    state, found = maker.state, explained(maker.state)
    bid, bid_lots, ask, ask_lots = state.table.grid[:, row_of(state, CALL)].tolist()
    tick = state.setup.reference.instrument(CALL).tick_size
    assert (found.bid.price_coin, found.bid.resting_coin, found.bid.lots) == (bid * tick, bid * tick, bid_lots)
    assert (found.ask.price_coin, found.ask.resting_coin, found.ask.lots) == (ask * tick, ask * tick, ask_lots)
    assert [side.absent for side in (found.bid, found.ask)] == ["", ""]
    assert [side.held_back for side in (found.bid, found.ask)] == ["", ""]
    assert found.decided_ns == state.values.ts_ns


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({"quoting": {"max_days": 10.0}}, "it expires in 25 days, later than 10"),
        ({"quoting": {"min_hours": 1_000.0}}, "hours, sooner than 1000"),
        ({"quoting": {"max_moneyness": 1e-4}}, "standard deviations from the money, 0.0001 is the most"),
        ({"quoting": {"max_surface_error_vol": 1e-9}}, "in vol; 1e-09 is the most"),
        ({"limits": {"position_coin": 0.5}}, "the gate: position"),
        ({"limits": {"vega_usd": 1e-3}}, "the gate: vega"),
        ({"limits": {"order_coin": 0.1}}, "the gate: order size"),
    ],
)
def test_an_absent_side_says_which_bound_it_broke(sections: dict[str, dict[str, object]], why: str) -> None:
    maker, _ = opened(policy("advanced", **sections))
    for side in (explained(maker.state).bid, explained(maker.state).ask):
        assert side.price_coin is side.resting_coin is None
        assert side.absent.endswith(why), side.absent
        assert side.priced.parts


def test_one_side_alone_may_be_refused() -> None:
    maker, _ = opened(policy("advanced", limits={"position_coin": 1.0}))
    maker.step(our_fill(maker.state, 1, CALL, 1, lots=10))
    found = explained(maker.state)
    assert (found.bid.absent, found.ask.absent) == ("the gate: position", "")
    assert found.bid.price_coin is None is not found.ask.price_coin


def test_a_bid_under_a_tick_is_none() -> None:
    maker, _ = opened(policy("advanced", quoting={"max_moneyness": 9.0, "half_spread_coin": 0.002}))
    reasons = {(explained(maker.state, one.name).bid.absent) for one in maker.state.market.universe.instruments}
    assert "it would be worth less than a tick" in reasons


def test_a_stopped_maker_says_so() -> None:
    maker, _ = opened(policy("advanced"))
    fall(maker.state, Stage.HALT)
    maker.step(index(31, 80_000.0))
    assert explained(maker.state).bid.absent == "the loss stop says halt"


def test_a_change_that_is_not_worth_a_message_is_held_back() -> None:
    maker, world = opened(policy("advanced", protection={"burst_messages": 36.0, "messages_per_s": 0.01}))
    world.index_usd *= 1.01
    maker.step(world.index(2))
    found = explained(maker.state)
    assert found.bid.price_coin != found.bid.resting_coin
    assert "not worth a message" in found.bid.held_back


def test_what_was_listed_since_the_last_decision_is_not_explained_yet() -> None:
    maker, _ = opened()
    row = maker.state.market.universe.row("BTC-25APR25-150000-C")
    assert row is not None
    assert explain_quote(maker.state, row) is None
    assert len(np.atleast_1d(maker.state.values.fair_coin)) == row
