import math
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.decide.policy import FlowPolicy, QuotingPolicy
from flatbook.decide.quoting import (
    ASK_LOTS,
    ASK_TICKS,
    BID_LOTS,
    BID_TICKS,
    QuoteInputs,
    Quotes,
    edge_usd,
    flow_liquidity,
    make_quotes,
    quotable,
)
from flatbook.kernels.chain import FACTORS
from flatbook.market.market import Market
from flatbook.valuation.chain import DELTA, PRICE, VEGA, ChainValues
from flatbook.valuation.risk_price import RiskPrice, no_risk_price, quadratic_risk_price
from tests.kernels.arbitrage import arbitrage_coin
from tests.market.builders import DAY_S, World, at, shown_market

Floats = NDArray[np.float64]

TICK, ABOVE, COARSE = 0.0001, 50, 5
FLOW = FlowPolicy()
STATIC = QuotingPolicy(skew="none", half_spread_vol=0.006, half_spread_coin=0.0002)
BY_POSITION = STATIC.model_copy(update={"skew": "position", "position_skew_vol": 0.002})
BY_RISK = QuotingPolicy(skew="price_of_risk", half_spread_vol=0.0, half_spread_coin=0.0001)


@cache
def chain() -> tuple[Market, ChainValues]:
    market, values = shown_market(World(rate=0.1), "4APR25", "11APR25", "25APR25", "27JUN25"), ChainValues()
    values.revalue(market, at(1))
    return market, values


def inputs(**changed: object) -> QuoteInputs:
    _, values = chain()
    plain = QuoteInputs(
        exposure=np.zeros(FACTORS),
        held_coin=np.zeros(values.rows),
        vol_error=np.full(values.rows, 0.004),
        risk_price=no_risk_price(),
        risk_aversion_per_usd=2e-4,
        maker_fee_rate=3e-4,
        fee_cap_of_premium=0.125,
        hedge_cost_rate=5e-4,
        widen=1.0,
    )
    return plain._replace(**changed)  # type: ignore[arg-type]


def quotes(policy: QuotingPolicy, asked: QuoteInputs, quoted: NDArray[np.bool_] | None = None) -> Quotes:
    market, values = chain()
    everything = np.ones(values.rows, np.bool_)
    return make_quotes(policy, FLOW, market, values, asked, everything if quoted is None else quoted)


def exact(made: Quotes) -> tuple[Floats, Floats]:
    """Bids and asks before rounding."""
    bid = made.fair_coin - made.spread_coin - made.bid_inventory_coin
    return bid, made.fair_coin + made.spread_coin + made.ask_inventory_coin


def plausible_price() -> RiskPrice:
    """R of this chain, from the market's own covariance and flow."""
    market, values = chain()
    liquidity = flow_liquidity(FLOW, values, 1.0, np.ones(values.rows, np.bool_))
    return quadratic_risk_price(market.covariance.matrix(), values.loading, liquidity, 2e-4)


ALL_POLICIES = pytest.mark.parametrize("policy", [STATIC, BY_POSITION, BY_RISK], ids=["none", "position", "risk"])


def heavy_book(seed: int = 0) -> QuoteInputs:
    """A book with much of everything."""
    _, values = chain()
    rng = np.random.default_rng(seed)
    held = np.rint(rng.normal(0.0, 40.0, values.rows)) / 10
    return inputs(exposure=held @ values.loading, held_coin=held, risk_price=plausible_price())


@ALL_POLICIES
def test_a_quote_is_fair_value_spread_and_inventory_rounded_outward(policy: QuotingPolicy) -> None:
    _, values = chain()
    made = quotes(policy, heavy_book())
    np.testing.assert_allclose(made.fair_coin, values.greeks[PRICE] / values.forward_usd, rtol=1e-14)
    bid, ask = exact(made)
    step = np.where(made.grid[ASK_TICKS] > ABOVE, COARSE, 1)
    has_bid = made.grid[BID_LOTS] > 0
    assert has_bid.sum() > 50
    assert np.all(made.grid[ASK_LOTS] == 10)
    assert np.all(made.grid[BID_TICKS] * TICK <= np.maximum(bid, 0.0) + 1e-12)
    assert np.all(made.grid[ASK_TICKS] * TICK >= ask - 1e-12)
    close = made.grid[ASK_TICKS] - step > np.maximum(made.grid[BID_TICKS], 1)
    assert np.all(((made.grid[ASK_TICKS] - step) * TICK < ask)[close])
    assert np.all(made.grid[ASK_TICKS] > made.grid[BID_TICKS])


@ALL_POLICIES
def test_rows_that_may_not_be_quoted_have_no_prices_and_no_lots(policy: QuotingPolicy) -> None:
    _, values = chain()
    quoted = np.arange(values.rows) % 3 == 0
    made = quotes(policy, heavy_book(), quoted)
    assert not made.grid[:, ~quoted].any()
    assert np.all(made.grid[ASK_LOTS][quoted] > 0)


@ALL_POLICIES
def test_a_flat_book_quotes_around_fair_alike_on_both_sides(policy: QuotingPolicy) -> None:
    made = quotes(policy, inputs(risk_price=plausible_price()))
    np.testing.assert_allclose(made.bid_inventory_coin, made.ask_inventory_coin, rtol=1e-12, atol=1e-18)
    assert np.all(made.spread_coin > 0)


def test_static_quotes_know_nothing_of_the_book() -> None:
    flat, heavy = quotes(STATIC, inputs()), quotes(STATIC, heavy_book())
    np.testing.assert_array_equal(flat.grid, heavy.grid)
    assert not heavy.bid_inventory_coin.any()


def test_a_position_leans_its_own_quotes_by_vol_and_no_others() -> None:
    _, values = chain()
    held = np.zeros(values.rows)
    held[7], held[30] = 5.0, -2.0
    made = quotes(BY_POSITION, inputs(held_coin=held))
    shift_vol = made.bid_inventory_coin / (values.greeks[VEGA] / values.forward_usd)
    np.testing.assert_allclose(shift_vol, 0.002 * held, atol=1e-15)
    np.testing.assert_array_equal(made.ask_inventory_coin, -made.bid_inventory_coin)


def test_inventory_parts_are_what_r_charges_for_the_trade() -> None:
    _, values = chain()
    asked = heavy_book()
    made = quotes(BY_RISK.model_copy(update={"size_coin": 2.5}), asked)
    for row in range(0, values.rows, 5):
        trade = 2.5 * values.loading[row]
        for side, part in ((1, made.bid_inventory_coin), (-1, made.ask_inventory_coin)):
            charged = asked.risk_price.charge_usd(asked.exposure, side * trade)
            assert part[row] * 2.5 * values.index_usd == pytest.approx(charged, rel=1e-9, abs=1e-9)


def test_options_of_equal_greeks_lean_alike() -> None:
    market, values = chain()
    twin = ChainValues()
    twin.copy_from(values)
    for column in (twin.greeks, twin.moneyness, twin.forward_usd):
        column[..., 9] = column[..., 4]
    asked = heavy_book()
    made = make_quotes(BY_RISK, FLOW, market, twin, asked, np.ones(values.rows, np.bool_))
    assert made.bid_inventory_coin[9] == made.bid_inventory_coin[4] != made.bid_inventory_coin[8]


@pytest.mark.parametrize("bucket", range(3))
def test_a_pure_vega_level_moves_every_quote_of_an_expiry_by_the_same_vol(bucket: int) -> None:
    market, values = chain()
    level = 2 + 3 * bucket
    curvature = np.zeros((FACTORS, FACTORS))
    curvature[level, level] = 1e-9
    exposure = np.zeros(FACTORS)
    exposure[level] = 4e6
    made = quotes(BY_RISK, inputs(exposure=exposure, risk_price=RiskPrice(curvature)))
    middle = 0.5 * (made.bid_inventory_coin - made.ask_inventory_coin)  # the shift; the width is in neither
    shift_vol = middle / (values.greeks[VEGA] / values.forward_usd)
    slot = market.universe.slot[: values.rows]
    seen = [shift_vol[slot == expiry] for expiry in range(market.universe.slots)]
    for of_expiry in seen:
        np.testing.assert_allclose(of_expiry, of_expiry[0], rtol=1e-6, atol=1e-12)
    assert max(of_expiry[0] for of_expiry in seen) > 1e-4  # long vega: quotes go down


def test_what_relieves_the_book_is_quoted_better_than_what_burdens_it() -> None:
    _, values = chain()
    row = int(np.argmax(values.greeks[VEGA]))
    asked = inputs(exposure=5 * values.loading[row], risk_price=plausible_price())
    made, flat = quotes(BY_RISK, asked), quotes(BY_RISK, inputs(risk_price=plausible_price()))
    assert made.bid_inventory_coin[row] > flat.bid_inventory_coin[row]
    assert made.ask_inventory_coin[row] < flat.ask_inventory_coin[row]


def test_the_spread_is_made_of_the_policys_parts() -> None:
    _, values = chain()
    policy = STATIC.model_copy(
        update={"adverse_selection_vol": 0.002, "model_error_weight": 0.5, "fee_share": 0.4, "hedge_cost_share": 0.3}
    )
    vega, premium = values.greeks[VEGA] / values.forward_usd, values.greeks[PRICE] / values.forward_usd
    spread = 0.0002 + (0.006 + 0.002 + 0.5 * 0.004) * vega
    spread = spread + 0.4 * np.minimum(3e-4, 0.125 * premium) + 0.3 * 5e-4 * np.abs(values.greeks[DELTA])
    np.testing.assert_allclose(quotes(policy, inputs()).spread_coin, spread, rtol=1e-12)
    np.testing.assert_allclose(quotes(policy, inputs(widen=2.0)).spread_coin, 2 * spread, rtol=1e-12)


def test_by_risk_the_spread_has_the_closed_form_of_exponential_flow() -> None:
    _, values = chain()
    policy = BY_RISK.model_copy(update={"half_spread_coin": 0.0, "size_coin": 3.0})
    made = quotes(policy, inputs(risk_aversion_per_usd=5e-4))
    k = 1 / edge_usd(FLOW, values)
    expected = np.log(1 + 5e-4 * 3.0 / k) / (5e-4 * 3.0)
    np.testing.assert_allclose(made.spread_coin * values.index_usd, expected, rtol=1e-9)


@ALL_POLICIES
@pytest.mark.parametrize("seed", range(4))
def test_our_own_quotes_are_no_arbitrage_however_heavy_the_book(policy: QuotingPolicy, seed: int) -> None:
    market, values = chain()
    asked = heavy_book(seed)
    asked = asked._replace(exposure=10 * asked.exposure, held_coin=4 * asked.held_coin)
    made, universe = quotes(policy.model_copy(update={"position_skew_vol": 0.01}), asked), market.universe
    has_bid, has_ask = made.grid[BID_LOTS] > 0, made.grid[ASK_LOTS] > 0
    bid = np.where(has_bid, made.grid[BID_TICKS] * TICK, 0.0)
    ask = np.where(has_ask, made.grid[ASK_TICKS] * TICK, np.inf)
    strike, sign = universe.strike_usd[: values.rows], universe.sign[: values.rows]
    # An offer under what the option is worth at once is a gift, and needs no bid of ours to be one.
    intrinsic = np.maximum(sign * (1 - strike / values.forward_usd), 0.0)
    sane = ask >= intrinsic - 1e-12
    for slot in range(universe.slots):
        rows = np.flatnonzero((universe.slot[: values.rows] == slot) & sane)
        forward = float(values.forward_usd[rows[0]])
        assert arbitrage_coin(strike[rows], sign[rows], forward, bid[rows], ask[rows]) < 1e-9
    for near in range(values.rows):
        for far in range(values.rows):
            later = universe.expiry_ns[universe.slot[far]] > universe.expiry_ns[universe.slot[near]]
            alike = strike[near] == strike[far] and sign[near] == sign[far]
            if later and alike and sign[near] * (values.forward_usd[far] - values.forward_usd[near]) >= 0:
                assert bid[near] <= ask[far] + 1e-12


def test_flow_is_shared_out_by_tenor_and_moneyness_and_sums_to_the_days_trades() -> None:
    market, values = chain()
    quoted = np.arange(values.rows) % 2 == 0
    liquidity = flow_liquidity(FLOW, values, 1.5, quoted)
    assert liquidity.arrivals_per_year.sum() * 2 / 365 == pytest.approx(FLOW.trades_per_day)
    assert not liquidity.arrivals_per_year[~quoted].any()
    assert set(liquidity.size.tolist()) == {1.5}
    row, other = market.universe.row_of["BTC-4APR25-80000-C"], market.universe.row_of["BTC-4APR25-90000-C"]
    z = values.moneyness[[row, other]]
    everything = flow_liquidity(FLOW, values, 1.5, np.ones(values.rows, np.bool_)).arrivals_per_year
    ratio = math.exp(-0.5 * (z[1] ** 2 - z[0] ** 2) / FLOW.moneyness**2)
    assert everything[other] / everything[row] == pytest.approx(ratio)
    far = market.universe.row_of["BTC-27JUN25-80000-C"]
    days = values.years[[row, far]] * 365
    by_tenor = math.exp(-(days[1] - days[0]) / FLOW.tenor_days) * math.sqrt(days[0] / days[1])
    by_moneyness = math.exp(-0.5 * (values.moneyness[far] ** 2 - z[0] ** 2) / FLOW.moneyness**2)
    assert everything[far] / everything[row] == pytest.approx(by_tenor * by_moneyness)
    np.testing.assert_allclose(
        1 / liquidity.decay_per_usd,
        np.hypot(FLOW.edge_coin * values.index_usd, FLOW.edge_vol * values.greeks[VEGA]),
    )


def allowed(policy: QuotingPolicy, seconds: float = 1.0, error: float = 0.004) -> tuple[Market, ChainValues, Floats]:
    market, _ = chain()
    values = ChainValues()
    values.revalue(market, at(seconds))
    return market, values, np.asarray(quotable(policy, market, values, np.full(values.rows, error)))


def test_each_bound_on_what_is_quoted_holds_alone() -> None:
    base = QuotingPolicy(skew="none", max_moneyness=50.0, min_hours=0.0, max_days=4_000.0)
    assert allowed(base)[2].all()
    _, values, near = allowed(base.model_copy(update={"max_moneyness": 1.0}))
    np.testing.assert_array_equal(near, np.abs(values.moneyness) <= 1.0)
    _, values, soon = allowed(base.model_copy(update={"max_days": 12.0}))
    np.testing.assert_array_equal(soon, values.years * 365 <= 12.0)
    _, values, late = allowed(base.model_copy(update={"min_hours": 24.0 * 12}))
    np.testing.assert_array_equal(late, values.years * 365 >= 12.0)
    assert not allowed(base, error=0.081)[2].any()
    assert not allowed(base, error=math.inf)[2].any()


def test_an_old_index_pulls_every_quote() -> None:
    base = QuotingPolicy(skew="none", max_moneyness=50.0, min_hours=0.0, max_days=4_000.0, max_index_age_s=600.0)
    assert allowed(base, seconds=600.0)[2].all()
    assert not allowed(base, seconds=600.1)[2].any()


def test_an_expired_option_is_never_quoted() -> None:
    base = QuotingPolicy(skew="none", max_moneyness=50.0, min_hours=0.0, max_days=4_000.0, max_index_age_s=1e9)
    _, values, quoted = allowed(base, seconds=4 * DAY_S)
    assert (values.years == 0).sum() == 18
    np.testing.assert_array_equal(quoted, values.years > 0)


def test_an_option_without_a_value_is_not_quoted() -> None:
    market, values = chain()
    broken = ChainValues()
    broken.copy_from(values)
    broken.fair_coin[3] = math.nan
    quoted = quotable(STATIC, market, broken, np.full(values.rows, 0.004))
    assert not quoted[3]
    assert not make_quotes(STATIC, FLOW, market, broken, inputs(), quoted).grid[:, 3].any()
