"""From a path to its chains: the format, its rows, and which of them are used."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.store.chains import any_table, bulk_table, calls_table, screener, tardis, ticker_json, tickers, vol_table
from flatbook.store.chains.chain_file import ChainFile
from flatbook.store.chains.quotes import Quotes, Updates
from flatbook.store.chains.sift import Sifted, sift
from flatbook.store.source_table import first_line, header, is_json

_UPDATES = "Its rows are no passes over a chain: a snapshot is the last row of each instrument at or before its time."
_VOLS = ("bid_iv", "ask_iv", "mark_iv")
_LEAST_VOL, _LARGEST_VOL = 0.03, 10.0
"""Between them lies the median vol of any chain: 3 % and 1,000 %."""


class _Layout(NamedTuple):
    """A table that we know: how we call it, the columns it is told by, and its reader."""

    name: str
    needs: frozenset[str]
    read: Callable[[Path], Quotes | Updates]
    without: frozenset[str] = frozenset()


_TABLES = (
    _Layout(tardis.NAME, tardis.NEEDS, tardis.read),
    _Layout(screener.NAME, screener.NEEDS, screener.read),
    _Layout(bulk_table.NAME, bulk_table.NEEDS, bulk_table.read),
    _Layout(tickers.NAME, tickers.NEEDS, tickers.read),
    _Layout(calls_table.NAME, calls_table.NEEDS, calls_table.read),
    _Layout(vol_table.NAME, vol_table.NEEDS, vol_table.read, without=vol_table.PRICES),
)
"""In the order they are tried; any other table with quotes is read by the names of its columns."""


def read_chains(path: Path) -> ChainFile:
    """The chains in `path`.

    Errors      BadInputError where there is no such file, no format explains it, it is not whole, or no row is usable
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such file; give a chain file")
    try:
        name, quotes = _read(path)
        sifted = sift(quotes)
    except pl.exceptions.PolarsError as error:
        raise BadInputError(
            f"{path}: a column is of another type ({first_line(error)}); give text or numbers"
        ) from None
    if not sifted.histories:
        why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(sifted.left_out.items())) or "it has no row"
        raise BadInputError(f"{path}: {name}, and no option in it is usable ({why})")
    notes = (*quotes.notes, *_notes(quotes, sifted))
    file = ChainFile(path, name, sifted.taken, dict(sorted(sifted.left_out.items())), notes, sifted.histories)
    _check_vols(file, quotes)
    return file


def _read(path: Path) -> tuple[str, Quotes | Updates]:
    if is_json(path):
        return ticker_json.NAME, ticker_json.read(path)
    columns = header(path)
    for layout in _TABLES:
        if layout.needs <= set(columns) and not layout.without & set(columns):
            return layout.name, layout.read(path)
    if any_table.recognised(columns):
        return any_table.NAME, any_table.read(path, columns)
    raise BadInputError(
        f"{path}: no chain file we know by its columns ({', '.join(columns)}); give Tardis options_chain, Deribit "
        "tickers (JSON), or a table with instrument names, a time, and bid, ask or mark prices or vols"
    )


def _notes(quotes: Quotes | Updates, sifted: Sifted) -> Iterator[str]:
    if isinstance(quotes, Quotes):
        if sifted.joined:
            yield quotes.beside_note
        if sifted.in_updates:
            yield _UPDATES


def _check_vols(file: ChainFile, quotes: Quotes | Updates) -> None:
    """A unit that is not what the format says shows in the median of a whole column."""
    for column in _VOLS:
        if isinstance(quotes, Quotes):
            stated = quotes.rows[column].to_numpy()
        else:
            stated = np.concatenate([getattr(snapshot, column) for snapshot in file.snapshots] or [np.empty(0)])
        quoted = stated[np.isfinite(stated)]
        middle = float(np.median(quoted)) if quoted.size else _LEAST_VOL
        if not _LEAST_VOL <= middle <= _LARGEST_VOL:
            raise BadInputError(
                f"{file.path}: {file.format}, and the median {column} would be {middle:.4g}; "
                "it is not in the unit of that format"
            )
