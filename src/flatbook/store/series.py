"""The series of a run: named tables in `series/*.parquet`, each replaced as a whole."""

import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.store.atomic import new_file
from flatbook.store.tables import read_parquet

SERIES_DIRECTORY = "series"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def write_series(run: Path, frames: Mapping[str, pl.DataFrame]) -> None:
    """Writes each frame to `series/<name>.parquet` of the run directory; a reader sees the old file or the new one.

    Errors      BadInputError for a name that is not lower-case words joined by underscores
    """
    directory = run / SERIES_DIRECTORY
    directory.mkdir(exist_ok=True)
    for name, frame in frames.items():
        with new_file(directory / _file_name(name)) as scratch:
            frame.write_parquet(scratch, compression="zstd")


def read_series(run: Path, name: str) -> pl.DataFrame:
    """The series `name` of a run directory.

    Errors      BadInputError where the run has no such series, or its file is not whole
    """
    path = run / SERIES_DIRECTORY / _file_name(name)
    if not path.exists():
        have = ", ".join(series_names(run)) or "none"
        raise BadInputError(f"{run}: no series {name!r}; it has {have}")
    return read_parquet(path)


def series_names(run: Path) -> list[str]:
    """The names of a run's series, in order."""
    return sorted(path.stem for path in (run / SERIES_DIRECTORY).glob("*.parquet"))


def _file_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadInputError(f"series name {name!r}: use lower-case letters, digits and underscores")
    return f"{name}.parquet"
