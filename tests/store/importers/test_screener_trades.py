"""The screener's trade tape, row by row."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_SECOND
from flatbook.store.importers.screener_trades import index_ticks, read_trades

from ..builders import CALL, PUT, T0, screener_trades


def _read(
    folder: Path, reference: ReferenceData, *changes: dict[str, Any], **how: bool
) -> tuple[pl.DataFrame, Counter[str]]:
    screener_trades(*changes).write_parquet(folder / "t.parquet")
    counted: Counter[str] = Counter()
    return read_trades([folder / "t.parquet"], reference, counted, **how), counted


def test_a_row_in_our_units(tmp_path: Path, reference: ReferenceData) -> None:
    tape, counted = _read(tmp_path, reference, {"Side": "SELL", "Size": 2.5, "Trade ID": 17})
    assert tape.row(0, named=True) == {
        "exch_ts_ns": T0 + 30 * NS_PER_SECOND,
        "local_ts_ns": T0 + 30 * NS_PER_SECOND,
        "instrument": CALL,
        "trade_id": "17",
        "taker_side": -1,
        "price": 0.05,
        "amount": 2.5,
        "mark_price": 0.0501,
        "iv": 0.5,
        "index_usd": 84_000.0,
        "off_book": False,
        "underlying": "BTC",
    }
    assert not counted


def test_blocks_and_combos_are_off_book_and_a_vol_of_zero_is_none(tmp_path: Path, reference: ReferenceData) -> None:
    tape, _ = _read(
        tmp_path,
        reference,
        {"Trade ID": 1, "BlockTrade IDs": "BLOCK-1"},
        {"Trade ID": 2, "Combo ID": "BTC-CS-11APR25-80000_82000"},
        {"Trade ID": 3, "IV (%)": 0.0},
    )
    assert tape["off_book"].to_list() == [True, True, False]
    assert tape["iv"].is_nan().to_list() == [False, False, True]


def test_rows_without_an_id_are_named_by_minute_and_place(tmp_path: Path, reference: ReferenceData) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"Instrument": PUT, "Underlying Price": 83_990.0},
        {"Entry Date": "2025-04-01 12:01"},
    ]
    tape, _ = _read(tmp_path, reference, *changes)
    again, _ = _read(tmp_path, reference, *changes)
    assert tape["trade_id"].to_list() == ["BTC-2025-04-01 12:00-0", "BTC-2025-04-01 12:00-1", "BTC-2025-04-01 12:01-0"]
    assert tape.equals(again)


def test_the_files_order_inside_a_minute_only_where_asked(tmp_path: Path, reference: ReferenceData) -> None:
    changes = (
        {"Underlying Price": 84_000.0},
        {"Underlying Price": 84_020.0},
        {"Instrument": PUT, "Underlying Price": 84_010.0},
    )
    merged, _ = _read(tmp_path, reference, *changes)
    as_filed, _ = _read(tmp_path, reference, *changes, keep_file_order=True)
    assert merged["index_usd"].to_list() == [84_000.0, 84_010.0, 84_020.0]
    assert as_filed["index_usd"].to_list() == [84_000.0, 84_020.0, 84_010.0]


def test_the_index_comes_before_its_trade(tmp_path: Path, reference: ReferenceData) -> None:
    busy = [{"Trade ID": number, "Underlying Price": 84_000.0 + number} for number in range(1, 201)]
    tape, _ = _read(tmp_path, reference, *busy, {"Trade ID": 999, "Entry Date": "2025-04-01 12:01"})
    ticks = index_ticks(tape)
    assert ticks["price_usd"].to_list() == tape["index_usd"].to_list()
    lead_ms = ((tape["local_ts_ns"] - ticks["local_ts_ns"]) / 1e6).to_list()
    assert lead_ms == pytest.approx([250.0] + [150.0] * 199 + [250.0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Side": "HOLD"}, "trade without a side"),
        ({"Entry Date": "yesterday"}, "trade without an instrument or a time"),
        ({"Instrument": None}, "trade without an instrument or a time"),
        ({"Price (BTC)": -0.05}, "trade without a price, size or index above zero"),
        ({"Underlying Price": 0.0}, "trade without a price, size or index above zero"),
        ({"Size": None}, "trade without a price, size or index above zero"),
        ({"IV (%)": -50.0}, "trade with a vol or mark below zero"),
        ({"Entry Date": "2025-04-11 08:00"}, "trade of an expired instrument"),
        ({"Instrument": "BTC-11APR25"}, None),
        ({"Instrument": "BTC-11APR25-1-Z"}, "trade of an unknown instrument"),
        ({"Price (BTC)": 0.05003}, "trade price off the tick"),
        ({"Size": 0.13}, "trade size not in whole lots"),
        ({"Trade ID": 1}, "trade id seen before"),
        ({"Entry Date": "2025-04-11 07:59"}, None),
    ],
)
def test_a_row_that_cannot_be_is_set_aside(
    tmp_path: Path, reference: ReferenceData, change: dict[str, Any], reason: str | None
) -> None:
    future = {"Price (BTC)": 84_000.0, "Size": 10.0} if change.get("Instrument") == "BTC-11APR25" else {}
    tape, counted = _read(tmp_path, reference, {"Trade ID": 1}, {"Trade ID": 2} | future | change)
    assert counted == ({} if reason is None else {reason: 1})
    assert tape.height == (2 if reason is None else 1)


def test_an_ether_export_is_another_coins_tape(tmp_path: Path, reference: ReferenceData) -> None:
    bitcoin, ether = tmp_path / "b.parquet", tmp_path / "e.parquet"
    screener_trades({}, {"Entry Date": "2025-04-01 12:01"}).write_parquet(bitcoin)
    screener_trades({"Instrument": "ETH-11APR25-2000-C", "Underlying Price": 1_800.0, "Size": 1.0}).rename(
        {"Price (BTC)": "Price (ETH)", "Mark Price (BTC)": "Mark Price (ETH)"}
    ).write_parquet(ether)
    tape = read_trades([bitcoin, ether], reference, Counter())
    assert tape.select("underlying", "trade_id").rows() == [
        ("BTC", "BTC-2025-04-01 12:00-0"),
        ("BTC", "BTC-2025-04-01 12:01-0"),
        ("ETH", "ETH-2025-04-01 12:00-0"),
    ]
    assert index_ticks(tape)["underlying"].to_list() == ["BTC", "ETH", "BTC"]


@pytest.mark.parametrize(
    ("drop", "says"),
    [
        ("Mark Price (BTC)", r"column 'Mark Price \(BTC\)' is missing; export the trades again"),
        ("Price (BTC)", r"expected one price column in coin, such as 'Price \(BTC\)'; it has \[\]"),
    ],
)
def test_a_missing_column(tmp_path: Path, reference: ReferenceData, drop: str, says: str) -> None:
    screener_trades({}).drop(drop).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(BadInputError, match=says):
        read_trades([tmp_path / "t.parquet"], reference, Counter())


def test_ids_of_blocks_combos_and_trades_may_be_absent(tmp_path: Path, reference: ReferenceData) -> None:
    screener_trades({}).drop("Trade ID", "Combo ID", "BlockTrade IDs").write_csv(tmp_path / "t.csv")
    tape = read_trades([tmp_path / "t.csv"], reference, Counter())
    assert tape.select("trade_id", "off_book").rows() == [("BTC-2025-04-01 12:00-0", False)]
