"""`flatbook explain`: why a quote of a run was what it was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flatbook.app.explain import explain_document, explain_tables
from flatbook.app.explain_rfq import explain_rfq_document, explain_rfq_tables
from flatbook.app.run import Run
from flatbook.cli.outcome import AsJson, one_line_errors, print_json
from flatbook.cli.progress import RunProgress, warm_kernels
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import parse_utc

_SIDES = ("bid", "ask")


def register(app: typer.Typer) -> None:
    """Adds `explain` to the command line."""
    app.command()(explain)


def explain(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.", show_default=False)],
    instrument: Annotated[
        str | None, typer.Option("--instrument", metavar="NAME", help="The option whose quote it is.")
    ] = None,
    rfq: Annotated[str | None, typer.Option("--rfq", metavar="ID", help="Or the request whose answer it is.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="As of then, ISO, UTC; else the run's last.")] = None,
    side: Annotated[str | None, typer.Option(metavar="bid|ask", help="One side alone.")] = None,
    session: Annotated[str | None, typer.Option(metavar="DIR", help="Where its session lies, if it has moved.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take a quote of a run apart: fair value, each part of the spread, each factor's part of the inventory, clamps.

    The run is replayed from its journal up to TIME, and the parts are of the last decision by then. They sum to the
    price; where a side is absent it says why. What rests at the venue stands beside. With --rfq it is the last answer
    to a request, whole.
    """
    with one_line_errors():
        if (instrument is None) == (rfq is None):
            raise BadInputError("give --instrument NAME, or --rfq ID for an answer to a request: one of the two")
        if side is not None and side not in _SIDES:
            raise BadInputError(f"--side {side}: give bid or ask, or leave it out for both")
        at_ns = parse_utc(at) if at is not None else None
        warm_kernels()
        if rfq is not None:
            document = explain_rfq_document(directory, rfq, at_ns, session, _progress)
        elif instrument is not None:
            document = explain_document(directory, instrument, at_ns, session, _progress)
    sides = _SIDES if side is None else (side,)
    if as_json:
        print_json({key: part for key, part in document.items() if key not in _SIDES or key in sides})
    elif rfq is not None:
        Console().print(explain_rfq_tables(document))
    else:
        Console().print(explain_tables(document, sides))


@contextmanager
def _progress(run: Run) -> Iterator[Callable[[], None]]:
    with RunProgress(run) as progress:
        yield progress.update
