import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.kernels.svi import durrleman_min
from flatbook.market.analytics.jump_wings import JumpWings, jump_wings, raw_params, without_butterfly
from flatbook.market.analytics.smile import Smile
from tests.market_analytics.published import golden

RAW = ("a", "b", "rho", "m", "s")
WINGS = ("v", "psi", "p", "c", "v_least")
ROWS = golden("svi_vogt")


def floats(row: dict[str, str], names: tuple[str, ...]) -> list[float]:
    return [float(row[name]) for name in names]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_both_ways_as_published(row: dict[str, str]) -> None:
    wings = JumpWings(*floats(row, WINGS))
    assert tuple(raw_params(wings, 1.0)) == pytest.approx(floats(row, RAW), abs=1e-7)
    assert jump_wings(Smile(np.array(floats(row, RAW)), 1.0, 100.0)) == pytest.approx(wings, abs=6e-8)


def test_the_repair_of_vogt() -> None:
    vogt, expected = (JumpWings(*floats(row, WINGS)) for row in ROWS[:2])
    repaired = without_butterfly(vogt)
    assert repaired == pytest.approx(expected, abs=6e-10)
    assert durrleman_min(raw_params(repaired, 1.0), -10.0, 10.0, 4_001) > 0.0
    assert durrleman_min(raw_params(vogt, 1.0), -10.0, 10.0, 4_001) < 0.0


@given(st.floats(0.01, 0.5), st.floats(-0.95, 0.95), st.floats(-0.5, 0.5), st.floats(0.02, 1.0), st.floats(0.01, 2.0))
def test_round_trips(b: float, rho: float, m: float, s: float, years: float) -> None:
    params = np.array([0.02, b, rho, m, s])
    smile = Smile(params, years, 100.0)
    wings = jump_wings(smile)
    if wings.variance - wings.least_variance > 1e-4 * wings.variance:
        k = np.linspace(-2.0, 2.0, 9)
        again = Smile(raw_params(wings, years), years, 100.0)
        np.testing.assert_allclose(again.variance(k)[0], smile.variance(k)[0], rtol=1e-6)


def test_wings_are_what_they_say() -> None:
    smile = Smile(np.array([0.02, 0.1, -0.3, 0.05, 0.2]), 0.5, 100.0)
    wings = jump_wings(smile)
    total, slope = smile.variance(0.0)
    assert wings.variance == pytest.approx(float(total) / 0.5)
    assert wings.skew == pytest.approx(float(slope) / (2 * math.sqrt(total)))
    left, right = smile.variance(np.array([-1e6, 1e6]))[1]
    assert (wings.put_slope, wings.call_slope) == pytest.approx((-left / math.sqrt(total), right / math.sqrt(total)))
    assert wings.least_variance == pytest.approx(smile.variance(np.linspace(-0.5, 0.5, 100_001))[0].min() / 0.5)


@pytest.mark.parametrize(
    ("wings", "message"),
    [
        (JumpWings(0.2, 0.0, 0.5, 0.5, 0.3), "v >= v~"),
        (JumpWings(0.2, 0.0, -0.5, 0.5, 0.1), "p . c"),
        (JumpWings(0.2, 0.4, 0.5, 0.5, 0.1), "inside -p/2"),
        (JumpWings(0.2, 0.0, 0.5, 0.5, 0.2), "curvature open"),
    ],
)
def test_wings_of_no_slice_are_refused(wings: JumpWings, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        raw_params(wings, 1.0)


def test_without_a_call_wing_there_is_no_repair() -> None:
    with pytest.raises(BadInputError, match="no call wing"):
        without_butterfly(JumpWings(0.2, -0.4, 0.5, 0.5, 0.1))
