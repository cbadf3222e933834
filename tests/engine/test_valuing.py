import numpy as np
import pytest

from flatbook.risk.loss_stop import Stage
from flatbook.valuation.scenarios import ShockGrid, scenario_pnl_usd, worst_loss_usd
from tests.market.builders import World, at, chain, options

from .builders import engine, opened, our_fill, policy

CALL, PUT = "BTC-25APR25-80000-C", "BTC-25APR25-75000-P"


def test_the_books_risk_is_that_of_its_inventory_on_the_chain_now() -> None:
    maker, world = opened()
    maker.step(our_fill(maker.state, 1, CALL, -1, lots=30))
    world.index_usd = 80_500.0
    maker.step(world.index(2))
    state = maker.state
    assert state.values.ts_ns == at(2)
    assert state.values.index_usd == 80_500.0
    measured = state.inventory.measure(state.values)
    np.testing.assert_array_equal(state.book.exposure, measured.exposure)
    gamma, vega = measured.gamma_1pct_usd, measured.vega_usd_per_vol_pt
    assert (state.risk.gamma_1pct_usd, state.risk.vega_usd) == (gamma, vega)
    assert state.risk.delta_coin == pytest.approx(state.book.exposure[0] / 80_500)
    assert gamma < 0 > vega


def test_stress_is_taken_anew_with_whatever_moves_it() -> None:
    maker, world = opened()
    state = maker.state

    def stress() -> float:
        return worst_loss_usd(scenario_pnl_usd(ShockGrid(), state.market.universe, state.values, state.inventory))

    maker.step(our_fill(state, 1, CALL, -1, lots=30))
    assert state.risk.stress_loss_usd == pytest.approx(stress())
    first = state.risk.stress_loss_usd
    assert first > 1_000
    world.index_usd = 80_000.0 * (1 + 9e-4)  # within the cutoff, and within 1 % of the loss
    maker.step(world.index(30))
    assert state.risk.stress_loss_usd == first != pytest.approx(stress(), rel=1e-6)
    assert first == pytest.approx(stress(), rel=0.01)
    world.index_usd = 80_000.0 * (1 + 11e-4)
    maker.step(world.index(31))
    assert state.risk.stress_loss_usd == pytest.approx(stress()) != pytest.approx(first, rel=1e-6)
    maker.step(our_fill(state, 32, PUT, -1, lots=30))
    assert state.risk.stress_loss_usd == pytest.approx(stress()) != pytest.approx(first, rel=0.1)
    world.index_usd = 80_000.0 * (1 + 15e-4)
    maker.step(world.index(93))  # a minute later
    assert state.risk.stress_loss_usd == pytest.approx(stress())


def test_a_chain_that_fills_up_is_quoted_like_one_that_was_there_at_once() -> None:
    """Of few options little flow is believed, and R is steep; it does not stay so for the minutes until R is due."""
    made, dates = policy("advanced"), ("4APR25", "25APR25", "27JUN25", "26SEP25")
    whole, _ = opened(made, *dates)
    world, maker = World(), engine(made)
    maker.step(world.index(0))
    maker.step(chain(0.1, [world.quote(0.1, name) for name in options("25APR25")[:4]]))
    few = np.diag(maker.state.risk_price.curvature)
    maker.step(chain(0.5, [world.quote(0.5, name) for date in dates for name in options(date)]))
    many = np.diag(maker.state.risk_price.curvature)
    assert np.max(few / many) > 2.0
    np.testing.assert_allclose(many, np.diag(whole.state.risk_price.curvature), rtol=0.05)


def test_the_loss_stop_follows_the_marked_equity() -> None:
    maker, world = opened(policy(loss_stop={"widen_usd": 100.0, "reduce_only_usd": 200.0}))
    maker.step(our_fill(maker.state, 1, CALL, -1, lots=30))
    world.index_usd = 81_500.0
    stages = []
    for seconds in (2, 11.9, 12):
        world.index_usd += 20.0
        maker.step(world.index(seconds))
        stages.append(maker.state.risk.stage)
    assert maker.state.pnl.equity_usd < -200.0
    assert stages == [Stage.WIDEN, Stage.WIDEN, Stage.REDUCE_ONLY]


def test_a_policy_that_charges_for_risk_prices_it_at_once_and_then_by_its_clock() -> None:
    maker, world = opened(policy("advanced", risk_price={"refresh_s": 600.0}))
    first = maker.state.risk_price
    assert np.linalg.eigvalsh(first.curvature)[0] > 0
    world.index_usd = 80_100.0
    maker.step(world.index(599))
    assert maker.state.risk_price is first
    maker.step(world.index(632))
    assert maker.state.risk_price is not first


@pytest.mark.parametrize("name", ["primitive", "intermediate"])
def test_other_policies_have_no_price_of_risk(name: str) -> None:
    maker, _ = opened(policy(name))
    assert not maker.state.risk_price.curvature.any()
