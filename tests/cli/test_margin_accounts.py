"""`flatbook margin --accounts` as a user has it: a table of accounts in, a row each out or one line."""

from pathlib import Path

import polars as pl
import pytest

from .conftest import Flatbook

ROWS = """\
account,instrument,size,price,currency,amount
anna,BTC-30JAN26-90000-C,-20,,,
anna,BTC-PERPETUAL,-50000,80000,,
anna,,,,BTC,6
# who has too little
bert,BTC-PERPETUAL,500000,,,
bert,,,,USDC,100

carl,,,,USDC,5
"""


def table(folder: Path, text: str = ROWS) -> Path:
    path = folder / "accounts.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_account_is_what_margin_says_of_its_book(flatbook: Flatbook, chain: Path, tmp_path: Path) -> None:
    asked = ("--chain", chain, "--model", "deribit_pm")
    ended = flatbook("margin", table(tmp_path), "--accounts", *asked, "--out", tmp_path / "out.csv", "--json")
    assert ended.code == 3  # bert is short
    assert ended.document["accounts"] == 3
    assert ended.document["short_of_margin"] == 1
    assert [row["account"] for row in ended.document["shortest"]] == ["bert", "carl", "anna"]
    found = pl.read_csv(tmp_path / "out.csv")
    assert found["account"].to_list() == ["anna", "bert", "carl"]
    own = tmp_path / "anna.csv"
    own.write_text("\n".join(line.partition(",")[2] for line in ROWS.splitlines() if line[:4] in ("acco", "anna")))
    alone = flatbook("margin", own, *asked, "--json").document["account"]
    row = found.row(0, named=True)
    for mine, theirs in (("initial", "initial_margin"), ("maintenance", "maintenance_margin"), ("surplus", "surplus"),
                         ("balance", "margin_balance"), ("equity", "equity")):  # fmt: skip
        assert row[f"{mine}_usd"] == pytest.approx(alone[f"{theirs}_usd"], rel=1e-9)


def test_two_processes_give_the_same_numbers(flatbook: Flatbook, chain: Path, tmp_path: Path) -> None:
    accounts, asked = table(tmp_path), ("--accounts", "--chain", chain, "--model", "okx")
    for jobs in (1, 2):
        ended = flatbook("margin", accounts, *asked, "--jobs", jobs, "--out", tmp_path / f"{jobs}.csv")
        assert ended.code == 3
        assert "1 short of maintenance" in ended.out
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("account,size\na,1\n", "the header has account, size; give rows of account, instrument and size"),
        (ROWS.replace("-50000,80000", "many,80000"), "accounts.csv:3: size 'many' is no number"),
        (ROWS.replace("-50000,80000", "1,-2"), "accounts.csv:3: price '-2' is not above 0"),
        (ROWS.replace("carl,,,,USDC,5", "carl,,,,,5"), "accounts.csv:9: instrument and a currency, or neither"),
        (ROWS.replace("carl,", ","), "accounts.csv:9: account is missing"),
        (ROWS.replace("USDC,100", "DOGE,100"), "accounts.csv:7: currency 'DOGE' is not known"),
        (ROWS.replace("BTC-30JAN26-90000-C", "BTC-30JAN26-90000-X"), "accounts.csv:2: "),
        ("account,currency,amount\na,USDC,1\n", "holds dollars alone"),
    ],
)
def test_the_first_row_that_cannot_be_used_ends_it(
    flatbook: Flatbook, chain: Path, tmp_path: Path, text: str, complaint: str
) -> None:
    ended = flatbook("margin", table(tmp_path, text), "--accounts", "--chain", chain, "--model", "deribit_sm")
    assert ended.code == 2
    assert complaint in ended.complaint


def test_options_that_do_not_go_together(flatbook: Flatbook, chain: Path, tmp_path: Path) -> None:
    accounts, asked = table(tmp_path), ("--chain", chain, "--model", "deribit_sm")
    assert "--jobs" in flatbook("margin", accounts, *asked, "--jobs", 2).complaint
    assert "--mqq" in flatbook("margin", accounts, "--accounts", *asked, "--mqq", 2).complaint
