"""`flatbook var`: what a book may lose over a horizon, and how such forecasts held."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flatbook.app.var import METHODS, VarRequest, parse_horizon, var_of
from flatbook.app.var_document import var_charts, var_document
from flatbook.app.var_history import HistoryPath
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.value import AtOption, BookArgument, ChainOption, SessionOption, market_choice
from flatbook.domain.errors import BadInputError
from flatbook.report.var_page import render_var
from flatbook.report.var_text import var_tables
from flatbook.store.atomic import write_text

_HELP = """Value at risk and expected shortfall of a book: by history, by history in today's vol, by Monte Carlo from \
Σ with jumps, and by Greeks.

BOOK and its market are those of `flatbook value`. HISTORY is a chain file or a directory of them, a table of prices \
(COIN=FILE where the book has several coins), or a session; what it does not tell of is drawn from Σ. The same seed \
gives the same numbers.
"""


def register(app: typer.Typer) -> None:
    """Adds `var` to the command line."""
    app.command("var", help=_HELP)(var)


def var(
    book: BookArgument,
    chain: ChainOption = None,
    session: SessionOption = None,
    at: AtOption = None,
    history: Annotated[
        list[str] | None, typer.Option("--history", metavar="PATH", help="Recorded chains, prices or a session.")
    ] = None,
    method: Annotated[str, typer.Option("--method", metavar="NAME", help=f"{', '.join(METHODS)}, or all.")] = "all",
    horizon: Annotated[str, typer.Option("--horizon", metavar="TIME", help="As 1h, 1d or 10d.")] = "1d",
    confidence: Annotated[float, typer.Option("--confidence", help="Of what is split by position.")] = 0.99,
    scenarios: Annotated[int, typer.Option("--scenarios", help="Drawn, where they are drawn.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn.")] = 1,
    exit_time: Annotated[
        str | None, typer.Option("--exit", metavar="TIME", help="To wind the book down in; else the horizon.")
    ] = None,
    backtest: Annotated[bool, typer.Option("--backtest", help="Judge forecasts along the history.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the picture.")] = None,
    as_json: AsJson = False,
) -> None:
    """See `_HELP`."""
    with one_line_errors():
        request = VarRequest(
            book,
            market_choice(chain, session, at),
            tuple(HistoryPath.parse(text) for text in history or ()),
            METHODS if method == "all" else (method,),
            parse_horizon(horizon),
            confidence,
            scenarios,
            seed,
            None if exit_time is None else parse_horizon(exit_time, "--exit"),
            backtest,
        )
        results = var_of(request)
        document = var_document(results)
        if html is not None:
            _write(html, render_var(document, var_charts(results), book.name))
    for note in document["notes"]:
        say(note)
    if as_json:
        print_json(document)
    else:
        Console().print(var_tables(document))
    if html is not None:
        say(f"picture: {html}")


def _write(path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except OSError as error:
        raise BadInputError(
            f"--html {path}: cannot be written ({error.strerror}); name a file in a directory"
        ) from None
