import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.market.shock import Shock, Shocks, shocked_slices

from .snapshots import FLAT, SYMMETRIC, snapshot

MARKET = snapshot(linear_usd={"BTC-PERPETUAL": 80_040.0})

twists = st.floats(-0.3, 0.3)


def vol_at(shock: Shock, z: float, expiry: int) -> float:
    """Of a strike so many of the unshocked smile's deviations from the unshocked forward."""
    years, forward = float(MARKET.years[expiry]), float(MARKET.forward_usd[expiry])
    level = float(MARKET.vol(forward, years))
    return float(MARKET.shocked(shock).vol(forward * math.exp(z * level * math.sqrt(years)), years))


@pytest.mark.parametrize("expiry", [0, 1, 3])
@pytest.mark.parametrize("spot", [0.0, -0.2])
@pytest.mark.parametrize("size", [0.01, -0.01])
def test_a_twist_moves_vols_by_its_size_a_deviation_away_and_not_at_the_forward(
    expiry: int, spot: float, size: float
) -> None:
    def moved(shock: Shock, z: float) -> float:
        return vol_at(shock, z, expiry) - vol_at(Shock(), z, expiry)

    skewed, bent = Shock(spot=spot, skew=size), Shock(spot=spot, convexity=size)
    assert moved(skewed, 0.0) == pytest.approx(0.0, abs=1e-12)
    assert moved(bent, 0.0) == pytest.approx(0.0, abs=1e-12)
    assert moved(skewed, 1.0) - moved(skewed, -1.0) == pytest.approx(2 * size, rel=0.03)
    assert moved(bent, 1.0) + moved(bent, -1.0) == pytest.approx(2 * size, rel=0.03)


def test_many_shocks_are_each_of_them() -> None:
    one = [
        Shock(),
        Shock(-0.2, 0.5),
        Shock(0.1, skew=-0.05),
        Shock(convexity=0.03, term=0.2, basis=0.01),
        Shock(vol=-0.3),
    ]
    left = np.linspace(0.5, 1.0, 4)
    many = shocked_slices(Shocks.of(one), MARKET.slices, MARKET.years, left)
    for number, shock in enumerate(one):
        for column, alone in zip(many, shocked_slices(shock, MARKET.slices, MARKET.years, left), strict=True):
            np.testing.assert_allclose(np.broadcast_to(column, (5, 4))[number], alone, rtol=1e-14)


@given(twists, twists)
def test_however_twisted_no_variance_is_negative_and_no_wing_too_steep(skew: float, convexity: float) -> None:
    for smile in (FLAT, SYMMETRIC):
        market = snapshot(smile=smile)
        shock = Shock(skew=skew, convexity=convexity)
        a, b, rho, _, s = shocked_slices(shock, market.slices, market.years, np.ones(4))
        assert np.all(np.abs(rho) < 1.0)
        assert np.all(b >= 0.0)
        assert np.all(b * (1 + np.abs(rho)) <= 2.0 + 1e-12)
        assert np.all(a + b * s * np.sqrt(1 - rho**2) > 0.0)


def test_a_twist_of_terms_turns_about_a_month() -> None:
    flat = snapshot(smile=FLAT, days=(0.5, 1.0, 7.0, 30.0, 365.0))
    after = flat.shocked(Shock(vol=0.5, term=0.2))
    vols = [float(after.vol(80_000.0, years)) / 0.6 for years in after.years]
    assert vols == pytest.approx([1.5 * (30 / days) ** 0.2 for days in (1, 1, 7, 30, 365)], rel=1e-9)


def test_basis_moves_what_is_carried_and_not_the_index_and_strikes_keep_their_vols() -> None:
    after = MARKET.shocked(Shock(spot=0.1, basis=-0.05))
    assert after.index_usd == 80_000.0 * 1.1
    assert after.linear_usd["BTC-PERPETUAL"] == pytest.approx(80_040.0 * 1.1 * 0.95)
    np.testing.assert_allclose(after.forward_usd, MARKET.forward_usd * 1.1 * 0.95)
    years = MARKET.years[2]
    assert float(after.vol(70_000.0, years)) == pytest.approx(float(MARKET.vol(70_000.0, years)), rel=1e-9)


def test_an_expiry_without_a_slice_stays_without_and_one_that_passed_does_not_matter() -> None:
    slices = MARKET.slices.copy()
    slices[2] = np.nan
    years = np.array([-0.1, *MARKET.years[1:]])
    after = np.stack(shocked_slices(Shock(skew=-0.05, convexity=0.05, term=0.1), slices, years, np.ones(4)), axis=1)
    assert np.isnan(after[2]).all()
    assert np.isfinite(after[[0, 1, 3]]).all()


@pytest.mark.parametrize("bad", [{"basis": -1.0}, {"skew": math.nan}, {"term": math.inf}])
def test_a_twist_that_is_no_number_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match="forwards must stay above 0"):
        Shock(**bad)
