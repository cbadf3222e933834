"""CSV of contracts in, CSV of prices and Greeks out.

A file that is no table of contracts is refused whole, with the line at fault; what stands in its cells is checked row
by row in `price_table`. Lines that start with # are comments; blank lines are skipped.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.store.atomic import new_file
from flatbook.store.csv_text import COMMENT, numbered_rows
from flatbook.store.price_table import PricedTable
from flatbook.valuation.contracts import SHARED_COLUMNS
from flatbook.valuation.measures import PRINTED_UNITS


def read_contracts(path: Path, *, implied: bool = False) -> pl.DataFrame:
    """The file's rows as text, in its order, blank lines dropped; with `implied` it has `price` in place of `vol`.

    Errors      BadInputError: no such file, not UTF-8, a column missing or there twice, a row longer than the header
    """
    try:
        line, header = _header(path)
        _check_header(f"{path}:{line}", header, implied=implied)
        frame = pl.read_csv(
            path,
            has_header=False,
            skip_lines=line,
            schema=dict.fromkeys(header, pl.String),
            comment_prefix=COMMENT,
            missing_columns="insert",
        )
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}); name a CSV file of contracts") from None
    except (UnicodeDecodeError, csv.Error, pl.exceptions.PolarsError) as error:
        raise BadInputError(_why_malformed(path, error)) from None
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))


def lines_of(path: Path, rows: set[int]) -> dict[int, int]:
    """The line of the file on which each of `rows` begins, rows counted from 0 as `read_contracts` gives them."""
    lines = (line for line, _ in _data_lines(path))
    return {row: line for row, line in zip(range(max(rows, default=-1) + 1), lines, strict=False) if row in rows}


def write_prices(priced: PricedTable, path: Path) -> None:
    """The table as CSV, units on top; `path` is written whole or not at all.

    Errors      BadInputError where the place cannot be written
    """
    try:
        with new_file(path) as scratch, scratch.open("wb") as file:
            file.write(units_comment().encode())
            priced.frame.write_csv(file)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written ({error.strerror}); name a file in a directory") from None


def units_comment() -> str:
    """The lines above an output table's header: what each column is counted in."""
    return "".join(f"# {name}: {unit}\n" for name, unit in PRINTED_UNITS.items())


def _header(path: Path) -> tuple[int, list[str]]:
    for line, cells in numbered_rows(path):
        return line, [cell.strip() for cell in cells]
    raise BadInputError(f"{path}: is empty; its first line must name columns: {', '.join(SHARED_COLUMNS)}, spot")


def _data_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    rows = numbered_rows(path)
    next(rows, None)
    return rows


def _check_header(place: str, header: list[str], *, implied: bool) -> None:
    needed = [("price" if implied else "vol") if name == "vol" else name for name in SHARED_COLUMNS]
    missing = [name for name in needed if name not in header]
    if not {"spot", "forward"} & set(header):
        missing.append("spot (or forward)")
    if missing:
        raise BadInputError(f"{place}: no column {', '.join(missing)}; the header has {', '.join(header)}: add it")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise BadInputError(f"{place}: column {', '.join(map(repr, twice))} is there twice; keep one")


def _why_malformed(path: Path, error: Exception) -> str:
    """The first line that breaks the table, found by reading slowly what could not be read fast."""
    reason = str(error).splitlines()[0]
    try:
        width = len(_header(path)[1])
        for line, cells in _data_lines(path):
            if len(cells) > width:
                return f"{path}:{line}: {len(cells)} fields under a header of {width}; quote a field that has a comma"
    except UnicodeDecodeError:
        return f"{path}: is not UTF-8 text; save it as UTF-8"
    except csv.Error as slow:
        reason = str(slow)
    return f"{path}: is not a table of comma-separated values ({reason}); check its quotes"
