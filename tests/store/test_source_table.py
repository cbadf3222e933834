"""Tables of others, told by their first bytes, whole or in batches."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from flatbook.store import source_table
from flatbook.store.source_table import divided, header, is_json, quoted, read_batches, read_bytes, read_rows

_FRAME = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [0.5, None, 0.0]})


def _files(folder: Path) -> list[Path]:
    paths = [folder / name for name in ("csv", "gzip", "parquet")]
    text = _FRAME.write_csv().encode()
    paths[0].write_bytes(text)
    paths[1].write_bytes(gzip.compress(text))
    _FRAME.write_parquet(paths[2])
    return paths


def test_one_table_in_three_packings(tmp_path: Path) -> None:
    for path in _files(tmp_path):
        assert header(path) == ["a", "b", "c"]
        assert read_rows(path, ["c", "a"]).equals(_FRAME.select("c", "a"))
        assert not is_json(path)


@pytest.mark.parametrize("batch_bytes", [1, 10, 1 << 20])
def test_batches_are_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_bytes: int) -> None:
    monkeypatch.setattr(source_table, "_BATCH", batch_bytes)
    expected = _FRAME.select("c", "a").select(pl.all().cast(pl.String))
    for path in _files(tmp_path):
        batches = list(read_batches(path, ["c", "a"]))
        assert pl.concat(batches).select("c", "a").equals(expected)
        assert len(batches) == (3 if batch_bytes == 1 and path.name != "parquet" else len(batches))


def test_json_by_its_first_sign(tmp_path: Path) -> None:
    path = tmp_path / "t"
    for text, expected in ((b"\n  [1]", True), (b'{"a": 1}', True), (b"a,b\n{1}", False)):
        path.write_bytes(text)
        assert is_json(path) is expected
        path.write_bytes(gzip.compress(text))
        assert is_json(path) is expected
        assert read_bytes(path) == text


def test_numbers() -> None:
    assert _FRAME.select(divided(pl.col("a"), 10_000))["a"].to_list() == [1e-4, 2e-4, 3e-4]
    assert _FRAME.select(quoted("c"))["c"].fill_nan(None).to_list() == [0.5, None, None]
