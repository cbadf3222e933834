"""`flatbook data`: what it prints, where, and how it ends."""

import json
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from flatbook.cli import data

_RUN = CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    data.register(app)
    return app


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A screener export of three trades: sound, sound, and one without a side."""
    folder = tmp_path / "export"
    folder.mkdir()
    pl.DataFrame(
        {
            "Side": ["BUY", "SELL", "?"],
            "Instrument": ["BTC-11APR25-80000-C"] * 3,
            "Price (BTC)": [0.05, 0.0505, 0.05],
            "Price (USD)": [4_200.0, 4_242.0, 4_200.0],
            "Mark Price (BTC)": [0.0501] * 3,
            "IV (%)": [50.0] * 3,
            "Size": [0.1] * 3,
            "Underlying Price": [84_000.0] * 3,
            "Entry Date": ["2025-04-01 12:00", "2025-04-01 12:01", "2025-04-01 12:02"],
        }
    ).write_parquet(folder / "trades.parquet")
    return folder


def test_import_and_check_in_words(app: typer.Typer, export: Path, tmp_path: Path) -> None:
    out = tmp_path / "session"
    made = _RUN.invoke(app, ["data", "import", str(export), "--out", str(out)])
    assert made.exit_code == 0
    assert "2  trades" in made.stdout
    assert "1  set aside: trade without a side" in made.stdout
    assert "No funding row for BTC-PERPETUAL falls in the span" in made.stdout
    assert made.stderr == ""
    checked = _RUN.invoke(app, ["data", "check", str(out)])
    assert checked.exit_code == 0
    assert checked.stdout.startswith(f"{out}: usable, digest ")
    assert "note: session.toml: set aside at import: trade without a side (1)" in checked.stdout


def test_import_and_check_in_json(app: typer.Typer, export: Path, tmp_path: Path) -> None:
    out = tmp_path / "session"
    made = _RUN.invoke(app, ["data", "import", str(export), "--out", str(out), "--json", "--licence", "test only"])
    document = json.loads(made.stdout)
    assert document["counts"]["trades"] == 2
    assert document["set_aside"] == {"trade without a side": 1}
    assert document["span"]["start"] == "2025-04-01T12:00:29.750Z"
    assert 'licence = "test only"' in (out / "session.toml").read_text()
    checked = json.loads(_RUN.invoke(app, ["data", "check", str(out), "--json"]).stdout)
    assert checked["usable"] is True
    assert checked["digest"] == document["digest"]
    assert {finding["severity"] for finding in checked["findings"]} == {"note"}


def test_bad_input_is_one_line_on_stderr_and_2(app: typer.Typer, export: Path, tmp_path: Path) -> None:
    for arguments, says in [
        (["import", str(tmp_path / "gone"), "--out", str(tmp_path / "o")], "no such file or directory"),
        (["import", str(export), "--out", str(export)], "already exists"),
        (["check", str(export)], "is not a session directory"),
    ]:
        ended = _RUN.invoke(app, ["data", *arguments, "--json"])
        assert ended.exit_code == 2
        assert ended.stdout == ""
        assert ended.stderr.startswith("flatbook: ")
        assert says in ended.stderr
        assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_a_session_that_cannot_be_replayed_ends_with_3(app: typer.Typer, export: Path, tmp_path: Path) -> None:
    out = tmp_path / "session"
    _RUN.invoke(app, ["data", "import", str(export), "--out", str(out)])
    trades = out / "trades.parquet"
    pl.read_parquet(trades).reverse().write_parquet(trades)
    ended = _RUN.invoke(app, ["data", "check", str(out)])
    assert ended.exit_code == 3
    assert f"{out}: UNUSABLE" in ended.stdout
    assert "is before the row above it" in ended.stdout
    assert _RUN.invoke(app, ["data", "check", str(out), "--json"]).exit_code == 3
