"""`flatbook margin`: what a venue would ask of a book, and how far it is from liquidation."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flatbook.app.margin import MarginQuestion, margin_of
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.value import AtOption, BookArgument, ChainOption, SessionOption, market_choice
from flatbook.domain.errors import BadInputError, LimitBreachedError
from flatbook.report.margin_page import render_margin
from flatbook.report.margin_text import margin_text
from flatbook.store.atomic import write_text

_HELP = """Margin a book by a venue's rules: initial and maintenance margin, and the moves at which it is liquidated.

BOOK is a CSV or JSON file of positions and balances, as of `value`. The model is one of deribit_pm, deribit_sm, \
derive_pm, derive_sm, span, okx, with its parameters as of the market's date.

Working orders, a file in the form of a book with bids as positive sizes, reserve the worse of both sides. Ends with 3 \
where the margin balance does not cover maintenance; a position that cannot be margined ends it with 2 and one line.
"""


def register(app: typer.Typer) -> None:
    """Adds `margin` to the command line."""
    app.command("margin", help=_HELP)(margin)


def margin(
    book: BookArgument,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Whose rules.", show_default=False)],
    chain: ChainOption = None,
    session: SessionOption = None,
    at: AtOption = None,
    orders: Annotated[Path | None, typer.Option("--orders", metavar="FILE", help="Working orders.")] = None,
    mqq: Annotated[float, typer.Option("--mqq", metavar="COINS", help="Quote quantity that protection covers.")] = 0.0,
    venue: Annotated[str | None, typer.Option("--venue", metavar="NAME", help="Positions at it alone.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the picture.")] = None,
    as_json: AsJson = False,
) -> None:
    """See `_HELP`."""
    with one_line_errors():
        question = MarginQuestion(book, market_choice(chain, session, at), model, orders, mqq, venue)
        document = margin_of(question)
        if html is not None:
            try:
                write_text(html, render_margin(document, book.name))
            except OSError as error:
                raise BadInputError(
                    f"--html {html}: cannot be written ({error.strerror}); name a file in a directory"
                ) from None
    for note in document["notes"]:
        say(note)
    if as_json:
        print_json(document)
    else:
        Console().print(margin_text(document))
    if html is not None:
        say(f"picture: {html}")
    if not document["account"]["sufficient"]:
        raise typer.Exit(LimitBreachedError.exit_code)
