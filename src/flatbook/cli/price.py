"""`flatbook price`: values and Greeks of contracts, a row each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from flatbook.cli.outcome import AsJson, one_line_errors, say
from flatbook.store.price_csv import lines_of, read_contracts, units_comment, write_prices
from flatbook.store.price_table import PricedTable, price_table, unknown_columns
from flatbook.valuation.contracts import Style
from flatbook.valuation.measures import PRINTED_UNITS

_MOST_REASONS: Final = 10
_PIECE_ROWS: Final = 50_000

_HELP: Final = f"""Value contracts, a row each: price and Greeks.

IN.csv has the columns id, style, right, strike, years, vol, rate, carry and spot or forward, and those of the styles \
it uses: {", ".join(Style)}. Rates and carry are annual and continuous; years have 365 days.

A column method may ask for another engine than the style's own: barone_adesi_whaley or bjerksund_stensland for an \
american, quadrature for a spread (exact where its kirk is off: by a twentieth at vols of 100 %).

A row that cannot be priced says why in its error column, and on stderr, and stops no other. A file that is no such \
table ends the command with 2, and nothing is written.
"""


def register(app: typer.Typer) -> None:
    """Adds `price` to the command line."""
    app.command("price", help=_HELP)(price)


def price(
    table: Annotated[Path, typer.Argument(metavar="IN.csv", help="The contracts.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", metavar="OUT.csv", help="Write here, not to stdout.")] = None,
    implied: Annotated[bool, typer.Option("--implied", help="Read price instead of vol, and give vol.")] = False,
    as_json: AsJson = False,
) -> None:
    """See `_HELP`."""
    with one_line_errors():
        contracts = read_contracts(table, implied=implied)
        priced = price_table(contracts, implied=implied)
        if out is not None:
            write_prices(priced, out)
    _tell(table, unknown_columns(contracts), priced)
    if as_json:
        _print_json(priced)
    elif out is None:
        _print_csv(priced)


def _tell(path: Path, unknown: list[str], priced: PricedTable) -> None:
    """What the user should know beside the numbers, on stderr: columns not read, and the first rows without a price."""
    if unknown:
        say(f"{path}: column {', '.join(unknown)} is not read by any style")
    shown = sorted(priced.errors)[:_MOST_REASONS]
    for row, line in lines_of(path, set(shown)).items():
        say(f"{path}:{line}: {priced.errors[row]}")
    if len(priced.errors) > len(shown):
        rest = len(priced.errors) - len(shown)
        say(f"{path}: {rest} more of {priced.frame.height} rows have no price; see their error")


def _print_csv(priced: PricedTable) -> None:
    """In pieces written by Python, on whose broken pipe (`| head`) the command line ends quietly, as not on polars'."""
    sys.stdout.write(units_comment())
    sys.stdout.write(priced.frame.head(0).write_csv())
    for piece in priced.frame.iter_slices(_PIECE_ROWS):
        sys.stdout.write(piece.write_csv(include_header=False))


def _print_json(priced: PricedTable) -> None:
    """The document joined from texts, in pieces: as Python objects a million rows take ten times as long."""
    total, without = priced.frame.height, len(priced.errors)
    head = json.dumps({"priced": total - without, "unpriced": without, "units": PRINTED_UNITS})
    sys.stdout.write(f'{head[:-1]}, "rows": [')
    for place, piece in enumerate(priced.frame.iter_slices(_PIECE_ROWS)):
        sys.stdout.write("," * (place > 0) + piece.write_json()[1:-1])
    sys.stdout.write("]}\n")
