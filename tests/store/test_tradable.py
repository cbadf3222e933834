"""What no contract explains is set aside and counted; the batch goes on."""

from collections import Counter

import pytest

from flatbook.domain.reference import ReferenceData
from flatbook.store.tables import CHAIN, QUOTES, TRADES
from flatbook.store.tradable import known_instruments, tradable_chain, tradable_quotes, tradable_trades

from .builders import CALL, NAN, PUT, rows


def test_unknown_names_are_left_out(reference: ReferenceData) -> None:
    names = [CALL, "BTC-PERPETUAL", "NOPE", "BTC-99APR25-80000-C", "DOGE-PERPETUAL"]
    assert set(known_instruments(names, reference)) == {CALL, "BTC-PERPETUAL"}


def test_trades_by_reason(reference: ReferenceData) -> None:
    tape = rows(
        TRADES,
        {"trade_id": "good", "amount": 12.3},
        {"trade_id": "odd name", "instrument": "BTC-11APR25-80000-X"},
        {"trade_id": "off tick", "price": 0.05005},
        {"trade_id": "off lot", "amount": 0.15},
        {"trade_id": "no lot", "amount": 0.00001},
        {"trade_id": "also good", "instrument": "BTC-PERPETUAL", "price": 84_000.5, "amount": 30.0},
    )
    counted: Counter[str] = Counter()
    kept = tradable_trades(tape, reference, counted)
    assert kept.select("trade_id", "size_lots").rows() == [("good", 123), ("also good", 3)]
    assert counted == {
        "trade of an unknown instrument": 1,
        "trade price off the tick": 1,
        "trade size not in whole lots": 2,
    }


@pytest.mark.parametrize("change", [{"bid": 0.061}, {"bid_iv": 0.56}, {"bid": 0.07, "ask_iv": NAN}])
def test_a_crossed_quote_is_set_aside(reference: ReferenceData, change: dict[str, float]) -> None:
    counted: Counter[str] = Counter()
    kept = tradable_chain(rows(CHAIN, {"instrument": PUT}, change), reference, counted)
    assert kept["instrument"].to_list() == [PUT]
    assert counted == {"crossed quote": 1}


@pytest.mark.parametrize(
    "change", [{}, {"bid": 0.06}, {"bid": NAN}, {"ask": NAN, "ask_iv": NAN}, {"bid_iv": NAN}, {"ask_iv": NAN}]
)
def test_locked_and_one_sided_quotes_are_not_crossed(reference: ReferenceData, change: dict[str, float]) -> None:
    counted: Counter[str] = Counter()
    assert tradable_chain(rows(CHAIN, change), reference, counted).height == 1
    assert not counted


def test_tops_of_books_by_reason(reference: ReferenceData) -> None:
    tops = rows(
        QUOTES,
        {"bid": NAN},
        {"instrument": "BTC-25APR25", "bid": NAN, "ask": NAN},
        {"instrument": "BTC_USDC", "bid": 84_002.0},
        {"bid": 84_002.5},
        {"instrument": CALL},
        {"instrument": "BTC-PERP"},
    )
    counted: Counter[str] = Counter()
    kept = tradable_quotes(tops, reference, counted)
    assert kept["instrument"].to_list() == ["BTC-PERPETUAL", "BTC-25APR25", "BTC_USDC"]
    assert counted == {
        "crossed top of book": 1,
        "top of book of an option": 1,
        "top of book of an unknown instrument": 1,
    }
