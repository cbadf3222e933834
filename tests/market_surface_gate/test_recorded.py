"""Every recorded chain: enough slices fitted, near enough to their quotes, and no arbitrage in what is published."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from docs.surface import BOOKS, DATA, PAGE, SETS, Measured, measure

from flatbook.kernels.black import black
from flatbook.market.calibration.gate import LEAST_FITTED
from flatbook.market.calibration.slices import CalibratedSlice, Calibration

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason="recorded chains are not beside the repository"),
]

NAMES = [of.name for of in SETS]


@pytest.fixture(scope="module")
def measured() -> dict[str, Measured]:
    """Each set, calibrated once for all tests."""
    return {of.name: measure(of) for of in SETS}


@pytest.mark.parametrize("name", NAMES)
def test_nearly_all_slices_are_fitted_and_none_is_arbitraged(name: str, measured: dict[str, Measured]) -> None:
    verdict = measured[name].verdict
    assert verdict.slices > 0
    assert verdict.share_fitted >= LEAST_FITTED
    assert verdict.arbitrages == 0


@pytest.mark.parametrize("name", NAMES)
def test_slices_lie_within_half_the_bid_ask(name: str, measured: dict[str, Measured]) -> None:
    verdict = measured[name].verdict
    assert verdict.weighted_rmse_vol < verdict.half_spread_vol
    if BOOKS not in name:  # whose mids are those of bands up to fifty vol points wide
        assert verdict.rmse_vol < verdict.half_spread_vol


def test_what_is_not_fitted_says_why(measured: dict[str, Measured]) -> None:
    every = [one for of in measured.values() for calibration in of.calibrations for one in calibration.slices]
    assert all(bool(one.reason) == (one.status.value != "fitted") for one in every)
    assert all(one.age_s(one.fitted_ns) == 0.0 for one in every if one.is_published)


def test_prices_have_no_arbitrage_either(measured: dict[str, Measured]) -> None:
    """By call prices instead of total variance: convex in the strike, and rising with time at fixed moneyness."""
    for of in measured.values():
        for calibration in of.calibrations:
            _check_prices(calibration)


def _check_prices(calibration: Calibration) -> None:
    before: CalibratedSlice | None = None
    for one in calibration.published():
        k = np.linspace(-10.0, 10.0, 401) * one.atm_vol * math.sqrt(one.years)
        slope = np.diff(_calls(one, k)) / np.diff(np.exp(k))
        assert slope[0] >= -1.0 - 1e-9
        assert slope[-1] <= 1e-9
        assert np.diff(slope).min() >= -1e-9
        if before is not None:
            assert (_calls(one, k) - _calls(before, k)).min() >= -1e-14
        before = one


def _calls(
    one: CalibratedSlice, k: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(black(1.0, np.exp(k), one.vol(k), one.years, 1.0).price)


@pytest.mark.parametrize("name", [name for name in NAMES if "6 h" in name or "crash" in name])
def test_error_bars_of_forwards_cover_what_they_say(name: str, measured: dict[str, Measured]) -> None:
    misses = np.array(measured[name].forward_misses)
    assert misses.size > 100
    assert 0.68 < np.mean(misses < 1.0) < 0.96
    assert np.mean(misses < 2.0) > 0.95


def test_the_page_says_what_is_measured(measured: dict[str, Measured]) -> None:
    rows = dict(re.findall(r"^\| (.+?) \| (\d+ \|.*\d) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    for name in NAMES:
        verdict = measured[name].verdict
        chains, slices, fitted, thin, arbitrages, *points = (cell.strip() for cell in rows[name].split("|"))
        assert (int(chains), int(slices), int(arbitrages)) == (verdict.chains, verdict.slices, verdict.arbitrages)
        assert fitted == f"{100 * verdict.share_fitted:.2f} %"
        assert thin == f"{verdict.thin_aged}, {verdict.thin_missing}"
        told = (verdict.rmse_vol, verdict.weighted_rmse_vol, verdict.half_spread_vol)
        np.testing.assert_allclose([float(point) for point in points], 100 * np.array(told), atol=0.05)
