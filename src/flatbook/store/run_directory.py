"""The directory of one run: where its files are, and how they are written.

config.toml  journal.sqlite  report.json  report.html  series/*.parquet

A run whose journal is in PostgreSQL has a journal.toml that says where, and no journal.sqlite.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flatbook.domain.errors import BadInputError
from flatbook.store.atomic import write_text
from flatbook.store.journal import JOURNAL_FILE, has_journal
from flatbook.store.series import SERIES_DIRECTORY
from flatbook.store.toml_text import to_toml

MASK = "***"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SECRET_WORDS = frozenset({"secret", "password", "passphrase", "token", "key", "credential", "credentials"})


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths of a run, and the files that are written whole."""

    path: Path

    @property
    def journal(self) -> Path:
        """The journal, the truth of the run, where it is in a file."""
        return self.path / JOURNAL_FILE

    @property
    def config(self) -> Path:
        """The effective configuration."""
        return self.path / "config.toml"

    @property
    def report_json(self) -> Path:
        """The report's numbers."""
        return self.path / "report.json"

    @property
    def report_html(self) -> Path:
        """The report's page."""
        return self.path / "report.html"

    @property
    def series(self) -> Path:
        """The directory of the run's series."""
        return self.path / SERIES_DIRECTORY

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Writes the effective configuration, its secrets masked."""
        write_text(self.config, to_toml(masked(config)))

    def write_report(self, report: Mapping[str, Any]) -> None:
        """Writes the report's numbers as JSON.

        Errors      ValueError for NaN or infinity, which JSON has not: what does not apply is None
        """
        write_text(self.report_json, json.dumps(report, indent=2, allow_nan=False) + "\n")

    def write_page(self, html: str) -> None:
        """Writes the report's page."""
        write_text(self.report_html, html)


def create_run_directory(runs: Path, run_id: str) -> RunDirectory:
    """Makes `runs/<run_id>/`, empty but for its series directory.

    Errors      BadInputError for an id that is no plain name, or a directory that already holds something
    """
    if not _RUN_ID.fullmatch(run_id):
        raise BadInputError(f"run id {run_id!r}: use letters, digits, dots, dashes and underscores")
    path = runs / run_id
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise BadInputError(f"{path} already exists; resume it with --resume, or name another --out")
    (path / SERIES_DIRECTORY).mkdir(parents=True)
    return RunDirectory(path)


def open_run_directory(path: Path) -> RunDirectory:
    """The run in directory `path`.

    Errors      BadInputError where it holds no journal
    """
    if not has_journal(path):
        raise BadInputError(f"{path} is not a run directory: it has no {JOURNAL_FILE}; name one under runs/")
    return RunDirectory(path)


def masked(value: Any) -> Any:
    """`value` with every text under a name that speaks of a secret replaced by `MASK`, at any depth."""
    match value:
        case Mapping():
            return {name: _masked_entry(str(name), inner) for name, inner in value.items()}
        case str():
            return value
        case Sequence():
            return [masked(item) for item in value]
    return value


def _masked_entry(name: str, value: Any) -> Any:
    words = re.split(r"[_\W]+|(?<=[a-z])(?=[A-Z])", name)
    is_secret = not _SECRET_WORDS.isdisjoint(word.lower() for word in words)
    return MASK if is_secret and value not in (None, "") else masked(value)
