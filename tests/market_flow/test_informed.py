"""The classic models by what must hold in them; their published figures are in test_published."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from flatbook.domain.errors import BadInputError
from flatbook.market.flow.informed import (
    InformedFlow,
    informed_quotes,
    kyle_auctions,
    propagator,
    square_root_impact,
)


@given(st.floats(0.01, 10), st.floats(0.1, 100), st.integers(1, 60), st.floats(0.1, 10))
def test_kyles_equilibrium_holds_in_every_auction(variance: float, noise: float, auctions: int, span: float) -> None:
    found, step = kyle_auctions(variance, noise, auctions, span), span / auctions
    before = np.concatenate([[variance], found.variance[:-1]])
    np.testing.assert_allclose(found.impact, found.intensity * found.variance / noise**2, rtol=1e-9)
    np.testing.assert_allclose(found.variance, before * (1 - found.intensity * found.impact * step), rtol=1e-9)


def test_many_auctions_approach_continuous_trading() -> None:
    """Continuous: a constant impact of the root of variance over noise, all of it told at the end."""
    found = kyle_auctions(4.0, 2.0, 2_000)
    assert found.impact[0] == pytest.approx(1.0, rel=0.01)
    assert found.variance[-1] < 0.02


@given(st.floats(0.01, 0.99), st.floats(0, 0.99))
def test_bid_and_ask_are_about_the_value_by_bayes_in_both_orders(prior: float, informed: float) -> None:
    bid, ask = informed_quotes(prior, informed, 0.0, 1.0)
    assert bid <= prior + 1e-12
    assert ask >= prior - 1e-12
    chance_bought = prior * (informed + (1 - informed) / 2) + (1 - prior) * (1 - informed) / 2
    assert chance_bought * ask + (1 - chance_bought) * bid == pytest.approx(prior)


def test_a_buy_and_a_sell_leave_the_prior() -> None:
    _, bought = informed_quotes(0.5, 0.3, 0.0, 1.0)
    assert informed_quotes(bought, 0.3, 0.0, 1.0)[0] == pytest.approx(0.5)


def test_the_mixture_is_a_distribution_over_days() -> None:
    flow = InformedFlow(alpha=0.3, delta=0.4, mu=4.0, eps_buy=2.0, eps_sell=3.0)
    counts = np.array(list(itertools.product(range(40), repeat=2)), dtype=np.float64)
    total = sum(np.exp(flow.log_likelihood(day[:1], day[1:])) for day in counts)
    assert total == pytest.approx(1.0, abs=1e-9)


def test_busy_days_do_not_overflow() -> None:
    flow = InformedFlow(0.3, 0.4, 5e4, 1e5, 1e5)
    day = flow.log_likelihood(np.array([1.5e5]), np.array([1e5]))
    assert day == pytest.approx(np.log(0.18) + poisson.logpmf(150_000, 1.5e5) + poisson.logpmf(100_000, 1e5), rel=1e-9)


def test_days_add() -> None:
    flow = InformedFlow(0.3, 0.4, 5.0, 10.0, 10.0)
    buys, sells = np.array([8.0, 15.0]), np.array([12.0, 9.0])
    apart = sum(flow.log_likelihood(buys[i : i + 1], sells[i : i + 1]) for i in range(2))
    assert flow.log_likelihood(buys, sells) == pytest.approx(apart)


@given(st.floats(1e-6, 1), st.floats(0.01, 1))
def test_four_times_the_size_costs_twice_as_much(share: float, vol: float) -> None:
    assert square_root_impact(4 * share, vol) == pytest.approx(2 * square_root_impact(share, vol))


def test_impact_decays_with_its_power() -> None:
    far = propagator(np.array([1e4, 2e4]), 0.5, 20.0)
    assert far[0] / far[1] == pytest.approx(2**0.5, rel=1e-4)


@pytest.mark.parametrize("wrong", [(0.0, 1.0, 1), (1.0, 0.0, 1), (1.0, 1.0, 0)])
def test_auctions_of_nothing_are_refused(wrong: tuple[float, float, int]) -> None:
    with pytest.raises(BadInputError, match="Kyle"):
        kyle_auctions(*wrong)


@pytest.mark.parametrize("wrong", [(1.5, 0.3), (0.5, 1.0), (0.5, -0.1)])
def test_chances_outside_their_range_are_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(BadInputError, match="informed share"):
        informed_quotes(*wrong, 0.0, 1.0)
