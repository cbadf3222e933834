"""Coming near a hard bound is charged, in quotes and hedges, before the gate refuses."""

import numpy as np
import pytest

from flatbook.decide.hedge.best import best_hedge
from flatbook.decide.quote_parts import FACTOR_NAMES, INVENTORY, price_parts
from flatbook.decide.quoting import edge_usd as edge_usd_of
from flatbook.engine import hedge_scene, hedging, leaning
from flatbook.engine.loop import Engine
from flatbook.engine.policy import Policy
from flatbook.kernels.fill_units import LINEAR
from tests.market.builders import index

from .builders import opened, our_fill, policy

CALL = "BTC-25APR25-80000-C"
NEAR: dict[str, float] = {
    "delta_coin": 4.5, "gamma_1pct_usd": 60_000.0, "vega_usd": 400.0, "vega_tenor_usd": 300.0, "vanna_usd": 2.0,
    "volga_usd": 0.05, "stress_loss_usd": 60_000.0,
}  # fmt: skip


def maker_of(limits: dict[str, float], share: float = 0.3, rule: str = "none") -> Policy:
    return policy(
        "advanced",
        limits={**limits, "soft_share": share},
        hedging={"rule": rule, "every_s": 0.0},
        protection={"mmp_at_venue": True, "mmp_quantity_coin": 1.0},
    )


def long_calls(made: Policy) -> Engine:
    maker, world = opened(made)
    maker.step(our_fill(maker.state, 1, CALL, 1, lots=40))
    maker.step(index(2, world.index_usd * 1.001))
    return maker


def test_axes_in_factors_are_the_books_own() -> None:
    state = long_calls(maker_of(NEAR)).state
    charge = state.leaning.charge
    assert charge is not None
    ours = charge.direction @ state.book.exposure
    np.testing.assert_allclose(ours[:6], charge.value[:6], rtol=1e-9, atol=1e-9)
    # Between tenors vanna and volga lie on a line, near the money on a small difference.
    np.testing.assert_allclose(ours[6:8], charge.value[6:8], rtol=0.5, atol=0.05 * abs(charge.value[2]) / 100)
    np.testing.assert_array_equal(charge.value[8:], -state.stress.pnl_usd)
    units = state.gate.reservation.units(state.values)
    held = state.inventory.size_coin[: state.values.rows]
    np.testing.assert_allclose(units[1:8] @ held, charge.value[1:8], rtol=1e-9, atol=1e-9)


def test_below_the_soft_bounds_nothing_changes() -> None:
    far, off = (long_calls(maker_of({}, share)).state for share in (0.5, 1.0))
    assert far.leaning.price is not None
    assert far.leaning.charge is None is off.leaning.price
    np.testing.assert_array_equal(far.table.grid, off.table.grid)


def test_parts_name_each_bound_and_sum_to_the_quote() -> None:
    state = long_calls(maker_of(NEAR)).state
    quotes, made, columns = state.quotes, state.setup.policy, state.market.universe.ladders().columns
    assert quotes is not None
    charge, size = quotes.inputs.limits, made.quoting.size_coin
    assert charge is not None
    beside = {f"limit_{name}": coin * state.values.index_usd for name, coin in quotes.inputs.limits_coin.items()}
    assert set(beside) == {"limit_vanna", "limit_volga", "limit_stress_loss"}
    leaning_away = 0
    for row in np.flatnonzero(quotes.quoted).tolist():
        sides = price_parts(made.quoting, made.flow, state.values, columns, quotes, row)
        loading = state.values.loading[row]
        for at, (direction, side) in enumerate(zip((1.0, -1.0), sides, strict=True)):
            inventory = {part.name: part.coin for part in side.parts if part.group == INVENTORY}
            assert sum(part.coin for part in side.parts if part.group != "clamp") == pytest.approx(
                side.exact_coin, abs=1e-14
            )
            core = state.risk_price.charge_usd(state.book.exposure, direction * size * loading) / size
            whole = charge.in_factors(state.risk_price)
            charged = whole.charge_usd(state.book.exposure, direction * size * loading) / size
            ours = -direction * state.values.index_usd * np.array(list(inventory.values()))
            by = dict(zip(inventory, ours.tolist(), strict=True))
            assert sum(by[name] for name in (*FACTOR_NAMES, "own_width")) == pytest.approx(core, abs=1e-8)
            limits = sum(usd for name, usd in by.items() if name.startswith("limit_") and name not in beside)
            assert limits == pytest.approx(charged - core, abs=1e-8)
            assert {name: by[name] for name in beside} == pytest.approx(
                {name: float(usd[at, row]) for name, usd in beside.items()}
            )
            leaning_away += direction > 0 and by["limit_vega"] > 0.0
    assert leaning_away == quotes.quoted.sum(), "long vega: every bid is lower for it"


def test_a_hedge_back_from_a_bound_is_the_best_of_all_sizes() -> None:
    state = long_calls(maker_of({"delta_coin": 3.0}, 0.1)).state
    hedge_maker = opened(maker_of({"delta_coin": 3.0}, 0.1, "price_of_risk"))[0]
    charge, core = state.leaning.charge, hedge_scene.risk_price(state)
    assert charge is not None
    assert hedge_maker.state.leaning.charge is None
    listed = hedging._zone(state, core, core.gradient(state.book.exposure))
    plan = hedging._plan(state, core, listed, 1.0)
    offered = listed.hedge_set

    def objective(usd: float) -> float:
        trade = usd * offered.loading[0]
        there = charge.at(state.book.exposure + trade)
        barrier = float(there.price.costs_usd(there.value).sum())
        return barrier + core.charge_usd(state.book.exposure, trade) + offered.cost_usd(np.array([usd]))

    lot = float(offered.lot[0])
    sizes = np.arange(-40_000, 40_001) * lot
    best = sizes[np.argmin([objective(usd) for usd in sizes[::50]]) * 50]
    fine = best + np.arange(-60, 61) * lot
    assert plan.size[0] == pytest.approx(fine[np.argmin([objective(usd) for usd in fine])], abs=2 * lot)
    alone = best_hedge(state.book.exposure, core, offered)
    assert plan.size[0] < alone.size[0] <= 0.0, "it sells more than risk alone asks for"


def drifted(soft: float) -> tuple[float, float]:
    """After takers sold to us alone, the less the lower we bid: the share of bids that the gate refused, and vega."""
    limits = {"vega_usd": 1_200.0, "stress_loss_usd": 1e8, "delta_coin": 500.0, "gamma_1pct_usd": 3e6}
    made = policy(
        "advanced",
        limits={**limits, "soft_share": soft},
        hedging={"rule": "none"},
        protection={"mmp_at_venue": True, "mmp_quantity_coin": 1.5, "mmp_window_s": 0.5},
        risk_price={"risk_aversion_per_usd": 1e-7},
        quoting={"model_error_weight": 0.0, "fee_share": 0.0, "hedge_cost_share": 0.0, "adverse_selection_vol": 0.0},
    )
    maker, world = opened(made)
    state, rng, refused, wanted = maker.state, np.random.default_rng(5), 0, 0
    for second in range(1, 300):
        quotes = state.quotes
        assert quotes is not None
        wants = quotes.grid[1] > 0
        wanted, refused = wanted + int(wants.sum()), refused + int((wants & (state.passed[1] == 0)).sum())
        row = int(rng.choice(np.flatnonzero(wants)))
        edge_usd = float(edge_usd_of(made.flow, state.values)[row])
        below_coin = quotes.fair_coin[row] - quotes.grid[0, row] * state.market.universe.tick[row]
        if rng.random() < np.exp(-below_coin * state.values.index_usd / edge_usd) and state.table.grid[1, row]:
            maker.step(our_fill(state, second, state.market.universe.instruments[row].name, 1, lots=10))
        maker.step(index(second + 0.5, world.index_usd * (1 + 2e-4 * (second % 2))))
    return refused / wanted, state.risk.vega_usd


def test_quotes_lean_away_before_the_gate_refuses() -> None:
    (hard, most), (soft, less) = drifted(1.0), drifted(0.5)
    assert hard > 0.05
    assert soft < 0.5 * hard
    assert 0.5 * most < less < most


def test_every_axis_of_the_gate_that_is_a_risk_has_a_soft_bound() -> None:
    state = long_calls(maker_of({})).state
    assert state.leaning.price is not None
    assert dict.fromkeys(state.leaning.price.names) == dict.fromkeys((*LINEAR[:8], "stress_loss"))
    assert (state.leaning.price.marginal_usd > 0.0).sum() == len(state.leaning.price.names) - 1, "no move, no loss"
    assert leaning.of_factors(state) is None
