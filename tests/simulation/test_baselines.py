"""The published models as makers: each goes through an hour of the simulated market."""

import numpy as np
import pytest

from flatbook.decide.policy import BASELINES
from flatbook.decide.quoting import ASK_LOTS, BID_LOTS
from flatbook.risk.loss_stop import Stage
from tests.engine.builders import policy, simulated


@pytest.mark.parametrize("name", BASELINES)
def test_an_hour_of_the_simulated_market(name: str) -> None:
    _, did, maker = simulated(policy(name), 1.0)
    state = maker.state
    assert state.quoting_model is not None
    assert state.quoting_model.dealer.model == name
    assert sum(len(effects.quotes.row) for effects in did if effects.quotes is not None) > 1_000
    assert state.quotes is not None
    two_sided = (state.quotes.grid[BID_LOTS] > 0) & (state.quotes.grid[ASK_LOTS] > 0)
    assert two_sided.mean() > 0.2
    held = state.inventory.size_coin[: state.values.rows]
    assert np.abs(held).sum() > 5
    leaning = state.quotes.bid_inventory_coin - state.quotes.ask_inventory_coin
    assert (leaning[two_sided] != 0).any()
    assert sum(state.pnl.by_name().values()) == pytest.approx(state.pnl.equity_usd, abs=1e-6)
    assert state.risk.stage is Stage.NORMAL
    state.ledger.invariant()
