"""Tickers as JSON in every wrapping the venue gives them."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.chains import read_chains

from .builders import CALL, MINUTE_MS, PUT, T0_MS, T0_NS, TICKER, write_json
from .witness import black_errors, count, parity_errors

RECORDED = "deribit-ws-raw/rest_instruments_tickers_btc_20260627.json.gz"
_PUT_TICKER = TICKER | {"instrument_name": PUT, "timestamp": T0_MS + 1}
_TWO = [TICKER, _PUT_TICKER]


def _message(ticker: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": "ticker", "data": ticker}}


@pytest.mark.parametrize(
    "value",
    [
        _TWO,
        {ticker["instrument_name"]: ticker for ticker in _TWO},
        {"captured_at": "2026", "index": {"index_price": 1.0}, "tickers": {t["instrument_name"]: t for t in _TWO}},
        [{"jsonrpc": "2.0", "id": number, "result": ticker} for number, ticker in enumerate(_TWO)],
        {"jsonrpc": "2.0", "result": _TWO},
        [_message(ticker) for ticker in _TWO],
    ],
    ids=["list", "map", "map in an envelope", "replies", "reply", "messages"],
)
@pytest.mark.parametrize("name", ["tickers.json", "tickers.json.gz", "a.csv"])
def test_wrappings(tmp_path: Path, value: object, name: str) -> None:
    file = read_chains(write_json(tmp_path / name, value))
    assert file.format == "Deribit tickers (JSON)"
    assert (file.taken, file.left_out) == (2, {})
    chain = file.at()
    assert chain.instrument == (PUT, CALL)
    assert (chain.ts_ns, chain.index_usd) == (T0_NS + 1_000_000, 95_000.0)
    prices = (chain.bid, chain.ask, chain.mark, chain.bid_size, chain.ask_size, chain.forward_usd)
    assert [column[1] for column in prices] == [0.1, 0.11, 0.105, 12.5, 3.0, 96_000.0]
    assert [column[1] for column in (chain.bid_iv, chain.ask_iv, chain.mark_iv)] == [0.48, 58.2 / 100, 0.52]


def test_one_ticker_alone(tmp_path: Path) -> None:
    assert read_chains(write_json(tmp_path / "t", TICKER)).at().instrument == (CALL,)


def test_book_summaries(tmp_path: Path) -> None:
    """What get_book_summary_by_currency names otherwise; its delivery price is the index, and a word once expired."""
    summary = {
        "instrument_name": CALL,
        "creation_timestamp": T0_MS,
        "bid_price": None,
        "ask_price": 0.11,
        "mark_price": 0.105,
        "mark_iv": 52.0,
        "underlying_price": 96_000.0,
        "estimated_delivery_price": 95_000.0,
    }
    word = summary | {"instrument_name": PUT, "estimated_delivery_price": "expired"}
    chain = read_chains(write_json(tmp_path / "t", {"result": [summary, word]})).at()
    assert (chain.ts_ns, chain.index_usd, chain.instrument) == (T0_NS, 95_000.0, (PUT, CALL))
    assert count(chain.bid, chain.ask, chain.mark, chain.mark_iv, chain.bid_size) == [0, 2, 2, 2, 0]


def test_a_line_each_as_updates(tmp_path: Path) -> None:
    """A put in between, and the call three times: each ticker replaces the one before it."""
    calls = [TICKER | {"timestamp": T0_MS + at * MINUTE_MS, "best_bid_price": 0.1 + at * 1e-3} for at in (0, 2, 3)]
    names = [f"BTC-27MAR26-{strike}-P" for strike in range(80_000, 90_000, 1_000)]
    puts = [TICKER | {"instrument_name": name, "timestamp": T0_MS + MINUTE_MS} for name in names]
    lines = [json.dumps(_message(ticker)) for ticker in (calls[0], *puts, *calls[1:])]
    path = tmp_path / "t.ndjson.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    file = read_chains(path)
    at = [file.at(T0_NS + minute * MINUTE_MS * 1_000_000) for minute in (0, 1, 2, 9)]
    assert [len(chain.instrument) for chain in at] == [1, 11, 11, 11]
    assert [chain.bid[-1] for chain in at] == [0.1, 0.1, 0.1 + 2e-3, 0.1 + 3e-3]
    assert any("last row of each instrument" in note for note in file.notes)


def test_futures_among_them_and_what_is_no_ticker(tmp_path: Path) -> None:
    future = {"instrument_name": "BTC-27MAR26", "best_bid_price": 96_400.0, "best_ask_price": 96_410.0}
    book = {"instrument_name": CALL, "bids": [], "asks": [], "timestamp": T0_MS}
    bad = _PUT_TICKER | {"mark_price": "soon"}
    timeless = TICKER | {"instrument_name": "BTC-27MAR26-95000-C", "timestamp": None}
    values = [TICKER, TICKER | future | {"mark_price": 96_404.5}, _message(book), bad, timeless, "heartbeat", 3]
    file = read_chains(write_json(tmp_path / "t", values))
    assert file.left_out == {"message that is no ticker": 1, "row without a time": 1, "unreadable number": 1}
    (quote,) = file.at().linear
    assert (quote.instrument, quote.bid, quote.ask, quote.mark) == ("BTC-27MAR26", 96_400.0, 96_410.0, 96_404.5)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('[{"instrument_name": "BTC-27MAR26-90000-C"', r"not whole JSON \(.*\); fetch it again"),
        ('{"a": 1}\n{"b": ', r"not whole JSON \(.*\); fetch it again"),
        ("[" * 100_000, r"not whole JSON \(.*\); fetch it again"),
        ('{"result": []}', "JSON without a ticker .*; save the result of public/ticker"),
        ('[{"instrument_name": "BTC-27MAR26-90000-C", "strike": 90000}]', "JSON without a ticker"),
    ],
)
def test_json_that_holds_none(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(BadInputError, match=error) as caught:
        read_chains(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_recorded_capture_against_its_instrument_records(recorded: Callable[[str], Path]) -> None:
    """The file states expiry, strike and right of each instrument a second time, beside the tickers."""
    path = recorded(RECORDED)
    file = read_chains(path)
    source = json.loads(gzip.decompress(path.read_bytes()))
    assert (file.taken, file.left_out, len(file.snapshots)) == (330, {}, 1)
    chain = file.at()
    stated = {each["instrument_name"]: each for each in source["instruments"]}
    assert set(chain.instrument) == stated.keys()
    records = [stated[name] for name in chain.instrument]
    assert chain.expiry_ns.tolist() == [each["expiration_timestamp"] * 1_000_000 for each in records]
    assert chain.strike_usd.tolist() == [each["strike"] for each in records]
    assert chain.sign.tolist() == [{"call": 1.0, "put": -1.0}[each["option_type"]] for each in records]
    tickers = [source["tickers"][name] for name in chain.instrument]
    np.testing.assert_array_equal(chain.mark, [ticker["mark_price"] for ticker in tickers])
    np.testing.assert_array_equal(np.nan_to_num(chain.bid_size), [ticker["best_bid_amount"] for ticker in tickers])
    assert np.median(parity_errors(chain)) < 1e-4
    assert np.median(black_errors(chain)) < 1e-4


def test_recorded_messages_of_all_kinds(recorded: Callable[[str], Path]) -> None:
    """18 native messages, of years apart: 9 are no tickers, 3 of combos, 3 of what had expired, 2 of perpetuals."""
    file = read_chains(recorded("deribit-ws-raw/tardis_node_deribit_messages.ndjson"))
    assert file.underlyings == ("ETH", "MATIC_USDC")
    assert file.at(None, "MATIC_USDC").strike_usd.tolist() == [1.02]
    assert file.taken == 2
    assert file.left_out["message that is no ticker"] == 9
