import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.decide.hedge.rules import (
    BandTerms,
    ClipTerms,
    band_clip_usd,
    discrete_hedging_deviation,
    leland_number,
    leland_vol,
    to_band_centre,
    to_band_edge,
    whalley_wilmott,
    zakamouline,
)
from flatbook.kernels.black import price_greeks
from tests.market_analytics.published import golden

Row = dict[str, str]


def band_terms(row: Row) -> BandTerms:
    names = ("cost_rate", "spot", "gamma", "risk_aversion", "vol", "years")
    return BandTerms(*(float(row[name]) for name in names))


@pytest.mark.parametrize("row", golden("hedging_bands"), ids=lambda row: row["id"])
def test_bands_are_as_published(row: Row) -> None:
    terms = band_terms(row)
    band = zakamouline(terms)
    assert whalley_wilmott(terms) == pytest.approx(float(row["whalley_wilmott"]), rel=1e-9)
    assert band.fixed == pytest.approx(float(row["fixed"]), rel=1e-8)
    assert band.by_gamma == pytest.approx(float(row["by_gamma"]), abs=1e-10)
    assert band.vol_adjustment == pytest.approx(float(row["vol_adjustment"]), rel=1e-9)
    assert band.half_width() == band.fixed + band.by_gamma


@pytest.mark.parametrize("row", golden("leland"), ids=lambda row: row["id"])
def test_lelands_number_is_as_published(row: Row) -> None:
    vol = float(row["vol"])
    number = leland_number(float(row["round_trip_rate"]), vol, float(row["years_between"]))
    assert number == pytest.approx(float(row["number"]), rel=1e-9)
    assert leland_vol(vol, number, -1.0) == pytest.approx(float(row["vol_short"]), rel=1e-9)
    if row["vol_long"]:
        assert leland_vol(vol, number, 1.0) == pytest.approx(float(row["vol_long"]), rel=1e-9)


def test_a_long_gamma_that_is_not_worth_its_hedging_has_no_vol() -> None:
    assert math.isnan(float(leland_vol(0.5, 1.2, 1.0)))


@pytest.mark.parametrize("row", golden("discrete_hedging"), ids=lambda row: row["id"])
def test_what_discrete_hedging_leaves_is_as_published(row: Row) -> None:
    spot, strike, vol, years = (np.array([float(row[name])]) for name in ("spot", "strike", "vol", "years"))
    price, delta, gamma, vega, theta = (np.empty(1) for _ in range(5))
    price_greeks(spot, strike, vol, years, np.ones(1), price, delta, gamma, vega, theta)
    assert price[0] == pytest.approx(float(row["price"]), rel=1e-9)
    assert vega[0] == pytest.approx(float(row["vega"]), rel=1e-9)
    assert discrete_hedging_deviation(vega, vol, float(row["hedges"]))[0] == pytest.approx(float(row["deviation"]))


POSITIVE = {
    "cost": st.floats(1e-5, 1e-2),
    "gamma": st.floats(1e-6, 1e-2),
    "aversion": st.floats(1e-7, 1.0),
}


@given(**POSITIVE)
def test_widening_a_band_by_two_takes_eight_times_the_cost(cost: float, gamma: float, aversion: float) -> None:
    terms = BandTerms(cost, 60_000.0, gamma, aversion, 0.5, 0.1)
    assert whalley_wilmott(terms._replace(cost_rate=8 * cost)) == pytest.approx(2 * float(whalley_wilmott(terms)))
    assert whalley_wilmott(terms._replace(gamma=-gamma)) == whalley_wilmott(terms)
    assert zakamouline(terms._replace(gamma=-gamma)).half_width() == zakamouline(terms).half_width()


@given(**POSITIVE)
def test_bands_narrow_with_risk_aversion(cost: float, gamma: float, aversion: float) -> None:
    terms = BandTerms(cost, 60_000.0, gamma, aversion, 0.5, 0.1)
    bolder = terms._replace(risk_aversion=aversion / 2)
    assert whalley_wilmott(terms) < whalley_wilmott(bolder)
    assert zakamouline(terms).half_width() < zakamouline(bolder).half_width()


def test_a_short_gamma_hedges_at_a_lower_vol_and_a_long_one_at_a_higher() -> None:
    band = zakamouline(BandTerms(5e-4, 60_000.0, 4e-5, 1e-4, 0.6, 30 / 365))
    assert band.vol_adjustment < 0.0
    assert band.hedging_vol(0.6, -1.0) < 0.6 < band.hedging_vol(0.6, 1.0)
    far = zakamouline(BandTerms(0.3, 60_000.0, 4e-2, 1.0, 0.6, 30 / 365))
    assert far.vol_adjustment < -1.0
    assert far.hedging_vol(0.6, -1.0) == 0.3


@given(gap=st.integers(-(10**6), 10**6), width=st.integers(0, 10**5))
def test_a_band_is_traded_to_its_edge_and_a_threshold_to_its_centre(gap: int, width: int) -> None:
    to_edge, to_centre = float(to_band_edge(gap, width)), float(to_band_centre(gap, width))
    if abs(gap) <= width:
        assert to_edge == to_centre == 0.0
    else:
        assert abs(gap + to_edge) == pytest.approx(width)
        assert gap + to_centre == 0.0
        assert to_edge * gap < 0.0


@given(
    delta=st.floats(-1e7, 1e7),
    band=st.floats(0.0, 1e6),
    lot=st.sampled_from([1.0, 10.0, 1_000.0]),
    clip=st.floats(1.0, 1e7),
)
def test_clips_are_whole_lots_within_their_most_and_never_past_the_bands_edge(
    delta: float, band: float, lot: float, clip: float
) -> None:
    usd = band_clip_usd(delta, band, ClipTerms(0.0, clip, lot))
    assert usd / lot == round(usd / lot)
    assert abs(usd) <= clip
    assert usd * delta <= 0
    if usd:
        assert band - 1e-6 <= abs(delta + usd) <= abs(delta)
    else:
        assert min(abs(delta) - band, clip) < lot


def test_a_clip_too_small_to_be_worth_sending_waits() -> None:
    terms = ClipTerms(least_usd=5_000.0, most_usd=1e6, lot_usd=10.0)
    assert band_clip_usd(84_990.0, 80_000.0, terms) == 0.0
    assert band_clip_usd(-85_000.0, 80_000.0, terms) == 5_000.0
    assert band_clip_usd(math.nan, 80_000.0, terms) == 0.0
