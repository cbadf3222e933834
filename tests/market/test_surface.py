import math

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND, NS_PER_YEAR, parse_utc
from flatbook.kernels import svi
from flatbook.market.expiry_quotes import Bands
from flatbook.market.surface import Surface
from flatbook.market.surface_model import REASONS, SliceStatus, SurfaceModel

from .witness import least_density, least_rise

Floats = NDArray[np.float64]

NOW_NS = parse_utc("2025-03-31T12:00")
YEARS = 0.1
BOTH = np.array([YEARS, 4 * YEARS])
WIDTH = 0.6 * math.sqrt(YEARS)
TRUE = np.array([0.45, 0.35, -0.25, 0.1, 0.9]) * np.array([WIDTH**2, WIDTH, 1.0, WIDTH, WIDTH])
MODEL = SurfaceModel()


def vol(params: Floats, k: Floats | float, years: float = YEARS) -> Floats:
    at = np.atleast_1d(np.asarray(k, float))
    out = np.empty(at.size)
    svi.svi_vol(params, at, years, out)
    return out


def seeded(level: float = 0.6, years: float = YEARS) -> Surface:
    surface = Surface(MODEL)
    surface.age(np.array([years, 4 * years]), NOW_NS)
    surface.seed(0, level)
    return surface


def see(surface: Surface, k: float, seen: float, error: float = 0.001, now_ns: int = NOW_NS, slot: int = 0) -> bool:
    surface.age(surface.slices.years, now_ns)
    return surface.see(slot, k, seen, error)


def shown(params: Floats, noise: float = 0.0, seed: int = 0) -> Surface:
    """A surface that saw `params` at random strikes, with noise, was fitted, and saw the level once more."""
    surface, rng = seeded(float(vol(params, 0.0)[0])), np.random.default_rng(seed)
    for k in rng.uniform(-2.0, 2.0, 64) * WIDTH:
        see(surface, k, float(vol(params, k)[0]) + noise * rng.normal(), max(noise, 0.001))
    assert surface.refit(0) is SliceStatus.FITTED
    see(surface, 0.0, surface.vol(0, 0.0))
    return surface


def bands(k: Floats, seen: Floats, half: float = 0.0) -> Bands:
    return Bands(k, seen - half, seen + half)


WIDE = np.linspace(-2.0, 2.0, 41) * WIDTH


def test_a_known_smile_is_recovered_from_what_it_shows() -> None:
    surface = shown(TRUE)
    np.testing.assert_allclose(vol(surface.slices.params[0], WIDE), vol(TRUE, WIDE), atol=1e-3)
    assert surface.status[0] == SliceStatus.FITTED
    assert surface.rmse_vol[0] < 2e-3


@pytest.mark.parametrize("seed", range(3))
def test_noise_averages_out_and_is_stated(seed: int) -> None:
    surface = shown(TRUE, noise=0.01, seed=seed)
    off = vol(surface.slices.params[0], WIDE) - vol(TRUE, WIDE)
    assert np.sqrt(np.mean(off**2)) < 0.006
    assert surface.rmse_vol[0] == pytest.approx(0.01, rel=0.4)


def test_a_seen_level_moves_the_whole_slice() -> None:
    surface = shown(TRUE)
    before = vol(surface.slices.params[0], WIDE)
    assert see(surface, 0.0, float(vol(TRUE, 0.0)[0]) * 1.005, now_ns=NOW_NS + NS_PER_HOUR)
    moved = vol(surface.slices.params[0], WIDE) / before
    np.testing.assert_allclose(moved, moved[0], rtol=1e-12)
    assert 1.002 < moved[0] < 1.005
    assert see(surface, 0.0, float(vol(TRUE, 0.0)[0]), now_ns=NOW_NS + NS_PER_HOUR)
    back = vol(surface.slices.params[0], WIDE) / before
    assert 1 < back[0] < moved[0]  # two equal sightings at one moment meet in the middle
    assert back[0] - 1 == pytest.approx((moved[0] - 1) / 2, rel=0.2)


def test_what_a_slice_was_fitted_to_is_carried_along_with_its_level() -> None:
    surface = shown(TRUE)
    _, low, high, _ = surface.points(0)
    see(surface, 0.0, float(vol(TRUE, 0.0)[0]) * 1.03, now_ns=NOW_NS + NS_PER_HOUR)
    ratio = surface.vol(0, 0.0) / float(vol(TRUE, 0.0)[0])
    _, low_after, high_after, _ = surface.points(0)
    np.testing.assert_allclose(np.sort(low_after)[:-1] / np.sort(low)[:-1], ratio, rtol=0.03)
    np.testing.assert_array_equal(low_after, high_after)
    assert len(low) == len(high)


def test_a_jump_is_refused_with_a_reason_until_others_agree() -> None:
    surface = shown(TRUE)
    level, params = surface.vol(0, 0.0), surface.slices.params[0].copy()
    for _ in range(MODEL.jump_confirmations - 1):
        assert not see(surface, 0.0, 1.4 * level)
        assert surface.status[0] == SliceStatus.HELD_JUMP
        np.testing.assert_array_equal(surface.slices.params[0], params)
    assert see(surface, 0.0, 1.4 * level)
    assert surface.vol(0, 0.0) == pytest.approx(1.4 * level, rel=0.02)


def test_jumps_to_both_sides_confirm_nothing() -> None:
    surface = shown(TRUE)
    level = surface.vol(0, 0.0)
    assert not any(see(surface, 0.0, level * factor) for factor in [1.4, 0.7] * 10)
    assert surface.vol(0, 0.0) == level


def test_an_agreeing_print_between_two_jumps_starts_the_count_anew() -> None:
    surface = shown(TRUE)
    level = surface.vol(0, 0.0)
    assert not see(surface, 0.0, 1.4 * level)
    assert not see(surface, 0.0, 1.4 * level)
    assert see(surface, 0.0, level)
    assert not see(surface, 0.0, 1.4 * level)


def test_a_jump_that_its_age_allows_is_believed() -> None:
    surface = shown(TRUE)
    level = surface.vol(0, 0.0)
    assert not see(surface, 0.0, 1.2 * level, now_ns=NOW_NS + NS_PER_SECOND)
    assert see(surface, 0.0, 1.2 * level, now_ns=NOW_NS + 12 * NS_PER_HOUR)


def test_a_fit_that_explains_too_little_leaves_the_last_good_slice_and_trusts_it_less() -> None:
    surface = shown(TRUE)
    error = surface.levels_and_errors(1, NOW_NS)[1][0]
    off = np.where(np.arange(82) % 2, 1.25, 0.8)
    k = np.sort(np.tile(WIDE, 2)) + 3.0 * WIDTH
    params = surface.slices.params[0].copy()
    surface.see_chain({0: bands(k, vol(params, k) * off)})
    assert surface.status[0] == SliceStatus.HELD_RESIDUAL
    np.testing.assert_array_equal(surface.slices.params[0], params)
    assert surface.levels_and_errors(1, NOW_NS)[1][0] > 5 * error


def test_every_status_has_its_reason_in_words() -> None:
    assert set(REASONS) == set(SliceStatus)
    assert {status for status, reason in REASONS.items() if reason.startswith("kept the last")} == {
        status for status in SliceStatus if status.is_held
    }


def test_a_smile_with_butterflies_is_never_published() -> None:
    width = 0.6  # a year at 60 %: the wings of a sharp kink are dense enough to be arbitrage
    kinked = np.array([0.02, 0.9, 0.0, 0.3, 0.02])
    k = np.linspace(-1.5, 1.5, 64) * width
    assert least_density(kinked) < -0.05
    surface = seeded(width, 1.0)
    surface.see_chain({0: bands(k, vol(kinked, k, 1.0))})
    assert surface.status[0] == SliceStatus.FITTED
    assert least_density(surface.slices.params[0]) >= 0.0
    assert surface.vol(0, 0.0) == pytest.approx(float(vol(kinked, 0.0, 1.0)[0]), rel=0.1)


def test_expiries_quoted_in_the_wrong_order_are_published_in_the_right_one() -> None:
    surface, k = shown(TRUE), np.linspace(-2, 2, 41) * WIDTH
    surface.seed(1, 0.6)
    quoted = {0: bands(k, np.full(41, 0.66), 0.002), 1: bands(k, np.full(41, 0.3), 0.002)}
    surface.see_chain(quoted)
    near, far = surface.slots_at(BOTH)[:2]
    assert least_rise(near, far) >= 0.0
    assert min(least_density(near), least_density(far)) >= 0.0


def test_a_move_of_levels_that_cannot_be_in_order_is_taken_back_and_leaves_doubt() -> None:
    surface = shown(TRUE)
    surface.seed(1, 0.6)
    for k in np.linspace(-1, 1, 8) * WIDTH:
        see(surface, k, float(vol(TRUE * np.array([1.02, 1.02, 1, 1, 1]), k)[0]) / 2.0, slot=1)
    surface.refit(1)
    doubt = surface.level_covariance[0, 0]
    for n in range(9):  # of the nearer expiry alone: its variance would pass the farther one's
        see(surface, 0.0, 1.5 * surface.vol(0, 0.0), 1e-4, NOW_NS + n + 1)
        near, far = surface.slots_at(BOTH)[:2]
        assert least_rise(near, far) >= -1e-12
    assert surface.level_covariance[0, 0] > doubt


def test_an_expiry_that_finds_no_fit_of_its_own_between_its_neighbours_has_one_of_them_scaled() -> None:
    surface = shown(TRUE)
    surface.age(np.array([YEARS, 4 * YEARS, 2 * YEARS, YEARS / 3, 9 * YEARS]), NOW_NS)
    surface.seed(1, 0.6)
    for slot, sides in ((2, (0, 1)), (3, (None, 0)), (4, (1, None))):
        params, room = surface.slices.scaled_between(slot)
        assert least_density(params) >= 0.0
        for side, pair in zip(sides, ((0, 1), (1, 0)), strict=True):
            if side is not None:
                other = surface.slices.current(side)
                assert least_rise(*((other, params) if pair[0] == 0 else (params, other))) >= -1e-12
        assert min(room) >= 0.0


def test_one_expiry_teaches_the_others_by_their_correlation() -> None:
    surface = shown(TRUE)
    surface.seed(1, 0.6)
    for k in np.linspace(-1, 1, 8) * WIDTH:
        see(surface, k, float(vol(surface.slices.params[1], k, BOTH[1])[0]), slot=1)
    assert surface.refit(1) is SliceStatus.FITTED
    for slot in (0, 1):  # both levels known well: from here on they wander together
        see(surface, 0.0, surface.vol(slot, 0.0), 1e-5, slot=slot)
    surface.rmse_vol[:2] = 0.0
    for slot in (0, 1):
        see(surface, 0.0, surface.vol(slot, 0.0), 1e-5, slot=slot)
    before = [surface.vol(slot, 0.0) for slot in (0, 1)]
    assert see(surface, 0.0, before[0] * 1.03, 1e-5, NOW_NS + 6 * NS_PER_HOUR)
    near, far = (math.log(surface.vol(slot, 0.0) / before[slot]) for slot in (0, 1))
    slower = 4**-MODEL.tenor_power * MODEL.tenor_correlation ** math.log(4)
    assert near == pytest.approx(math.log(1.03), rel=1e-3)
    assert far == pytest.approx(near * slower, rel=1e-3)


def test_a_new_expiry_borrows_its_neighbours_smile_in_standardised_moneyness() -> None:
    surface = shown(TRUE)
    surface.seed(1, 0.9)
    assert surface.status[1] == SliceStatus.SEEDED
    k = np.linspace(-2, 2, 9)
    near, far = vol(surface.slices.params[0], k * WIDTH), vol(surface.slices.params[1], k * 2 * WIDTH, BOTH[1])
    np.testing.assert_allclose(far, near, rtol=0.01)
    assert surface.levels_and_errors(2, NOW_NS)[1][1] > 0.05


def test_a_borrowed_slice_waits_for_its_own_points_before_it_is_fitted() -> None:
    surface = seeded(0.6)
    for n, k in enumerate(np.array([-1.0, 0.0, 1.0, 0.5]) * WIDTH):
        assert surface.refit(0) is SliceStatus.SEEDED
        assert see(surface, k, float(vol(TRUE, k)[0]))
        assert surface.vol(0, 0.0) == pytest.approx(0.6), n
    assert surface.refit(0) is SliceStatus.FITTED
    assert surface.vol(0, 0.0) == pytest.approx(float(vol(TRUE, 0.0)[0]), abs=0.01)


def test_time_takes_variance_and_leaves_vol() -> None:
    surface = shown(TRUE)
    later = surface.at(0, YEARS / 4)
    np.testing.assert_allclose(vol(later, WIDE, YEARS / 4), vol(surface.slices.params[0], WIDE), rtol=1e-12)
    np.testing.assert_allclose(surface.slots_at(np.array([YEARS / 4]))[0], later, rtol=1e-12)
    assert surface.slots_at(np.array([-0.01]))[0, :2].tolist() == [0.0, 0.0]


def test_what_was_never_seen_is_not_a_number() -> None:
    surface = seeded()
    assert math.isnan(surface.vol(1, 0.0))
    assert not surface.is_known(1)
    level, error = surface.levels_and_errors(2, NOW_NS)
    assert math.isnan(level[1])
    assert error[1] == math.inf
    assert np.isnan(surface.slots_at(np.array([0.1, 0.1]))[1]).all()


@pytest.mark.parametrize("others_were_seen", [False, True])
@pytest.mark.parametrize("hours", [1, 24])
def test_the_error_of_a_level_grows_with_the_time_since_it_was_seen(hours: int, others_were_seen: bool) -> None:
    surface, years, then_ns = shown(TRUE), np.array([YEARS]), NOW_NS + hours * NS_PER_HOUR
    fresh = surface.levels_and_errors(1, NOW_NS)[1][0]
    if others_were_seen:
        surface.age(years, then_ns)
    level, error = (column[0] for column in surface.levels_and_errors(1, then_ns))
    grown = (level * float(MODEL.wander(years)[0])) ** 2 * hours * NS_PER_HOUR / NS_PER_YEAR
    assert error**2 - fresh**2 == pytest.approx(grown, rel=1e-6)
