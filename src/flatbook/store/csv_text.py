"""Rows of a text of comma-separated values, with the line each begins on."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

COMMENT: Final = "#"
"""A line that begins with it is no row."""


def numbered_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows of the file with the line each begins on, counted from 1; comments and rows of nothing left out.

    Errors      OSError, UnicodeDecodeError and csv.Error as they come, while rows are taken
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from rows_of(file)


def rows_of(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """As `numbered_rows`, of lines with their ends."""
    reader = csv.reader(lines)
    begins = 1
    for cells in reader:
        if any(cells) and not cells[0].startswith(COMMENT):
            yield begins, cells
        begins = reader.line_num + 1
