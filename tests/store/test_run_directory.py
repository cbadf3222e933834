"""A run's directory: made once, its files whole, its secrets masked."""

import json
import tomllib
from pathlib import Path

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.journal import Journal, RunHeader
from flatbook.store.run_directory import MASK, create_run_directory, masked, open_run_directory


def test_the_contracts_files(tmp_path: Path) -> None:
    run = create_run_directory(tmp_path / "runs", "2025-04-01-advanced.7")
    run.write_config({"seed": 7, "venue": {"api_key": "abc"}})
    run.write_report({"pnl": {"total": -1.5, "funding": None}})
    run.write_page("<!doctype html><p>γ")
    Journal.create(run.journal, RunHeader(run_id="r", version="0", config_json="", policy_text="", seed=7)).close()
    names = {path.name for path in run.path.iterdir()}
    assert names == {"config.toml", "journal.sqlite", "report.json", "report.html", "series", "run.lock"}
    assert tomllib.loads(run.config.read_text()) == {"seed": 7, "venue": {"api_key": MASK}}
    assert json.loads(run.report_json.read_text()) == {"pnl": {"total": -1.5, "funding": None}}
    assert run.report_html.read_text(encoding="utf-8") == "<!doctype html><p>γ"
    assert run.series.is_dir()
    assert open_run_directory(run.path) == run


def test_a_number_json_has_not_is_refused_and_the_old_report_stays(tmp_path: Path) -> None:
    run = create_run_directory(tmp_path, "r")
    run.write_report({"pnl": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write_report({"pnl": float("nan")})
    assert json.loads(run.report_json.read_text()) == {"pnl": 1.0}


def test_a_run_is_not_started_over_another(tmp_path: Path) -> None:
    create_run_directory(tmp_path, "r")
    with pytest.raises(BadInputError, match=r"r already exists; resume it with --resume, or name another --out"):
        create_run_directory(tmp_path, "r")


@pytest.mark.parametrize("run_id", ["", "../r", "a/b", ".hidden", "a b"])
def test_an_id_is_a_plain_name(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(BadInputError, match="use letters, digits, dots, dashes and underscores"):
        create_run_directory(tmp_path, run_id)


def test_a_directory_without_a_journal_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"is not a run directory: it has no journal\.sqlite"):
        open_run_directory(tmp_path)


@pytest.mark.parametrize(
    "name", ["secret", "client_secret", "API-KEY", "apiKey", "key", "password", "db_password", "bearer.token"]
)
def test_secrets_are_masked_at_any_depth(name: str) -> None:
    config = {"outer": [{name: "hunter2", "keyboard": "stays"}], "tokens_per_s": 5}
    assert masked(config) == {"outer": [{name: MASK, "keyboard": "stays"}], "tokens_per_s": 5}


def test_an_unset_secret_is_seen_to_be_unset() -> None:
    assert masked({"secret": None, "token": ""}) == {"secret": None, "token": ""}
