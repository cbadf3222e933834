import math

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.kernels import svi, svi_plain
from flatbook.kernels.black import black

Floats = NDArray[np.float64]

# Gatheral and Jacquier (2014), example 3.1: Vogt's smile, which has butterfly arbitrage, and the repair of 5.1.
VOGT = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])
REPAIRED = np.array([0.007740912, 0.069242034, -0.334036481, 0.042033745, 0.118607803])


def variance(params: Floats, k: Floats) -> Floats:
    out = np.empty(k.size)
    svi.svi_total_variance(params, k, out)
    return out


def test_total_variance_of_vogt() -> None:
    expected = [0.136781961, 0.017426253, 0.016236570, 0.167151700]
    np.testing.assert_allclose(variance(VOGT, np.array([-1.5, 0.0, 0.4, 1.5])), expected, atol=6e-10)


def test_butterfly_arbitrage_of_vogt_and_of_its_repair() -> None:
    assert svi.durrleman_min(VOGT, -1.5, 1.5, 20_001) == pytest.approx(-0.0328636, abs=1e-7)
    assert svi.durrleman_min(VOGT, -1.5, 0.6424, 20_001) > 0.0
    assert svi.durrleman_min(VOGT, 1.257, 1.5, 20_001) > 0.0
    assert svi.durrleman_min(REPAIRED, -1.5, 1.5, 20_001) == pytest.approx(0.277826, abs=1e-6)


def test_g_is_the_density_of_the_forward() -> None:
    # g(k) n(d2)/sqrt(w) is the density in k: second derivative of the call in strike by differences is the witness.
    k = 0.35
    strikes = np.exp(np.array([k - 1e-3, k, k + 1e-3]))
    calls = black(1.0, strikes, np.sqrt(variance(REPAIRED, np.log(strikes))), 1.0, 1).price
    slopes = np.diff(calls) / np.diff(strikes)
    by_difference = (slopes[1] - slopes[0]) / (0.5 * (strikes[2] - strikes[0]))
    w = variance(REPAIRED, np.array([k]))[0]
    d2 = -k / math.sqrt(w) - 0.5 * math.sqrt(w)
    normal = math.exp(-0.5 * d2 * d2) / math.sqrt(2.0 * math.pi * w)
    g = svi.durrleman_min(REPAIRED, k, k + 1e-12, 2)
    assert g * normal / strikes[1] == pytest.approx(by_difference, rel=1e-4)


def test_calendar_gap_finds_a_crossing_between_quotes() -> None:
    near, far = np.array([0.01, 0.1, 0.0, 0.0, 0.1]), np.array([0.012, 0.1, 0.0, 0.3, 0.1])
    assert svi.calendar_gap(near, near, -1.0, 1.0, 101) == 0.0
    grid = np.linspace(-1.0, 1.0, 101)
    expected = np.min(variance(far, grid) - variance(near, grid))
    assert expected < 0.0
    assert svi.calendar_gap(near, far, -1.0, 1.0, 101) == pytest.approx(expected, abs=1e-15)


def test_slopes_are_derivatives() -> None:
    k = np.array([-0.8, -0.1, 0.36, 0.9])
    w, dw, d2w = np.empty(4), np.empty(4), np.empty(4)
    svi.svi_derivatives(VOGT, k, w, dw, d2w)
    h = 1e-4
    up, down = variance(VOGT, k + h), variance(VOGT, k - h)
    np.testing.assert_allclose(dw, (up - down) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(d2w, (up - 2 * w + down) / h**2, rtol=1e-5)
    vol, slope = np.empty(4), np.empty(4)
    svi.svi_vol_slope(VOGT, k, 0.5, vol, slope)
    np.testing.assert_allclose(vol, np.sqrt(w / 0.5), rtol=1e-15)
    np.testing.assert_allclose(slope, (np.sqrt(up / 0.5) - np.sqrt(down / 0.5)) / (2 * h), rtol=1e-6)


def test_kernels_and_plain_twins_agree() -> None:
    rng = np.random.default_rng(3)
    k = rng.uniform(-2.0, 2.0, 37)
    for _ in range(20):
        params = np.array([rng.uniform(0, 0.1), rng.uniform(0, 1), rng.uniform(-0.9, 0.9), rng.uniform(-1, 1), 0.2])
        far = params * 1.1
        fast, plain = np.empty((8, 37)), np.empty((8, 37))
        for module, out in ((svi, fast), (svi_plain, plain)):
            module.svi_total_variance(params, k, out[0])
            module.svi_vol(params, k, 0.3, out[1])
            module.svi_vol_slope(params, k, 0.3, out[2], out[3])
            module.svi_derivatives(params, k, out[4], out[5], out[6])
            out[7, 0] = module.durrleman_min(params, -1.0, 1.0, 50)
            out[7, 1:] = module.calendar_gap(params, far, -1.0, 1.0, 50)
        np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=1e-15)
