"""`flatbook doctor`: whether a maker could run here and now."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.paper import DERIBIT, IntervalOption, UrlOption, VenueClockOption
from flatbook.domain.errors import BadInputError, LimitBreachedError, VenueUnreachableError

_STYLE = {"ok": "green", "warn": "yellow", "fail": "red"}


def register(app: typer.Typer) -> None:
    """Adds `doctor` to the command line."""
    app.command()(doctor)


def doctor(
    url: UrlOption = DERIBIT,
    currency: Annotated[list[str] | None, typer.Option(help="BTC, ETH …; may be repeated.")] = None,
    interval: IntervalOption = "100ms",
    on_venue_clock: VenueClockOption = False,
    listen: Annotated[float, typer.Option("--listen", help="Seconds of listening.")] = 5.0,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where runs would be kept.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Look at venue, clock, key, limits, contracts, data and this machine: what is well, what is not, what to do.

    Ends with 3 where something fails, with 5 where the venue cannot be reached. A key is read from DERIBIT_API_KEY and
    DERIBIT_API_SECRET, where they are set; it is never shown.
    """
    # Other verbs start without the client.
    from flatbook.app.doctor import examine
    from flatbook.app.doctor_rows import Verdict
    from flatbook.app.feed import FeedTerms

    with one_line_errors():
        if not listen > 0:
            raise BadInputError(f"--listen {listen:g}: use more than 0 seconds")
        currencies = tuple(each.upper() for each in currency or ["BTC"])
        terms = FeedTerms(url=url, currencies=currencies, interval=interval, on_venue_clock=on_venue_clock)
        made = examine(terms, out, listen)
    if as_json:
        print_json(made.document())
    else:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column()
        for each in made.findings:
            text = Text(each.text)
            if each.remedy:
                text.append(f"\n{each.remedy}", style=_STYLE[each.verdict])
            table.add_row(Text(each.verdict, style=_STYLE[each.verdict]), each.name, text)
        Console().print(table)
    failed = [each.name for each in made.findings if each.verdict is Verdict.FAIL]
    if failed:
        say(f"flatbook: not well: {', '.join(failed)}")
    if not made.is_reachable:
        raise typer.Exit(VenueUnreachableError.exit_code)
    if failed:
        raise typer.Exit(LimitBreachedError.exit_code)
