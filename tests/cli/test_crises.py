"""`flatbook stress --crisis` as a user has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import TAPE_FOLDER

from .conftest import Flatbook

DATA = TAPE_FOLDER.parent
QUICK = ("--spot", "0", "--vol", "0", "--days", "0", "--loss", "1")
BOOK = """\
instrument,size,price,venue,currency,amount
BTC-30JAN26-70000-P,-20,,deribit
BTC-30JAN26-60000-P,20,,other
,,,,BTC,20
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.csv"
    path.write_text(BOOK, encoding="utf-8")
    return path


def recorded() -> Path:
    if not DATA.exists():
        pytest.skip("recorded market data is not beside the repository")
    return DATA


def test_a_crisis_is_told_drawn_and_limited(flatbook: Flatbook, book: Path, chain: Path, tmp_path: Path) -> None:
    """One run of everything: its document, its page, and the exit code of a limit that does not hold."""
    page = tmp_path / "page.html"
    words = ("stress", book, "--chain", chain, *QUICK, "--crisis", "2022-11-08", "--data", recorded(), "--limit", 1000)
    ended = flatbook(*words, "--hedge", "none", "--lose-venue", "winning", "--html", page, "--json")
    assert ended.code == 3
    crises = ended.document["crises"]
    (row,) = crises["rows"]
    assert row["spot_low"] == pytest.approx(0.753, abs=0.006)
    assert sum(row["parts_usd"].values()) == pytest.approx(row["pnl_usd"], abs=1e-3)
    assert row["worst"]["pnl_usd"] <= min(row["pnl_usd"], -1000.0)
    assert (crises["holds"], crises["worst"], row["hedges"]["count"]) == (False, "2022-11-08", 0)
    assert (row["lost"]["venue"], row["parts_usd"]["lost_venue"] < 0.0) == ("other", True)
    assert row["margin"]["use_peak"] > row["margin"]["use_at_start"] > 0.0
    assert row["sources"] == sorted(row["sources"])
    assert all((recorded() / file).is_file() for file in row["sources"])
    text = page.read_text("utf-8")
    assert 'id="crisis-use-chart"' in text
    assert "DVOL between its closes" in text
    drawn = json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])["crises"]
    assert [len(drawn[0][key]) for key in ("hours", "spot", "pnl", "delta", "use")] == [121] * 5


def test_a_person_has_a_table_of_it(flatbook: Flatbook, tmp_path: Path, chain: Path) -> None:
    """Without balances margin is not followed, and it says so."""
    book = tmp_path / "bare.csv"
    book.write_text("instrument,size\nBTC-30JAN26-70000-P,-20\n", encoding="utf-8")
    options = ("--crisis", "2022-11-08", "--data", recorded(), "--hedge", "band", "--depth-factor", 0.1)
    ended = flatbook("stress", book, "--chain", chain, *QUICK, *options, "--outage-hours", 8)
    assert ended.code == 0
    assert "Crises, hedged by band, depth × 0.1, no hedge venue for 8 h" in ended.out
    assert "−25 %" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "the book has no balances: margin is not followed in crises" in ended.err


def test_what_the_covariance_learnt_on_the_way_is_told_beside_what_it_was(
    flatbook: Flatbook, book: Path, chain: Path, tmp_path: Path
) -> None:
    """Spot of November 2022 was wilder than the prior: Σ learns it, and hedges are others, as both say."""
    out, page = tmp_path / "out.json", tmp_path / "page.html"
    options = ("--crisis", "2022-11-08", "--data", recorded(), "--out", out, "--html", page)
    ended = flatbook("stress", book, "--chain", chain, *QUICK, *options)
    assert ended.code == 0
    (row,) = json.loads(out.read_text("utf-8"))["crises"]["rows"]
    learning, static = row["covariance"]["learning"], row["covariance"]["static"]
    assert set(static["spot_vol"].values()) == {0.55}
    assert learning["spot_vol"]["start"] == 0.55
    assert 1.2 < learning["spot_vol"]["end"] * 1.2 < learning["spot_vol"]["peak"] < 2.0
    assert (learning["pnl_usd"], learning["hedges"]) == (row["pnl_usd"], row["hedges"])
    assert learning["pnl_usd"] != static["pnl_usd"]
    assert "with Σ learning, spot vol 55 % →" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "What Σ learnt on the way" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--hedge", "all"), "--hedge: of a crisis, and none is asked for; give --crisis all, or one's name"),
        (("--crisis", "1987"), "--crisis 1987: no such crisis; there are 2020-03-12, 2021-05-19"),
        (("--crisis", "all", "--hedge", "no"), "--hedge no: no such rule; there are none, all, band, price-of-risk"),
        (("--crisis", "all", "--depth-factor", 0), "--depth-factor 0: leaves no market; give more than 0"),
        (("--crisis", "all", "--outage-hours", -1), "--outage-hours -1: is no length of time; give 0 or more"),
        (
            ("--crisis", "all", "--lose-venue", "mars"),
            "--lose-venue mars: the book has no such venue; there are winning",
        ),
        (("--crisis", "all", "--margin-model", "x"), "--model x: no such margin model"),
        (("--crisis", "2020-03-12", "--data", "nowhere"), "name the folder of recordings by --data"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    flatbook: Flatbook, book: Path, chain: Path, options: tuple[object, ...], complaint: str
) -> None:
    ended = flatbook("stress", book, "--chain", chain, *QUICK, *options)
    assert ended.code == 2
    assert complaint in ended.complaint
