"""The document of a valued book: its rows are the marks, its totals their sums, however they are cut."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from flatbook.report.book_tables import book_tables
from flatbook.report.book_value import GREEKS, VALUE_UNITS, Document, value_document
from flatbook.valuation.portfolio import Balance, Portfolio
from tests.valuation.books import EVERY_STYLE, listed, markets, over_the_counter

MARKETS = markets()
POSITIONS = [
    replace(listed("BTC-30JAN26-80000-C", 10.0, 0.05), strategy="making", venue="deribit"),
    replace(listed("BTC_USDC-30JAN26-90000-P", 3.0), strategy="making", venue="deribit"),
    replace(listed("ETH-27MAR26-3200-C", -20.0, 0.1), strategy="making"),
    replace(listed("BTC-PERPETUAL", -50_000.0, 78_000.0), strategy="hedging", venue="deribit"),
    over_the_counter(EVERY_STYLE["exchange"], 2.0, "swap-1"),
    listed("BTC_USDC", 1.5),
]
BOOK = Portfolio(POSITIONS, [Balance("BTC", 3.0), Balance("ETH", -10.0), Balance("USDC", 1_000.0)])
MARKS = BOOK.mark(MARKETS)


@pytest.fixture(scope="module")
def document() -> Document:
    made: Document = value_document(BOOK, MARKS, MARKETS, "chain.csv", ["a note"])
    return made


def test_a_row_is_the_positions_marks(document: Document) -> None:
    call, put, _, perp, swap, spot = document["positions"]
    assert (call["instrument"], call["style"], call["currency"], call["underlying"]) == (
        "BTC-30JAN26-80000-C", "option", "BTC", "BTC",
    )  # fmt: skip
    assert call["expiry"] == "2026-01-30T08:00:00.000Z"
    assert call["value"] == MARKS.value[0] == 10.0 * call["price"]
    assert call["pnl"] == pytest.approx(call["value"] - 0.5)
    assert call["net_delta_coin"] == pytest.approx(call["delta_coin"] - call["value"])
    assert put["currency"] == "USDC"
    assert put["pnl"] is None
    assert put["net_delta_coin"] == put["delta_coin"]
    assert (perp["expiry"], perp["pnl"], perp["vol"]) == ("perpetual", perp["value"], None)
    assert (swap["style"], swap["underlying2"], swap["delta2_coin"]) == ("exchange", "ETH", MARKS.delta2_coin[4])
    assert (spot["style"], spot["value"]) == ("spot", 1.5 * 80_000.0)
    assert set(VALUE_UNITS) <= set(call)


@pytest.mark.parametrize("cut", ["by_expiry", "by_strategy", "by_venue", "by_underlying"])
def test_however_it_is_cut_the_parts_sum_to_the_net(document: Document, cut: str) -> None:
    net, parts = document["book"], document["totals"][cut]
    for name in GREEKS:
        assert sum(part[name] for part in parts) == pytest.approx(net[name], rel=1e-9, abs=1e-9), name
    assert sum(part["value_usd"] for part in parts) == pytest.approx(net["positions_usd"])
    assert sum(part["positions"] for part in parts) == len(POSITIONS)


def test_the_net_is_positions_and_balances(document: Document) -> None:
    net = document["book"]
    assert net["positions_usd"] == pytest.approx(MARKS.value_usd.sum())
    assert net["balances_usd"] == 3 * 80_000.0 - 10 * 3_000.0 + 1_000.0
    assert net["total_usd"] == pytest.approx(net["positions_usd"] + net["balances_usd"])
    assert net["by_currency"]["BTC"] == pytest.approx(MARKS.value[[0, 3, 4]].sum() + 3.0)
    assert net["by_currency"]["USDC"] == pytest.approx(MARKS.value[[1, 5]].sum() + 1_000.0)
    dollars = {"BTC": 80_000.0, "ETH": 3_000.0, "USDC": 1.0}
    assert sum(amount * dollars[name] for name, amount in net["by_currency"].items()) == pytest.approx(net["total_usd"])
    assert net["delta_usd"] == pytest.approx(MARKS.delta_usd.sum() + MARKS.delta2_usd.sum())
    assert net["delta_with_balances_usd"] == pytest.approx(net["delta_usd"] + 3 * 80_000.0 - 10 * 3_000.0)


def test_coins_are_summed_within_an_underlying_the_second_asset_in_its_own(document: Document) -> None:
    btc, eth = document["totals"]["by_underlying"]
    assert (btc["underlying"], btc["balance_coin"], eth["balance_coin"]) == ("BTC", 3.0, -10.0)
    assert btc["delta_coin"] == pytest.approx(MARKS.delta_coin[[0, 1, 3, 4, 5]].sum())
    assert eth["delta_coin"] == pytest.approx(MARKS.delta_coin[2] + MARKS.delta2_coin[4])
    assert eth["vega_usd"] == pytest.approx(MARKS.vega_usd[2] + MARKS.vega2_usd[4])
    assert eth["value_usd"] == pytest.approx(MARKS.value_usd[2])
    assert btc["delta_with_balance_usd"] == pytest.approx(btc["delta_usd"] + 240_000.0)
    # What hedges the coin, the coin held and the coin that positions are worth: the delta in dollars.
    coin = MARKS.value[[0, 3, 4]].sum() + 3.0
    inverse = MARKS.net_delta_coin[[0, 3, 4]].sum()
    linear = MARKS.delta_usd[[1, 5]].sum()
    assert btc["delta_with_balance_usd"] == pytest.approx((inverse + coin) * 80_000.0 + linear)


def test_it_is_json_without_nan(document: Document) -> None:
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_it_fits_a_terminal(document: Document) -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(book_tables(document))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "BTC-30JAN26-80000-C" in text
    assert "By underlying" in text
    assert "2026-01-30" in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_book_of_balances_alone() -> None:
    bare = Portfolio([], [Balance("BTC", 1.0)])
    made = value_document(bare, bare.mark(MARKETS), MARKETS, "chain.csv")
    assert made["book"]["total_usd"] == 80_000.0
    assert made["totals"]["by_underlying"] == []
    Console(file=io.StringIO(), width=80).print(book_tables(made))
