"""Calibrations of drawn chains: what is published, of what age, and why the rest is not."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.market.calibration.gate import arbitrages_of
from flatbook.market.calibration.parts import CONTRADICTS, FAR, CalibrationModel
from flatbook.market.calibration.slices import SliceStatus
from flatbook.market.calibration.surface import calibrate
from flatbook.market.chain_snapshot import ChainSnapshot
from tests.market_calibration.builders import NOW_NS, Drawn, Quoting, chain, later, smile, with_rows

EXPIRIES = [smile(days) for days in (0.5, 2.0, 9.0, 37.0, 130.0)]
STATUSES = ["fitted"] * len(EXPIRIES)


def test_a_drawn_surface_is_found_again() -> None:
    calibration = calibrate(chain(EXPIRIES, Quoting(tick=1e-9), np.random.default_rng(2)))
    assert [one.status for one in calibration.slices] == STATUSES
    assert not arbitrages_of(calibration)
    for one, drawn in zip(calibration.slices, EXPIRIES, strict=True):
        k = np.linspace(-2.0, 2.0, 21) * drawn.vol(np.zeros(1)) * math.sqrt(drawn.years)
        np.testing.assert_allclose(one.vol(k), drawn.vol(k), atol=0.01)
        assert abs(one.atm_vol - drawn.vol(np.zeros(1))[0]) < 3.0 * one.error_vol
        assert one.quality.rmse_vol < one.quality.half_spread_vol
        assert one.reason == ""
        assert one.fitted_ns == NOW_NS
        assert one.least_g >= 0.0
    assert all(one.calendar_gap >= 0.0 for one in calibration.slices[1:])


def test_inside_the_bid_ask_there_is_no_penalty() -> None:
    calibration = calibrate(chain(EXPIRIES, Quoting(tick=1e-9, half_vol=0.03), np.random.default_rng(4)))
    # What is left is the draw to the middle, by a twenty-fifth of a quote's squared weight.
    assert max(one.outside_vol for one in calibration.slices) < 0.03 * 0.03


def test_the_same_chain_gives_the_same_surface() -> None:
    snapshot = chain(EXPIRIES, rng=np.random.default_rng(2))
    first, second = calibrate(snapshot), calibrate(snapshot)
    for one, other in zip(first.slices, second.slices, strict=True):
        np.testing.assert_array_equal(one.params, other.params)


def test_a_warm_surface_stays_where_it_was() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9), np.random.default_rng(2))
    cold = calibrate(snapshot)
    warm = calibrate(later(snapshot, 1e-3), cold)
    for one, other in zip(cold.slices, warm.slices, strict=True):
        k = np.linspace(-2.0, 2.0, 9) * one.atm_vol * math.sqrt(one.years)
        np.testing.assert_allclose(other.vol(k), one.vol(k), atol=3e-3)


def test_quotes_that_cross_in_time_are_met_without_arbitrage() -> None:
    crossing = [smile(7.0, level=0.9), smile(9.0, level=0.78), smile(12.0, level=0.7)]
    assert crossing[1].params[0] < crossing[0].params[0]
    calibration = calibrate(chain(crossing, Quoting(half_vol=0.04, tick=1e-9)))
    assert [one.status for one in calibration.slices] == ["fitted"] * 3
    assert not arbitrages_of(calibration)


def test_one_sided_quotes_are_inequalities() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    wing = np.abs(np.log(snapshot.strike_usd / snapshot.forward_usd)) > 0.1
    asks_above = with_rows(snapshot, wing & (snapshot.sign > 0), bid=np.nan, ask=snapshot.ask * 3.0)
    calibration = calibrate(asks_above)
    assert [one.status for one in calibration.slices] == STATUSES
    assert abs(calibration.slices[3].atm_vol - EXPIRIES[3].vol(np.zeros(1))[0]) < 0.01


def test_a_stale_quote_is_left_out_and_counted() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    of = (snapshot.expiry_ns == EXPIRIES[3].expiry_ns) & (snapshot.sign < 0.0)
    strike = snapshot.strike_usd[of][10]
    stale = of & (snapshot.strike_usd == strike)
    fooled = with_rows(snapshot, stale, bid=snapshot.bid * 1.8, ask=snapshot.ask * 1.8)
    one, honest = calibrate(fooled).slices[3], calibrate(snapshot).slices[3]
    assert one.rows[CONTRADICTS] == 1
    assert one.atm_vol == pytest.approx(honest.atm_vol, abs=2e-3)


def test_quotes_far_beyond_the_reach_do_not_bend_a_smile() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9, reach=14.0, strikes=29))
    assert calibrate(snapshot).slices[1].rows[FAR] > 0


def thinned(strikes: int) -> ChainSnapshot:
    """The drawn chain with only so many strikes of its third expiry quoted."""
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    of = snapshot.expiry_ns == EXPIRIES[2].expiry_ns
    kept = np.unique(snapshot.strike_usd[of])[10 : 10 + strikes]
    return with_rows(snapshot, of & ~np.isin(snapshot.strike_usd, kept), bid=np.nan, ask=np.nan)


def test_what_is_not_quoted_enough_is_aged_from_the_last_good_slice_and_says_so() -> None:
    good = calibrate(chain(EXPIRIES, Quoting(tick=1e-9)))
    thin = thinned(3)
    aged = calibrate(later(thin, 2.0), good).slices[2]
    assert aged.status is SliceStatus.AGED
    assert aged.reason == "strikes quoted on both sides: 3; needed: 5"
    assert aged.fitted_ns == NOW_NS
    assert aged.age_s(NOW_NS + 7_200 * 10**9) == pytest.approx(7_200.0)
    assert aged.error_vol > 2.0 * good.slices[2].error_vol
    assert aged.atm_vol == pytest.approx(good.slices[2].atm_vol, abs=1e-3)


def test_age_adds_up_over_calibrations_until_it_is_too_old() -> None:
    thin = thinned(3)
    now = calibrate(chain(EXPIRIES, Quoting(tick=1e-9)))
    ages, errors = [], []
    for hours in (4.0, 8.0, 11.9, 12.1):
        now = calibrate(later(thin, hours), now)
        held = now.slice_of(EXPIRIES[2].expiry_ns)
        assert held is not None
        ages.append(held.status)
        errors.append(held.error_vol)
    assert ages == ["aged", "aged", "aged", "missing"]
    assert errors[0] < errors[1] < errors[2]
    assert math.isnan(errors[3])
    assert held is not None
    with pytest.raises(BadInputError):
        held.smile()


def test_without_a_past_it_is_missing_and_the_others_stand() -> None:
    calibration = calibrate(thinned(3))
    assert [one.status for one in calibration.slices] == ["fitted", "fitted", "missing", "fitted", "fitted"]
    assert len(calibration.published()) == 4
    assert np.isnan(calibration.slices[2].params).all()


def test_a_fit_that_fails_says_why_and_leaves_the_last_good_slice() -> None:
    good = calibrate(chain(EXPIRIES, Quoting(tick=1e-9)))
    impossible = [*EXPIRIES[:2], smile(9.0, level=1.8), *EXPIRIES[3:]]  # far above all that follow, on sharp quotes
    calibration = calibrate(later(chain(impossible, Quoting(tick=1e-9)), 1.0), good)
    held = [one for one in calibration.slices if one.status is SliceStatus.AGED]
    assert held
    assert all(one.reason for one in held)
    assert not arbitrages_of(calibration)


def test_an_aged_slice_takes_its_place_in_the_order_of_the_others() -> None:
    good = calibrate(chain(EXPIRIES, Quoting(tick=1e-9)))
    calmer = [smile(drawn.days, level=0.3) for drawn in EXPIRIES]
    snapshot = chain(calmer, Quoting(tick=1e-9))
    of = snapshot.expiry_ns == EXPIRIES[2].expiry_ns
    calibration = calibrate(later(with_rows(snapshot, of, bid=np.nan, ask=np.nan), 6.0), good)
    assert not arbitrages_of(calibration)
    assert [one.status for one in calibration.slices if one.expiry_ns != EXPIRIES[2].expiry_ns] == ["fitted"] * 4


def test_a_chain_without_quotes_is_all_aged_and_an_empty_one_is_empty() -> None:
    good = calibrate(chain(EXPIRIES, Quoting(tick=1e-9)))
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    silent = with_rows(snapshot, snapshot.sign != 0.0, bid=np.nan, ask=np.nan)
    assert {one.status for one in calibrate(later(silent, 1.0), good).slices} == {SliceStatus.AGED}
    over = calibrate(replace(snapshot, ts_ns=EXPIRIES[-1].expiry_ns), good)
    assert over.slices == ()
    assert over.published() == ()
    assert np.isnan(over.term().total_variance(0.0, 0.1))


@pytest.mark.parametrize("minutes", [0.5, 3.0, 29.0])
def test_an_expiry_minutes_away_breaks_nothing(minutes: float) -> None:
    closing = smile(minutes / 1440.0, level=1.2)
    quoting = Quoting(half_vol=0.1, tick=1e-9)
    calibration = calibrate(chain([closing, *EXPIRIES], quoting))
    assert [one.status for one in calibration.slices] == ["fitted", *STATUSES]
    assert not arbitrages_of(calibration)
    assert calibration.slices[0].atm_vol == pytest.approx(closing.vol(np.zeros(1))[0], abs=0.05)
    assert calibration.slices[1].atm_vol == pytest.approx(EXPIRIES[0].vol(np.zeros(1))[0], abs=0.05)


def test_a_tighter_model_asks_for_more() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    strict = calibrate(snapshot, model=CalibrationModel(fewest_two_sided=26))
    assert {one.status for one in strict.slices} == {SliceStatus.MISSING}


@st.composite
def surfaces(draw: st.DrawFn) -> list[Drawn]:
    """A few expiries, minutes to a year away, of any levels and skews: calendar order is not drawn."""
    days = sorted(draw(st.lists(st.floats(0.003, 365.0), min_size=2, max_size=5, unique_by=lambda day: round(day, 2))))
    level, skew = st.floats(0.2, 1.6), st.floats(-0.7, 0.7)
    return [smile(day, level=draw(level), skew=draw(skew), wing=draw(st.floats(0.1, 0.9))) for day in days]


@settings(max_examples=40)
@given(surfaces(), st.lists(st.floats(-4.0, 4.0), min_size=1, max_size=5))
def test_forward_variance_is_never_negative(drawn: list[Drawn], deviations: list[float]) -> None:
    calibration = calibrate(chain(drawn, Quoting(tick=1e-9)))
    assert not arbitrages_of(calibration)
    term = calibration.term()
    if not len(term.years):
        return
    years = np.concatenate([[1e-9], np.linspace(1e-6, 1.5, 400), term.years, term.years * (1.0 - 1e-9)])
    years.sort()
    for deviation in deviations:
        k = deviation * math.sqrt(float(term.total_variance(0.0, term.years[-1])))
        variance = term.total_variance(k, years)
        assert (variance > 0.0).all()
        assert (np.diff(variance) >= -1e-12 * variance[1:]).all()
