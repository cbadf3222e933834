"""`flatbook price`: what it prints, where, and how it ends."""

import csv
import io
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from flatbook.cli import price

HEADER = "id,style,right,strike,years,vol,rate,carry,spot,forward"
GOOD = "a,european,call,65,0.25,0.3,0.08,0.08,60,"
BAD = "b,european,call,65,0.25,-0.3,0.08,0.08,60,"


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    price.register(app)
    return app


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("IN.csv")
    path.write_text("\n".join([HEADER, GOOD, BAD, ""]), encoding="utf-8")
    return path


def run(app: typer.Typer, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))


def test_a_table_on_stdout_with_its_units_on_top_and_reasons_on_stderr(app: typer.Typer, contracts: Path) -> None:
    result = run(app, "IN.csv")
    assert result.exit_code == 0
    assert "# vega: d price per 0.01 of vol\n" in result.stdout
    good, bad = rows_of(result.stdout)
    assert float(good["price"]) == pytest.approx(2.1334, abs=1e-4)
    assert (good["id"], good["method"], good["error"]) == ("a", "black", "")
    assert (bad["price"], bad["method"]) == ("", "")
    assert bad["error"] == "vol: -0.3 is negative; give a vol as a decimal per year"
    assert result.stderr == "IN.csv:3: vol: -0.3 is negative; give a vol as a decimal per year\n"


def test_one_json_document_and_nothing_else(app: typer.Typer, contracts: Path) -> None:
    result = run(app, "IN.csv", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert (document["priced"], document["unpriced"]) == (1, 1)
    assert document["rows"][0]["price"] == pytest.approx(2.1334, abs=1e-4)
    assert document["rows"][0]["error"] is None
    assert document["rows"][1]["price"] is None
    assert document["rows"][1]["error"].startswith("vol: -0.3 is negative")
    assert set(document["units"]) <= set(document["rows"][0])


def test_out_takes_the_table_and_stdout_stays_empty(app: typer.Typer, contracts: Path) -> None:
    shown = run(app, "IN.csv").stdout
    result = run(app, "IN.csv", "--out", "OUT.csv")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert Path("OUT.csv").read_text(encoding="utf-8") == shown
    assert json.loads(run(app, "IN.csv", "--out", "OUT.csv", "--json").stdout)["priced"] == 1


def test_implied(app: typer.Typer, contracts: Path) -> None:
    contracts.write_text("\n".join([HEADER.replace("vol", "price"), GOOD.replace("0.3", "2.1333684449"), ""]))
    (row,) = rows_of(run(app, "IN.csv", "--implied").stdout)
    assert float(row["vol"]) == pytest.approx(0.3, rel=1e-9)
    assert float(row["price"]) == pytest.approx(2.1333684449, rel=1e-12)


@pytest.mark.parametrize("arguments", [[], ["--implied"], ["--json"], ["--out", "OUT.csv"]])
def test_a_file_that_is_no_table_ends_with_2_and_one_line(
    app: typer.Typer, contracts: Path, arguments: list[str]
) -> None:
    contracts.write_text("\n".join([HEADER.replace("carry", "carri"), GOOD, ""]))
    result = run(app, "IN.csv", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("flatbook: IN.csv:1: no column ")
    assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["IN.csv"]


def test_a_file_that_is_not_there_ends_with_2(app: typer.Typer, contracts: Path) -> None:
    result = run(app, "none.csv")
    assert result.exit_code == 2
    assert (
        result.stderr
        == "flatbook: none.csv: cannot be read (No such file or directory); name a CSV file of contracts\n"
    )


def test_a_place_that_cannot_be_written_ends_with_2_and_keeps_what_is_there(app: typer.Typer, contracts: Path) -> None:
    result = run(app, "IN.csv", "--out", "no/OUT.csv")
    assert result.exit_code == 2
    assert "no/OUT.csv: cannot be written" in result.stderr


def test_many_bad_rows_are_not_all_listed(app: typer.Typer, contracts: Path) -> None:
    contracts.write_text("\n".join([HEADER, *[BAD] * 14, GOOD, ""]))
    lines = run(app, "IN.csv").stderr.splitlines()
    assert lines[:2] == [f"IN.csv:{line}: vol: -0.3 is negative; give a vol as a decimal per year" for line in (2, 3)]
    assert lines[-1] == "IN.csv: 4 more of 15 rows have no price; see their error"
    assert len(lines) == 11


def test_a_column_that_no_style_reads_is_told(app: typer.Typer, contracts: Path) -> None:
    contracts.write_text("\n".join([HEADER + ",rebat", GOOD + ",3", ""]))
    result = run(app, "IN.csv")
    assert result.exit_code == 0
    assert result.stderr == "IN.csv: column rebat is not read by any style\n"


def test_an_answer_longer_than_a_piece_is_still_one(
    app: typer.Typer, contracts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(price, "_PIECE_ROWS", 2)
    contracts.write_text("\n".join([HEADER, *[GOOD] * 5, ""]))
    assert len(rows_of(run(app, "IN.csv").stdout)) == 5
    assert len(json.loads(run(app, "IN.csv", "--json").stdout)["rows"]) == 5
    contracts.write_text(HEADER)
    assert json.loads(run(app, "IN.csv", "--json").stdout)["rows"] == []


EVERY_STYLE = """
id,style,right,strike,years,vol,rate,carry,spot,forward,barrier,barrier_kind,rebate,payoff,cash,pay_at,average,fixings,spot2,forward2,vol2,carry2,correlation,extremum,funding_kappa,funding_iota
european,european,call,65,0.25,0.3,0.08,0.08,60,,,,,,,,,,,,,,,,,
inverse,inverse,call,65000,0.0821917808219178,0.6,0,0,,60000,,,,,,,,,,,,,,,,
american,american,put,40,0.3333,0.2,0.0488,0.0488,40,,,,,,,,,,,,,,,,,
barrier,barrier,call,110,0.5,0.25,0.08,0.04,100,,105,up_out,3,,,,,,,,,,,,,
digital,digital,put,80,0.75,0.35,0.06,0,100,,,,,cash,10,,,,,,,,,,,
touch,touch,,,0.5,0.2,0.1,0.1,105,,100,down_in,,cash,15,hit,,,,,,,,,,
asian,asian,put,85,0.25,0.2,0.05,0.08,80,,,,,,,,geometric,0,,,,,,,,
lookback,lookback,call,,1,0.3,0.05,0.05,100,,,,,,,,,,,,,,,,,
exchange,exchange,,,0.1,0.2,0.1,0.04,22,,,,,,,,,,20,,0.2,0.06,-0.5,,,
spread,spread,call,3,0.5,0.2,0.1,0,,122,,,,,,,,,,120,0.2,,-0.5,,,
min_max,min_max,call,100,1,0.3,0.05,0.05,100,,,,,,,,,,100,,0.3,0.05,0.9,min,,
two_asset_barrier,two_asset_barrier,call,90,0.5,0.2,0.08,0.08,100,,95,down_out,,,,,,,100,,0.2,0.08,0.5,,,
perpetual,perpetual,,,,,0.04,0.02,10000,,,,,,,,,,,,,,,,0.2,0.005
"""

PUBLISHED = {
    "european": (2.1334, 1e-4),
    "inverse": (0.03729780259, 1e-10),
    "american": (1.5798, 2e-3),
    "barrier": (2.3453, 1e-4),
    "digital": (2.671, 1e-4),
    "touch": (9.7264, 1e-4),
    "asian": (4.6922, 1e-4),
    "lookback": (23.7884, 1e-4),
    "exchange": (2.199, 1e-3),
    "spread": (10.7517, 1e-4),
    "min_max": (10.898, 1.2e-3),
    "two_asset_barrier": (6.6592, 4e-3),
    "perpetual": (10833.333333, 1e-6),
}


def test_a_file_with_every_style_of_the_contract(app: typer.Typer, contracts: Path) -> None:
    contracts.write_text(EVERY_STYLE.lstrip())
    result = run(app, "IN.csv")
    assert result.stderr == ""
    rows = {row["id"]: row for row in rows_of(result.stdout)}
    for style, (expected, tolerance) in PUBLISHED.items():
        assert float(rows[style]["price"]) == pytest.approx(expected, abs=tolerance), style
        assert rows[style]["error"] == ""
        assert rows[style]["method"] != ""
