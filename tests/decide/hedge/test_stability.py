import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flatbook.decide.hedge.stability import (
    KyleBelief,
    Loop,
    StabilityPolicy,
    Stage,
    amplification,
    guarded_pace,
    loop_gain,
)

POLICY = StabilityPolicy()


@given(gain=st.floats(-5, 5), fraction=st.floats(0.01, 1.0))
def test_with_lasting_impact_a_gap_keeps_what_the_reference_says(gain: float, fraction: float) -> None:
    loop = Loop(gain, fraction)
    assert loop.growth() == pytest.approx(abs(1 - fraction * (1 - gain)))
    assert loop.next(1.0, 0.0)[0] == pytest.approx(1 - fraction * (1 - gain))
    assert (loop.growth() < 1) == (0 < fraction * (1 - gain) < 2)


@given(gain=st.floats(-3, 3), fraction=st.floats(0.05, 1.0), lasting=st.floats(0.0, 1.0), kept=st.floats(0.0, 0.99))
def test_growth_is_the_spectral_radius_of_a_clip(gain: float, fraction: float, lasting: float, kept: float) -> None:
    loop = Loop(gain, fraction, lasting, kept)
    matrix = np.array([loop.next(1.0, 0.0), loop.next(0.0, 1.0)]).T
    radius = float(np.abs(np.linalg.eigvals(matrix)).max())
    # a double eigenvalue is known to half the digits
    assert loop.growth() == pytest.approx(max(radius, abs(matrix[0, 0])) if matrix[1, 0] == 0 else radius, abs=1e-6)


def test_a_gap_is_followed_through_a_market_that_we_move() -> None:
    """The recursion, and the same market kept as prices: what is traded, what of it lasts, what fades."""
    gain, fraction, lasting, kept = 0.9, 0.7, 0.4, 0.5
    loop = Loop(gain, fraction, lasting, kept)
    dollar_gamma, impact = 2e6, gain / 2e6
    price = faded = hedged = 0.0
    shock, gap, faded_gap = 0.01, 0.01 * dollar_gamma, 0.0
    for _ in range(20):
        want = dollar_gamma * (shock + price + faded) - hedged
        assert gap == pytest.approx(want, abs=1e-6)
        clip = fraction * want
        hedged += clip
        price += lasting * impact * clip
        faded = kept * (faded + (1 - lasting) * impact * clip)
        gap, faded_gap = loop.next(gap, faded_gap)
        assert faded_gap == pytest.approx(dollar_gamma * faded, abs=1e-6)


@given(gain=st.floats(-2.0, 0.9))
def test_a_move_ends_as_the_series_of_its_echoes(gain: float) -> None:
    moved, gap = 1.0, 1.0
    loop = Loop(gain, 0.3)
    for _ in range(3_000):
        moved += gain * 0.3 * gap
        gap = loop.next(gap, 0.0)[0]
    assert moved == pytest.approx(amplification(gain), rel=1e-6)


def test_from_a_gain_of_one_on_there_is_no_end() -> None:
    assert amplification(0.5) == 2.0
    assert amplification(1.0) == amplification(1.1) == math.inf


def test_a_short_gamma_book_has_a_positive_gain() -> None:
    assert loop_gain(-5e7, 1e-8) == pytest.approx(0.5)
    assert loop_gain(5e7, 1e-8) == pytest.approx(-0.5)


def test_impact_is_learnt_from_clips_and_not_from_what_made_us_trade() -> None:
    draw = np.random.default_rng(3)
    truth = 2e-9
    belief = KyleBelief(prior_per_usd=8e-9, prior_usd2=1e12)
    assert belief.per_usd == 8e-9
    for _ in range(5_000):
        clip = float(draw.normal(0.0, 1e6))
        belief = belief.observe(clip, truth * clip + 2e-3 * draw.normal())
    assert belief.per_usd == pytest.approx(truth, abs=3 * 2e-3 / (1e6 * math.sqrt(5_000)))
    assert KyleBelief(1e-9, 1e6).observe(1e6, -1.0).per_usd == 0.0


def test_old_clips_fade() -> None:
    belief = KyleBelief(prior_per_usd=0.0, prior_usd2=1.0)
    for impact, _ in itertools.product((5e-9, 1e-9), range(100)):
        belief = belief.observe(1e6, impact * 1e6, decay=0.9)
    assert belief.per_usd == pytest.approx(1e-9, rel=1e-3)


def test_below_its_bound_hedging_goes_on_as_usual() -> None:
    for gain in (0.0, 0.59, -0.59):
        pace = guarded_pace(POLICY, gain, 10.0)
        assert (pace.stage, pace.fraction, pace.wait_s, pace.reason) == (Stage.NORMAL, 1.0, 10.0, "")
    # the usual time between clips may be long enough for their impact to fade
    assert guarded_pace(POLICY, 1.2, 300.0).stage is Stage.NORMAL
    assert guarded_pace(POLICY, 1.2, 10.0).stage is Stage.SLOWED


def test_above_it_hedging_waits_until_the_last_clip_has_faded_and_says_so() -> None:
    pace = guarded_pace(POLICY, 1.1, 10.0)
    assert pace.stage is Stage.SLOWED
    assert pace.fraction == 1.0
    assert POLICY.met_gain(1.1, pace.wait_s) == pytest.approx(POLICY.slow_at_gain)
    assert pace.reason == "loop gain 1.00 at clips every 10 s: waiting 85 s, by when it is 0.60"


@given(gain=st.floats(0.61, 2.49), every_s=st.floats(1.0, 100.0))
def test_the_guarded_loop_is_stable_where_any_pace_is(gain: float, every_s: float) -> None:
    pace = guarded_pace(POLICY, gain, every_s)
    kept = math.exp(-pace.wait_s / POLICY.fade_s)
    assert pace.wait_s >= every_s
    assert Loop(gain, pace.fraction, POLICY.lasting_share, kept).growth() < 1.0


def test_the_unguarded_loop_at_the_same_gain_is_not() -> None:
    assert Loop(1.1, 1.0, 1.0).growth() > 1.0
    assert Loop(1.5, 1.0, POLICY.lasting_share, math.exp(-10 / POLICY.fade_s)).growth() > 1.0


def test_where_lasting_impact_alone_is_too_much_no_pace_helps_and_the_reason_says_what_would() -> None:
    pace = guarded_pace(POLICY, 2.6, 10.0)
    assert pace.stage is Stage.UNSTABLE
    assert pace.fraction == POLICY.least_fraction
    assert pace.wait_s == POLICY.longest_wait_s
    assert "buy gamma" in pace.reason


@given(gain=st.floats(-10.0, -0.9))
def test_a_long_gamma_book_trades_what_closes_its_gap_at_once(gain: float) -> None:
    pace = guarded_pace(POLICY, gain, 1.0)
    assert pace.stage is Stage.SLOWED
    assert Loop(gain, pace.fraction).next(1.0, 0.0)[0] == pytest.approx(0.0, abs=1e-12)
    assert "clips cut to" in pace.reason


def test_between_the_bounds_the_stage_stays_what_it_was() -> None:
    every = 1e-9  # nothing fades
    stages, stage = [], Stage.NORMAL
    for gain in (0.5, 0.61, 0.5, 0.41, 0.39, 0.5, 0.59):
        stage = guarded_pace(POLICY, gain, every, stage).stage
        stages.append(stage.value)
    assert stages == ["normal", "slowed", "slowed", "slowed", "normal", "normal", "normal"]


def test_bounds_that_would_flicker_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"resume_at_gain 0.7 is not below slow_at_gain 0.6"):
        StabilityPolicy(resume_at_gain=0.7)
