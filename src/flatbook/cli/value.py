"""`flatbook value`: what a book is worth, and how that moves."""

import csv
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flatbook.app.value_book import MarketChoice, open_book, value_of
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import parse_utc
from flatbook.report.book_tables import book_tables
from flatbook.report.book_value import VALUE_UNITS, Document
from flatbook.store.atomic import new_file

_HELP = """Value a book: each position and the whole, in its own money and in USD, with Greeks.

BOOK is a CSV or JSON file of positions (instrument, size, and perhaps venue, price, strategy) and balances (currency, \
amount). Instruments have Deribit's names; a row with a style is a contract over the counter, with its terms in columns.

The market is a chain file, calibrated, or a recorded session as a maker knew it then. A position that it does not \
price, or that has expired, ends the command with 2 and one line that names the row.
"""

BookArgument = Annotated[Path, typer.Argument(metavar="BOOK", help="Positions and balances.", show_default=False)]
ChainOption = Annotated[Path | None, typer.Option("--chain", metavar="FILE", help="A chain file to calibrate to.")]
SessionOption = Annotated[Path | None, typer.Option("--session", metavar="DIR", help="A recorded session.")]
AtOption = Annotated[str | None, typer.Option("--at", metavar="TIME", help="As of then, ISO, UTC; else the last.")]


def register(app: typer.Typer) -> None:
    """Adds `value` to the command line."""
    app.command("value", help=_HELP)(value)


def value(
    book: BookArgument,
    chain: ChainOption = None,
    session: SessionOption = None,
    at: AtOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write .json or .csv, too.")] = None,
    as_json: AsJson = False,
) -> None:
    """See `_HELP`."""
    with one_line_errors():
        if out is not None and out.suffix.lower() not in (".csv", ".json"):
            raise BadInputError(f"--out {out}: ends in neither .csv (the positions) nor .json (all of it); name one")
        opened = open_book(book, market_choice(chain, session, at))
        document = value_of(opened)
        if out is not None:
            _write(document, out)
    for note in document["notes"]:
        say(note)
    if as_json:
        print_json(document)
    elif out is None:
        Console().print(book_tables(document))


def market_choice(chain: Path | None, session: Path | None, at: str | None) -> MarketChoice:
    """The market that the options of a verb ask for."""
    return MarketChoice(chain, session, parse_utc(at) if at is not None else None)


def _write(document: Document, out: Path) -> None:
    try:
        with new_file(out) as scratch:
            if out.suffix.lower() == ".json":
                scratch.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
            else:
                _write_csv(document, scratch)
    except OSError as error:
        raise BadInputError(f"--out {out}: cannot be written ({error.strerror}); name a file in a directory") from None


def _write_csv(document: Document, path: Path) -> None:
    rows = document["positions"]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {name}: {unit}\n" for name, unit in VALUE_UNITS.items())
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
