"""`flatbook margin`: what a venue would ask of a book, and how far it is from liquidation."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, RenderableType

from flatbook.app.accounts import AccountsQuestion, accounts_margin
from flatbook.app.margin import MarginQuestion, margin_of
from flatbook.app.margin_venues import VenuesQuestion, parse_venue_models, use_bounds, venues_margin_of
from flatbook.app.workers import Workers
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.value import AtOption, BookArgument, ChainOption, SessionOption, market_choice
from flatbook.domain.errors import BadInputError, LimitBreachedError
from flatbook.report.accounts_text import accounts_text
from flatbook.report.book_value import Document
from flatbook.report.margin_page import render_margin
from flatbook.report.margin_text import margin_text
from flatbook.report.venues_page import render_venues
from flatbook.report.venues_text import venues_text
from flatbook.store.atomic import write_text

_HELP = """Margin a book by a venue's rules: initial and maintenance margin, and the moves at which it is liquidated.

BOOK is a CSV or JSON file of positions and balances, as of `value`. The model is one of deribit_pm, deribit_sm, \
derive_pm, derive_sm, span, okx, with its parameters as of the market's date.

With --accounts, BOOK is a CSV table of a venue's accounts, the rows of a book with a column `account`: every \
account's margin, here, in processes (--jobs) or on a Ray cluster (--ray), a row each to --out.

With --by-venue each position and balance names its venue, whose rules are --model's or --venue-model's: margin, \
use and distance to a margin call by venue, exposures net against gross, and, where a venue's use is at --call-at, the \
cheapest transfers that bring it to --target-use. They are proposals: nothing is moved.

Working orders, a file in the form of a book with bids as positive sizes, reserve the worse of both sides. Ends with 3 \
where a margin balance does not cover maintenance, or no transfer reaches the target; a position that cannot be \
margined ends it with 2 and one line.
"""


AccountsOutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="A row an account, with --accounts.")
]
VenueModelOption = Annotated[
    list[str] | None, typer.Option("--venue-model", metavar="VENUE=NAME", help="Whose rules at one venue; repeat.")
]
CallOption = Annotated[
    float | None, typer.Option("--call-at", metavar="SHARE", help="Margin use at which money is asked for (0.8).")
]
TargetOption = Annotated[
    float | None, typer.Option("--target-use", metavar="SHARE", help="Margin use that transfers aim at (0.6).")
]
TermsOption = Annotated[
    Path | None, typer.Option("--transfer-terms", metavar="FILE", help="Fees and minima of transfers, TOML.")
]


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
    out: AccountsOutOption = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes, with --accounts.")] = 1,
    ray: Annotated[str | None, typer.Option("--ray", metavar="ADDRESS", help="A Ray cluster, or local.")] = None,
    venues: Annotated[bool, typer.Option("--by-venue", help="Each venue is an account; propose transfers.")] = False,
    venue_model: VenueModelOption = None,
    call_at: CallOption = None,
    target_use: TargetOption = None,
    transfer_terms: TermsOption = None,
    as_json: AsJson = False,
) -> None:
    """See `_HELP`."""
    alone = {"--orders": orders, "--mqq": mqq or None, "--venue": venue}
    many = {"--out": out, "--jobs": jobs if jobs > 1 else None, "--ray": ray}
    apart: dict[str, object] = {"--venue-model": venue_model, "--transfer-terms": transfer_terms}
    apart |= {"--call-at": call_at, "--target-use": target_use}
    with one_line_errors():
        _refuse(accounts and venues, "--by-venue", "--accounts")
        if accounts:
            _refuse_any({**alone, "--html": html, **apart}, "--accounts")
            workers = Workers(jobs, ray)
            _many_accounts(AccountsQuestion(book, market_choice(chain, session, at), model, out, workers), as_json)
        elif venues:
            _refuse_any({**alone, **many}, "--by-venue")
            models, bounds = parse_venue_models(venue_model or []), use_bounds(call_at, target_use)
            market = market_choice(chain, session, at)
            _by_venue(VenuesQuestion(book, market, model, models, bounds, transfer_terms), html, as_json)
        else:
            _refuse_any(many, "", "--accounts")
            _refuse_any(apart, "", "--by-venue")
            _one_account(
                MarginQuestion(book, market_choice(chain, session, at), model, orders, mqq, venue), html, as_json
            )


def _refuse_any(options: Mapping[str, object], with_what: str, of_what: str = "") -> None:
    for name, given in options.items():
        _refuse(given is not None, name, with_what, of_what)


def _refuse(is_given: bool, name: str, with_what: str, of_what: str = "") -> None:
    if is_given and of_what:
        raise BadInputError(f"{name}: is of {of_what}; add it, or leave {name} out")
    if is_given:
        raise BadInputError(f"{name}: does not go with {with_what}; leave it out")


def _many_accounts(question: AccountsQuestion, as_json: bool) -> None:
    document = accounts_margin(question)
    _tell(document, accounts_text, as_json=as_json, holds=not document["short_of_margin"])


def _by_venue(question: VenuesQuestion, html: Path | None, as_json: bool) -> None:
    document = venues_margin_of(question)
    if html is not None:
        _write(html, render_venues(document, question.book.name))
    _tell(document, venues_text, as_json=as_json, holds=document["sufficient"] and document["within_target"])


def _one_account(question: MarginQuestion, html: Path | None, as_json: bool) -> None:
    document = margin_of(question)
    if html is not None:
        _write(html, render_margin(document, question.book.name))
    _tell(document, margin_text, as_json=as_json, holds=document["account"]["sufficient"])


def _write(html: Path, text: str) -> None:
    try:
        write_text(html, text)
    except OSError as error:
        raise BadInputError(
            f"--html {html}: cannot be written ({error.strerror}); name a file in a directory"
        ) from None
    say(f"picture: {html}")


def _tell(document: Document, text: Callable[[Document], RenderableType], *, as_json: bool, holds: bool) -> None:
    for note in document["notes"]:
        say(note)
    if as_json:
        print_json(document)
    else:
        Console().print(text(document))
    if not holds:
        raise typer.Exit(LimitBreachedError.exit_code)
