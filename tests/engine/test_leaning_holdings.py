"""Every bound that is not of the factors is charged as the book comes near it, before the gate refuses."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.decide.quote_parts import INVENTORY, price_parts
from flatbook.domain.events import QuotesAcknowledged
from flatbook.engine.loop import Engine
from flatbook.engine.policy import Policy
from flatbook.engine.state import State
from flatbook.venues.margin import editions
from tests.market.builders import at, index

from .builders import opened, our_fill, policy, row_of

Floats = NDArray[np.float64]

CALL, OTHER, NEAR = "BTC-25APR25-80000-C", "BTC-25APR25-90000-C", "BTC-4APR25-80000-C"
FAR: dict[str, object] = {
    "delta_coin": 500.0, "gamma_1pct_usd": 3e7, "vega_usd": 1e6, "vega_tenor_usd": 1e6, "vanna_usd": 1e6,
    "volga_usd": 1e6, "stress_loss_usd": 1e9, "position_coin": 1e4, "expiry_delta_coin": 1e4,
    "expiry_gamma_1pct_usd": 1e8, "expiry_vega_usd": 1e6, "gross_coin": 1e5,
}  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """A bound, the part of a quote that it adds, and the contract and side that bring the book nearer."""

    name: str
    limits: dict[str, object]
    side: int = 1
    is_margin: bool = False


AXES = [
    Axis("position", {"position_coin": 14.0}),
    Axis("contracts", {"gross_coin": 20.0}),
    Axis("expiry_delta", {"expiry_delta_coin": 7.0}),
    Axis("expiry_gamma", {"expiry_gamma_1pct_usd": 30_000.0}),
    Axis("expiry_vega", {"expiry_vega_usd": 1_000.0}),
    Axis("concentration_option", {"concentration_option": 0.25, "concentration_free_usd": 4_000.0}),
    Axis("concentration_expiry", {"concentration_expiry": 0.25, "concentration_free_usd": 4_000.0}),
    Axis("margin_use", {"margin_use": 0.05}, -1, True),
    Axis("capital_making", {"capital_usd": {"making": 400_000.0}}, -1, True),
    Axis("capital_sim", {"capital_usd": {"sim": 450_000.0}}, -1, True),
]


def maker_of(axis: Axis, share: float = 0.3, **sections: dict[str, object]) -> Policy:
    return policy(
        "advanced",
        limits={**FAR, **axis.limits, "soft_share": share},
        hedging={"rule": "none"},
        protection={"mmp_at_venue": True, "mmp_quantity_coin": 1.0, "mmp_window_s": 0.2, "mmp_rest_s": 0.1},
        loss_stop=dict.fromkeys(("widen_usd", "reduce_only_usd", "flat_usd", "halt_usd"), 1e9),
        **sections,
    )


def opened_for(axis: Axis, made: Policy) -> Engine:
    return opened(made, margin=editions("deribit_sm")[-1].model if axis.is_margin else None)[0]


def fill_at_fair(maker: Engine, name: str, side: int, lots: int, seconds: float) -> None:
    """At about what it is worth, so that nothing is lost by it; and a tick after protection has let go."""
    state = maker.state
    row = row_of(state, name)
    tick = float(state.market.universe.tick[row])
    price = round(float(state.values.fair_coin[row]) / tick) * tick
    maker.step(our_fill(state, seconds, name, side, lots=lots, price=price))
    acknowledged_tick(maker, seconds + 0.5)


def acknowledged_tick(maker: Engine, seconds: float) -> None:
    """The venue has taken all it was told, and the index has moved by what is worth a requote."""
    sent, ns = maker.state.table.sent, at(seconds)
    maker.step(QuotesAcknowledged(exch_ts_ns=ns, local_ts_ns=ns, number=sent))
    maker.step(index(seconds, 80_000.0 * (1 + 2e-4 * (int(seconds) % 2))))


def charges(state: State, name: str) -> Floats:
    """(2, rows) USD a contract of one axis, bought and sold."""
    assert state.quotes is not None
    none = np.zeros((2, state.values.rows))
    return np.asarray(state.quotes.inputs.limits_coin.get(name, none) * state.values.index_usd)


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_the_charge_of_coming_nearer_rises_to_the_bound_and_the_gate_refuses_only_then(axis: Axis) -> None:
    maker = opened_for(axis, maker_of(axis))
    state, row, charged, refused = maker.state, row_of(maker.state, CALL), [], []
    nearer, back = (0, 1) if axis.side > 0 else (1, 0)
    for second in range(1, 40):
        fill_at_fair(maker, CALL, axis.side, 15 if axis.is_margin else 5, second)
        assert state.quotes is not None
        one = charges(state, axis.name)
        charged.append(one[nearer, row])
        assert one[nearer, row] + one[back, row] >= -1e-9, "no round trip is paid for"
        wanted, passed = state.quotes.grid[1 + 2 * nearer, row], state.passed[1 + 2 * nearer, row]
        refused.append(bool(wanted > 0 and passed < wanted))
        if refused[-1]:
            break
    assert refused[-1], "the bound was met"
    np.testing.assert_array_less(-1e-6, np.diff(charged))
    assert charged[0] == 0.0, "far from it nothing is charged"
    limits, flow = state.setup.policy.limits, state.setup.policy.flow
    edge_usd = flow.edge_vol * float(state.values.greeks[3, row])
    assert charged[-1] > 0.5 * edge_usd, "by then the flow that leads there has fallen"
    assert charged[-1] < 3.0 * limits.soft_edges * edge_usd + 100.0
    steps = np.diff(charged)
    assert steps.max() < 0.6 * charged[-1], "it rises by and by"


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_it_has_a_part_of_its_own_and_the_parts_sum_to_the_quote(axis: Axis) -> None:
    maker = opened_for(axis, maker_of(axis, 0.1))
    fill_at_fair(maker, CALL, axis.side, 35, 1)
    fill_at_fair(maker, NEAR, axis.side, 5, 2)
    state = maker.state
    quotes, made, columns = state.quotes, state.setup.policy, state.market.universe.ladders().columns
    assert quotes is not None
    one, found = charges(state, axis.name), 0
    for row in np.flatnonzero(quotes.quoted).tolist():
        sides = price_parts(made.quoting, made.flow, state.values, columns, quotes, row)
        for way, (direction, side) in enumerate(zip((1.0, -1.0), sides, strict=True)):
            parts = {part.name: part.coin for part in side.parts if part.group == INVENTORY}
            whole = sum(part.coin for part in side.parts if part.group != "clamp")
            assert whole == pytest.approx(side.exact_coin, abs=1e-14)
            mine = -direction * parts[f"limit_{axis.name}"] * state.values.index_usd
            assert mine == pytest.approx(one[way, row], abs=1e-9)
            found += one[way, row] != 0.0
    assert found > 0


def test_a_row_is_charged_for_the_axis_that_it_moves_and_for_no_other() -> None:
    position, expiry = AXES[0], AXES[4]
    for axis, shares in ((position, [True, False, False]), (expiry, [True, True, False])):
        maker = opened_for(axis, maker_of(axis))
        fill_at_fair(maker, CALL, 1, 60, 1)
        one = charges(maker.state, axis.name)
        assert [bool(one[0, row_of(maker.state, name)]) for name in (CALL, OTHER, NEAR)] == shares
        assert one[1, row_of(maker.state, CALL)] < 0.0, "what leads back is paid for"


def test_a_charge_is_what_the_trade_adds_to_the_barrier_exactly_for_rows_and_for_packages() -> None:
    every = {name: value for one in AXES for name, value in one.limits.items()}
    axis = Axis("all", {**every, "capital_usd": {"making": 400_000.0, "sim": 450_000.0}}, -1, True)
    maker = opened_for(axis, maker_of(axis, 0.1))
    fill_at_fair(maker, CALL, -1, 30, 1)
    state = maker.state
    holdings, size = state.leaning.holdings, state.setup.policy.quoting.size_coin
    assert {one.name for one in holdings.axes(state)} == {one.name for one in AXES}
    rows = np.flatnonzero(np.isfinite(state.values.fair_coin))
    for row in rows[::5].tolist():
        charged = size * np.sum([one.charges_usd(size)[:, row] for one in holdings.axes(state)], axis=0)
        alone = holdings.package_usd(state, np.array([row]), np.array([size]))
        assert alone == pytest.approx(tuple(charged.tolist()), rel=1e-9, abs=1e-9)
    call, other = row_of(state, CALL), row_of(state, OTHER)
    spread, outright = (
        holdings.package_usd(state, np.array(legs), np.array(coin))[0]
        for legs, coin in (([call, other], [-2.0, 2.0]), ([call], [-2.0]))
    )
    assert 0.0 < spread < outright, "a spread asks for less than its short leg"


def drifted(axis: Axis, share: float) -> float:
    """The share of sides that lead to the bound that the gate kept back, takers coming the less the worse we quote."""
    made = maker_of(
        axis,
        share,
        risk_price={"risk_aversion_per_usd": 1e-7},
        quoting={"model_error_weight": 0.0, "fee_share": 0.0, "hedge_cost_share": 0.0, "adverse_selection_vol": 0.0},
    )
    maker = opened_for(axis, made)
    state, rng, refused, wanted = maker.state, np.random.default_rng(5), 0, 0
    place, lots = 0 if axis.side > 0 else 2, 20 if axis.is_margin else 5
    for second in range(1, 200):
        quotes = state.quotes
        assert quotes is not None
        slot = state.values.slot == state.values.slot[row_of(state, CALL)]
        wants = (quotes.grid[place + 1] > 0) & slot
        wanted, refused = wanted + int(wants.sum()), refused + int((wants & (state.passed[place + 1] == 0)).sum())
        row = int(rng.choice(np.flatnonzero(wants)))
        row = row_of(state, CALL) if axis.name in ("position", "concentration_option") else row
        edge_usd = float(np.hypot(made.flow.edge_coin * 8e4, made.flow.edge_vol * state.values.greeks[3, row]))
        away = axis.side * (quotes.fair_coin[row] - quotes.grid[place, row] * state.market.universe.tick[row])
        if rng.random() < np.exp(-away * state.values.index_usd / edge_usd) and state.table.grid[place + 1, row]:
            maker.step(our_fill(state, second, state.market.universe.instruments[row].name, axis.side, lots=lots))
        acknowledged_tick(maker, second + 0.5)
    return refused / wanted


@pytest.mark.parametrize("axis", [AXES[0], AXES[1], AXES[4], AXES[6], AXES[7]], ids=lambda axis: axis.name)
def test_quotes_lean_away_before_the_gate_refuses(axis: Axis) -> None:
    hard, soft = drifted(axis, 1.0), drifted(axis, 0.5)
    assert hard > 0.0
    assert soft < 0.6 * hard
