import math

import numpy as np
import pytest

from flatbook.decide.hedge.stability import KyleBelief, StabilityPolicy, Stage
from flatbook.sim.hedging.feedback import AnsweringMarket, amplified_variance, hedge_in

SECONDS = 1_200
GUARD = StabilityPolicy()


def market(gain: float, lasting: float = 1.0, every_s: int = 10) -> AnsweringMarket:
    """A book short 50 M USD of gamma and 5 M USD of delta at most."""
    return AnsweringMarket(gain / 5e7, -5e7, 5e6, lasting_share=lasting, every_s=every_s)


def shocks(paths: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(1).normal(0.0, 0.6 / math.sqrt(365 * 86_400), (paths, SECONDS))


def test_the_gain_is_the_books_gamma_times_the_markets_impact() -> None:
    assert market(0.5).gain == pytest.approx(0.5)
    assert market(0.5).gamma_usd(0.0) == -5e7
    rise = (market(0.5).delta_usd(0.011) - market(0.5).delta_usd(0.009)) / 0.002
    assert market(0.5).gamma_usd(0.01) == pytest.approx(rise, rel=1e-4)
    assert market(0.5).delta_usd(1.0) == pytest.approx(-5e6)


def test_without_impact_the_market_goes_its_own_way() -> None:
    answer = hedge_in(market(0.0), shocks(1)[0], None)
    assert np.array_equal(answer.price_log, answer.market_log)
    assert np.abs(answer.gap_usd[::10]).max() < 1.0  # just after each clip


def test_a_gain_of_a_half_makes_four_times_the_variance() -> None:
    ratio = amplified_variance(market(0.5), shocks(150), None)
    assert ratio == pytest.approx(4.0, rel=0.06)
    assert amplified_variance(market(0.5, lasting=0.4), shocks(150), None) == pytest.approx(
        1 / (1 - 0.2) ** 2, rel=0.08
    )


def test_a_gain_over_one_runs_away_and_the_guard_holds_it() -> None:
    fast = market(1.1, lasting=0.4, every_s=2)
    wild, held = (amplified_variance(fast, shocks(60), guard) for guard in (None, GUARD))
    assert wild > 30.0
    # what lasts of the impact amplifies all the same
    assert held == pytest.approx(1 / (1 - 0.4 * 1.1) ** 2, rel=0.12)


def test_the_guard_says_what_it_does_and_its_hedging_goes_on() -> None:
    answer = hedge_in(market(1.1, lasting=0.4, every_s=2), shocks(1)[0], GUARD)
    second, pace = answer.paces[0]
    assert second == 0
    assert pace.stage is Stage.SLOWED
    assert "loop gain 1.08 at clips every 2 s: waiting 85 s" in pace.reason
    unhedged = np.abs(market(1.1).delta_usd(answer.price_log[-1]))
    assert np.abs(answer.gap_usd[-1]) < 0.5 * unhedged


def test_below_its_bound_the_guard_changes_nothing() -> None:
    path = shocks(1)[0]
    alone, watched = (hedge_in(market(0.5), path, guard) for guard in (None, GUARD))
    assert np.array_equal(alone.price_log, watched.price_log)
    assert watched.paces == []


def test_where_all_impact_lasts_no_pace_helps_and_little_is_traded() -> None:
    stubborn = StabilityPolicy(lasting_share=1.0, least_fraction=0.05)
    answer = hedge_in(market(1.1), shocks(1)[0], stubborn)
    assert answer.paces[0][1].stage is Stage.UNSTABLE
    wild = hedge_in(market(1.1), shocks(1)[0], None)
    assert np.abs(answer.price_log - answer.market_log).max() < 0.2 * np.abs(wild.price_log - wild.market_log).max()


def test_impact_believed_too_small_is_learnt_and_the_guard_wakes() -> None:
    asleep = KyleBelief(prior_per_usd=0.1 * 1.1 / 5e7, prior_usd2=1e9)
    answer = hedge_in(market(1.1, lasting=0.4, every_s=2), shocks(1)[0], GUARD, asleep)
    second, pace = answer.paces[0]
    assert second > 0
    assert pace.stage is Stage.SLOWED
