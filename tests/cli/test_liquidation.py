"""`flatbook liquidation` as a user has it."""

import json
import re
from pathlib import Path

import pytest

from .conftest import Flatbook

SMALL = ("--paths", 2, "--accounts", 40, "--hours", 0.1, "--late", "0,60", "--misvalue", "0,10", "--jobs", 1)


@pytest.mark.parametrize("waterfall", ["ranked", "auction"])
def test_the_curve_and_its_picture(flatbook: Flatbook, tmp_path: Path, waterfall: str) -> None:
    page = tmp_path / "curve.html"
    first = flatbook("liquidation", *SMALL, "--waterfall", waterfall, "--html", page, "--json")
    assert first.code == 0
    engines = first.document["engines"]
    assert [(row["late_s"], row["misvalued"]) for row in engines] == [(0, 0), (0, 0.1), (60, 0), (60, 0.1)]
    assert engines[0]["more_debts_share"] == engines[0]["more_debts_share_error"] == 0.0
    drawn = json.loads(re.findall(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"))[0])
    assert [row for late in drawn["engines"] for row in late] == engines


def test_processes_draw_the_same(flatbook: Flatbook) -> None:
    one, two = (flatbook("liquidation", *SMALL, "--jobs", jobs, "--json").document for jobs in (1, 2))
    assert one == two


def test_a_person_reads_it(flatbook: Flatbook) -> None:
    ended = flatbook("liquidation", *SMALL, "--paths", 1)
    assert ended.code == 0
    for word in ("60 s late", "10 % too high", "Fund did not suffice", "Winners", "1 crash of 0.1 h"):
        assert word in ended.out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--waterfall", "none"), "--waterfall none: is not known; use one of ranked, water_filling"),
        (("--late", "0,soon"), "--late 0,soon: is no list of numbers"),
        (("--misvalue", "-5"), "--misvalue: has a value below 0"),
        (("--model", "cme"), "--model cme: no such margin model"),
        (("--depth", "-1"), "--depth -1: is out of range"),
    ],
)
def test_what_cannot_be_is_one_line(flatbook: Flatbook, words: tuple[str, ...], complaint: str) -> None:
    ended = flatbook("liquidation", *words)
    assert ended.code == 2
    assert complaint in ended.complaint
