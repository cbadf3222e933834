"""Cells become numbers, nothing, or a complaint."""

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.chains.numbers import as_numbers, from_percent, read_numbers, times_ns, unless_zero, utc_text_to_ns


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


_NS = 1_768_363_405_762_731_000


@pytest.mark.parametrize(
    ("stamps", "first_ns"),
    [
        ([_NS, None], _NS),
        ([_NS // 1_000], _NS),
        ([_NS // 1_000_000, 5], _NS // 1_000_000 * 1_000_000),
        ([_NS // 10**9], _NS // 10**9 * 10**9),
        ([1_768_363_405.5], 1_768_363_405_500_000_000),
        (["1768363405.5", None], 1_768_363_405_500_000_000),
        (["1768363405762731000"], _NS),
        (["2026-01-14T04:03:25.762731", "soon"], _NS),
        ([date(2026, 1, 14)], 1_768_348_800_000_000_000),
        ([datetime(2026, 1, 14, 5, tzinfo=ZoneInfo("Europe/Berlin"))], 1_768_363_200_000_000_000),
    ],
)
def test_times(stamps: list[object], first_ns: int) -> None:
    found = times_ns(Path("t"), "time", pl.Series("time", stamps))
    assert found[0] == first_ns
    assert found.dtype == pl.Int64
    assert found.null_count() == sum(stamp in (None, "soon") for stamp in stamps)


@pytest.mark.parametrize("years", [0.08, 30.0, 2.0e18 * 3])
def test_a_number_that_is_no_time(years: float) -> None:
    with pytest.raises(BadInputError, match=r"^t: time .* is no time from 2010 to 2100; give seconds, milliseconds"):
        times_ns(Path("t"), "time", pl.Series("time", [years]))
