"""Books as desks write them, and what is answered to those that cannot be used."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.book_file import BookFile, read_book
from flatbook.valuation.contracts import Style
from flatbook.valuation.otc import OTC_COLUMNS
from flatbook.venues.deribit import load_reference

REFERENCE = load_reference()
BOOK = """\
# the desk's book
instrument,size,venue,price,strategy,currency,amount
BTC-27MAR26-80000-C,-10.5,deribit,0.0525,making,,
BTC-PERPETUAL,50000,deribit,,hedging,,

BTC_USDC-27MAR26-90000-P,2,,,,,
,,,,,BTC,12.5
,,,,,usdc,-1000
"""
DEALS = """\
instrument,size,style,right,strike,expiry,underlying,settle,barrier,barrier_kind,underlying2,correlation,hit
knock-7,5,barrier,put,70000,27MAR26,BTC,,60000,down_in,,,yes
swap-2,1,exchange,,,2026-03-27T12:00,BTC,USDC,,,ETH,0.8,
"""


def read(tmp_path: Path, text: str, name: str = "book.csv") -> BookFile:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_book(path, REFERENCE)


def test_a_desks_book(tmp_path: Path) -> None:
    book = read(tmp_path, BOOK)
    call, perp, put = book.portfolio.positions
    assert (call.instrument.name, call.size, call.price) == ("BTC-27MAR26-80000-C", -10.5, 0.0525)
    assert (call.venue, call.strategy, call.source) == ("deribit", "making", f"{tmp_path / 'book.csv'}:3")
    assert perp.size == 50_000.0
    assert math.isnan(perp.price)
    assert (put.venue, put.source) == ("", f"{tmp_path / 'book.csv'}:6")
    assert [(balance.currency, balance.amount) for balance in book.portfolio.balances] == [
        ("BTC", 12.5),
        ("USDC", -1e3),
    ]
    assert book.notes == ()


def test_contracts_over_the_counter_stand_beside_listed_ones(tmp_path: Path) -> None:
    knock, swap = read(tmp_path, DEALS).portfolio.positions
    assert knock.otc is not None
    assert swap.otc is not None
    assert (knock.otc.style, knock.path.was_hit, knock.instrument.contract.settle) == (Style.BARRIER, True, "BTC")
    assert (swap.otc.underlying2, swap.otc.correlation, swap.instrument.contract.settle) == ("ETH", 0.8, "USDC")
    assert not swap.path.was_hit


@pytest.mark.parametrize("as_object", [True, False])
def test_json_says_the_same(tmp_path: Path, as_object: bool) -> None:
    positions: list[dict[str, Any]] = [
        {"instrument": "BTC-27MAR26-80000-C", "size": -10.5, "price": 0.0525, "strategy": "making", "venue": "deribit"},
        {"instrument": "knock-7", "size": 5, "style": "barrier", "right": "put", "strike": 70000, "expiry": "27MAR26",
         "underlying": "BTC", "barrier": 60000, "barrier_kind": "down_in", "hit": True, "rebate": None},
    ]  # fmt: skip
    balances = [{"currency": "BTC", "amount": 12.5}]
    document: object = {"positions": positions, "balances": balances} if as_object else positions + balances
    book = read(tmp_path, json.dumps(document), "book.json")
    call, knock = book.portfolio.positions
    assert (call.size, call.price, call.strategy) == (-10.5, 0.0525, "making")
    assert knock.path.was_hit
    assert book.portfolio.balances[0].amount == 12.5
    assert call.source == f"{tmp_path / 'book.json'}: {'position' if as_object else 'row'} 1"


def test_the_book_of_the_docs_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "books.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    book = read(tmp_path, example)
    assert [position.instrument.name for position in book.portfolio.positions][-1] == "knock-1"
    assert len(book.portfolio.balances) == 2
    assert set(re.findall(r"`([a-z_0-9]+)`", page)) >= OTC_COLUMNS & {
        "underlying2",
        "averaging_from",
        "hit",
        "lot",
        "settle",
    }


def test_a_line_that_comes_again_is_added_up_and_said(tmp_path: Path) -> None:
    rows = [
        "BTC-27MAR26-80000-C,1,making,0.05", "BTC-27MAR26-80000-C,2,making,0.05", "BTC-27MAR26-80000-C,4,hedging,0.05",
        "BTC-27MAR26-80000-C,8,making,0.06", "BTC-27MAR26-80000-C,-3,making,0.05",
    ]  # fmt: skip
    book = read(tmp_path, "\n".join(["instrument,size,strategy,price", *rows]))
    assert [position.size for position in book.portfolio.positions] == [0.0, 4.0, 8.0]
    place = tmp_path / "book.csv"
    assert book.notes == tuple(
        f"{place}:{line}: BTC-27MAR26-80000-C again, as in {place}:2: their sizes are added up" for line in (3, 6)
    )


def test_columns_nobody_reads_are_said(tmp_path: Path) -> None:
    book = read(tmp_path, "instrument,size,trader,desk\nBTC-PERPETUAL,10,ann,\n")
    assert book.notes == (f"{tmp_path / 'book.csv'}: trader is not read",)


HEAD = "instrument,size,price,style,strike,currency,amount"


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ("BTC-27MAR26-80000-X,1,,,,,", "instrument 'BTC-27MAR26-80000-X' is not a Deribit name"),
        ("SOL-PERPETUAL,1,,,,,", "no contract family SOL/perpetual is configured"),
        ("BTC-CS-27MAR26-60000_65000,1,,,,,", "is not a Deribit name"),
        ("BTC-PERPETUAL,,,,,,", "size: missing; give a signed number: coins, or USD"),
        ("BTC-PERPETUAL,ten,,,,,", "size: 'ten' is not a number; give a signed number"),
        ("BTC-PERPETUAL,nan,,,,,", "size: nan is not finite"),
        ("BTC-PERPETUAL,inf,,,,,", "size: inf is not finite"),
        ("BTC-PERPETUAL,10,nan,,,,", "price: nan is not finite; give the entry price, or leave it empty"),
        ("BTC-PERPETUAL,10,,,80000,,", "strike: 80000 is given without a style"),
        ("BTC-PERPETUAL,10,,,,BTC,1", "both an instrument and a currency, or neither"),
        (",10,,,,,", "both an instrument and a currency, or neither"),
        (",,,,,DOGE,1", "currency: 'DOGE' is not known; use one of BTC"),
        (",,,,,BTC,", "amount: missing; give a signed number"),
        ("deal,1,,american,,,", "right: missing; use call or put"),
        ("BTC-PERPETUAL,1,,,,,,,", "9 fields under a header of 7"),
    ],
)
def test_a_bad_row_is_named_with_file_line_value_and_remedy(tmp_path: Path, row: str, answer: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read(tmp_path, f"{HEAD}\nBTC-PERPETUAL,10,,,,,\n{row}\n")
    assert answer in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'book.csv'}:3: ")
    assert "\n" not in str(caught.value)


def test_one_name_is_one_contract(tmp_path: Path) -> None:
    rows = ["deal,1,american,put,80000,27MAR26,BTC", "deal,2,american,put,80000,27MAR26,BTC"]
    head = "instrument,size,style,right,strike,expiry,underlying"
    (position,) = read(tmp_path, "\n".join([head, *rows])).portfolio.positions
    assert position.size == 3.0
    with pytest.raises(BadInputError, match=r"book.csv:4: deal stands for another contract above; give this one"):
        read(tmp_path, "\n".join([head, *rows, "deal,2,american,put,81000,27MAR26,BTC"]))


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("book.csv", "", "the header has nothing; give rows of instrument and size"),
        ("book.csv", "instrument,amount\nBTC-PERPETUAL,1\n", "the header has instrument, amount; give rows"),
        ("book.csv", "instrument,size,size\n", "column 'size' is there twice; keep one"),
        ("book.csv", "instrument,size\n", "holds no positions and no balances"),
        ("book.json", "[", "is not JSON"),
        ("book.json", "[]", "holds no positions and no balances"),
        ("book.json", '{"trades": []}', "'trades' is not known; use positions and balances"),
        ("book.json", '{"positions": {}}', "positions are dict, not a list"),
        ("book.json", "[1]", "row 1: is int, not an object"),
        ("book.json", '[{"instrument": "BTC-PERPETUAL", "size": [1]}]', "row 1: size is list; give text or a number"),
        ("book.json", '[{"instrument": "BTC-PERPETUAL", "size": NaN}]', "row 1: size: nan is not finite"),
    ],
)
def test_what_is_no_book_is_refused(tmp_path: Path, name: str, text: str, answer: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read(tmp_path, text, name)
    assert answer in str(caught.value)


def test_a_book_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"none.csv: cannot be read \(No such file"):
        read_book(tmp_path / "none.csv", REFERENCE)
    (tmp_path / "book.csv").write_bytes(b"instrument,size\n\xff\xfe,1\n")
    with pytest.raises(BadInputError, match="is not UTF-8 text"):
        read_book(tmp_path / "book.csv", REFERENCE)
