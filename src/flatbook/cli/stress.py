"""`flatbook stress`: what a book loses where much goes wrong, and how little must."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flatbook.app.stress import DAYS, SPOTS, VOLS, StressRequest, StressResults, stress_of
from flatbook.app.stress_document import Document, stress_charts, stress_document
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.value import AtOption, BookArgument, ChainOption, SessionOption, market_choice
from flatbook.domain.errors import BadInputError, LimitBreachedError
from flatbook.report.stress_page import render_stress
from flatbook.report.stress_text import stress_tables
from flatbook.store.atomic import write_text

_HELP = """Stress a book: a grid of spot, vol and time, named scenarios, and the smallest moves that lose a given \
amount.

BOOK and its market are those of `flatbook value`. Everything is a full revaluation: options on the moved smile of \
each scenario, contracts over the counter by their own pricers. Ends with 3 where the worst loss is beyond --limit.
"""


def register(app: typer.Typer) -> None:
    """Adds `stress` to the command line."""
    app.command("stress", help=_HELP)(stress)


def stress(
    book: BookArgument,
    chain: ChainOption = None,
    session: SessionOption = None,
    at: AtOption = None,
    scenarios: Annotated[
        str, typer.Option("--scenarios", metavar="NAME|FILE", help="A set that ships, or a TOML file of them.")
    ] = "standard",
    spot: Annotated[str | None, typer.Option("--spot", metavar="LIST", help="Relative moves, as -0.2,0,0.2.")] = None,
    vol: Annotated[str | None, typer.Option("--vol", metavar="LIST", help="Relative moves of all vols.")] = None,
    days: Annotated[str | None, typer.Option("--days", metavar="LIST", help="Days that pass.")] = None,
    loss: Annotated[
        float | None, typer.Option("--loss", metavar="USD", help="What breaks it; else all the book is worth.")
    ] = None,
    limit: Annotated[float | None, typer.Option("--limit", metavar="USD", help="On the worst loss.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the picture.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the document, too: .json.")] = None,
    as_json: AsJson = False,
) -> None:
    """See `_HELP`."""
    with one_line_errors():
        if out is not None and out.suffix.lower() != ".json":
            raise BadInputError(f"--out {out}: does not end in .json; name a file that does")
        request = StressRequest(
            book,
            market_choice(chain, session, at),
            scenarios,
            _numbers("spot", spot, SPOTS),
            _numbers("vol", vol, VOLS),
            _numbers("days", days, DAYS),
            loss,
            limit,
        )
        results = stress_of(request)
        document = stress_document(results)
        _write_files(document, results, html, out)
    for note in document["notes"]:
        say(note)
    if as_json:
        print_json(document)
    else:
        Console().print(stress_tables(document))
    if html is not None:
        say(f"picture: {html}")
    if not results.holds:
        raise typer.Exit(LimitBreachedError.exit_code)


def _numbers(name: str, text: str | None, usual: tuple[float, ...]) -> tuple[float, ...]:
    if text is None:
        return usual
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadInputError(f"--{name} {text!r}: is no list of numbers; write for example -0.2,0,0.2") from None


def _write_files(document: Document, results: StressResults, html: Path | None, out: Path | None) -> None:
    files = []
    if html is not None:
        files.append(("--html", html, render_stress(document, stress_charts(document), results.request.book.name)))
    if out is not None:
        files.append(("--out", out, json.dumps(document, indent=2, allow_nan=False) + "\n"))
    for option, path, text in files:
        try:
            write_text(path, text)
        except OSError as error:
            raise BadInputError(
                f"{option} {path}: cannot be written ({error.strerror}); name a file in a directory"
            ) from None
