import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.decide.baselines import baldacci_bergault_gueant as vega_hjb
from flatbook.decide.baselines.avellaneda_stoikov import AvellanedaStoikov
from flatbook.decide.baselines.cartea_jaimungal import CarteaJaimungal
from flatbook.decide.baselines.chain import LEVELS, Dealer, FittedModel, Rows, distances_usd, fit_model
from flatbook.decide.baselines.glft import Glft
from flatbook.decide.baselines.intensity import Distances, ExponentialIntensity, LogisticIntensity
from flatbook.decide.baselines.stoikov_saglam import LinearDemand, Period, delta_premiums, residual_premiums
from flatbook.decide.policy import BASELINES, BaselinePolicy, FlowPolicy, QuotingPolicy
from flatbook.decide.quoting import BID_LOTS, QuoteInputs, Quotes, make_quotes, model_rows
from flatbook.kernels.chain import FACTORS
from flatbook.market.market import Market
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.risk_price import Liquidity, no_risk_price
from tests.market.builders import World, at, shown_market

Floats = NDArray[np.float64]

FLOW = FlowPolicy()
AVERSION, SIZE = 2e-4, 2.0
MODELS = pytest.mark.parametrize("name", BASELINES)


@cache
def chain() -> tuple[Market, ChainValues]:
    market, values = shown_market(World(rate=0.1), "4APR25", "25APR25", "27JUN25"), ChainValues()
    values.revalue(market, at(1))
    return market, values


def book(held: Floats) -> Rows:
    """Every row of the chain, and a book of options."""
    _, values = chain()
    return model_rows(FLOW, values, SIZE, (held @ values.loading, held), np.arange(values.rows))


def flat() -> Floats:
    return np.zeros(chain()[1].rows)


def heavy(seed: int) -> Floats:
    return np.asarray(np.random.default_rng(seed).normal(0.0, 3.0, chain()[1].rows))


@cache
def fitted(name: str, **changed: float) -> FittedModel:
    dealer = Dealer(name, BaselinePolicy(**changed), SIZE, AVERSION)
    return fit_model(dealer, chain()[0].covariance.matrix(), book(flat()))


@MODELS
def test_a_flat_book_is_quoted_alike_on_both_sides_and_at_a_cost(name: str) -> None:
    (bid, ask), spread = distances_usd(fitted(name), book(flat()))
    np.testing.assert_allclose(bid, ask, rtol=1e-9)
    assert (spread > 0).all()
    assert (bid > spread).all()


@MODELS
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_a_mirrored_book_is_quoted_in_the_mirror(name: str, seed: int) -> None:
    held = heavy(seed)
    (bid, ask), spread = distances_usd(fitted(name), book(held))
    (bid_there, ask_there), spread_there = distances_usd(fitted(name), book(-held))
    np.testing.assert_allclose(bid, ask_there, rtol=1e-7)
    np.testing.assert_allclose(ask, bid_there, rtol=1e-7)
    np.testing.assert_array_equal(spread, spread_there)


@pytest.mark.parametrize("name", ["avellaneda_stoikov", "glft", "cartea_jaimungal"])
def test_three_lean_against_an_options_own_position_and_no_other(name: str) -> None:
    held = flat()
    held[5], held[17] = 4.0, -3.0
    (bid, ask), _ = distances_usd(fitted(name), book(held))
    lean = np.where(np.isfinite(bid - ask), bid - ask, np.nan)
    assert lean[5] > 0 > lean[17]
    others = np.delete(np.arange(len(held)), [5, 17])
    np.testing.assert_allclose(lean[others], 0.0, atol=1e-9)


def row_of_kind(name: str, row: int, held: float, parameters: BaselinePolicy) -> tuple[float, float]:
    """One option as the model by itself has it, from the chain's Greeks, Σ and flow."""
    rows, covariance = book(flat()), chain()[0].covariance.matrix()
    loading = rows.loading[row] * np.where(np.arange(FACTORS) == 0, parameters.delta_share, 1.0)
    variance = float(loading @ covariance @ loading)
    arrivals, decay = float(rows.liquidity.arrivals_per_year[row]), float(rows.liquidity.decay_per_usd[row])
    fills, lots = ExponentialIntensity(arrivals, decay), held / SIZE
    if name == "avellaneda_stoikov":
        quoted = AvellanedaStoikov(math.sqrt(variance), fills, AVERSION * SIZE).distances(
            lots, parameters.horizon_hours / 8760
        )
        return float(quoted.bid), float(quoted.ask)
    if name == "glft":
        quoted = Glft(math.sqrt(variance), fills, AVERSION * SIZE).closed_form_distances(lots)
        return float(quoted.bid), float(quoted.ask)
    bound = int(parameters.position_bound_coin / SIZE)
    penalised = CarteaJaimungal(arrivals, arrivals, decay, 0.5 * AVERSION * SIZE * variance)
    depths = penalised.stationary_distances(bound)
    return float(depths.bid[round(lots) + bound]), float(depths.ask[round(lots) + bound])


@pytest.mark.parametrize("name", ["avellaneda_stoikov", "glft", "cartea_jaimungal"])
@pytest.mark.parametrize("delta_share", [0.0, 1.0])
@pytest.mark.parametrize("held_coin", [-10.0, -4.0, 0.0, 2.0, 8.0, 10.0])
def test_rows_are_quoted_as_the_model_quotes_one_asset(name: str, delta_share: float, held_coin: float) -> None:
    model = fitted(name, delta_share=delta_share)
    held = flat()
    held[::7] = held_coin
    (bid, ask), _ = distances_usd(model, book(held))
    for row in range(0, len(held), 7):
        expected = row_of_kind(name, row, held_coin, model.dealer.parameters)
        assert (bid[row], ask[row]) == pytest.approx(expected, abs=3e-4 * (abs(expected[0]) + abs(expected[1])))


def test_positions_between_whole_sizes_are_quoted_between_their_neighbours() -> None:
    model = fitted("cartea_jaimungal")
    quoted = []
    for held_coin in (2.0, 3.0, 4.0):
        held = flat()
        held[:] = held_coin
        quoted.append(distances_usd(model, book(held))[0].bid)
    np.testing.assert_allclose(quoted[1], 0.5 * (quoted[0] + quoted[2]), rtol=1e-9)


def test_no_side_is_quoted_that_could_break_the_models_own_bound() -> None:
    held = flat()
    held[3], held[4] = 8.5, -10.0
    (bid, ask), _ = distances_usd(fitted("cartea_jaimungal"), book(held))
    assert np.isinf(bid[3])
    assert np.isinf(ask[4])
    assert np.isfinite(np.delete(bid, 3)).all()
    tight = fitted("vega_hjb", vega_bound_usd_per_vol_pt=500.0)
    vega = book(flat()).vega_usd
    row = int(np.argmax(vega))
    held = flat()
    held[row] = 49_000.0 / vega[row]
    (bid, ask), _ = distances_usd(tight, book(held))
    np.testing.assert_array_equal(np.isinf(bid), 49_000.0 + SIZE * vega > 50_000.0)
    assert np.isfinite(ask).all()


def test_the_vega_model_sees_the_books_total_vega_and_one_vol() -> None:
    model, told = fitted("vega_hjb"), book(heavy(2))
    covariance = chain()[0].covariance.matrix()[np.ix_(LEVELS, LEVELS)]
    lowest, highest = np.sqrt(np.linalg.eigvalsh(covariance)[[0, -1]])
    assert 0.0 < model.vol_of_vol <= highest
    assert model.vol_of_vol > lowest / math.sqrt(3)
    arrivals, decay = told.liquidity.arrivals_per_year, told.liquidity.decay_per_usd
    fills = LogisticIntensity(arrivals * (1 + math.exp(0.7)), 0.7, decay)
    np.testing.assert_allclose(fills.rate(0.0), arrivals, rtol=1e-12)
    itself = vega_hjb.VegaBook(
        told.vega_usd, np.full(len(decay), SIZE), fills, model.vol_of_vol, AVERSION, 100 * 20_000.0
    )
    value = vega_hjb.solve(itself, 4 / 8760, points=401)
    fine = vega_hjb.distances(itself, value, float(told.exposure[LEVELS].sum()))
    quoted, spread = distances_usd(model, told)
    np.testing.assert_allclose(quoted.bid - spread, fine.bid - spread, rtol=0.01, atol=1e-3)
    np.testing.assert_allclose(quoted.ask - spread, fine.ask - spread, rtol=0.01, atol=1e-3)
    equal_vega = replace(told, held_coin=flat())
    np.testing.assert_array_equal(distances_usd(model, equal_vega)[0].bid, quoted.bid)


def three_options() -> Rows:
    """Risk of one kind each: delta, gamma, and vega of one tenor."""
    loading = np.zeros((3, FACTORS))
    loading[0, 0], loading[1, 1], loading[2, LEVELS[1]] = 4_000.0, 30_000.0, 900.0
    liquidity = Liquidity(np.full(3, 500.0), np.array([0.05, 0.1, 0.08]), np.full(3, SIZE))
    held = np.array([6.0, -4.0, 10.0])
    return Rows(loading, liquidity, held, held @ loading)


def test_stoikov_and_saglams_theorems_stand_side_by_side() -> None:
    rows = three_options()
    covariance = np.diag(np.full(FACTORS, 1e-9))
    vol, alpha, spot, years = 0.5, 0.6, 4_000.0, 4 / 8760
    # Squared returns over a hedge interval of the horizon's length vary by 2 σ⁴ (T-t)², hence 2 σ⁴ (T-t) per year.
    covariance[0, 0], covariance[1, 1] = vol**2, 2 * vol**4 * years
    covariance[LEVELS[1], LEVELS[1]] = alpha**2
    dealer = Dealer("stoikov_saglam", BaselinePolicy(delta_share=1.0), SIZE, AVERSION)
    model = fit_model(dealer, covariance, rows)
    assert model.vol_of_vol == pytest.approx(alpha)
    (bid, ask), spread = distances_usd(model, rows)
    np.testing.assert_allclose(spread, 1 / rows.liquidity.decay_per_usd)

    def demand(row: int) -> LinearDemand:
        return LinearDemand(500.0, 0.5 * 500.0 * float(rows.liquidity.decay_per_usd[row]))

    # A quote of two contracts is one of a unit whose exposures are twice as large and whose prices are, too.
    def of_size(demanded: LinearDemand) -> LinearDemand:
        return LinearDemand(demanded.intercept, demanded.slope / SIZE)

    period = Period(spot, vol, alpha, years, 0.5 * AVERSION)
    by_delta = delta_premiums(of_size(demand(0)), period, SIZE, 6.0)
    gamma = 2 * 30_000.0 * SIZE / spot**2
    by_gamma = residual_premiums(of_size(demand(1)), period, period.residual_variance(gamma, 0.0), -4.0 / SIZE)
    vega = 900.0 * SIZE
    years_to_maturity = vega / (1e-3 * spot**2 * vol)
    no_gamma_vol = Period(spot, vol, alpha, years, 0.5 * AVERSION)
    both = no_gamma_vol.residual_variance(1e-3, years_to_maturity)
    only_vega = both - no_gamma_vol.residual_variance(1e-3, 0.0)
    by_vega = residual_premiums(of_size(demand(2)), period, only_vega, 10.0 / SIZE)
    for row, quoted in enumerate((by_delta, by_gamma, by_vega)):
        assert SIZE * bid[row] == pytest.approx(float(quoted.bid), rel=1e-9)
        assert SIZE * ask[row] == pytest.approx(float(quoted.ask), rel=1e-9)
    assert isinstance(by_delta, Distances)


def quote(name: str, held: Floats, quoted: NDArray[np.bool_] | None = None, **changed: object) -> Quotes:
    market, values = chain()
    inputs = QuoteInputs(
        exposure=held @ values.loading,
        held_coin=held,
        vol_error=np.full(values.rows, 0.004),
        risk_price=no_risk_price(),
        risk_aversion_per_usd=AVERSION,
        maker_fee_rate=3e-4,
        fee_cap_of_premium=0.125,
        hedge_cost_rate=5e-4,
        widen=1.0,
        model=fitted(name),
    )
    policy = QuotingPolicy(skew=name, size_coin=SIZE, fee_share=1.0, half_spread_vol=0.002)  # type: ignore[arg-type]
    everything = np.ones(values.rows, np.bool_)
    asked = inputs._replace(**changed)  # type: ignore[arg-type]
    return make_quotes(policy, FLOW, market, values, asked, everything if quoted is None else quoted)


@MODELS
def test_quotes_are_fair_value_the_policys_spread_and_the_models_distances(name: str) -> None:
    market, values = chain()
    held = heavy(1)
    (bid, ask), spread = distances_usd(fitted(name), book(held))
    made = quote(name, held)
    bare = quote(name, held, model=None).spread_coin
    np.testing.assert_allclose(made.spread_coin, bare + spread / values.index_usd, rtol=1e-12)
    index = values.index_usd
    for part, distance in ((made.bid_inventory_coin, bid), (made.ask_inventory_coin, ask)):
        expected = np.where(np.isfinite(distance), distance - spread, 0.0) / index
        np.testing.assert_allclose(part, expected, rtol=1e-9, atol=1e-15)
    exact = made.fair_coin - made.spread_coin - made.bid_inventory_coin
    tick = market.universe.tick[: values.rows]
    has_bid = made.grid[BID_LOTS] > 0
    assert has_bid.sum() > 10
    assert (made.grid[0] * tick <= exact + 1e-12)[has_bid].all()
    assert not has_bid[np.isinf(bid)].any()
    wide = quote(name, held, widen=2.0)
    np.testing.assert_allclose(wide.spread_coin, 2 * made.spread_coin, rtol=1e-12)


@MODELS
def test_rows_that_may_not_be_quoted_are_not(name: str) -> None:
    _, values = chain()
    quoted = np.arange(values.rows) % 3 == 0
    made = quote(name, heavy(1), quoted)
    assert not made.grid[:, ~quoted].any()
    assert (made.grid[3][quoted] > 0).sum() > 10


@MODELS
def test_until_a_model_is_fitted_nothing_is_quoted(name: str) -> None:
    assert not quote(name, flat(), model=None).grid.any()


def test_an_option_that_is_not_known_does_not_spoil_the_others() -> None:
    market, values = chain()
    broken = ChainValues()
    broken.copy_from(values)
    broken.greeks[:, 4], broken.vol[4], broken.fair_coin[4] = math.nan, math.nan, math.nan
    quoted = np.arange(values.rows) != 4
    held = flat()
    told = model_rows(FLOW, broken, SIZE, (np.zeros(FACTORS), held), np.flatnonzero(quoted))
    for name in BASELINES:
        model = fit_model(fitted(name).dealer, market.covariance.matrix(), told)
        (bid, ask), _ = distances_usd(model, told)
        assert np.isfinite([bid, ask]).all()
