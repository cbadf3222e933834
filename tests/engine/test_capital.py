"""Margin that a fill ties up as a cost of quotes."""

import numpy as np
import pytest

from flatbook.decide.policy import RiskPricePolicy
from flatbook.engine.loop import Engine
from flatbook.engine.setup import Setup
from flatbook.engine.state import State
from flatbook.kernels.black import black
from flatbook.risk.margin.requirement import capital_cost_usd
from flatbook.venues.margin import MODELS, editions
from tests.market.builders import REFERENCE, START_NS, World, chain, index, options

from .builders import our_fill, policy, row_of

RATE, HOURS = 0.2, 48.0
PUT = "BTC-25APR25-80000-P"


def charged(model: str, rate: float = RATE) -> tuple[Engine, World]:
    """An engine that has quoted two expiries, and pays for margin."""
    made = policy("primitive", risk_price={"capital_rate_per_year": rate, "horizon_hours": HOURS})
    world = World()
    setup = Setup("BTC", "sim", REFERENCE, made, START_NS, 100 * 10**8, margin=editions(model)[-1].model)
    maker = Engine(setup)
    maker.step(world.index(0))
    names = [name for date in ("4APR25", "25APR25") for name in options(date)]
    maker.step(chain(0.5, [world.quote(0.5, name) for name in names]))
    return maker, world


def sides(state: State, row: int) -> tuple[float, float]:
    assert state.quotes is not None
    return float(state.quotes.bid_takers_coin[row]), float(state.quotes.ask_takers_coin[row])


def cost_coin(margin_usd: float, state: State) -> float:
    return float(capital_cost_usd(np.array(margin_usd), RATE, HOURS)) / state.values.index_usd


def short_put_usd(state: State, row: int) -> float:
    """Deribit's standard formula, written out."""
    values, strike = state.values, float(state.market.universe.strike_usd[row])
    years, vol = float(values.years[row]), float(values.vol[row])
    mark = black(float(values.forward_usd[row]), strike, vol, years, -1.0).price / values.forward_usd[row]
    otm = max(values.index_usd - strike, 0.0) / values.index_usd
    return float(values.index_usd * (max(0.15 - otm, 0.10) + mark))


def test_an_ask_pays_for_the_margin_of_a_short_and_a_bid_for_nothing() -> None:
    maker, _ = charged("deribit_sm")
    row = row_of(maker.state, PUT)
    bid, ask = sides(maker.state, row)
    assert bid == 0.0
    assert ask == pytest.approx(cost_coin(short_put_usd(maker.state, row), maker.state), rel=1e-6)


def test_buying_back_a_short_is_paid_for_what_it_frees() -> None:
    maker, world = charged("deribit_sm")
    row = row_of(maker.state, PUT)
    maker.step(our_fill(maker.state, 1.0, PUT, -1))
    maker.step(index(2.0, 1.001 * world.index_usd))
    short = -float(maker.state.inventory.size_coin[row])
    assert short > 0.0
    bid, ask = sides(maker.state, row)
    assert ask > 0.0
    assert bid == pytest.approx(-ask * min(short / maker.state.setup.policy.quoting.size_coin, 1.0))


@pytest.mark.parametrize("model", MODELS)
def test_every_model_prices_the_whole_chain(model: str) -> None:
    maker, _ = charged(model)
    state = maker.state
    assert state.quotes is not None
    assert np.isfinite(state.quotes.ask_takers_coin).all()
    free, _ = charged(model, rate=0.0)
    assert free.state.quotes is not None
    quoted = state.quotes.grid[3] > 0
    assert quoted.any()
    assert (state.quotes.grid[2][quoted] >= free.state.quotes.grid[2][quoted]).all()


def test_nothing_is_charged_unless_asked_for() -> None:
    maker, _ = charged("deribit_pm", rate=0.0)
    assert maker.state.capital is None
    assert RiskPricePolicy().capital_rate_per_year == 0.0


def test_the_policy_knows_every_model() -> None:
    field = RiskPricePolicy.model_fields["margin_model"]
    assert set(getattr(field.annotation, "__args__", ())) == set(MODELS)
