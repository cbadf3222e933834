"""`flatbook margin` as a user has it: a book and a chain file in, margin and a picture or one line out."""

import json
import re
from pathlib import Path

import pytest

from flatbook.risk.margin.account import MarginAccount
from flatbook.valuation.portfolio import Balance, Portfolio
from flatbook.venues.margin import MODELS, editions
from tests.valuation.books import listed, markets

from .conftest import BTC, ETH, Flatbook

ROWS = """\
instrument,size,venue,currency,amount
BTC-30JAN26-90000-C,-20,deribit
BTC-30JAN26-70000-P,-20,deribit
BTC-PERPETUAL,-50000,deribit
,,,BTC,6
,,,USDC,100000
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return written(tmp_path / "book.csv", ROWS)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_margin_is_that_of_the_market_that_made_the_chain(flatbook: Flatbook, book: Path, chain: Path) -> None:
    ended = flatbook("margin", book, "--chain", chain, "--model", "deribit_pm", "--json")
    assert ended.code == 0
    held = [
        listed("BTC-30JAN26-90000-C", -20.0),
        listed("BTC-30JAN26-70000-P", -20.0),
        listed("BTC-PERPETUAL", -50_000.0),
    ]
    truth = MarginAccount(
        Portfolio(held, [Balance("BTC", 6.0), Balance("USDC", 1e5)]), editions("deribit_pm")[0].model
    ).margin(markets(BTC, ETH))
    found = ended.document
    account = found["account"]
    assert account["initial_margin_usd"] == pytest.approx(truth.initial, rel=0.01)
    assert account["maintenance_margin_usd"] == pytest.approx(truth.maintenance, rel=0.01)
    assert account["margin_balance_usd"] == pytest.approx(truth.balance, rel=0.01)
    for side in ("initial_usd", "maintenance_usd"):
        total = account[side.replace("_usd", "_margin_usd")]
        assert sum(row[side] for row in found["requirement"]) == pytest.approx(total)
    (underlying,) = found["underlyings"]
    assert len(underlying["scenarios"]) == 35
    worst = underlying["scenarios"][underlying["worst_scenario"]]
    assert -worst["pnl_usd"] == pytest.approx(found["requirement"][0]["initial_usd"])
    assert found["model"]["since"] == "2024-06-17"


@pytest.mark.parametrize("model", MODELS)
def test_every_model_answers_a_person(flatbook: Flatbook, book: Path, chain: Path, tmp_path: Path, model: str) -> None:
    page = tmp_path / f"{model}.html"
    ended = flatbook("margin", book, "--chain", chain, "--model", model, "--html", page)
    assert ended.code == 0, ended.err
    for word in ("Requirement", "Margin balance", "BTC-30JAN26-90000-C", "spot down", "vol up"):
        assert word in ended.out
    text = page.read_text(encoding="utf-8")
    drawn = json.loads(re.findall(r'id="data">(.*?)</script>', text)[0])
    assert len(drawn["curve"]["spot"]) == len(drawn["curve"]["maintenance_margin_usd"])
    assert len(drawn["matrices"]) == (0 if model.endswith("_sm") else 1)
    assert f'id="{"curve" if not drawn["matrices"] else "matrix-0"}"' in text


def test_an_account_short_of_margin_ends_with_3(flatbook: Flatbook, tmp_path: Path, chain: Path) -> None:
    path = written(tmp_path / "book.csv", "instrument,size,currency,amount\nBTC-30JAN26-90000-C,-20\n,,BTC,0.5\n")
    ended = flatbook("margin", path, "--chain", chain, "--model", "deribit_sm", "--json")
    assert ended.code == 3
    assert not ended.document["account"]["sufficient"]
    assert {row["move"] for row in ended.document["distances"]} == {0.0}


def test_orders_protection_and_venues(flatbook: Flatbook, tmp_path: Path, chain: Path) -> None:
    rows = "instrument,size,venue,currency,amount\nBTC-30JAN26-90000-C,-2,a\nETH-27MAR26-3200-C,-3,b\n,,,BTC,5\n"
    path = written(tmp_path / "book.csv", rows)
    orders = written(tmp_path / "orders.csv", "instrument,size\nBTC-30JAN26-90000-C,-4\nBTC-30JAN26-90000-C,1\n")
    options = ("--chain", chain, "--model", "deribit_sm", "--orders", orders, "--mqq", "2", "--json")
    whole = flatbook("margin", path, *options)
    needs = {row["for"]: row["initial_usd"] for row in whole.document["requirement"]}
    assert needs["market maker protection"] == pytest.approx(0.03 * 2.0 * (80_000.0 + 3_000.0))
    assert needs["open orders"] > 0.0
    assert {row["underlying"] for row in whole.document["distances"]} == {None, "BTC", "ETH"}
    assert "positions at a, b are one account here" in whole.err
    one = flatbook("margin", path, *options, "--venue", "a")
    assert [row["instrument"] for row in one.document["positions"]] == ["BTC-30JAN26-90000-C"]


@pytest.mark.parametrize(
    ("rows", "options", "answer"),
    [
        ("BTC-30JAN26-90000-X,1", (), "book.csv:2: instrument 'BTC-30JAN26-90000-X' is not a Deribit name"),
        ("BTC-2JAN26-90000-C,1", (), "book.csv:2: BTC-2JAN26-90000-C expired"),
        (",,USDC,100", (), "book.csv: holds dollars alone, which need no margin"),
        ("BTC-30JAN26-90000-C,1", ("--model", "cme"), "--model cme: no such margin model; there are deribit_pm"),
        ("BTC-30JAN26-90000-C,1", ("--mqq", "-1"), "--mqq -1: is no quantity"),
        ("BTC-30JAN26-90000-C,1", ("--venue", "x"), "--venue x: no position is there; the book has no venues"),
        ("BTC-30JAN26-90000-C,1", ("--html", "none/page.html"), "--html none/page.html: cannot be written"),
        ("BTC-30JAN26-90000-C,1", ("--orders", "none.csv"), "none.csv: cannot be read"),
        ("BTC-30JAN26-90000-C,1", ("--orders", "over.csv"), "over.csv:2: BTC-2JAN26-90000-C expired"),
        ("BTC-30JAN26-90000-C,1", ("--orders", "money.csv"), "--orders money.csv: holds no orders"),
    ],
)
def test_bad_input_is_one_line(
    flatbook: Flatbook,
    tmp_path: Path,
    chain: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: str,
    options: tuple[str, ...],
    answer: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "over.csv", "instrument,size\nBTC-2JAN26-90000-C,1\n")
    written(tmp_path / "money.csv", "currency,amount\nBTC,1\n")
    path = written(tmp_path / "book.csv", f"instrument,size,currency,amount\n{rows}\n")
    ended = flatbook("margin", path, "--chain", chain, "--model", "deribit_pm", *options)
    assert ended.code == 2
    assert answer in ended.complaint


def test_a_contract_over_the_counter_is_refused_with_its_line(flatbook: Flatbook, tmp_path: Path, chain: Path) -> None:
    rows = (
        "instrument,size,style,right,strike,expiry,underlying\n"
        "BTC-30JAN26-90000-C,1\n"
        "deal,1,european,call,85000,30JAN26,BTC\n"
    )
    path = written(tmp_path / "book.csv", rows)
    ended = flatbook("margin", path, "--chain", chain, "--model", "deribit_pm")
    assert (ended.code, "book.csv:3: deal is a contract over the counter" in ended.complaint) == (2, True)
