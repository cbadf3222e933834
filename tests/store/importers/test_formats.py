"""A file is what its columns say."""

from pathlib import Path

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.importers.formats import Format, recognise

from ..builders import screener_chain, screener_trades, spot_bars, write_gzip


def test_names_do_not_matter_columns_do(tmp_path: Path) -> None:
    screener_trades({}).write_parquet(tmp_path / "chain.parquet")
    screener_chain({}).write_csv(tmp_path / "trades.csv")
    write_gzip(tmp_path / "x.csv.gz", spot_bars((1_743_465_600_000_000, 82_617.0)))
    (tmp_path / "f.csv").write_text("Symbol,Date,Funding Rate\nBTC-USDT,2022-01-01 00:00:00,0.0001\n")
    (tmp_path / "g.csv").write_text("Time,Contracts,Funding Interval,Funding Rate\n2024-08-09 09:00:00,B,8h,0.1%\n")
    (tmp_path / "h.csv").write_text("a,b\n1,2\n")
    (tmp_path / "notes.md").write_text("not a table")
    (tmp_path / "folder").mkdir()
    found = recognise(tmp_path)
    assert {kind: [path.name for path in paths] for kind, paths in found.files.items()} == {
        Format.SCREENER_TRADES: ["chain.parquet"],
        Format.SCREENER_CHAIN: ["trades.csv"],
        Format.SPOT_BARS: ["x.csv.gz"],
        Format.FUNDING_DECIMAL: ["f.csv"],
        Format.FUNDING_PERCENT: ["g.csv"],
    }
    assert [path.name for path in found.unknown] == ["h.csv"]


def test_one_file_is_a_place_too(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    screener_trades({}).write_parquet(path)
    assert recognise(path).of(Format.SCREENER_TRADES) == [path]


def test_no_such_place(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"gone: no such file or directory; give the folder"):
        recognise(tmp_path / "gone")


@pytest.mark.parametrize("name", ["t.parquet", "t.csv.gz"])
def test_a_file_cut_short(tmp_path: Path, name: str) -> None:
    whole = screener_trades({})
    path = tmp_path / name
    if name.endswith("parquet"):
        whole.write_parquet(path)
    else:
        write_gzip(path, whole.write_csv())
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(BadInputError, match=rf"{name}: cannot read its columns \(.*\); fetch the file again") as caught:
        recognise(tmp_path)
    assert "\n" not in str(caught.value)
