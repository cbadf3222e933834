import math

import numpy as np
import pytest

from flatbook.domain.units import NS_PER_MINUTE
from flatbook.report.smile import TIMES_PER_EXPIRY, smile_curve, smile_pictures, svi_vol
from flatbook.report.tables import SmilePointRow, SmileRow, Tables

FIT = SmileRow(
    ts_ns=0,
    expiry_ns=10**18,
    forward_usd=80_000.0,
    a=0.01,
    b=0.05,
    rho=-0.4,
    m=0.02,
    s=0.1,
    years=0.1,
    rmse_vol=0.004,
    age_s=1.0,
    status="fitted",
)


def test_svi_at_its_centre_and_far_away() -> None:
    assert svi_vol(np.array([FIT.m]), FIT)[0] == pytest.approx(math.sqrt((FIT.a + FIT.b * FIT.s) / FIT.years))
    far = svi_vol(np.array([50.0]), FIT)[0] ** 2 * FIT.years / 50.0
    assert far == pytest.approx(FIT.b * (1 + FIT.rho), rel=0.01)


def test_negative_variance_has_no_vol() -> None:
    assert math.isnan(svi_vol(np.zeros(1), FIT._replace(a=-1.0))[0])


def test_the_curve_reaches_past_points_and_forward() -> None:
    strikes, vols = smile_curve(FIT, np.array([82_000.0, 90_000.0]))
    assert strikes[0] < 80_000
    assert strikes[-1] > 90_000
    assert np.isfinite(vols).all()
    alone, _ = smile_curve(FIT, np.empty(0))
    assert alone[0] < 80_000 < alone[-1]


def test_a_slice_shows_points_no_later_than_itself() -> None:
    tables = Tables()
    for minute in (10, 20):
        tables.smiles.append(FIT._replace(ts_ns=minute * NS_PER_MINUTE))
    for minute, strike in ((5, 70_000.0), (15, 75_000.0), (25, 85_000.0)):
        tables.smile_points.append(SmilePointRow(minute * NS_PER_MINUTE, FIT.expiry_ns, strike, 0.5, 0.6, 1.0))
    frames = tables.frames()
    (picture,) = smile_pictures(frames["smiles"], frames["smile_points"])
    assert [part["points"]["strike"] for part in picture["slices"]] == [[70_000.0], [75_000.0]]
    assert picture["slices"][0]["points"]["mid"] == [55.0]
    assert picture["slices"][0]["points"]["half"] == [5.0]


def test_a_slice_before_any_point_shows_none() -> None:
    tables = Tables()
    tables.smiles.append(FIT)
    frames = tables.frames()
    (picture,) = smile_pictures(frames["smiles"], frames["smile_points"])
    assert picture["slices"][0]["points"]["strike"] == []


def test_expiries_are_in_order_and_times_are_few(tables: Tables) -> None:
    frames = tables.frames()
    pictures = smile_pictures(frames["smiles"], frames["smile_points"])
    assert [picture["expiry"] for picture in pictures] == ["31MAR25", "4APR25", "11APR25", "25APR25", "27JUN25"]
    assert all(len(picture["slices"]) <= TIMES_PER_EXPIRY for picture in pictures)
