import math
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels import svi_between, svi_between_plain
from flatbook.kernels.surface_joint import SURFACE_CODES
from flatbook.kernels.svi_between import BETWEEN_SIZE, ROOM
from tests.market.witness import least_density, least_rise, total_variance

Floats = NDArray[np.float64]

NONE = np.full(5, math.nan)
YEARS = 0.1
WIDTH = 0.6 * math.sqrt(YEARS)
K = np.linspace(-2.5, 2.5, 31) * WIDTH


def natural(level: float, years: float, skew: float = -0.3, wing: float = 0.4) -> Floats:
    deviation = level * math.sqrt(years)
    return np.array([0.5 * deviation**2, wing * deviation, skew, 0.1 * deviation, deviation])


def fit(
    vol: Floats, near: Floats = NONE, far: Floats = NONE, *, half: float = 0.002, module: ModuleType = svi_between,
    prior: Floats = NONE,
) -> tuple[Floats, str]:  # fmt: skip
    out, held = np.empty(BETWEEN_SIZE), 0.0 if np.isnan(prior[0]) else 20.0
    weight = np.full(K.size, 1.0 / half)
    code = module.fit_between(K, vol - half, vol + half, vol, weight, YEARS, prior, prior, held, 0.05, near, far, out)
    return out, SURFACE_CODES[code]


def vols(params: Floats) -> Floats:
    return np.sqrt(total_variance(params, K) / YEARS)


def test_without_neighbours_or_between_distant_ones_it_is_what_was_seen() -> None:
    truth = natural(0.6, YEARS)
    alone, code = fit(vols(truth))
    assert code == "converged"
    assert np.isinf(alone[ROOM + 1 :]).all()
    between, code = fit(vols(truth), natural(0.6, 0.04), natural(0.6, 0.3))
    assert code == "converged"
    for out in (alone, between):
        np.testing.assert_allclose(vols(out[:5]), vols(truth), atol=3e-3)


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0.3, 1.2), st.floats(-0.8, 0.8), st.floats(0.05, 0.9), st.floats(0.02, 0.095), st.floats(0.105, 1.0),
    st.booleans(),
)  # fmt: skip
def test_a_slice_said_to_be_good_is_free_of_arbitrage_and_its_room_is_true(
    level: float, skew: float, wing: float, near_years: float, far_years: float, held: bool
) -> None:
    near, far = natural(0.6, near_years), natural(0.6, far_years)
    out, code = fit(vols(natural(level, YEARS, skew, wing)), near, far, prior=natural(0.6, YEARS) if held else NONE)
    if code in ("converged", "out_of_iterations"):
        assert least_density(out[:5]) >= -1e-9
        assert min(least_rise(near, out[:5]), least_rise(out[:5], far)) >= -1e-9
        assert least_rise(near, out[:5]) == pytest.approx(math.expm1(out[ROOM + 1]), abs=1e-4)
        assert least_rise(out[:5], far) == pytest.approx(math.expm1(out[ROOM + 2]), abs=1e-4)
        assert out[ROOM:].min() >= 0.0
    else:
        assert code in ("butterfly_left", "calendar_left")
        assert not out[ROOM:].min() >= 0.0


@pytest.mark.parametrize("module", [svi_between, svi_between_plain], ids=["kernel", "plain"])
def test_quotes_that_would_cross_a_neighbour_stop_at_it(module: ModuleType) -> None:
    near, far = natural(0.6, 0.09, skew=0.0), natural(0.6, 0.3)
    seen = vols(natural(0.55, YEARS, skew=-0.4))
    assert least_rise(near, natural(0.55, YEARS, skew=-0.4)) < 0.0
    out, code = fit(seen, near, far, half=0.02, module=module)
    assert code == "converged"
    assert least_rise(near, out[:5]) >= -1e-12
    assert least_rise(out[:5], far) >= -1e-12
    assert vols(out[:5]).mean() < 1.03 * np.maximum(vols(near), seen).mean()  # no higher than its neighbour makes it


def test_the_plain_twin_finds_the_same_slice() -> None:
    near, far = natural(0.6, 0.06), natural(0.6, 0.2)
    for truth in (natural(0.6, YEARS), natural(0.55, YEARS, skew=0.2), natural(0.62, YEARS, wing=0.5)):
        (fast, code), (plain, code_plain) = (
            fit(vols(truth), near, far, module=m) for m in (svi_between, svi_between_plain)
        )
        assert code == code_plain == "converged"
        np.testing.assert_allclose(vols(fast[:5]), vols(plain[:5]), atol=5e-4)
        assert fast[5] == pytest.approx(plain[5], abs=2e-4)


@pytest.mark.parametrize("module", [svi_between, svi_between_plain], ids=["kernel", "plain"])
def test_too_little_is_said_so(module: ModuleType) -> None:
    out = np.empty(BETWEEN_SIZE)
    few = np.full(3, 0.6)
    code = module.fit_between(K[:3], few, few, few, few, YEARS, NONE, NONE, 0.0, 0.05, NONE, NONE, out)
    assert SURFACE_CODES[code] == "too_few_points"
    code = module.fit_between(K, K, K, K, K, math.nan, NONE, NONE, 0.0, 0.05, NONE, NONE, out)
    assert SURFACE_CODES[code] == "bad_input"
