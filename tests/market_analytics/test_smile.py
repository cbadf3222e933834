import math

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.kernels.svi import durrleman_min
from flatbook.market.analytics.smile import Smile
from tests.market_analytics.published import flat, golden, ssvi


@pytest.mark.parametrize("row", golden("ssvi"), ids=lambda row: row["id"])
def test_ssvi_as_a_raw_slice(row: dict[str, str]) -> None:
    smile = ssvi(0.04, -0.5, 1.0, years=1.0)
    assert float(smile.variance(float(row["k"]))[0]) == pytest.approx(float(row["total_variance"]), abs=6e-10)


def test_ssvi_s_bounds_on_arbitrage() -> None:
    rho, s = ssvi(0.04, -0.5, 1.0, years=1.0).params[[2, 4]]
    phi = math.sqrt(1.0 - rho * rho) / s
    assert phi == pytest.approx(4.902903378, abs=6e-10)
    assert 0.04 * phi * (1.0 + abs(rho)) == pytest.approx(0.294174203, abs=6e-10)
    assert 0.04 * phi**2 * (1.0 + abs(rho)) == pytest.approx(1.442307692, abs=6e-10)


@pytest.mark.parametrize("row", golden("svi_vogt"), ids=lambda row: row["id"])
def test_butterfly_arbitrage_of_vogt_and_its_repairs(row: dict[str, str]) -> None:
    params = np.array([float(row[name]) for name in ("a", "b", "rho", "m", "s")])
    assert durrleman_min(params, -1.5, 1.5, 20_001) == pytest.approx(float(row["least_g"]), abs=2e-6)


def test_the_slope_is_the_vol_bumped() -> None:
    smile, k, h = ssvi(0.04, -0.5, 1.0, years=0.1), np.linspace(-1.0, 1.0, 9), 1e-6
    np.testing.assert_allclose(smile.vol_slope(k), (smile.vol(k + h) - smile.vol(k - h)) / (2 * h), rtol=1e-7)


def test_out_of_the_money_prices_are_black_and_meet_at_the_forward() -> None:
    smile = flat(0.6, 0.25)
    assert float(smile.otm_price(0.0)) == pytest.approx(math.erf(0.3 / 2 / math.sqrt(2)), rel=1e-14)
    below, above = smile.otm_price(np.array([-1e-12, 1e-12]))
    assert below == pytest.approx(above, rel=1e-11)


@pytest.mark.parametrize("years", [0.0, -1.0, math.nan, math.inf])
def test_a_smile_needs_time_and_five_numbers(years: float) -> None:
    with pytest.raises(BadInputError, match="must be above 0"):
        Smile(np.full(5, 0.1), years, 100.0)
    with pytest.raises(BadInputError, match="five finite"):
        Smile(np.array([0.1, 0.1, math.nan, 0.0, 0.1]), 1.0, 100.0)
