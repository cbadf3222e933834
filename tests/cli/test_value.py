"""`flatbook value` as a user has it: a book and a chain file in, numbers or one line out."""

import csv
import json
from pathlib import Path

import pytest

from flatbook.valuation.contracts import Cell
from flatbook.valuation.portfolio import Balance, Portfolio
from tests.valuation.books import listed, markets, over_the_counter

from .conftest import BTC, ETH, Flatbook

BOOK = """\
instrument,size,price,strategy,venue,style,right,strike,expiry,underlying,barrier,barrier_kind,currency,amount
BTC-30JAN26-80000-C,10,0.05,making,deribit
BTC-30JAN26-90000-P,-4,,making,deribit
ETH-27MAR26-3200-C,-20,,making,deribit
BTC-PERPETUAL,-50000,78000,hedging,deribit
knock-1,2,,otc,,barrier,call,85000,30JAN26,BTC,70000,down_out
,,,,,,,,,,,,BTC,3
,,,,,,,,,,,,USDC,1000
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.csv"
    path.write_text(BOOK, encoding="utf-8")
    return path


def truth() -> Portfolio:
    knock: dict[str, Cell] = {
        "style": "barrier", "right": "call", "strike": 85_000, "barrier": 70_000, "barrier_kind": "down_out",
        "expiry": "30JAN26",
    }  # fmt: skip
    return Portfolio(
        [
            listed("BTC-30JAN26-80000-C", 10.0, 0.05),
            listed("BTC-30JAN26-90000-P", -4.0),
            listed("ETH-27MAR26-3200-C", -20.0),
            listed("BTC-PERPETUAL", -50_000.0, 78_000.0),
            over_the_counter(knock, 2.0, "knock-1"),
        ],
        [Balance("BTC", 3.0), Balance("USDC", 1_000.0)],
    )


def test_a_book_is_worth_what_the_market_that_made_the_chain_says(flatbook: Flatbook, book: Path, chain: Path) -> None:
    ended = flatbook("value", book, "--chain", chain, "--json")
    assert ended.code == 0
    found, marks = ended.document, truth().mark(markets(BTC, ETH))
    for row, usd, delta, vega in zip(
        found["positions"], marks.value_usd, marks.delta_coin, marks.vega_usd, strict=True
    ):
        assert row["value_usd"] == pytest.approx(usd, rel=5e-3, abs=20.0), row["instrument"]
        assert row["delta_coin"] == pytest.approx(delta, rel=5e-3, abs=0.01), row["instrument"]
        assert row["vega_usd"] == pytest.approx(vega, rel=1e-2, abs=2.0), row["instrument"]
    assert found["book"]["balances_usd"] == 3 * 80_000.0 + 1_000.0
    assert found["market"]["source"] == "chain.csv"
    assert found["market"]["underlyings"]["BTC"]["at"] == "2026-01-05T08:00:00.000Z"
    assert {part["strategy"] for part in found["totals"]["by_strategy"]} == {"making", "hedging", "otc"}


def test_tables_for_a_person_and_notes_on_stderr(flatbook: Flatbook, book: Path, chain: Path) -> None:
    ended = flatbook("value", book, "--chain", chain)
    assert ended.code == 0
    for word in ("Book $", "knock-1", "By underlying", "By strategy", "Net"):
        assert word in ended.out
    assert "rows taken" in ended.err


@pytest.mark.parametrize("name", ["out.json", "out.csv"])
def test_out_takes_the_document_or_the_positions(
    flatbook: Flatbook, book: Path, chain: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    ended = flatbook("value", book, "--chain", chain, "--out", out)
    assert (ended.code, ended.out) == (0, "")
    text = out.read_text(encoding="utf-8")
    if name == "out.json":
        assert json.loads(text)["positions"][0]["instrument"] == "BTC-30JAN26-80000-C"
    else:
        rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
        assert [row["instrument"] for row in rows][-1] == "knock-1"
        assert "# vega_usd: USD per vol point" in text


def test_a_session_as_a_maker_knew_it(flatbook: Flatbook, tmp_path: Path, morning: Path) -> None:
    path = tmp_path / "book.json"
    path.write_text(json.dumps([{"instrument": "BTC-PERPETUAL", "size": 1000}, {"currency": "BTC", "amount": 1}]))
    ended = flatbook("value", path, "--session", morning, "--at", "2026-01-06T07:30", "--json")
    assert ended.code == 0
    assert ended.document["market"]["underlyings"]["BTC"]["at"] == "2026-01-06T07:30:00.000Z"
    assert ended.document["book"]["total_usd"] > 0


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        ("BTC-30JAN26-80000-X,1", "book.csv:2: instrument 'BTC-30JAN26-80000-X' is not a Deribit name"),
        (
            "BTC-2JAN26-80000-C,1",
            "book.csv:2: BTC-2JAN26-80000-C expired at 2026-01-02T08:00:00.000Z, and",
        ),
        ("BTC-30JAN26-80000-C,nan", "book.csv:2: size: nan is not finite"),
        ("SOL_USDC-30JAN26-100-C,1", "no chain of 'SOL' in it"),
    ],
)
def test_a_bad_book_is_one_line(flatbook: Flatbook, tmp_path: Path, chain: Path, rows: str, answer: str) -> None:
    path = tmp_path / "book.csv"
    path.write_text(f"instrument,size\n{rows}\n", encoding="utf-8")
    ended = flatbook("value", path, "--chain", chain)
    assert ended.code == 2
    assert answer in ended.complaint


def test_what_has_no_price_is_one_line_too(flatbook: Flatbook, tmp_path: Path, morning: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("instrument,size\nETH-PERPETUAL,10\n", encoding="utf-8")
    ended = flatbook("value", path, "--session", morning)
    assert (ended.code, "says nothing of ETH" in ended.complaint) == (2, True)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ((), "give either --chain FILE or --session DIR"),
        (("--chain", "a", "--session", "b"), "give either --chain FILE or --session DIR"),
        (("--chain", "none.csv"), "none.csv: no such file"),
        (("--chain", "none.csv", "--at", "noon"), "time 'noon' is not ISO-8601"),
        (("--chain", "none.csv", "--out", "x.txt"), "ends in neither .csv (the positions) nor .json"),
    ],
)
def test_options_that_mean_nothing(flatbook: Flatbook, book: Path, options: tuple[str, ...], answer: str) -> None:
    ended = flatbook("value", book, *options)
    assert ended.code == 2
    assert answer in ended.complaint


def test_a_line_that_comes_again_is_said(flatbook: Flatbook, tmp_path: Path, chain: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("instrument,size\nBTC-PERPETUAL,10\nBTC-PERPETUAL,20\n", encoding="utf-8")
    ended = flatbook("value", path, "--chain", chain, "--json")
    assert [row["size"] for row in ended.document["positions"]] == [30.0]
    assert f"{path}:3: BTC-PERPETUAL again, as in {path}:2: their sizes are added up" in ended.err
