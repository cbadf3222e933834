"""Hedges near bounds on what is held and on margin are charged for what they do to those."""

from dataclasses import replace

import numpy as np
import pytest

from flatbook.decide.hedge.listed_options import listed_options
from flatbook.engine import hedge_limits, hedge_scene, hedging
from flatbook.engine.loop import Engine
from flatbook.engine.state import State
from flatbook.venues.margin import editions

from .builders import opened, row_of
from .test_away_hedges import AWAY, VENUE
from .test_leaning_holdings import AXES, CALL, NEAR, OTHER, Axis, fill_at_fair, maker_of, opened_for

HELD = [one for one in AXES if not one.is_margin and one.name != "contracts"]


def holding(axis: Axis, share: float = 0.1, lots: int = 30) -> State:
    maker = opened_for(axis, maker_of(axis, share))
    fill_at_fair(maker, CALL, axis.side, lots, 1)
    return maker.state


@pytest.mark.parametrize("axis", HELD, ids=lambda axis: axis.name)
def test_an_option_that_hedges_is_charged_the_parabola_of_what_it_adds(axis: Axis) -> None:
    state = holding(axis)
    rows = np.array([row_of(state, name) for name in (OTHER, CALL, NEAR)])
    listed, core = listed_options(hedge_scene.scene_of(state), rows), hedge_scene.risk_price(state)
    space = hedge_limits.space_of(state, listed, core)
    assert space.charge is not None
    assert axis.name in space.charge.price.names
    trade, missed = np.array([1.0, -0.6, 0.3]), []
    for size in (0.4, 0.2):
        ours = space.price.charge_usd(space.exposure, size * trade @ space.listed.hedge_set.loading)
        core_usd = core.charge_usd(state.book.exposure, size * trade @ listed.hedge_set.loading)
        exact = core_usd + state.leaning.holdings.package_usd(state, rows, size * trade)[0]
        missed.append(abs(ours - exact))
        assert abs(exact - core_usd) > 1e-3
    assert missed[1] < 1e-9 or 6.0 < missed[0] / missed[1] < 10.0
    np.testing.assert_array_equal(space.listed.hedge_set.buy_usd, listed.hedge_set.buy_usd)


def test_margin_that_a_hedge_asks_for_costs_it_either_way() -> None:
    axis = next(one for one in AXES if one.name == "margin_use")
    state = holding(axis, 0.1, 120)
    core = hedge_scene.risk_price(state)
    listed = hedging._zone(state, core, core.gradient(state.book.exposure))
    space = hedge_limits.space_of(state, listed, core)
    (purse,) = (one for one in state.leaning.holdings.felt if one.name == "margin_use")
    limit = state.margin_limit
    assert limit is not None
    assert limit.held is not None
    rate = float(limit.held.state(0).marginal(state.values.rows, 1.0).initial) / state.values.index_usd
    more = space.listed.hedge_set.buy_usd - listed.hedge_set.buy_usd
    assert more[0] == pytest.approx(float(purse.barrier.slopes_usd(purse.value)[0]) * rate, rel=1e-6)
    assert more[0] > 0.0
    whole = hedging._plan(holding(Axis("none", {}, -1), 0.1, 120), core, listed, 1.0)
    less = hedging._plan(state, core, listed, 1.0)
    assert 0.0 < less.size[0] < whole.size[0], "it leaves more delta open where margin is dear"


def test_what_another_venue_margins_asks_for_none_here() -> None:
    setup = replace(opened(maker_of(AXES[7]))[0].state.setup, away=VENUE, margin=editions("deribit_sm")[-1].model)
    state = Engine(setup).state
    limit = state.margin_limit
    assert limit is not None
    assert limit.place(state, AWAY.name) is None
    assert limit.place(state, "BTC-PERPETUAL") == state.values.rows


def test_far_from_every_bound_hedges_are_decided_in_factors_alone() -> None:
    state = holding(Axis("none", {}), 0.5, 5)
    core = hedge_scene.risk_price(state)
    listed = hedging._zone(state, core, core.gradient(state.book.exposure))
    space = hedge_limits.space_of(state, listed, core)
    assert space.listed is listed
    assert space.price is core
