"""What lies beside a file is told by its columns."""

from pathlib import Path

import polars as pl

from flatbook.store.chains.beside import tables_beside


def test_tables_with_some_columns_and_without_others(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1], "b": [2], "c": [3]})
    path = tmp_path / "m.parquet"
    frame.write_parquet(path)
    frame.write_csv(tmp_path / "z.csv")
    frame.drop("c").write_parquet(tmp_path / "k.parquet")
    frame.drop("a").write_csv(tmp_path / "lacks.csv")
    frame.write_csv(tmp_path / "notes.txt")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    (tmp_path / "folder.csv").mkdir()
    wanted = frozenset({"a", "b"})
    assert [found.name for found in tables_beside(path, wanted)] == ["k.parquet", "z.csv"]
    assert [found.name for found in tables_beside(path, wanted, without=frozenset({"c"}))] == ["k.parquet"]
