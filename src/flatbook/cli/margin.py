"""`flatbook margin`: what a venue would ask of a book, and how far it is from liquidation."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, RenderableType

from flatbook.app.accounts import AccountsQuestion, accounts_margin
from flatbook.app.margin import MarginQuestion, margin_of
from flatbook.app.workers import Workers
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.value import AtOption, BookArgument, ChainOption, SessionOption, market_choice
from flatbook.domain.errors import BadInputError, LimitBreachedError
from flatbook.report.accounts_text import accounts_text
from flatbook.report.book_value import Document
from flatbook.report.margin_page import render_margin
from flatbook.report.margin_text import margin_text
from flatbook.store.atomic import write_text

_HELP = """Margin a book by a venue's rules: initial and maintenance margin, and the moves at which it is liquidated.

BOOK is a CSV or JSON file of positions and balances, as of `value`. The model is one of deribit_pm, deribit_sm, \
derive_pm, derive_sm, span, okx, with its parameters as of the market's date.

With --accounts, BOOK is a CSV table of a venue's accounts, the rows of a book with a column `account`: every \
account's margin, here, in processes (--jobs) or on a Ray cluster (--ray), a row each to --out.

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
    accounts: Annotated[bool, typer.Option("--accounts", help="BOOK has many accounts.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A row an account, with --accounts.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes, with --accounts.")] = 1,
    ray: Annotated[str | None, typer.Option("--ray", metavar="ADDRESS", help="A Ray cluster, or local.")] = None,
    as_json: AsJson = False,
) -> None:
    """See `_HELP`."""
    if accounts:
        with one_line_errors():
            if orders is not None or mqq or venue is not None or html is not None:
                raise BadInputError("--accounts: takes no --orders, --mqq, --venue or --html; leave them out")
            workers = Workers(jobs, ray)
            asked = AccountsQuestion(book, market_choice(chain, session, at), model, out, workers)
            document = accounts_margin(asked)
        _tell(document, accounts_text, as_json=as_json, is_covered=not document["short_of_margin"])
        return
    with one_line_errors():
        if out is not None or jobs > 1 or ray is not None:
            raise BadInputError("--out, --jobs and --ray are of --accounts; add it, or leave them out")
        question = MarginQuestion(book, market_choice(chain, session, at), model, orders, mqq, venue)
        document = margin_of(question)
        if html is not None:
            try:
                write_text(html, render_margin(document, book.name))
            except OSError as error:
                raise BadInputError(
                    f"--html {html}: cannot be written ({error.strerror}); name a file in a directory"
                ) from None
            say(f"picture: {html}")
    _tell(document, margin_text, as_json=as_json, is_covered=document["account"]["sufficient"])


def _tell(document: Document, text: Callable[[Document], RenderableType], *, as_json: bool, is_covered: bool) -> None:
    for note in document["notes"]:
        say(note)
    if as_json:
        print_json(document)
    else:
        Console().print(text(document))
    if not is_covered:
        raise typer.Exit(LimitBreachedError.exit_code)
