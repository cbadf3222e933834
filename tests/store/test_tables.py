"""A table that cannot be true is refused in one line: file, row, value, remedy."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.tables import (
    CHAIN,
    FUNDING,
    INDEX,
    QUOTES,
    TABLES,
    TRADES,
    Table,
    faults,
    read_columns,
    read_table,
)

from .builders import NAN, T0, rows


def _written(directory: Path, table: Table, *changes: dict[str, Any]) -> Path:
    rows(table, *changes).write_parquet(directory / table.file_name)
    return directory


def test_sound_rows_come_back_as_they_are(tmp_path: Path) -> None:
    for table in (INDEX, QUOTES, TRADES, CHAIN, FUNDING):
        made = rows(table, {"at": 1}, {"at": 1}, {"at": 2})
        made.write_parquet(tmp_path / table.file_name)
        assert read_table(tmp_path, table).equals(made)


def test_an_absent_file_is_an_empty_table(tmp_path: Path) -> None:
    for table in TABLES.values():
        assert read_table(tmp_path, table).is_empty()
        assert read_table(tmp_path, table).schema == table.schema


@pytest.mark.parametrize("cut", [1, 20, 400])
def test_a_truncated_file(tmp_path: Path, cut: int) -> None:
    path = _written(tmp_path, TRADES, {}) / "trades.parquet"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(BadInputError) as caught:
        read_table(tmp_path, TRADES)
    assert str(caught.value).startswith(f"{path}: not a whole Parquet file (")
    assert str(caught.value).endswith("; fetch or import it again")
    assert "\n" not in str(caught.value)


def test_a_missing_column(tmp_path: Path) -> None:
    rows(TRADES, {}).drop("iv").write_parquet(tmp_path / "trades.parquet")
    with pytest.raises(BadInputError, match=r"trades\.parquet: column 'iv' is missing \(it has exch_ts_ns, .*; add it"):
        read_table(tmp_path, TRADES)


def test_a_column_of_another_type(tmp_path: Path) -> None:
    rows(INDEX, {}).with_columns(price_usd=pl.lit("dear")).write_parquet(tmp_path / "index.parquet")
    with pytest.raises(BadInputError, match=r"index\.parquet: a column is of another type: .*dear"):
        read_table(tmp_path, INDEX)


def test_an_empty_cell(tmp_path: Path) -> None:
    rows(TRADES, {"at": 0}, {"at": 1, "trade_id": None}).write_parquet(tmp_path / "trades.parquet")
    with pytest.raises(BadInputError, match=r"trades\.parquet: row 1: trade_id is empty; fill it in"):
        read_table(tmp_path, TRADES)


def test_an_empty_optional_float_is_nan(tmp_path: Path) -> None:
    rows(TRADES, {"iv": None}).write_parquet(tmp_path / "trades.parquet")
    assert read_table(tmp_path, TRADES)["iv"].is_nan().to_list() == [True]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        (TRADES, "price", -0.05),
        (TRADES, "price", NAN),
        (TRADES, "price", float("inf")),
        (TRADES, "amount", 0.0),
        (TRADES, "iv", -0.5),
        (TRADES, "taker_side", 0),
        (CHAIN, "bid", -0.001),
        (CHAIN, "ask_iv", -0.6),
        (CHAIN, "bid_iv", 0.0),
        (INDEX, "price_usd", 0.0),
        (FUNDING, "rate", NAN),
        (FUNDING, "hours", 0.0),
    ],
)
def test_a_value_out_of_its_range(tmp_path: Path, table: Table, column: str, value: float) -> None:
    _written(tmp_path, table, {"at": 0}, {"at": 1, column: value}, {"at": 2, column: value})
    with pytest.raises(BadInputError) as caught:
        read_table(tmp_path, table)
    expected = f"{tmp_path / table.file_name}: row 1: {column} is {value} (1 more rows alike); it must be "
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("column", ["bid", "ask", "bid_iv", "ask_iv", "mark_iv", "forward_usd"])
def test_no_quote_is_nan_and_sound(tmp_path: Path, column: str) -> None:
    _written(tmp_path, CHAIN, {column: NAN})
    assert read_table(tmp_path, CHAIN).height == 1


def test_a_clock_that_runs_backwards(tmp_path: Path) -> None:
    _written(tmp_path, INDEX, {"at": 0}, {"at": 5}, {"at": 4.5}, {"at": 6})
    with pytest.raises(BadInputError) as caught:
        read_table(tmp_path, INDEX)
    assert str(caught.value) == (
        f"{tmp_path / 'index.parquet'}: row 2: local_ts_ns 2025-04-01T12:00:04.500Z is before the row above it, "
        "2025-04-01T12:00:05.000Z; sort the file by local_ts_ns, or import again"
    )


def test_every_fault_is_found_not_only_the_first(tmp_path: Path) -> None:
    _written(tmp_path, TRADES, {"at": 2, "price": -1.0}, {"at": 1, "iv": -1.0})
    found = list(faults(read_columns(tmp_path / "trades.parquet", TRADES), TRADES))
    assert [(fault.column, fault.row) for fault in found] == [("price", 0), ("iv", 1), ("local_ts_ns", 1)]


def test_the_venues_clock_may_run_backwards(tmp_path: Path) -> None:
    _written(tmp_path, INDEX, {"at": 0, "exch_ts_ns": T0}, {"at": 1, "exch_ts_ns": T0 - 5})
    assert read_table(tmp_path, INDEX).height == 2
