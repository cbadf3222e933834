"""Tables of tickers and order books: percent, zeros for no quote, each row with its own time and forward."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flatbook.store.chains import read_chains

from .builders import CALL, MINUTE_MS, NAN, PUT, T0_MS, T0_NS, TICKER, table, write_csv
from .witness import black_errors, count, parity_errors

DAILY = "deribit-chain-daily-tickers/options.parquet"
BOOKS = {
    "btc_2021-02-11": (976, 2, (248, 145)),
    "btc_2024-02-03": (658, 1, (471, 412)),
    "btc_2024-05-03": (1_030, 1, (659, 601)),
    "btc_2024-10-29": (630, 1, (375, 349)),
    "eth_2024-02-03": (592, 1, (349, 308)),
    "eth_2024-05-03": (948, 1, (575, 555)),
}
"""Rows, snapshots, and bids and bid vols of the last."""


def test_units(tmp_path: Path) -> None:
    later = T0_MS + MINUTE_MS
    put = {"instrument_name": PUT, "timestamp": later, "underlying_price": 96_100.0, "index_price": 95_002.0}
    file = read_chains(write_csv(tmp_path / "t", table(TICKER, {}, put)))
    assert file.format == "Deribit tickers"
    chain = file.at()
    assert chain.ts_ns == T0_NS + MINUTE_MS * 1_000_000
    assert chain.index_usd == 95_001.0
    assert chain.forward_usd.tolist() == [96_100.0, 96_000.0]
    prices = (chain.bid, chain.ask, chain.mark, chain.bid_size, chain.ask_size)
    assert [column[1] for column in prices] == [0.1, 0.11, 0.105, 12.5, 3.0]
    assert [column[1] for column in (chain.bid_iv, chain.ask_iv, chain.mark_iv)] == [0.48, 58.2 / 100, 0.52]


def test_zero_is_no_quote_and_a_vol_needs_its_price(tmp_path: Path) -> None:
    gone = {"best_bid_price": 0.0, "best_bid_amount": 0.0, "best_ask_price": None, "underlying_price": 0.0}
    capped = {"instrument_name": PUT, "ask_iv": 999.0, "bid_iv": 0.0, "mark_price": 0.0}
    chain = read_chains(write_csv(tmp_path / "t", table(TICKER, gone, capped))).at()
    assert chain.instrument == (PUT, CALL)
    assert count(chain.bid, chain.bid_size, chain.ask, chain.forward_usd) == [1, 1, 1, 1]
    assert count(chain.bid_iv, chain.ask_iv, chain.mark_iv) == [0, 0, 2]
    assert chain.mark.tolist() == [0.0, 0.105]


def test_times_that_a_table_has_made_text(tmp_path: Path) -> None:
    chain = read_chains(write_csv(tmp_path / "t", table(TICKER, {"timestamp": "2026-01-14 04:00:00.250"}))).at()
    assert chain.ts_ns == T0_NS + 250_000_000


def test_what_is_no_number_is_counted(tmp_path: Path) -> None:
    rows = [f"{name},{T0_MS},{bid},0.11,0.105,52.0,96000" for name, bid in ((CALL, ""), (PUT, "n/a"), (PUT, "inf"))]
    path = tmp_path / "t.csv"
    header = "instrument_name,timestamp,best_bid_price,best_ask_price,mark_price,mark_iv,underlying_price"
    path.write_text("\n".join([header, *rows]))
    file = read_chains(path)
    assert file.at().instrument == (CALL,)
    assert (file.taken, file.left_out) == (1, {"unreadable number": 2})


def test_futures_of_a_table_beside_join_by_the_name_of_the_capture(tmp_path: Path) -> None:
    late = T0_MS + 24 * 60 * MINUTE_MS
    of_a = TICKER | {"source_file": "a"}
    options = table(of_a, {}, {"source_file": "b", "timestamp": late, "best_bid_price": 0.09})
    path = write_csv(tmp_path / "options.csv", options)
    prices = {"best_bid_price": 96_400.0, "best_ask_price": 96_410.0, "mark_price": 96_404.5}
    future = {"instrument_name": "BTC-27MAR26"} | prices
    perpetual = {"instrument_name": "BTC-PERPETUAL", "source_file": "b", "timestamp": late - MINUTE_MS} | prices
    astray = {"instrument_name": "BTC-26JUN26", "timestamp": late} | prices
    columns = ["instrument_name", "timestamp", *prices, "source_file"]
    write_csv(tmp_path / "other.csv.gz", table(of_a, future, perpetual, astray).select(columns))
    first, second = read_chains(path).snapshots
    (quote,) = first.linear
    assert (quote.instrument, quote.bid, quote.ask, quote.mark) == ("BTC-27MAR26", 96_400.0, 96_410.0, 96_404.5)
    assert [quote.instrument for quote in second.linear] == ["BTC-PERPETUAL"]


def test_ten_recorded_captures(recorded: Callable[[str], Path]) -> None:
    path = recorded(DAILY)
    file = read_chains(path)
    source = pl.read_parquet(path)
    assert (file.taken, file.left_out, file.underlyings) == (6_628, {}, ("BTC",))
    assert len(file.snapshots) == 10
    for chain, (_, rows) in zip(file.snapshots, source.group_by("source_file", maintain_order=True), strict=True):
        stated = rows.sort("expiration_timestamp", "strike", "option_type", descending=[False, False, True])
        assert list(chain.instrument) == stated["instrument_name"].to_list()
        assert chain.expiry_ns.tolist() == (stated["expiration_timestamp"] * 1_000_000).to_list()
        assert chain.strike_usd.tolist() == stated["strike"].to_list()
        assert chain.ts_ns == rows["timestamp"].to_numpy().max() * 1_000_000
        assert np.median(parity_errors(chain)) < 1e-4
        assert np.median(black_errors(chain)) < 1e-4


def test_recorded_futures_beside(recorded: Callable[[str], Path]) -> None:
    for chain in read_chains(recorded(DAILY)).snapshots:
        forwards = dict(zip(chain.expiry_ns.tolist(), chain.forward_usd.tolist(), strict=True))
        perpetual, *dated = chain.linear
        assert (perpetual.instrument, perpetual.expiry_ns) == ("BTC-PERPETUAL", None)
        assert len(dated) in (7, 8)
        assert all(quote.bid < quote.ask for quote in chain.linear)
        assert all(abs(2 * quote.mark / (quote.bid + quote.ask) - 1) < 5e-4 for quote in chain.linear)
        assert all(abs(q.mark / forwards[q.expiry_ns] - 1) < 2e-3 for q in dated if q.expiry_ns in forwards)


@pytest.mark.parametrize("name", list(BOOKS))
def test_recorded_order_books(recorded: Callable[[str], Path], name: str) -> None:
    rows, snapshots, (bids, bid_vols) = BOOKS[name]
    file = read_chains(recorded(f"deribit-option-books/{name}.csv.gz"))
    assert (file.taken, file.left_out, len(file.snapshots)) == (rows, {}, snapshots)
    chain = file.at()
    assert count(chain.bid, chain.bid_size, chain.bid_iv) == [bids, bids, bid_vols]
    assert np.median(parity_errors(chain)) < 1.5e-4
    assert np.median(black_errors(chain)) < 1.5e-4


def test_the_best_level_of_the_book_is_the_quote(recorded: Callable[[str], Path]) -> None:
    path = recorded("deribit-option-books/eth_2024-05-03.csv.gz")
    chain = read_chains(path).at()
    levels = pl.read_csv(path, columns=["instrument_name", "bids", "asks"])
    books = {name: (json.loads(bids), json.loads(asks)) for name, bids, asks in levels.iter_rows()}
    sides = ((chain.bid, chain.bid_size), (chain.ask, chain.ask_size))
    for row, name in enumerate(chain.instrument):
        for book, (price, size) in zip(books[name], sides, strict=True):
            best = book[0] if book else [NAN, NAN]
            np.testing.assert_array_equal([price[row], size[row]], best)


def test_two_recorded_passes_in_one_file(recorded: Callable[[str], Path]) -> None:
    first, second = read_chains(recorded("deribit-option-books/btc_2021-02-11.csv.gz")).snapshots
    assert first.instrument == second.instrument
    assert (second.ts_ns - first.ts_ns) / 1e9 == pytest.approx(325.263)
