"""`flatbook stress` as a user has it."""

import json
from pathlib import Path

import numpy as np
import pytest

from flatbook.market.shock import Shock
from flatbook.valuation.portfolio import Portfolio
from tests.valuation.books import markets

from .conftest import BTC, ETH, Flatbook
from .test_value import truth

BOOK = """\
instrument,size,price,venue,currency,amount
BTC-30JAN26-80000-C,-10,0.05,deribit
BTC-30JAN26-70000-P,-10,,deribit
ETH-27MAR26-3200-C,20,,deribit
BTC-PERPETUAL,50000,78000,other
,,,,BTC,3
,,,,USDC,1000
"""
QUICK = ("--spot", "-0.3,0,0.3", "--vol", "0,0.5", "--days", "0,7")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.csv"
    path.write_text(BOOK, encoding="utf-8")
    return path


def test_the_grid_is_the_revalued_book_and_nothing_in_its_middle(flatbook: Flatbook, book: Path, chain: Path) -> None:
    ended = flatbook("stress", book, "--chain", chain, "--json", *QUICK)
    assert ended.code == 0
    found = ended.document
    grid = np.array(found["grid"]["pnl_usd"])
    assert grid.shape == (2, 2, 3)
    assert grid[0, 0, 1] == 0.0
    # Coins fall with spot; the rest is the positions', of which the worst cell names each.
    assert found["worst"]["pnl_usd"] == pytest.approx(
        sum(row["pnl_usd"] for row in found["worst"]["positions"]) + found["worst"]["balances_usd"]
    )
    assert found["worst"]["pnl_usd"] <= min(grid.min(), *(row["pnl_usd"] for row in found["scenarios"])) + 1e-6
    names = [row["name"] for row in found["scenarios"]]
    assert {"fall", "collapse", "dollar coins at 0.90", "fall, the winner's venue lost"} <= set(names)
    dollars = found["scenarios"][names.index("dollar coins at 0.90")]
    assert dollars["balances_usd"] == pytest.approx(-100.0)
    assert found["holds"] is True
    assert [move["along"] for move in found["reverse"]["moves"]][-1] == "together"


def test_the_numbers_are_those_of_the_market_that_made_the_chain(
    flatbook: Flatbook, tmp_path: Path, chain: Path
) -> None:
    path = tmp_path / "one.csv"
    path.write_text("instrument,size\nBTC-30JAN26-80000-C,10\nETH-27MAR26-3200-C,-20\n", encoding="utf-8")
    grid = np.array(flatbook("stress", path, "--chain", chain, "--json", *QUICK).document["grid"]["pnl_usd"])
    known = Portfolio(
        [one for one in truth().positions if one.instrument.name in ("BTC-30JAN26-80000-C", "ETH-27MAR26-3200-C")]
    )
    for spot, at in ((-0.3, 0), (0.3, 2)):
        expected = known.revalue(markets(BTC, ETH), Shock(spot=spot, vol=0.5, days=7.0)).sum()
        assert grid[1, 1, at] == pytest.approx(expected, rel=0.01)


def test_beyond_its_limit_it_ends_with_3_and_says_all_the_same(
    flatbook: Flatbook, book: Path, chain: Path, tmp_path: Path
) -> None:
    html, out = tmp_path / "stress.html", tmp_path / "stress.json"
    ended = flatbook("stress", book, "--chain", chain, *QUICK, "--limit", 1_000, "--html", html, "--out", out)
    assert ended.code == 3
    for words in ("Worst −$", "beyond the limit of $1,000", "collapse", "Loses $", "spot down"):
        assert words in ended.out
    page = html.read_text(encoding="utf-8")
    for words in ('id="grid-chart"', 'id="ladder-chart"', "the winner&#x27;s venue lost"):
        assert words in page
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["limit_usd"] == 1_000
    assert document["holds"] is False


def test_dollars_alone_lose_their_peg_and_nothing_else(flatbook: Flatbook, chain: Path, tmp_path: Path) -> None:
    path = tmp_path / "dollars.csv"
    path.write_text("currency,amount\nUSDC,100\n", encoding="utf-8")
    found = flatbook("stress", path, "--chain", chain, "--json").document
    assert found["worst"]["name"] == "dollar coins at 0.90"
    assert found["worst"]["pnl_usd"] == pytest.approx(-10.0)
    assert found["reverse"]["loss_usd"] is None


def test_it_says_what_deviations_are_and_where_breaks_were_not_looked_for(
    flatbook: Flatbook, chain: Path, tmp_path: Path
) -> None:
    path = tmp_path / "between.csv"
    path.write_text("instrument,size\nBTC-20FEB26-80000-C,1\n", encoding="utf-8")
    page = tmp_path / "page.html"
    found = flatbook("stress", path, "--chain", chain, "--json", "--html", page, *QUICK).document
    assert "not looked for" in page.read_text(encoding="utf-8")
    assert [move["along"] for move in found["reverse"]["moves"]] == ["spot down", "spot up", "vol down", "vol up"]
    assert any("prior Σ, of spot vol 55 % a year" in note for note in found["notes"])
    assert any(note.startswith("BTC-20FEB26-80000-C: valued one by one") for note in found["notes"])


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("BTC-30JAN26-80000-X,1", "book.csv:3: "),
        ("BTC-2JAN26-80000-C,1", "book.csv:3: BTC-2JAN26-80000-C expired"),
        ("BTC-PERPETUAL,nan", "book.csv:3: "),
        ("BTC-PERPETUAL,-1e300", "book.csv:3: size: -1e+300 is beyond 1e+12"),
        ("BTC-30JAN26-80000-C,", "book.csv:3: "),
        ("SOL-30JAN26-100-C,1", "SOL"),
    ],
)
def test_a_bad_book_is_refused_with_its_line(
    flatbook: Flatbook, chain: Path, tmp_path: Path, row: str, complaint: str
) -> None:
    path = tmp_path / "book.csv"
    path.write_text(f"instrument,size\nBTC-PERPETUAL,10\n{row}\n", encoding="utf-8")
    ended = flatbook("stress", path, "--chain", chain)
    assert ended.code == 2
    assert complaint in ended.complaint


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("--spot", "0,0"), 2, "--spot: must rise"),
        (("--spot", "a"), 2, "is no list of numbers"),
        (("--spot", "-1.5,0"), 2, "--spot -1.5: spot must stay above 0"),
        (("--days", "0,1e9"), 2, "--days 1e+09: time must not run"),
        (("--html", "page.html", "--out", "none/page.json"), 2, "--out none/page.json: cannot be written"),
        (("--loss", "0"), 2, "--loss 0: must be a loss"),
        (("--limit", "nan"), 2, "--limit nan: must be a loss"),
        (("--out", "x.csv"), 2, "does not end in .json"),
        (("--scenarios", "none-such"), 4, "neither a file nor one of standard"),
    ],
)
def test_a_bad_question_is_one_line(
    flatbook: Flatbook,
    book: Path,
    chain: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    complaint: str,
) -> None:
    monkeypatch.chdir(book.parent)
    ended = flatbook("stress", book, "--chain", chain, *words)
    assert not Path("page.html").exists()
    assert ended.code == code
    assert complaint in ended.complaint
