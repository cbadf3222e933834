"""From a path to a format, and one clear line where there is none."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.chains import read_chains

from .builders import BULK, T0_NS, TARDIS, TICKER, table, write_csv, write_json, write_parquet


def _line(path: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        read_chains(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_no_such_file(tmp_path: Path) -> None:
    assert _line(tmp_path / "gone.csv") == "no such file; give a chain file"
    assert _line(tmp_path) == "no such file; give a chain file"


def test_columns_that_no_format_explains(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert _line(tmp_path / "t.csv") == (
        "no chain file we know by its columns (a, b); give Tardis options_chain, Deribit tickers (JSON), or a table "
        "with instrument names, a time, and bid, ask or mark prices or vols"
    )


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08", b"PAR1", b"\x1f\x8bnot gzip", b"\x00\xff\xfe\x00" * 99])
def test_no_file_of_any_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t"
    path.write_bytes(content)
    assert "fetch" in _line(path) or "no chain file we know" in _line(path)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv.gz"])
@pytest.mark.parametrize("default", [BULK, TICKER], ids=["bulk", "ticker"])
def test_a_file_cut_short(tmp_path: Path, name: str, default: dict[str, object]) -> None:
    rows = table(default, *({"bid_price": row * 1e-6, "mark_price": row * 1e-7} for row in range(9_000)))
    path = (write_parquet if name.endswith("parquet") else write_csv)(tmp_path / name, rows)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert "; fetch" in _line(path)


def test_no_row_that_is_usable(tmp_path: Path) -> None:
    rows = table(BULK, {"bid_price": 0.5}, {"instrument_name": "BTC-27MAR26"}, {"instrument_name": "BTC"})
    reasons = "1 crossed quote, 1 no option beside it, 1 unknown instrument"
    unusable = f"Deribit chain table, and no option in it is usable ({reasons})"
    assert _line(write_csv(tmp_path / "t", rows)) == unusable
    assert _line(write_csv(tmp_path / "t", table(BULK, {}).clear())) == (
        "Deribit chain table, and no option in it is usable (it has no row)"
    )


@pytest.mark.parametrize(
    ("write", "default", "column", "other"),
    [
        (write_csv, BULK, "implied_volatility", 50.0),
        (write_csv, TICKER, "mark_iv", 0.52),
        (write_csv, TARDIS, "mark_iv", 0.52),
        (lambda path, frame: write_json(path, frame.to_dicts()), TICKER, "bid_iv", 0.48),
    ],
    ids=["bulk", "ticker", "tardis", "json"],
)
def test_vols_in_another_unit_than_the_formats(
    tmp_path: Path, write: Callable[[Path, pl.DataFrame], Path], default: dict[str, object], column: str, other: float
) -> None:
    message = _line(write(tmp_path / "t", table(default, {column: other})))
    assert "it is not in the unit of that format" in message


def test_a_table_is_told_by_columns_and_not_by_name(tmp_path: Path) -> None:
    assert read_chains(write_csv(tmp_path / "x.json", table(BULK, {}))).format == "Deribit chain table"
    assert read_chains(write_parquet(tmp_path / "x.csv", table(TICKER, {}))).format == "Deribit tickers"
    assert read_chains(write_csv(tmp_path / "x.gz", table(TARDIS, {}))).format == "Tardis options_chain"


_STAMP = datetime(2026, 1, 14, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("default", "changes"),
    [
        (BULK, {"timestamp": _STAMP}),
        (TICKER, {"timestamp": _STAMP}),
        (BULK, {"bid_price": Decimal("0.1000")}),
        (TICKER, {"mark_price": None, "best_bid_amount": None}),
        (TICKER, {"best_bid_amount": "12.5"}),
    ],
)
def test_other_types_that_say_the_same(tmp_path: Path, default: dict[str, object], changes: dict[str, object]) -> None:
    chain = read_chains(write_parquet(tmp_path / "t", table(default, changes))).at()
    assert (chain.ts_ns, chain.bid[0]) == (T0_NS, 0.1)


@pytest.mark.parametrize("default", [BULK, TICKER, TARDIS], ids=["bulk", "ticker", "tardis"])
@pytest.mark.parametrize("value", [[0.1, 0.2], {"price": 0.1}, b"0.1"], ids=["list", "struct", "bytes"])
def test_types_that_say_nothing(tmp_path: Path, default: dict[str, object], value: object) -> None:
    _line(write_parquet(tmp_path / "t", table(default, dict.fromkeys(default, value))))


def test_binary_junk_under_a_good_header(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", table(TARDIS, {}))
    path.write_bytes(path.read_bytes() + b"\x00\xff\xfe" * 50)
    _line(path)
