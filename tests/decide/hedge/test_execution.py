import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.decide.hedge.almgren_chriss import Liquidation
from flatbook.decide.hedge.execution import (
    Route,
    TouchTerms,
    choose_route,
    greek_slippage,
    running_risk_rate,
    whole_clips,
)
from flatbook.domain.errors import BadInputError

TOUCH = TouchTerms(
    half_spread_rate=1e-5,
    taker_fee_rate=5e-4,
    maker_fee_rate=0.0,
    adverse_selection_rate=3e-5,
    fill_years=60 / 31_536_000,
)


def test_waiting_is_worth_it_until_the_book_risks_what_it_saves() -> None:
    saved = 5e-4 + 2e-5 - 3e-5
    edge = saved / TOUCH.fill_years
    calm, hurried = choose_route(TOUCH, 0.99 * edge), choose_route(TOUCH, 1.01 * edge)
    assert calm.route is Route.PASSIVE
    assert hurried.route is Route.AGGRESSIVE
    assert hurried.aggressive_rate == pytest.approx(5.1e-4)
    assert hurried.passive_rate == pytest.approx(-1e-5 + 3e-5 + 1.01 * saved)
    assert hurried.in_words() == "aggressive: waiting costs 5.15 bp (4.95 of it risk), crossing 5.10"


def test_a_touch_that_fills_only_when_it_is_wrong_is_crossed() -> None:
    toxic = TouchTerms(1e-5, 1e-4, 0.0, adverse_selection_rate=2e-4, fill_years=1e-9)
    assert choose_route(toxic, 0.0).route is Route.AGGRESSIVE


@given(delta=st.floats(-1e8, 1e8), aversion=st.floats(1e-8, 1e-2))
def test_of_delta_alone_running_risk_is_aversion_times_variance_times_delta(delta: float, aversion: float) -> None:
    rate = running_risk_rate(np.array([delta, 5e5]), np.array([1.0, 0.0]), np.diag([0.36, 9.0]), aversion)
    assert rate == pytest.approx(aversion * 0.36 * abs(delta))


def test_running_risk_is_the_slope_of_the_variance_that_is_paid_for() -> None:
    covariance = np.array([[0.36, -0.2], [-0.2, 1.0]])
    exposure, loading = np.array([3e5, 4e5]), np.array([1.0, 0.1])

    def running(size: float) -> float:
        x = exposure + size * loading
        return 0.5 * 1e-4 * float(x @ covariance @ x)

    slope = (running(1.0) - running(-1.0)) / 2
    assert running_risk_rate(exposure, loading, covariance, 1e-4) == pytest.approx(abs(slope))


@given(lots=st.integers(-10_000, 10_000), shares=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=30))
def test_clips_are_whole_sum_to_the_trade_and_keep_to_the_schedule(lots: int, shares: list[float]) -> None:
    parts = np.array(shares) / sum(shares)
    clips = whole_clips(lots, parts)
    assert clips.sum() == lots
    assert np.all(clips * lots >= 0)
    assert np.all(np.abs(np.cumsum(clips) - lots * np.cumsum(parts)) <= 0.5 + 1e-6)


def test_a_schedule_becomes_clips() -> None:
    case = Liquidation(1e6, 5.0, 5, 0.95, 0.0625, 2.5e-7, 2.5e-6)
    shares = -np.diff(case.holdings(1e-6)) / 1e6
    assert whole_clips(-1_000, shares).tolist() == [-458, -252, -142, -86, -62]


def test_shares_that_are_not_a_whole_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"sum to 0.9; they must sum to 1"):
        whole_clips(10, np.array([0.5, 0.4]))


def test_slippage_in_greeks_says_what_the_fill_came_too_late_for() -> None:
    """A short-gamma book decides to buy 100k, the index rises a percent, and its delta runs away from the hedge."""
    decided = np.array([-100_000.0, -2e6, -3e5])
    at_fill = np.array([-140_000.0, -2e6, -2.9e5])
    move = np.array([0.01, 0.0, 0.02])
    slipped = greek_slippage(decided, at_fill, move, hedge=np.array([100_000.0, 0.0, 0.0]))
    assert slipped.drifted.tolist() == pytest.approx([-40_000.0, 0.0, 10_000.0])
    assert slipped.carried_usd.tolist() == pytest.approx([-1_000.0, 0.0, -6_000.0])
    assert slipped.drifted_usd.tolist() == pytest.approx([-200.0, 0.0, 100.0])
    assert slipped.left.tolist() == pytest.approx([-40_000.0, -2e6, -2.9e5])
    assert slipped.pnl_usd() == pytest.approx(-7_100.0)


@given(gamma=st.floats(-1e8, 1e8), vanna=st.floats(-1e6, 1e6), volga=st.floats(-1e6, 1e6), move=st.floats(-0.05, 0.05))
def test_slippage_in_greeks_is_what_a_quadratic_book_earned(
    gamma: float, vanna: float, volga: float, move: float
) -> None:
    curvature = np.array([[gamma, vanna], [vanna, volga]])
    decided, moves = np.array([2e5, -1e4]), np.array([move, -0.5 * move])
    earned = decided @ moves + 0.5 * moves @ curvature @ moves
    slipped = greek_slippage(decided, decided + curvature @ moves, moves, np.zeros(2))
    assert slipped.pnl_usd() == pytest.approx(float(earned), rel=1e-9, abs=1e-6)
