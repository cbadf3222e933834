"""`flatbook margin --by-venue` as a user has it: venues, what nets, transfers, a picture, or one line."""

import json
import re
from pathlib import Path

import pytest

from flatbook.risk.margin.account import MarginAccount
from flatbook.valuation.portfolio import Balance, Portfolio
from flatbook.venues.margin import editions
from flatbook.venues.transfers import shipped_terms
from tests.valuation.books import listed, markets

from .conftest import BTC, ETH, Flatbook

ROWS = """\
instrument,size,venue,currency,amount
BTC-30JAN26-90000-C,-20,deribit
BTC-30JAN26-70000-P,-20,deribit
BTC-PERPETUAL,-400000,okx
BTC-30JAN26-90000-C,5,okx
ETH-27MAR26-3200-C,-50,derive
,,deribit,BTC,6
,,deribit,USDC,100000
,,okx,BTC,2
,,derive,USDC,600000
"""
BY_VENUE = ("--model", "deribit_pm", "--venue-model", "okx=okx", "--venue-model", "derive=derive_sm", "--by-venue")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return written(tmp_path / "book.csv", ROWS)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_each_venue_is_margined_by_its_own_rules_and_money_moves_to_who_needs_it(
    flatbook: Flatbook, book: Path, chain: Path, tmp_path: Path
) -> None:
    page = tmp_path / "venues.html"
    ended = flatbook("margin", book, "--chain", chain, *BY_VENUE, "--call-at", "0.7", "--html", page, "--json")
    assert ended.code == 0, ended.err
    found = ended.document
    venues = {row["venue"]: row for row in found["venues"]}
    held = [listed("BTC-PERPETUAL", -400_000.0), listed("BTC-30JAN26-90000-C", 5.0)]
    truth = MarginAccount(Portfolio(held, [Balance("BTC", 2.0)]), editions("okx")[0].model).margin(markets(BTC, ETH))
    assert venues["okx"]["maintenance_margin_usd"] == pytest.approx(truth.maintenance, rel=0.01)
    assert venues["okx"]["margin_balance_usd"] == pytest.approx(truth.balance, rel=0.01)
    assert [row["venue"] for row in found["venues"] if row["is_called"]] == ["deribit"]
    assert venues["deribit"]["maintenance_usage_after"] == pytest.approx(0.6, abs=1e-4)
    for row in found["exposures"]:
        assert sum(row["by_venue"].values()) == pytest.approx(row["net"])
        assert row["netted"] == pytest.approx(row["gross"] - abs(row["net"]))
    day = found["day_deviation"]
    assert day["netted_usd"] == pytest.approx(sum(day["by_venue_usd"].values()) - day["net_usd"])
    assert day["netted_usd"] > 0.0
    sent = sum(one["sent_usd"] - one["fee_usd"] for one in found["transfers"])
    assert sent > 0.0
    assert {one["to"] for one in found["transfers"]} == {"deribit"}
    for one in found["transfers"]:
        assert one["received"] == pytest.approx(one["sent"] - one["fee"])
        assert "deribit uses" in one["reason"]
    text = page.read_text(encoding="utf-8")
    drawn = json.loads(re.findall(r'id="data">(.*?)</script>', text)[0])
    assert [row["venue"] for row in drawn["venues"]] == ["deribit", "derive", "okx"]
    assert "Margin by venue" in text


def test_a_person_reads_what_to_move_and_why(flatbook: Flatbook, book: Path, chain: Path) -> None:
    ended = flatbook("margin", book, "--chain", chain, *BY_VENUE, "--call-at", "0.7")
    assert ended.code == 0, ended.err
    for words in ("near a margin call: deribit", "Nets away", "Transfers proposed; nothing is moved", "netting saves"):
        assert words in ended.out


def test_a_target_that_no_money_reaches_ends_with_3_and_says_how_much(
    flatbook: Flatbook, book: Path, chain: Path
) -> None:
    ended = flatbook("margin", book, "--chain", chain, *BY_VENUE, "--call-at", "0.7", "--target-use", "0.1", "--json")
    assert ended.code == 3
    (short,) = (one for one in ended.document["short"] if one["venue"] == "deribit")
    assert short["usd"] > 100_000.0
    assert not ended.document["within_target"]


def test_terms_of_ones_own_decide_which_way_money_goes(
    flatbook: Flatbook, book: Path, chain: Path, tmp_path: Path
) -> None:
    assert "USDC" in shipped_terms().terms.fee
    terms = """
since = "2026-01-02"
source = "ours"
accepts = { "" = ["BTC"] }
fee = { BTC = "0.0001" }
least = { BTC = "0.5" }
fee_of = { okx = { BTC = "0.0003" } }
"""
    path = written(tmp_path / "terms.toml", terms)
    ended = flatbook(
        "margin",
        book,
        "--chain",
        chain,
        *BY_VENUE,
        "--call-at",
        "0.7",
        "--target-use",
        "0.7",
        "--transfer-terms",
        path,
        "--json",
    )
    assert ended.code == 0, ended.err
    (sent,) = ended.document["transfers"]
    assert (sent["from"], sent["currency"], sent["fee"]) == ("okx", "BTC", 0.0003)
    assert sent["sent"] >= 0.5
    assert ended.document["transfer_terms"] == {"since": "2026-01-02", "source": "ours"}


def test_one_venue_has_the_balances_that_name_it(flatbook: Flatbook, book: Path, chain: Path) -> None:
    ended = flatbook("margin", book, "--chain", chain, "--model", "okx", "--venue", "derive", "--json")
    assert ended.document["account"]["margin_balance_usd"] == pytest.approx(600_000.0, rel=0.2)
    assert "balances that name no venue" not in ended.err


@pytest.mark.parametrize(
    ("rows", "options", "code", "answer"),
    [
        (",,,BTC,1", (), 2, "book.csv:11: names no venue"),
        ("", ("--venue-model", "okx"), 2, "--venue-model okx: is no venue and model"),
        ("", ("--venue-model", "bybit=okx"), 2, "--venue-model bybit: no row names that venue; the book has deribit"),
        ("", ("--venue-model", "okx=cme"), 2, "okx has a model already"),
        ("", ("--call-at", "0.5"), 2, "give 0 < target <= call <= 1"),
        ("", ("--venue", "okx"), 2, "--venue: does not go with --by-venue"),
        ("", ("--jobs", "2"), 2, "--jobs: does not go with --by-venue"),
        ("", ("--accounts",), 2, "--by-venue: does not go with --accounts"),
        ("", ("--transfer-terms", "none.toml"), 2, "--transfer-terms none.toml: cannot be read"),
        ("", ("--transfer-terms", "bad.toml"), 4, "bad.toml: 'fees' is not known"),
        ("", ("--transfer-terms", "worse.toml"), 4, "worse.toml: an amount or a list is none"),
    ],
)
def test_bad_input_is_one_line(
    flatbook: Flatbook,
    tmp_path: Path,
    chain: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: str,
    options: tuple[str, ...],
    code: int,
    answer: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "bad.toml", "fees = 1\n")
    written(tmp_path / "worse.toml", 'since = ""\nsource = ""\naccepts = {}\nfee = { BTC = "cheap" }\n')
    path = written(tmp_path / "book.csv", ROWS + rows + "\n")
    ended = flatbook("margin", path, "--chain", chain, *BY_VENUE, *options)
    assert ended.code == code
    assert answer in ended.complaint


def test_options_of_venues_are_refused_without_them(flatbook: Flatbook, book: Path, chain: Path) -> None:
    ended = flatbook("margin", book, "--chain", chain, "--model", "okx", "--call-at", "0.7")
    assert (ended.code, ended.complaint) == (2, "--call-at: is of --by-venue; add it, or leave --call-at out")
