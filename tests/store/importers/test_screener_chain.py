"""The screener's chain snapshots, row by row."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_MINUTE
from flatbook.store.importers.screener_chain import read_snapshots, to_chain
from flatbook.store.tables import INDEX
from flatbook.venues.deribit import load_reference

from ..builders import CALL, PUT, T0, rows, screener_chain

_REFERENCE = load_reference()
_KNOWN_NS = T0 + NS_PER_MINUTE
_STORED_NS = T0 + 6 * NS_PER_MINUTE
_INDEX = rows(INDEX, {"at": 30, "price_usd": 84_010.0}, {"at": 61, "price_usd": 99_999.0})


def _import(
    folder: Path, reference: ReferenceData, *changes: dict[str, Any]
) -> tuple[pl.DataFrame, list[str], Counter[str]]:
    screener_chain(*changes).write_parquet(folder / "c.parquet")
    counted: Counter[str] = Counter()
    snapshots = read_snapshots([folder / "c.parquet"], reference, counted)
    chain, notes = to_chain(snapshots, _INDEX, reference, counted)
    return chain, notes, counted


def _usd(bid_ticks: int, ask_ticks: int, rate: int = 84_000) -> dict[str, float]:
    return {"bid_price_usd": bid_ticks * rate / 10_000, "ask_price_usd": ask_ticks * rate / 10_000}


def test_a_quote_in_our_units_known_from_its_minutes_end(tmp_path: Path, reference: ReferenceData) -> None:
    chain, notes, counted = _import(
        tmp_path, reference, _usd(501, 505), {"symbol": "BTC-11APR25-70000-P"} | _usd(120, 121)
    )
    row = chain.row(0, named=True)
    assert (row["local_ts_ns"], row["exch_ts_ns"]) == (_KNOWN_NS, _KNOWN_NS)
    assert (row["underlying"], row["instrument"]) == ("BTC", CALL)
    assert [row[name] for name in ("bid", "ask", "bid_iv", "ask_iv")] == [0.0501, 0.0505, 0.5, 0.52]
    assert chain.select("mark_iv", "forward_usd").fill_nan(None).null_count().row(0) == (2, 2)
    assert not notes
    assert not counted


def test_a_capture_time_with_seconds_also_waits_for_its_minutes_end(tmp_path: Path, reference: ReferenceData) -> None:
    chain, _, _ = _import(tmp_path, reference, {"capture_time_utc_est": "2025-04-01T12:00:41Z"})
    assert chain["local_ts_ns"].to_list() == [_KNOWN_NS]


@settings(max_examples=20, deadline=None)
@given(rate=st.integers(82_000, 86_000), ticks=st.lists(st.integers(1, 9_000), min_size=1, max_size=12))
def test_coin_prices_come_back_exactly_from_dollars(
    tmp_path_factory: pytest.TempPathFactory, rate: int, ticks: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("c")
    strikes = range(50_000, 50_000 + len(ticks))
    quotes = [
        {"symbol": f"BTC-11APR25-{strike}-C", **_usd(tick, tick + 1, rate)}
        for strike, tick in zip(strikes, ticks, strict=True)
    ]
    chain, notes, _ = _import(folder, _REFERENCE, *quotes)
    assert not notes
    assert chain["bid"].to_list() == [tick / 10_000 for tick in ticks]
    assert chain["ask"].to_list() == [(tick + 1) / 10_000 for tick in ticks]


def test_dollars_of_no_one_rate_are_left_out_and_said(tmp_path: Path, reference: ReferenceData) -> None:
    odd = {"bid_price_usd": 4_200.0001, "ask_price_usd": 4_242.0002}
    chain, notes, _ = _import(tmp_path, reference, odd)
    assert chain.select("bid", "ask").fill_nan(None).row(0) == (None, None)
    assert chain["bid_iv"].to_list() == [0.5]
    assert notes == ["Snapshot 2025-04-01 12:01: no one rate turns its USD prices into coin; they are left out."]


@pytest.mark.parametrize(
    ("change", "bid_iv", "ask_iv"),
    [
        ({"bid_iv": 0.8}, None, 0.52),  # the solver's floor: a bid below the intrinsic value
        ({"ask_iv": 999.0}, 0.5, None),  # its cap
        ({"bid_price_usd": 0.0}, None, 0.52),  # no bid, whatever its vol says
        ({"ask_price_usd": 0.0}, 0.5, None),
        ({"bid_iv": 0.0}, None, 0.52),
    ],
)
def test_a_vol_that_no_quote_stands_behind_is_none(
    tmp_path: Path, reference: ReferenceData, change: dict[str, float], bid_iv: float | None, ask_iv: float | None
) -> None:
    chain, _, counted = _import(tmp_path, reference, change)
    assert chain.select("bid_iv", "ask_iv").fill_nan(None).row(0) == (bid_iv, ask_iv)
    assert not counted


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bid_iv": 53.0}, "crossed quote"),
        ({"bid_iv": 53.0, "ask_iv": 0.8, "ask_price_usd": 0.0}, "crossed quote"),
        ({"bid_price_usd": 4_284.0}, "crossed quote"),
        ({"bid_iv": -1.0}, "quote with a negative price or vol"),
        ({"ask_price_usd": -4_242.0}, "quote with a negative price or vol"),
        ({"symbol": "BTC-1APR25-80000-C"}, "quote of an expired instrument"),
        ({"symbol": "BTC-80000-C"}, "quote of an unknown instrument"),
        ({"capture_time_utc_est": "noon"}, "quote without a time"),
    ],
)
def test_a_quote_that_cannot_be_is_set_aside(
    tmp_path: Path, reference: ReferenceData, change: dict[str, Any], reason: str
) -> None:
    chain, _, counted = _import(tmp_path, reference, change, {"symbol": PUT})
    assert chain["instrument"].to_list() == [PUT]
    assert counted == {reason: 1}


def _pair(forward_usd: float, half_width: float = 0.0005) -> list[dict[str, Any]]:
    """A call and a put around parity: C − P = 1 − K/F in coin, on a tick of 0.0001."""
    difference = round((1 - 80_000 / forward_usd) * 10_000)
    put = 300
    call = put + difference
    half = round(half_width * 10_000)
    return [
        {"symbol": CALL, **_usd(call - half, call + half)},
        {"symbol": PUT, **_usd(put - half, put + half)},
    ]


@pytest.mark.parametrize(
    ("forward_usd", "known_ns"), [(84_010, _KNOWN_NS), (84_100, _KNOWN_NS), (85_000, _STORED_NS), (83_000, _STORED_NS)]
)
def test_a_snapshot_that_parity_puts_later_counts_from_when_it_was_stored(
    tmp_path: Path, reference: ReferenceData, forward_usd: float, known_ns: int
) -> None:
    chain, notes, _ = _import(tmp_path, reference, *_pair(forward_usd))
    assert set(chain["local_ts_ns"]) == {known_ns}
    said = ["Snapshot 2025-04-01 12:01: parity contradicts the index; it counts from when it was stored."]
    assert notes == (said if known_ns == _STORED_NS else [])


def test_without_an_index_nothing_is_converted_or_contradicted(tmp_path: Path, reference: ReferenceData) -> None:
    screener_chain(*_pair(85_000)).write_parquet(tmp_path / "c.parquet")
    counted: Counter[str] = Counter()
    snapshots = read_snapshots([tmp_path / "c.parquet"], reference, counted)
    chain, _ = to_chain(snapshots, _INDEX.clear(), reference, counted)
    assert set(chain["local_ts_ns"]) == {_KNOWN_NS}
    assert chain["bid"].is_nan().all()
