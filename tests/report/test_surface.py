"""The document, the text and the page of a calibrated surface."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest

from flatbook.market.calibration.quotes import USED
from flatbook.market.calibration.slices import Calibration
from flatbook.market.calibration.surface import calibrate
from flatbook.report.surface_data import surface_chart
from flatbook.report.surface_page import render_surface
from flatbook.report.surface_rows import surface_document
from flatbook.report.surface_text import surface_text
from tests.market_calibration.builders import SPOT_USD, Quoting, chain, later, smile, with_rows

EXPIRIES = [smile(days, skew=-0.4) for days in (0.2, 2.0, 9.0, 37.0, 130.0)]


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    """A drawn chain of which one expiry is aged and one is missing."""
    quoting = Quoting(tick=1e-9)
    snapshot = chain(EXPIRIES, quoting, np.random.default_rng(8))
    first, third = (snapshot.expiry_ns == EXPIRIES[at].expiry_ns for at in (0, 2))
    before = calibrate(with_rows(snapshot, first, bid=np.nan, ask=np.nan))
    return calibrate(later(with_rows(snapshot, first | third, bid=np.nan, ask=np.nan), 0.5), before)


@pytest.fixture(scope="module")
def document(calibration: Calibration) -> dict[str, Any]:
    """What `--json` prints of it."""
    return surface_document(calibration)


def test_the_document_is_json_with_every_number_and_reason(document: dict[str, Any]) -> None:
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert [row["status"] for row in document["expiries"]] == ["missing", "fitted", "aged", "fitted", "fitted"]
    assert (document["slices"], document["fitted"], document["holds"], document["arbitrage"]) == (3, 3, True, [])
    missing, fitted, aged = document["expiries"][:3]
    assert missing["svi"] == {"a": None, "b": None, "rho": None, "m": None, "s": None}
    assert missing["reason"] == aged["reason"] == "strikes quoted on both sides: 0; needed: 5"
    assert fitted["reason"] == ""
    assert aged["age_s"] == pytest.approx(1800.0)
    assert fitted["rows"][USED] == 25
    assert fitted["forward_usd"] == pytest.approx(EXPIRIES[1].forward_usd, rel=1e-3)
    assert sum(source["weight"] for source in fitted["forward_sources"]) == pytest.approx(1.0)
    assert fitted["atm_vol"] == pytest.approx(float(EXPIRIES[1].vol(np.zeros(1))[0]), abs=0.01)
    assert fitted["risk_reversal_25_vol"] < 0.0 < fitted["butterfly_25_vol"]
    assert document["vol_30d"] == pytest.approx(0.6, abs=0.02)


def test_a_check_that_does_not_hold_is_said() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    loud = with_rows(snapshot, snapshot.expiry_ns == EXPIRIES[1].expiry_ns, bid_iv=np.nan)
    alternating = np.where(np.arange(snapshot.sign.size) % 2 == 0, 4.0, 1.0)
    of = snapshot.expiry_ns == EXPIRIES[1].expiry_ns
    loud = with_rows(snapshot, of, bid=snapshot.bid * alternating, ask=snapshot.ask * alternating)
    told = surface_document(calibrate(loud))
    assert told["fitted"] < told["slices"]
    assert told["holds"] is False


def test_linear_options_have_plain_deltas() -> None:
    linear = surface_document(calibrate(chain(EXPIRIES[3:], Quoting(tick=1e-9, settle="USDC"))))
    inverse = surface_document(calibrate(chain(EXPIRIES[3:], Quoting(tick=1e-9))))
    assert linear["expiries"][1]["atm_vol"] == pytest.approx(inverse["expiries"][1]["atm_vol"], abs=2e-3)
    assert linear["expiries"][1]["risk_reversal_25_vol"] != pytest.approx(
        inverse["expiries"][1]["risk_reversal_25_vol"], abs=2e-3
    )


def test_the_text_has_two_lines_an_expiry_and_every_reason(document: dict[str, Any]) -> None:
    text = surface_text(document, "some.parquet")
    assert text.startswith(
        "BTC, 2026-02-02 03:10:00 UTC, some.parquet\n3 of 3 expiries fitted, no arbitrage, missed by "
    )
    for row in document["expiries"]:
        assert len(re.findall(rf"^{row['expiry']} ", text, re.MULTILINE)) >= 2
    assert "is aged 30 min: strikes quoted on both sides: 0; needed: 5" in text
    assert "is missing: strikes quoted" in text
    assert max(map(len, text.splitlines())) < 130


def test_an_empty_chain_has_a_document_a_text_and_a_page() -> None:
    over = calibrate(later(chain(EXPIRIES), 24.0 * 131.0))
    told = surface_document(over)
    assert (told["slices"], told["expiries"], told["rmse_vol"], told["vol_30d"]) == (0, [], None, None)
    assert "0 of 0 expiries fitted" in surface_text(told, "none.csv")
    assert "holds no expiry that is still to come" in render_surface(over, "none.csv")


def test_the_page_is_whole_and_loads_nothing(calibration: Calibration) -> None:
    page = render_surface(calibration, "<chain>.parquet")
    assert "&lt;chain&gt;.parquet" in page
    outside_script = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!#)', outside_script)
    ids = re.findall(r'<div id="([^"]+)" class="plot">', page)
    assert ids == [
        *(f"smile-{at}" for at in range(5)),
        "grid",
        "density",
        "g",
        "variance",
        "rise",
        "term-vol",
        "term-carry",
    ]
    links, anchors = re.findall(r'href="#([^"]+)"', page), re.findall(r'<section id="([^"]+)"', page)
    assert sorted(links) == sorted(anchors)
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1].replace("\\u003c", "<")).keys() == {"smiles", "grid", "checks", "term", "forwards"}
    assert page.count("strikes quoted on both sides: 0; needed: 5") >= 2
    assert render_surface(calibration, "<chain>.parquet") == page


def test_what_is_drawn_is_what_was_calibrated(calibration: Calibration) -> None:
    chart = surface_chart(calibration)
    smile_, one = chart["smiles"][3], calibration.slices[3]
    k = np.log(np.array(smile_["curve"]["x"]) / one.forward.forward_usd)
    np.testing.assert_allclose(np.array(smile_["curve"]["y"]) / 100, one.vol(k), atol=1e-4)
    assert len(smile_["band"]["x"]) == 25
    assert all(lo < hi for lo, hi in zip(smile_["band"]["lo"], smile_["band"]["hi"], strict=True))
    assert smile_["range"][0] < min(smile_["curve"]["y"]) < max(smile_["curve"]["y"]) < smile_["range"][1]
    grid = np.array(chart["grid"]["z"])
    assert grid.shape == (len(chart["grid"]["y"]), len(chart["grid"]["x"]))
    assert np.isfinite(grid).all()
    assert len(chart["grid"]["slices"]) == 4
    for check in chart["checks"]:
        assert min(check["g"]) >= 0.0
        assert check["rise"] is None or min(check["rise"]) >= 0.0
        mass = np.trapezoid(check["density"], check["z"])
        assert mass == pytest.approx(1.0, abs=0.05)
    assert all(value > 0.0 for value in chart["term"]["forward_vol"])
    assert chart["forwards"]["rate"][-1] == pytest.approx(5.0, abs=0.3)


def test_one_side_alone_is_a_triangle_and_one_expiry_no_surface() -> None:
    snapshot = chain(EXPIRIES[3:4], Quoting(tick=1e-9))
    right = np.log(snapshot.strike_usd / SPOT_USD) > 0.05
    one_sided = calibrate(with_rows(snapshot, right & (snapshot.sign > 0), bid=np.nan))
    chart = surface_chart(calibrate(with_rows(snapshot, right, bid=np.nan)))
    assert chart["grid"] == {"z": []}
    assert len(surface_chart(one_sided)["smiles"][0]["band"]["x"]) > 0
    assert chart["smiles"][0]["asks"]["x"]
    assert not chart["smiles"][0]["bids"]["x"]
    assert math.isfinite(chart["smiles"][0]["atm"])
