"""The best markup against a numerical optimum, the curse against known order statistics, the option against drawing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import lambertw, ndtri

from flatbook.decide.rfq.winning import WinCurve, best_markup, curse_deviations, free_option, prior_view

CURVES = st.builds(WinCurve, st.floats(-6.0, 6.0), st.floats(0.01, 50.0))


@settings(deadline=None)
@given(CURVES, st.floats(-3.0, 3.0))
def test_no_other_markup_earns_more(curve: WinCurve, cost_scales: float) -> None:
    cost = cost_scales / curve.b
    best = best_markup(curve, cost)
    bounds = (0.0, 20.0 / curve.b)
    found = minimize_scalar(
        lambda m: -curve.probability(cost + m) * m, bounds=bounds, method="bounded", options={"xatol": 1e-10 / curve.b}
    )
    assert best.markup == pytest.approx(found.x, rel=1e-4)
    assert best.gain == pytest.approx(-found.fun, rel=1e-9)
    assert best.probability == pytest.approx(curve.probability(cost + best.markup), rel=1e-9)


@given(CURVES, st.floats(-3.0, 3.0))
def test_the_markup_is_lamberts(curve: WinCurve, cost_scales: float) -> None:
    cost = cost_scales / curve.b
    u = float(lambertw(math.exp(-(curve.a + curve.b * cost + 1.0))).real)
    assert best_markup(curve, cost).markup == pytest.approx((1.0 + u) / curve.b, rel=1e-12)


def test_a_great_relief_neither_overflows_nor_is_given_away() -> None:
    curve = WinCurve(0.0, 1.0)
    best = best_markup(curve, -2_000.0)
    assert best.markup == pytest.approx(2_000.0, rel=0.01)
    assert best.probability > 0.999


def test_beside_one_typical_quote_we_win_half_the_time_at_the_typical_distance() -> None:
    curve = prior_view(0.5).curve(1.0, 0.0, typical=0.0004)
    assert curve.probability(0.0004) == pytest.approx(0.5)
    assert curve.probability(0.0003) > 0.5


def test_more_competitors_leave_less() -> None:
    curves = [prior_view(0.5).curve(n, 0.5, 1.0) for n in range(8)]
    gains = [best_markup(curve, 0.5).gain for curve in curves]
    assert gains == sorted(gains, reverse=True)
    assert min(best_markup(curve, 0.5).markup for curve in curves) >= 1.0 / curves[0].b


# Means of the largest of m standard normals: closed forms for 2 and 3, tables (Harter 1961) for 4, 5 and 10.
@pytest.mark.parametrize(
    ("makers", "mean"),
    [(1, 0.0), (2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi)), (4, 1.02938), (5, 1.16296), (10, 1.53875)],
)
def test_the_curse_is_the_order_statistic(makers: int, mean: float) -> None:
    assert curse_deviations(makers - 1) == pytest.approx(mean, abs=1e-5)


def test_between_whole_numbers_of_competitors_the_curse_lies_between() -> None:
    assert curse_deviations(2) < curse_deviations(2.5) < curse_deviations(3)


@pytest.mark.parametrize("distance", [-1.0, 0.0, 0.7, 2.0])
def test_the_free_option_is_the_mean_of_what_is_left_of_the_move(distance: float) -> None:
    moves = 1.3 * ndtri((np.arange(1_000_000) + 0.5) / 1_000_000)
    assert free_option(1.3, distance) == pytest.approx(float(np.maximum(moves - distance, 0.0).mean()), abs=1e-5)


def test_without_time_the_option_is_what_it_is_in_the_money() -> None:
    assert (free_option(0.0, 0.4), free_option(0.0, -0.4)) == (0.0, 0.4)
