import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from flatbook.decide.hedge.best import best_hedge
from flatbook.decide.hedge.impact import ImpactBelief, SquareRootLaw, slippage_by_size
from flatbook.sim.perpetual import PerpetualMarket, PerpetualTerms
from flatbook.venues.deribit import load_reference
from tests.decide.hedge.builders import book, diagonal, perpetual
from tests.market_analytics.published import golden

LAW = SquareRootLaw(y=1.0, daily_vol=0.03, daily_volume_usd=2e10)


@pytest.mark.parametrize("row", golden("square_root_impact"), ids=lambda row: row["id"])
def test_the_law_is_as_published(row: dict[str, str]) -> None:
    law = SquareRootLaw(float(row["y"]), float(row["daily_vol"]), daily_volume_usd=1e9)
    assert 1e4 * law.peak_rate(float(row["share_of_volume"]) * 1e9) == pytest.approx(float(row["impact_bp"]), abs=5e-4)


@given(size=st.floats(1.0, 1e9))
def test_four_times_the_size_moves_twice_as_far_whatever_the_side(size: float) -> None:
    assert LAW.peak_rate(4 * size) == pytest.approx(2 * LAW.peak_rate(size))
    assert LAW.peak_rate(-size) == LAW.peak_rate(size)


def test_a_worked_order_pays_the_average_of_the_moves_so_far() -> None:
    average = quad(lambda done: LAW.peak_rate(done), 0.0, 1e7)[0] / 1e7
    assert LAW.paid_rate(1e7, worked=True) == pytest.approx(average)
    assert LAW.paid_rate(1e7, worked=False) == LAW.peak_rate(1e7)


def test_a_quadratic_cost_has_the_laws_slope_where_it_was_taken() -> None:
    """So a hedge found with it, at the size that it was taken at, is where the law too says to stop."""
    size = 2e6
    for _ in range(40):
        rate = LAW.quadratic_rate_per_usd(size, worked=True)
        plan = best_hedge(book(spot=5e6), diagonal(spot=1e-9), perpetual(lot=1.0, impact=1e6 * rate))
        size = abs(plan.size[0])
    bump = 1e3
    costs = [LAW.paid_rate(size + step, worked=True) * (size + step) for step in (-bump, bump)]
    marginal_cost = 5e-4 + (costs[1] - costs[0]) / (2 * bump)
    assert 1e-9 * (5e6 - size) == pytest.approx(marginal_cost, rel=1e-6)


@given(saved=st.floats(1e-7, 1e-2), curvature=st.floats(0.0, 1e-8))
def test_the_size_worth_trading_is_where_the_charge_saved_meets_the_laws_slope(saved: float, curvature: float) -> None:
    size = LAW.worth_usd(saved, curvature)
    assert saved - curvature * size == pytest.approx(1.5 * LAW.peak_rate(size), rel=1e-6, abs=1e-12)
    assert LAW.worth_usd(-saved, curvature) == 0.0


def test_belief_goes_from_the_prior_to_what_orders_did() -> None:
    draw = np.random.default_rng(5)
    truth, belief = 0.6, ImpactBelief(y=1.0, precision=4.0)
    for _ in range(2_000):
        unit = LAW.peak_rate(float(10 ** draw.uniform(5, 7.5)))
        noise = 5e-4
        belief = belief.observe(unit, truth * unit + noise * draw.normal(), noise)
    assert abs(belief.y - truth) < 3 * belief.error
    assert belief.error < 0.05
    assert belief.mean_surprise == pytest.approx(1.0, abs=0.1)


@given(orders=st.lists(st.tuples(st.floats(1e-6, 1e-2), st.floats(-1e-2, 1e-2)), min_size=1, max_size=8))
def test_learning_one_by_one_is_least_squares_with_a_prior(orders: list[tuple[float, float]]) -> None:
    belief = ImpactBelief(y=0.8, precision=9.0)
    for unit, slippage in orders:
        belief = belief.observe(unit, slippage, noise_rate=1e-3)
    unit, slippage = np.array(orders).T / 1e-3
    rows = np.append(unit, 3.0)
    fitted = np.linalg.lstsq(rows[:, None], np.append(slippage, 3.0 * 0.8), rcond=None)[0]
    assert belief.y == pytest.approx(float(fitted[0]), rel=1e-6, abs=1e-9)
    assert belief.error == pytest.approx(1 / np.sqrt(rows @ rows))


def test_a_wrong_law_is_seen_in_the_surprise_and_old_orders_fade() -> None:
    belief = ImpactBelief(y=1.0, precision=100.0)
    assert np.isnan(belief.mean_surprise)
    for _ in range(50):
        belief = belief.observe(1e-3, 5e-3, noise_rate=1e-3)
    assert belief.mean_surprise > 3.0
    for _ in range(200):
        belief = belief.observe(1e-3, 2e-3, noise_rate=1e-3, decay=0.9)
    assert belief.y == pytest.approx(2.0, abs=1e-3)
    assert belief.orders == pytest.approx(10.0, rel=1e-6)


def test_the_estimate_is_held_to_what_happened_by_size() -> None:
    size = np.array([4e6, -1e6, 1e6, 2e6, -5e6, 3e6])
    groups = slippage_by_size(size, 1e-10 * np.abs(size), 2e-10 * np.abs(size), groups=2)
    assert [(group.least_usd, group.most_usd, group.orders) for group in groups] == [(1e6, 2e6, 3), (3e6, 5e6, 3)]
    for group, expected in zip(groups, (1.5e-4, (9 + 16 + 25) / 12 * 1e-4), strict=True):
        assert group.expected_rate == pytest.approx(expected)
        assert group.realised_rate == pytest.approx(2 * expected)
        assert group.realised_error > 0.0
    assert len(slippage_by_size(size[:1], size[:1], size[:1], groups=3)) == 1


def test_the_estimate_holds_against_what_a_market_with_the_law_makes_of_clips() -> None:
    """Clips taken from the simulated perpetual, whose impact has a Y that the belief does not know."""
    terms = PerpetualTerms(half_spread_bp=0.5, impact_y=0.6, impact_memory_s=0.0)
    perpetual_market = PerpetualMarket(terms)
    instrument = load_reference().instrument("BTC-PERPETUAL")
    law = SquareRootLaw(1.0, terms.daily_vol, terms.daily_volume_usd)
    draw = np.random.default_rng(2)
    belief = ImpactBelief()
    sizes, expected, realised = [], [], []
    for k in range(400):
        side, lots, index = 1 if k % 2 else -1, int(10 ** draw.uniform(3, 6)), float(draw.uniform(6e4, 1e5))
        limit = round(index * (1 + side * 0.05) / instrument.tick_size)
        done = perpetual_market.take(instrument, side, lots, limit, index, k)
        price = done.price_ticks * instrument.tick_size
        slipped = side * (price / index - 1) - terms.half_spread_bp * 1e-4
        size = done.size_lots * instrument.lot_size
        sizes.append(side * size)
        expected.append(belief.y * law.paid_rate(size, worked=False))
        realised.append(slipped)
        belief = belief.observe(law.paid_rate(size, worked=False), slipped, noise_rate=1e-4)
    assert belief.y == pytest.approx(terms.impact_y, abs=0.02)
    groups = slippage_by_size(np.array(sizes[100:]), np.array(expected[100:]), np.array(realised[100:]), 4)
    for group in groups:
        # prices are in ticks of half a dollar, rounded against us
        assert group.realised_rate == pytest.approx(group.expected_rate, rel=0.03, abs=0.5 / 6e4)
