"""Each row is taken or left out under one reason, and all of them are counted."""

from typing import Any

import polars as pl
import pytest

from flatbook.store.chains.quotes import SCHEMA, Quotes, quote_rows
from flatbook.store.chains.sift import Sifted, sift

from .builders import CALL, NAN, PUT, T0_NS

_DEFAULT: dict[str, Any] = {
    "run": "1",
    "ts_ns": T0_NS,
    "instrument": CALL,
    "bid": 0.1,
    "ask": 0.11,
    "mark": 0.105,
    "mark_iv": 0.5,
    "forward_usd": 96_000.0,
    "reason": None,
}
_HOUR_NS = 3_600 * 10**9


def rows(*changes: dict[str, Any]) -> pl.DataFrame:
    made = pl.DataFrame([_DEFAULT | change for change in changes], infer_schema_length=None)
    return quote_rows(made, **{name: pl.col(name) for name in SCHEMA if name in made.columns})


def sifted(*changes: dict[str, Any], beside: pl.DataFrame | None = None) -> Sifted:
    return sift(Quotes(rows({"instrument": PUT}, *changes), beside=beside))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ts_ns": None}, "row without a time"),
        ({"instrument": None}, "unknown instrument"),
        ({"instrument": "BTC-27MAR26-90000"}, "unknown instrument"),
        ({"instrument": "BTC-CS-27MAR26-90000_95000"}, "unknown instrument"),
        ({"instrument": "BTC_USDC", "bid": 95_000.0, "ask": 95_001.0}, "neither option, future nor perpetual"),
        ({"run": None}, "row of no snapshot"),
        ({"reason": "unreadable number"}, "unreadable number"),
        ({"bid": -0.1}, "negative price or vol"),
        ({"mark_iv": -0.5}, "negative price or vol"),
        ({"bid": 0.12}, "crossed quote"),
        ({"bid_iv": 0.6, "ask_iv": 0.5}, "crossed quote"),
        ({"instrument": "BTC-13JAN26-90000-C"}, "expired when the snapshot was taken"),
        ({"bid": NAN, "ask": NAN, "mark": NAN, "mark_iv": NAN}, "no quote and no mark"),
        ({"bid": NAN, "ask": NAN, "mark": 0.0, "mark_iv": NAN}, "no quote and no mark"),
        ({"instrument": PUT}, "repeated instrument"),
        ({"instrument": "ETH-PERPETUAL", "bid": 3_300.0, "ask": 3_301.0, "mark": NAN}, "no option beside it"),
    ],
)
def test_why_a_row_is_left_out(change: dict[str, Any], reason: str) -> None:
    found = sifted(change)
    assert found.left_out == {reason: 1}
    assert found.taken == 1
    assert list(found.histories) == ["BTC"]


@pytest.mark.parametrize(
    "change",
    [
        {"bid": NAN},
        {"bid": NAN, "ask": NAN, "mark": NAN},
        {"bid": NAN, "ask": NAN, "mark": 0.0},
        {"bid": 0.11},
        {"bid_iv": 0.5, "ask_iv": 0.5},
    ],
)
def test_what_is_taken(change: dict[str, Any]) -> None:
    found = sifted(change)
    assert (found.taken, found.left_out) == (2, {})


def test_of_repeated_rows_the_last_sound_one_stays() -> None:
    found = sifted({"bid": 0.1}, {"bid": 0.101}, {"bid": 0.5})
    assert found.left_out == {"repeated instrument": 1, "crossed quote": 1}
    assert found.histories["BTC"].snapshot(0).bid.tolist() == [0.1, 0.101]


def test_an_option_has_expired_when_its_snapshot_ends() -> None:
    """A row before the expiry in a snapshot that ends at it: at the snapshot's time the option is no more."""
    expiry_ns = T0_NS + 4 * _HOUR_NS
    dying = {"instrument": "BTC-14JAN26-90000-C", "ts_ns": expiry_ns - 1}
    assert sifted(dying).left_out == {}
    assert sifted(dying, {"ts_ns": expiry_ns}).left_out == {"expired when the snapshot was taken": 1}


def test_futures_and_the_perpetual_in_the_file_are_its_linear_quotes() -> None:
    future = {"instrument": "BTC-27MAR26", "bid": 96_400.0, "ask": 96_410.0, "mark": 96_405.0, "mark_iv": NAN}
    perpetual = future | {"instrument": "BTC-PERPETUAL", "bid": NAN}
    found = sifted(future, perpetual)
    linear = found.histories["BTC"].snapshot(0).linear
    assert [(quote.instrument, quote.ask, quote.mark) for quote in linear] == [
        ("BTC-PERPETUAL", 96_410.0, 96_405.0),
        ("BTC-27MAR26", 96_410.0, 96_405.0),
    ]
    assert [quote.expiry_ns for quote in linear] == [None, 1_774_598_400_000_000_000]
    assert (found.taken, found.joined) == (3, 0)


def test_a_file_beside_is_joined_by_run_and_time_and_not_counted() -> None:
    future = {"instrument": "BTC-27MAR26", "bid": NAN, "ask": NAN, "mark": 96_405.0, "mark_iv": NAN}
    late = future | {"instrument": "BTC-26JUN26", "ts_ns": T0_NS + _HOUR_NS}
    elsewhere = [future | {"run": "2"}, future | {"instrument": "ETH-27MAR26"}]
    found = sifted(beside=rows(future, late, *elsewhere))
    assert [quote.instrument for quote in found.histories["BTC"].snapshot(0).linear] == ["BTC-27MAR26"]
    assert (found.taken, found.joined, found.left_out) == (1, 1, {})
