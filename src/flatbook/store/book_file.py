"""A book of positions and balances from a CSV or JSON file.

A position is `instrument, size` and perhaps `venue, price, strategy`; a balance is `currency, amount` and perhaps
`venue`. An instrument is a listed contract by its Deribit name, or, where the row has a `style`, a contract over the
counter by a name of its own with its terms in the columns of `flatbook.valuation.otc`. In CSV both kinds of row may
stand under one header; JSON is a list of such rows, or an object with `positions` and `balances`.

A book is read whole or not at all: the first row that cannot be used ends it, with the file, the line and the remedy.
"""

import csv
import json
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import DECIMALS
from flatbook.store.csv_text import rows_of
from flatbook.valuation.contracts import Cell, FieldError, Fields
from flatbook.valuation.otc import OTC_COLUMNS, parse_otc
from flatbook.valuation.portfolio import Balance, BookPosition, Portfolio

_POSITION: Final = ("instrument", "size", "venue", "price", "strategy")
_BALANCE: Final = ("currency", "amount")
_KNOWN: Final = frozenset({*_POSITION, *_BALANCE, *OTC_COLUMNS})
_MOST: Final = 1e12
"""Beyond any book's sizes; sums and squares of P&L are finite within."""

_SHAPE: Final = "give rows of instrument and size, or of currency and amount"


@dataclass(frozen=True)
class BookFile:
    """A book as read; `notes` say what was made of it that its reader should know."""

    path: Path
    portfolio: Portfolio
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """Cells that hold something, and where they stand: `book.csv:7`, or `book.json: position 3`."""

    place: str
    cells: Mapping[str, Cell]


def read_book(path: Path, reference: ReferenceData) -> BookFile:
    """The book in `path`; the name's ending says whether it is JSON.

    Errors      BadInputError for the first thing that cannot be used, with its place
    """
    return parse_book(read_book_text(path), path, reference)


def read_book_text(path: Path) -> str:
    """The text of a book's file.

    Errors      BadInputError where it cannot be read
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}); name a CSV or JSON file of a book") from None
    except UnicodeDecodeError:
        raise BadInputError(f"{path}: is not UTF-8 text; save it as UTF-8") from None


def parse_book(text: str, path: Path, reference: ReferenceData) -> BookFile:
    """The book that `text`, which was in `path`, holds.

    Errors      BadInputError for the first thing that cannot be used, with its place
    """
    rows = list(_json_rows(path, text) if path.suffix.lower() == ".json" else _csv_rows(path, text))
    if not rows:
        raise BadInputError(f"{path}: holds no positions and no balances; {_SHAPE}")
    notes = _unread(path, rows)
    positions, doubled = _added_up(_positions(rows, reference))
    balances = []
    for row in rows:
        if "currency" in row.cells:
            with _placed(row):
                balances.append(_balance(row))
    return BookFile(path, Portfolio(positions, balances), (*notes, *doubled))


def _csv_rows(path: Path, text: str) -> Iterator[_Row]:
    try:
        rows = rows_of(text.splitlines(keepends=True))
        line, header = next(rows, (1, [""]))
        names = [name.strip() for name in header]
        _check_header(f"{path}:{line}", names)
        for line, cells in rows:
            if len(cells) > len(names):
                raise BadInputError(
                    f"{path}:{line}: {len(cells)} fields under a header of {len(names)}; quote a field that has a comma"
                )
            yield _Row(f"{path}:{line}", _filled(dict(zip(names, cells, strict=False))))
    except csv.Error as error:
        raise BadInputError(f"{path}: is not a table of comma-separated values ({error}); check its quotes") from None


def _check_header(place: str, names: list[str]) -> None:
    if not ({"instrument", "size"} <= set(names) or set(_BALANCE) <= set(names)):
        has = ", ".join(filter(None, names)) or "nothing"
        raise BadInputError(f"{place}: the header has {has}; {_SHAPE}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInputError(f"{place}: column {', '.join(map(repr, twice))} is there twice; keep one")


def _json_rows(path: Path, text: str) -> Iterator[_Row]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInputError(f"{path}:{error.lineno}: is not JSON ({error.msg}); mend it") from None
    parts: dict[str, Any] = {"row": document}
    if isinstance(document, dict):
        unknown = sorted(set(document) - {"positions", "balances"})
        if unknown:
            raise BadInputError(f"{path}: {unknown[0]!r} is not known; use positions and balances")
        parts = {"position": document.get("positions", []), "balance": document.get("balances", [])}
    for kind, rows in parts.items():
        if not isinstance(rows, list):
            raise BadInputError(f"{path}: {kind}s are {type(rows).__name__}, not a list; {_SHAPE}")
        for number, row in enumerate(rows, start=1):
            place = f"{path}: {kind} {number}"
            if not isinstance(row, dict):
                raise BadInputError(f"{place}: is {type(row).__name__}, not an object; {_SHAPE}")
            yield _Row(place, _filled({name: _cell(place, name, value) for name, value in row.items()}))


def _cell(place: str, name: str, value: Any) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, str | int | float):
        return value
    raise BadInputError(f"{place}: {name} is {type(value).__name__}; give text or a number")


def _filled(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    return {name: cell for name, cell in cells.items() if cell is not None and str(cell).strip()}


def _unread(path: Path, rows: Iterable[_Row]) -> list[str]:
    unknown = sorted({name for row in rows for name in row.cells} - _KNOWN)
    return [f"{path}: {', '.join(unknown)} is not read"] if unknown else []


def _positions(rows: Iterable[_Row], reference: ReferenceData) -> list[tuple[_Row, BookPosition]]:
    found = []
    for row in rows:
        if ("instrument" in row.cells) == ("currency" in row.cells):
            raise BadInputError(f"{row.place}: both an instrument and a currency, or neither; {_SHAPE}")
        if "instrument" in row.cells:
            with _placed(row):
                found.append((row, _position(row, reference)))
    return found


@contextmanager
def _placed(row: _Row) -> Iterator[None]:
    """Complaints about the row are told with its place."""
    try:
        yield
    except BadInputError as error:
        raise BadInputError(f"{row.place}: {error}") from None


def _position(row: _Row, reference: ReferenceData) -> BookPosition:
    fields = Fields(row.cells)
    name = fields.text("instrument")
    size = _number(fields, "size", "give a signed number: coins, or USD of inverse futures and perpetuals")
    price = _number(fields, "price", "give the entry price, or leave it empty") if fields.has("price") else math.nan
    venue, strategy = fields.text("venue"), fields.text("strategy")
    if fields.has("style"):
        terms, path = parse_otc(name, row.cells)
        return BookPosition(terms.instrument, size, price, venue, strategy, terms, path, row.place)
    strange = sorted(OTC_COLUMNS & set(row.cells))
    if strange:
        given = f"{strange[0]}: {fields.text(strange[0])}"
        raise BadInputError(f"{given} is given without a style; give one, or leave it out for a listed contract")
    return BookPosition(reference.instrument(name), size, price, venue, strategy, source=row.place)


def _balance(row: _Row) -> Balance:
    fields = Fields(row.cells)
    currency = fields.text("currency").upper()
    if currency not in DECIMALS:
        raise BadInputError(f"currency: {currency!r} is not known; use one of {', '.join(DECIMALS)}")
    amount = _number(fields, "amount", "give a signed number")
    return Balance(currency, amount, row.place, fields.text("venue"))


def _number(fields: Fields, name: str, remedy: str) -> float:
    try:
        number = fields.number(name)
    except FieldError as error:
        raise BadInputError(f"{name}: {error.problem}; {remedy}") from None
    if abs(number) > _MOST:
        raise BadInputError(f"{name}: {number:g} is beyond {_MOST:g} either way; {remedy}")
    return number


def _added_up(found: list[tuple[_Row, BookPosition]]) -> tuple[list[BookPosition], list[str]]:
    """Lines that say the same but for their size as one, and a note of each that was added to another.

    Errors      BadInputError for a name over the counter that stands for two contracts
    """
    sums: dict[Hashable, BookPosition] = {}
    terms: dict[str, Hashable] = {}
    notes = []
    for row, position in found:
        name = position.instrument.name
        own = tuple(sorted((column, str(cell)) for column, cell in row.cells.items() if column in OTC_COLUMNS))
        if terms.setdefault(name, own) != own:
            raise BadInputError(f"{row.place}: {name} stands for another contract above; give this one another name")
        key = (name, position.venue, position.strategy, Fields(row.cells).text("price"))
        first = sums.get(key)
        if first is None:
            sums[key] = position
        else:
            sums[key] = replace(first, size=first.size + position.size)
            notes.append(f"{row.place}: {name} again, as in {first.source}: their sizes are added up")
    return list(sums.values()), notes
