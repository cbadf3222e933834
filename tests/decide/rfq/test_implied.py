"""The one vol of a package: there and back, and where there is none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from flatbook.decide.rfq.implied import OneVega, package_vol

STRIKES = np.array([70_000.0, 90_000.0])
SIGNS = np.array([-1.0, 1.0])


def black(forward: float, strike: float, vol: float, years: float, sign: float) -> float:
    """Black (1976), undiscounted."""
    width = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / width + 0.5 * width
    return float(sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - width))))


@given(st.floats(0.1, 3.0), st.sampled_from([1.0, -2.0]))
def test_there_and_back(vol: float, ratio: float) -> None:
    package = OneVega(np.array([ratio, ratio]), STRIKES, SIGNS, 80_000.0, 0.1)
    values = [black(80_000.0, strike, vol, 0.1, sign) for strike, sign in zip(STRIKES, SIGNS, strict=True)]
    assert package_vol(package, ratio * sum(values)) == pytest.approx(vol, rel=1e-6)


def test_below_intrinsic_no_vol_says_so() -> None:
    call = OneVega(np.ones(1), np.array([70_000.0]), np.ones(1), 80_000.0, 0.1)
    assert math.isnan(package_vol(call, 9_000.0))
    assert math.isnan(package_vol(call, 80_001.0))
