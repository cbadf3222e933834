import math
from types import ModuleType

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels import svi, svi_fit, svi_fit_plain, svi_plain

Floats = NDArray[np.float64]

NONE = np.full(5, math.nan)
TRUE = np.array([0.01, 0.12, -0.3, 0.02, 0.15])
VOGT = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])
YEARS = 0.1
WING_PULL = 1e-3  # share of vol that the weak pull of wings moves vols by where quotes have no noise


def smile(params: Floats, k: Floats, years: float = YEARS) -> Floats:
    out = np.empty(k.size)
    svi.svi_vol(params, k, years, out)
    return out


def fit(
    k: Floats,
    lo: Floats,
    hi: Floats,
    mid: Floats,
    start: Floats = NONE,
    prior: Floats = NONE,
    prior_weight: float = 0.0,
    mid_weight: float = 0.0,
    butterfly_weight: float = 0.0,
    years: float = YEARS,
    plain: bool = False,
) -> tuple[str, Floats]:
    out = np.empty(svi_fit.FIT_SIZE)
    function = svi_fit_plain.fit_slice if plain else svi_fit.fit_slice
    weight = np.ones(k.size)
    code = function(k, lo, hi, mid, weight, years, start, prior, prior_weight, mid_weight, butterfly_weight, out)
    return svi_fit.FIT_CODES[code], out


def inside_bounds(params: Floats) -> bool:
    a, b, rho, _, s = params
    return bool(
        b >= 0.0
        and abs(rho) < 1.0
        and s > 0.0
        and a + b * s * math.sqrt(1.0 - rho * rho) >= 0.0
        and b * (1.0 + abs(rho)) <= 2.0 + 1e-12
    )


@pytest.mark.parametrize("plain", [False, True], ids=["kernel", "plain"])
@pytest.mark.parametrize(("params", "years"), [(TRUE, YEARS), (VOGT, 1.0)], ids=["tame", "vogt"])
def test_a_cold_start_finds_the_smile_that_made_the_quotes(params: Floats, years: float, plain: bool) -> None:
    k = np.linspace(-0.9, 0.9, 40)
    vol = smile(params, k, years)
    code, out = fit(k, vol, vol, vol, years=years, plain=plain)
    assert code == "converged"
    np.testing.assert_allclose(out[:5], params, atol=3e-4)
    np.testing.assert_allclose(smile(out[:5], k, years), vol, atol=WING_PULL)


@settings(max_examples=60, deadline=None)
@given(
    level=st.floats(0.15, 2.0),
    years=st.floats(1e-4, 3.0),
    skew=st.floats(-0.8, 0.8),
    curve=st.floats(0.1, 3.0),
    centre=st.floats(-1.0, 1.0),
    n=st.integers(8, 80),
)
def test_any_smile_inside_the_bounds_is_found(
    level: float, years: float, skew: float, curve: float, centre: float, n: int
) -> None:
    deviation = level * math.sqrt(years)
    assume(0.4 * deviation * (1.0 + abs(skew)) < 2.0)
    params = np.array([0.4 * deviation**2, 0.4 * deviation, skew, centre * deviation, curve * deviation])
    k = np.linspace(-3.5, 3.5, n) * deviation
    vol = smile(params, k, years)
    code, out = fit(k, vol, vol, vol, years=years)
    assert code == "converged"
    assert inside_bounds(out[:5])
    assert np.max(np.abs(smile(out[:5], k, years) - vol)) < WING_PULL * level


@pytest.mark.parametrize("mid_weight", [0.0, 0.3])
@pytest.mark.parametrize("butterfly_weight", [0.0, 3.0])
@pytest.mark.parametrize("prior_weight", [0.0, 1.0])
def test_kernel_and_plain_twin_find_the_same_slice(
    mid_weight: float, butterfly_weight: float, prior_weight: float
) -> None:
    k = np.linspace(-0.6, 0.5, 31)
    quoted = smile(TRUE, k) + np.random.default_rng(0).normal(0.0, 0.01, k.size)
    (fast_code, fast), (plain_code, plain) = (
        fit(
            k,
            quoted - 5e-3,
            quoted + 5e-3,
            quoted,
            prior=TRUE * 1.1,
            prior_weight=prior_weight,
            mid_weight=mid_weight,
            butterfly_weight=butterfly_weight,
            plain=plain_twin,
        )
        for plain_twin in (False, True)
    )
    assert fast_code == plain_code == "converged"
    np.testing.assert_allclose(smile(fast[:5], k), smile(plain[:5], k), atol=2e-6)
    assert fast[5] == pytest.approx(plain[5], abs=1e-7)


def test_inside_the_bands_there_is_no_penalty() -> None:
    k = np.linspace(-0.6, 0.5, 21)
    lo, hi = smile(TRUE, k) - 0.02, smile(TRUE, k) + 0.005
    code, out = fit(k, lo, hi, 0.5 * (lo + hi))
    assert code == "converged"
    assert out[5] < WING_PULL
    vol = smile(out[:5], k)
    assert np.all(vol > lo - WING_PULL)
    assert np.all(vol < hi + WING_PULL)


def test_a_one_sided_quote_is_an_inequality() -> None:
    k = np.linspace(-0.6, 0.5, 21)
    vol = smile(TRUE, k)
    lo, hi, mid = vol.copy(), vol.copy(), vol.copy()
    lo[0] = mid[0] = math.nan  # only an offer, far above
    hi[0] = vol[0] + 1.0
    hi[-1] = mid[-1] = math.nan  # only a bid, far below
    lo[-1] = 0.05
    code, out = fit(k, lo, hi, mid)
    assert code == "converged"
    np.testing.assert_allclose(smile(out[:5], k), vol, atol=WING_PULL)
    lo[-1] = vol[-1] + 0.05  # a bid above the smile pulls it up
    assert smile(fit(k, lo, hi, mid)[1][:5], k)[-1] > vol[-1] + 0.002


def test_wings_without_quotes_do_not_run_away() -> None:
    k = np.linspace(-0.05, 0.05, 9)  # half a standard deviation: any wings would do
    quoted = smile(TRUE, k) + np.random.default_rng(2).normal(0.0, 2e-4, k.size)
    code, out = fit(k, quoted - 2e-3, quoted + 2e-3, quoted, mid_weight=0.2)
    assert code == "converged"
    deviation = quoted[4] * math.sqrt(YEARS)
    slopes = out[1] * np.array([1.0 - out[2], 1.0 + out[2]]) / deviation
    assert np.all(slopes > 0.3)
    assert np.all(slopes < 3.0)


def test_a_prior_keeps_two_old_quotes_from_throwing_the_slice() -> None:
    k = np.array([0.3, 0.35])
    quoted = smile(TRUE, k) + 0.02
    code, out = fit(k, quoted, quoted, quoted, prior=TRUE, prior_weight=1.0)
    assert code == "converged"
    wide = np.linspace(-0.6, 0.5, 23)
    assert np.max(np.abs(smile(out[:5], wide) - smile(TRUE, wide))) < 0.03
    assert np.all(smile(out[:5], k) > smile(TRUE, k))


def test_the_butterfly_penalty_removes_the_arbitrage_of_vogt() -> None:
    k = np.linspace(-1.5, 1.5, 60)
    vol = smile(VOGT, k, 1.0)
    code, free = fit(k, vol, vol, vol, years=1.0, butterfly_weight=10.0)
    assert code == "converged"
    assert svi.durrleman_min(VOGT, -1.5, 1.5, 2001) < -0.03
    assert svi.durrleman_min(free[:5].copy(), -1.5, 1.5, 2001) >= 0.0
    assert free[5] < 0.01


@pytest.mark.parametrize("plain", [False, True], ids=["kernel", "plain"])
@pytest.mark.parametrize("shape", [(0.78, -0.44, -1.8, 1.2), (0.82, -0.69, -1.3, 0.7), (0.95, 0.4, 1.6, 1.4)])
def test_a_dip_of_the_density_between_the_points_of_its_penalty_is_removed_too(
    shape: tuple[float, float, float, float], plain: bool
) -> None:
    deviation, years = 0.03, 0.002
    slope, rho, centre, bend = shape
    b, m, s = slope * deviation, centre * deviation, bend * deviation
    quoted = np.array([deviation**2 - b * (math.hypot(m, s) - rho * m), b, rho, m, s])
    far = deviation * np.linspace(-60.0, 60.0, 100_001)
    assert svi_plain.durrleman(quoted, far).min() < -1e-3
    k = np.linspace(-2.5, 2.5, 11) * deviation
    mid = smile(quoted, k, years)
    code, out = fit(k, mid - 0.02, mid + 0.02, mid, mid_weight=0.2, butterfly_weight=0.3, years=years, plain=plain)
    assert code == "converged"
    assert svi_plain.durrleman(out[:5], far).min() >= 0.0
    assert out[5] < 1e-3


def test_a_warm_start_takes_fewer_steps() -> None:
    k = np.linspace(-0.6, 0.5, 60)
    vol = smile(TRUE, k) + np.random.default_rng(1).normal(0.0, 0.002, k.size)
    _, cold = fit(k, vol, vol, vol)
    code, warm = fit(k, vol + 1e-3, vol + 1e-3, vol + 1e-3, start=cold[:5].copy())
    assert code == "converged"
    assert warm[6] <= 4
    np.testing.assert_allclose(smile(warm[:5], k) - smile(cold[:5], k), 1e-3, atol=2e-5)


@pytest.mark.parametrize("module", [svi_fit, svi_fit_plain], ids=["kernel", "plain"])
def test_many_expiries_in_one_call_are_each_alone(module: ModuleType) -> None:
    sizes, years = (30, 0, 12, 41), np.array([0.02, 0.1, 0.3, 1.0])
    first = np.concatenate([[0], np.cumsum(sizes)])
    k = np.concatenate([np.linspace(-0.5, 0.5, n) for n in sizes])
    vol = np.concatenate([smile(TRUE * t, k[i:j], t) for t, i, j in zip(years, first, first[1:], strict=False)])
    start, weight = np.full((4, 5), math.nan), np.ones(k.size)
    start[3] = TRUE
    prior_weight = np.array([0.0, 1.0, 0.0, 0.5])
    out, code = np.empty((4, svi_fit.FIT_SIZE)), np.empty(4, dtype=np.int8)
    module.fit_slices(first, k, vol, vol, vol, weight, years, start, start, prior_weight, 0.1, 0.0, out, code)
    assert code.tolist() == [svi_fit.CONVERGED, svi_fit.TOO_FEW_POINTS, svi_fit.CONVERGED, svi_fit.CONVERGED]
    for i in range(4):
        part, alone = slice(first[i], first[i + 1]), np.empty(svi_fit.FIT_SIZE)
        column = (k[part], vol[part], vol[part], vol[part], weight[part])
        module.fit_slice(*column, years[i], start[i], start[i], prior_weight[i], 0.1, 0.0, alone)
        np.testing.assert_allclose(out[i], alone, rtol=1e-5, atol=1e-9)


def test_too_little_or_broken_input_is_said_by_code() -> None:
    k = np.linspace(-0.6, 0.5, 21)
    vol = smile(TRUE, k)
    absent = np.full(21, math.nan)
    assert fit(k, absent, absent, absent)[0] == "too_few_points"
    assert fit(k[:4], vol[:4], vol[:4], vol[:4])[0] == "too_few_points"
    assert fit(k, vol, vol, vol, years=0.0)[0] == "bad_input"
    assert fit(k, vol, vol, vol, years=math.nan)[0] == "bad_input"
    k[3] = math.nan
    code, out = fit(k, vol, vol, vol)
    assert code == "bad_input"
    assert np.isnan(out[:5]).all()


def test_quotes_without_weight_count_for_nothing() -> None:
    k = np.linspace(-0.6, 0.5, 21)
    vol = smile(TRUE, k)
    spoiled, weight = vol.copy(), np.ones(21)
    spoiled[5], weight[5] = 3.0, 0.0
    out = np.empty(svi_fit.FIT_SIZE)
    code = svi_fit.fit_slice(k, spoiled, spoiled, spoiled, weight, YEARS, NONE, NONE, 0.0, 0.0, 0.0, out)
    assert code == svi_fit.CONVERGED
    assert out[7] == 20
    np.testing.assert_allclose(smile(out[:5], k), vol, atol=WING_PULL)
