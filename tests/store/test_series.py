"""Series are replaced whole and read back the same."""

from pathlib import Path

import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.series import read_series, series_names, write_series

_EQUITY = pl.DataFrame({"ts_ns": [1, 2], "equity_usd": [0.5, float("nan")], "what": ["a", None]})


def test_round_trip_and_replacement(tmp_path: Path) -> None:
    write_series(tmp_path, {"equity": _EQUITY, "fills": _EQUITY.head(1)})
    write_series(tmp_path, {"fills": _EQUITY})
    assert series_names(tmp_path) == ["equity", "fills"]
    assert read_series(tmp_path, "equity").equals(_EQUITY)
    assert read_series(tmp_path, "fills").equals(_EQUITY)
    assert {path.name for path in (tmp_path / "series").iterdir()} == {"equity.parquet", "fills.parquet"}


def test_an_unknown_series_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no series 'equity'; it has none"):
        read_series(tmp_path, "equity")
    write_series(tmp_path, {"fills": _EQUITY})
    with pytest.raises(BadInputError, match=r"no series 'equity'; it has fills"):
        read_series(tmp_path, "equity")


@pytest.mark.parametrize("name", ["", "Equity", "../x", "a.b", "1st"])
def test_a_name_is_a_plain_word(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="use lower-case letters, digits and underscores"):
        write_series(tmp_path, {name: _EQUITY})


def test_a_damaged_series(tmp_path: Path) -> None:
    write_series(tmp_path, {"fills": _EQUITY})
    path = tmp_path / "series" / "fills.parquet"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BadInputError, match=r"fills\.parquet: not a whole Parquet file"):
        read_series(tmp_path, "fills")
