"""Cells become numbers, nothing, or a complaint."""

from pathlib import Path

import polars as pl
import pytest

from flatbook.store.chains.numbers import as_numbers, from_percent, read_numbers, unless_zero, utc_text_to_ns


@pytest.mark.parametrize(
    ("cell", "value", "unreadable"),
    [
        ("0.5", 0.5, False),
        (" ", None, False),
        ("", None, False),
        (None, None, False),
        ("1e-4", 1e-4, False),
        ("-", None, True),
        ("1,5", None, True),
        ("inf", float("inf"), True),
    ],
)
def test_text(cell: str | None, value: float | None, unreadable: bool) -> None:
    found = as_numbers(pl.DataFrame({"a": [cell]}, schema={"a": pl.String}), ["a"])
    assert found["a"].to_list() == [value]
    assert found["unreadable"].to_list() == [unreadable]


def test_numbers_stay_and_one_bad_cell_is_enough() -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": [0.5, float("inf")]})
    found = as_numbers(frame, ["a", "b"])
    assert found["a"].to_list() == [1.0, 2.0]
    assert found["unreadable"].to_list() == [False, True]


def test_a_column_the_table_lacks(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("name,a\nx,1\n")
    found = read_numbers(tmp_path / "t", ["name"], ["a", "b"])
    assert found.row(0, named=True) == {"name": "x", "a": 1.0, "b": None, "unreadable": False}


def test_percent() -> None:
    frame = pl.DataFrame({"a": [58.2, 0.0, 999.0, 500.0, -3.0, None]})
    found = frame.select(a=from_percent("a"))["a"].fill_nan(None).to_list()
    assert found == [58.2 / 100, None, None, None, -0.03, None]
    assert frame.select(a=unless_zero("a"))["a"].fill_nan(None).to_list() == [58.2, None, 999.0, 500.0, -3.0, None]


def test_utc() -> None:
    times = ["2026-01-14T04:03:25.762731+00:00", "2026-01-14T05:03:25.762731+01:00", "soon", None]
    found = pl.DataFrame({"a": times}).select(utc_text_to_ns("a"))["a"].to_list()
    assert found == [1_768_363_405_762_731_000, 1_768_363_405_762_731_000, None, None]
