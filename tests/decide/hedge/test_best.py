import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.decide.hedge.best import Reason, best_hedge, no_trade_half_width
from flatbook.decide.hedge.instruments import Carry, HedgeSet, TradingTerms, delta_one, joined
from flatbook.domain.errors import BadInputError
from flatbook.valuation.risk_price import Liquidity, RiskPrice, quadratic_risk_price
from tests.decide.hedge.builders import (
    FACTOR_NAMES,
    book,
    diagonal,
    perpetual,
    random_set,
    risk_price,
)

Floats = NDArray[np.float64]

DELTA_ONLY = diagonal(spot=1e-9)
EDGE_USD = 5e-4 / 1e-9


@settings(deadline=None, max_examples=60)
@given(
    delta=st.floats(-5e6, 5e6),
    seed=st.integers(0, 1_000),
    funding=st.floats(-2e-3, 2e-3),
    fee=st.floats(0.0, 2e-3),
    impact=st.floats(0.0, 1e-3),
)
def test_with_one_perpetual_the_answer_is_the_soft_threshold(
    delta: float, seed: int, funding: float, fee: float, impact: float
) -> None:
    """-sign(g) (|g| - c)+ / (b'∇²R b + 2η), g being R's slope and the carry of a long together."""
    price = risk_price(seed)
    exposure = np.random.default_rng(seed).normal(0.0, 1e4, len(FACTOR_NAMES))
    exposure[0] = delta
    slope = price.gradient(exposure)[0] + funding
    bend = price.curvature[0, 0] + 2 * impact / 1e6
    closed_form = -np.sign(slope) * max(abs(slope) - fee - 1e-5, 0.0) / bend
    perp = delta_one("PERP", book(spot=1.0), 1.0, TradingTerms(fee, 1e-5, impact, lot=1.0), Carry(long_rate=funding))
    plan = best_hedge(exposure, price, perp)
    assert plan.warm[0] == pytest.approx(closed_form, rel=1e-9, abs=1e-6)
    assert plan.size[0] == pytest.approx(closed_form, abs=0.5 + 1e-9 * abs(closed_form))


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 12))
def test_a_plan_is_worth_its_cost_or_nothing_is_traded(seed: int, count: int) -> None:
    price, hedge_set = risk_price(seed), random_set(seed, count)
    exposure = np.random.default_rng(seed + 1).normal(0.0, 10 ** (3 + seed % 4), len(FACTOR_NAMES))
    plan = best_hedge(exposure, price, hedge_set)
    assert plan.objective_after_usd <= plan.objective_before_usd * (1 + 1e-12)
    assert (plan.objective_after_usd < plan.objective_before_usd) == (plan.reason is Reason.SAVES)
    assert plan.risk_after_usd == pytest.approx(price.cost_usd(exposure + plan.size @ hedge_set.loading), rel=1e-9)
    assert np.array_equal(plan.exposure_change, plan.size @ hedge_set.loading)
    assert np.allclose(plan.lots * hedge_set.lot, plan.size, rtol=1e-9)
    sent = plan.size != 0
    assert np.all(np.abs(plan.size[sent]) >= hedge_set.least[sent])
    assert np.all(np.abs(plan.size) <= hedge_set.most * (1 + 1e-9))
    inside = np.all(plan.marginal_saved_usd <= plan.marginal_cost_usd)
    assert inside == (plan.reason is Reason.INSIDE)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), cheap=st.floats(0.0, 1.0), dear=st.floats(1.0, 20.0))
def test_where_cost_keeps_us_from_trading_more_cost_does_too(seed: int, cheap: float, dear: float) -> None:
    price = risk_price(seed)
    exposure = np.random.default_rng(seed).normal(0.0, 1e5, len(FACTOR_NAMES))
    zone = (
        no_trade_half_width(price, perpetual(fee=1e-3 * cheap)),
        no_trade_half_width(price, perpetual(fee=1e-3 * dear)),
    )
    assert zone[0] <= zone[1]
    first, second = (abs(best_hedge(exposure, price, perpetual(fee=1e-3 * fee)).size[0]) for fee in (cheap, dear))
    assert first >= second


def test_the_zone_is_left_alone_and_beyond_it_risk_goes_to_its_edge() -> None:
    perp = perpetual(impact=0.0)
    assert no_trade_half_width(DELTA_ONLY, perp)[0] == pytest.approx(EDGE_USD)
    for delta in (0.0, 0.9 * EDGE_USD, -EDGE_USD + 1):
        plan = best_hedge(book(spot=delta), DELTA_ONLY, perp)
        assert plan.reason is Reason.INSIDE
        assert not plan.lots.any()
    for side in (1, -1):
        plan = best_hedge(book(spot=side * (EDGE_USD + 1e5)), DELTA_ONLY, perp)
        assert plan.size[0] == pytest.approx(-side * 1e5)
        assert plan.reason is Reason.SAVES


def test_beyond_the_edge_by_less_than_half_a_lot_nothing_is_traded() -> None:
    plan = best_hedge(book(spot=EDGE_USD + 4.0), DELTA_ONLY, perpetual(lot=10.0))
    assert plan.reason is Reason.SMALL
    assert plan.warm[0] == pytest.approx(-4.0)
    assert best_hedge(book(spot=EDGE_USD + 6.0), DELTA_ONLY, perpetual(lot=10.0)).size[0] == -10.0


def test_of_two_that_hedge_alike_the_cheaper_is_traded() -> None:
    both = joined(perpetual("DEAR", fee=6e-4), perpetual("CHEAP", fee=5e-4))
    plan = best_hedge(book(spot=2e6), DELTA_ONLY, both)
    assert plan.size.tolist() == pytest.approx([0.0, -1.5e6])
    earns = perpetual("DEAR", fee=6e-4, carry=Carry(long_rate=3e-4))  # a short of it is paid funding
    plan = best_hedge(book(spot=2e6), DELTA_ONLY, joined(earns, perpetual("CHEAP")))
    assert plan.size.tolist() == pytest.approx([-1.7e6, 0.0])


def test_impact_shares_a_hedge_between_venues() -> None:
    alone = best_hedge(book(spot=2e6), DELTA_ONLY, perpetual(impact=1e-4))
    shared = best_hedge(book(spot=2e6), DELTA_ONLY, joined(perpetual("A", impact=1e-4), perpetual("B", impact=1e-4)))
    assert shared.size[0] == shared.size[1] < 0.0
    assert shared.size.sum() < alone.size[0]
    assert shared.objective_after_usd < alone.objective_after_usd


def test_a_future_carries_basis_risk_and_is_worth_a_fee_less() -> None:
    price = diagonal(spot=1e-9, basis=4e-10)
    terms = TradingTerms(fee_rate=1e-4, half_spread_rate=0.0, impact_rate_per_musd=0.0, lot=10.0)
    future = delta_one("FUTURE", book(spot=1.0, basis=1.0), 1.0, terms)
    plan = best_hedge(book(spot=3e6), price, joined(perpetual(), future))
    assert np.all(plan.size < 0.0)
    # the first dollars go through the cheaper fee, the rest where they add no basis
    x = book(spot=3e6) + plan.exposure_change
    assert x @ price.curvature @ book(spot=1.0) == pytest.approx(5e-4, rel=1e-4)
    assert x @ price.curvature @ book(spot=1.0, basis=1.0) == pytest.approx(1e-4, rel=1e-4)


def test_a_correlated_underlying_hedges_what_its_correlation_lets_it() -> None:
    """Two spots in one R: without the other perpetual, half as much of ours goes through what moves with it."""
    vol = np.array([0.5, 0.7])
    correlation = np.array([[1.0, 0.8], [0.8, 1.0]])
    price = RiskPrice(1e-9 * correlation * np.outer(vol, vol))
    terms = TradingTerms(fee_rate=0.0, half_spread_rate=0.0, impact_rate_per_musd=0.0, lot=1.0)
    other = delta_one("ETH-PERPETUAL", np.array([0.0, 1.0]), 1.0, terms)
    plan = best_hedge(np.array([1e6, 0.0]), price, other)
    assert plan.size[0] == pytest.approx(-1e6 * 0.8 * vol[0] / vol[1], abs=1.0)
    assert plan.risk_after_usd == pytest.approx((1 - 0.8**2) * plan.risk_before_usd, rel=1e-6)


def options() -> HedgeSet:
    """Two options of 0.1 coin a lot: near the money and short, far and long; and the perpetual."""
    loading = np.array(
        [book(spot=40_000.0, squared=30_000.0, level=5_000.0), book(spot=20_000.0, squared=4_000.0, level=12_000.0)]
    )
    column = np.ones(2)
    rows = HedgeSet(
        name=("NEAR", "FAR"),
        loading=loading,
        lot=0.1 * column,
        least=0 * column,
        most=500 * column,
        fee_usd=24.0 * column,
        half_spread_usd=np.array([40.0, 60.0]),
        impact_usd=0 * column,
        carry_buy_usd=0 * column,
        carry_sell_usd=0 * column,
    )
    return joined(rows, perpetual())


def test_options_take_gamma_and_vega_away_and_the_perpetual_their_delta() -> None:
    price = diagonal(spot=1e-9, squared=2e-8, level=1e-7)
    short = book(squared=-1.5e6, level=-4e5)
    without, plan = best_hedge(short, price, perpetual()), best_hedge(short, price, options())
    assert not without.lots.any()
    near, far, perp = plan.size
    assert near > 0.0
    assert far > 0.0
    assert perp < 0.0
    after = short + plan.exposure_change
    assert abs(after[FACTOR_NAMES.index("squared")]) < 0.2 * 1.5e6
    assert abs(after[FACTOR_NAMES.index("level")]) < 0.2 * 4e5
    assert abs(after[0]) <= EDGE_USD * 1.01
    assert plan.objective_after_usd < 0.5 * plan.objective_before_usd


def test_what_flow_will_take_is_left_to_it() -> None:
    """Internalisation: R made with more flow is cheaper, its zone wider, and less is hedged."""
    covariance, loading = np.diag([0.36, 0.5]), np.array([[4e4, 3e3], [1e4, 8e3], [-2e4, 5e3]])
    perp = delta_one("PERP", np.array([1.0, 0.0]), 1.0, TradingTerms(5e-4, 0.0, 0.0, lot=10.0))
    widths, sizes = [], []
    for trades_a_year in (1e5, 4e5, 1.6e6):
        liquidity = Liquidity(np.full(3, trades_a_year), np.full(3, 0.01), np.ones(3))
        price = quadratic_risk_price(covariance, loading, liquidity, risk_aversion_per_usd=1e-5)
        widths.append(float(no_trade_half_width(price, perp)[0]))
        sizes.append(abs(float(best_hedge(np.array([3e7, 0.0]), price, perp).size[0])))
    assert widths == sorted(widths)
    assert widths[1] == pytest.approx(2 * widths[0], rel=1e-6)  # as the square root of the flow
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0.0


def test_what_is_too_small_to_send_is_left_out_and_the_rest_chosen_without_it() -> None:
    price = diagonal(spot=1e-9)
    small = delta_one("SMALL", book(spot=1.0), 1.0, TradingTerms(4e-4, 0.0, 1e-2, lot=10.0, least=50_000.0))
    plan = best_hedge(book(spot=1e6), price, joined(small, perpetual()))
    assert 0.0 < abs(plan.warm[0]) < 50_000.0
    assert plan.size.tolist() == pytest.approx([0.0, -5e5])


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 8), fraction=st.floats(0.0, 1.0))
def test_clips_are_cut_to_a_share_of_what_is_wanted(seed: int, count: int, fraction: float) -> None:
    hedge_set = random_set(seed, count)
    exposure = np.random.default_rng(seed + 1).normal(0.0, 1e5, len(FACTOR_NAMES))
    whole, cut = (best_hedge(exposure, risk_price(seed), hedge_set, fraction=share) for share in (1.0, fraction))
    assert np.all(np.abs(cut.size) <= fraction * np.abs(whole.warm) * (1 + 1e-9))
    assert whole.objective_after_usd <= cut.objective_after_usd * (1 + 1e-6)
    assert cut.objective_after_usd <= cut.objective_before_usd


def test_of_one_instrument_a_share_is_that_share() -> None:
    plan = best_hedge(book(spot=EDGE_USD + 1e6), DELTA_ONLY, perpetual(), fraction=0.25)
    assert plan.size[0] == pytest.approx(-2.5e5, abs=10.0)


def test_a_book_that_is_not_valued_is_not_hedged() -> None:
    with pytest.raises(BadInputError, match="exposure to factor 4 is not a number"):
        best_hedge(book(spot=1e6, level=np.nan), DELTA_ONLY, perpetual())


def test_the_last_answer_changes_the_work_and_not_the_plan() -> None:
    hedge_set, price = random_set(8, 10), risk_price(8)
    exposure = np.random.default_rng(8).normal(0.0, 1e5, len(FACTOR_NAMES))
    first = best_hedge(exposure, price, hedge_set)
    cold, warm = (best_hedge(1.01 * exposure, price, hedge_set, start) for start in (None, first.warm))
    assert np.array_equal(cold.lots, warm.lots)
    assert warm.residual_usd < 1e-9


def test_a_plan_says_what_it_does_or_what_keeps_it() -> None:
    traded = best_hedge(book(spot=EDGE_USD + 1e6), DELTA_ONLY, perpetual())
    assert traded.in_words() == "-1e+06 PERP: saves 1,000.00 USD of risk for 500.00 USD"
    kept = best_hedge(book(spot=1e5), DELTA_ONLY, joined(perpetual("A", fee=9e-4), perpetual("B")))
    assert kept.in_words() == "inside the no-trade zone: a unit of B saves 0.0001 USD and costs 0.0005"
    assert kept.marginal_saved_usd.tolist() == pytest.approx([1e-4, 1e-4])
    assert kept.marginal_cost_usd.tolist() == pytest.approx([9e-4, 5e-4])
