"""What is held beyond its bounds is a breach, however it came there, and the side that adds to it is pulled."""

import numpy as np
import pytest

from flatbook.app.finish import limit_facts
from flatbook.risk.limits import LimitPolicy
from tests.market.builders import index

from .builders import opened, policy, row_of
from .test_leaning_holdings import CALL, FAR, NEAR, OTHER, acknowledged_tick, fill_at_fair

SHARES: dict[str, object] = {
    "concentration_option": 0.5, "concentration_expiry": 0.8, "concentration_free_usd": 50.0, "soft_share": 1.0,
}  # fmt: skip


def test_what_is_held_is_summed_by_option_by_expiry_and_in_all() -> None:
    maker, _ = opened(policy("primitive", limits=FAR))
    trades = ((CALL, 1, 30), (OTHER, -1, 20), (NEAR, -1, 15))
    for second, (name, side, lots) in enumerate(trades, start=1):
        fill_at_fair(maker, name, side, lots, second)
    maker.step(index(10, 80_400.0))
    state = maker.state
    held, unit = state.held.holdings, state.gate.reservation.units(state.values)
    assert held is not None
    coin = {row_of(state, name): side * lots * 0.1 for name, side, lots in trades}
    vegas = {row: float(unit[2, row]) * size for row, size in coin.items()}
    call, other, near = coin
    assert held.gross_coin == pytest.approx(6.5)
    assert held.gross_vega_usd == pytest.approx(sum(map(abs, vegas.values())))
    assert held.nets[2, state.values.slot[call]] == pytest.approx(vegas[call] + vegas[other])
    limits = LimitPolicy().model_copy(update=SHARES)
    found = {one.name: one for one in held.standings(limits)}
    assert found["position"].value == 3.0
    assert found["concentration_option"].value == pytest.approx(max(map(abs, vegas.values())))
    assert found["concentration_option"].bound == pytest.approx(0.5 * held.gross_vega_usd)
    assert found["expiry_delta"].value == pytest.approx(
        max(abs(float(unit[0, call] * 3.0 + unit[0, other] * -2.0)), abs(float(unit[0, near] * -1.5)))
    )
    for name, axis in (("vanna", 6), ("volga", 7)):
        assert found[name].value == pytest.approx(abs(sum(unit[axis, row] * size for row, size in coin.items())))


def test_an_option_that_comes_to_have_too_large_a_share_is_a_breach_and_what_adds_to_it_is_pulled() -> None:
    made = policy("primitive", limits={**FAR, **SHARES}, hedging={"rule": "none"})
    maker, _ = opened(made)
    state = maker.state
    for second, (name, side) in enumerate(((CALL, 1), (OTHER, -1), (NEAR, -1)), start=1):
        fill_at_fair(maker, name, side, 30, second)
    acknowledged_tick(maker, 20)
    assert state.gate.breaches(state.risk) == []
    before = sum(state.recorder.breached.values())
    # As a delivery would, all but one go at once.
    fill_at_fair(maker, OTHER, 1, 30, 21)
    fill_at_fair(maker, NEAR, 1, 30, 22)
    acknowledged_tick(maker, 40)
    assert {"concentration_option", "concentration_expiry"} == set(state.gate.breaches(state.risk))
    assert state.recorder.breached["concentration_option"] >= 1
    row = row_of(state, CALL)
    assert state.table.grid[1, row] == 0, "no bid for what is held too much of"
    assert state.table.grid[3, row] > 0, "an ask that closes it stands"
    slot = state.values.slot == state.values.slot[row]
    long_vega = np.flatnonzero(slot & (state.table.grid[1, : state.values.rows] > 0))
    assert not long_vega.size, "nor for anything of its expiry"
    facts = {fact.name: fact for fact in limit_facts(state)}
    assert facts["concentration_option"].breaches == state.recorder.breached["concentration_option"]
    assert sum(fact.breaches for fact in facts.values()) == sum(state.recorder.breached.values()) > before
    assert (facts["concentration_option"].least_left or 0.0) < 0.0
    fill_at_fair(maker, CALL, -1, 30, 50)
    assert state.gate.breaches(state.risk) == []
