"""`flatbook stress`: what a book loses where much goes wrong, and how little must."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flatbook.app.crises import DATA, HEDGES, CrisisRequest, CrisisResults, crises_of
from flatbook.app.crises_document import crises_charts, crises_document
from flatbook.app.stress import DAYS, SPOTS, VOLS, StressRequest, StressResults, stress_of
from flatbook.app.stress_document import Document, stress_charts, stress_document
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.value import AtOption, BookArgument, ChainOption, SessionOption, market_choice
from flatbook.domain.errors import BadInputError, LimitBreachedError
from flatbook.report.stress_page import render_stress
from flatbook.report.stress_text import stress_tables
from flatbook.store.atomic import write_text

ScenariosOption = Annotated[
    str, typer.Option("--scenarios", metavar="NAME|FILE", help="A set that ships, or a TOML file of them.")
]
SpotOption = Annotated[str | None, typer.Option("--spot", metavar="LIST", help="Relative moves, as -0.2,0,0.2.")]
VolOption = Annotated[str | None, typer.Option("--vol", metavar="LIST", help="Relative moves of all vols.")]
DaysOption = Annotated[str | None, typer.Option("--days", metavar="LIST", help="Days that pass.")]
LossOption = Annotated[
    float | None, typer.Option("--loss", metavar="USD", help="What breaks it; else all the book is worth.")
]
LimitOption = Annotated[float | None, typer.Option("--limit", metavar="USD", help="On the worst loss.")]
CrisisOption = Annotated[str | None, typer.Option("--crisis", metavar="NAME|all", help="A dated crisis, or all.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help=f"The folder of recordings; {DATA} if not given.")
]
HedgeOption = Annotated[
    str | None, typer.Option("--hedge", metavar="RULE", help=f"In a crisis: {', '.join(HEDGES)} (the default).")
]
HedgeEveryOption = Annotated[
    float | None, typer.Option("--hedge-every", metavar="MIN", help="Least time between hedges; else each step.")
]
OutageOption = Annotated[
    float | None, typer.Option("--outage-hours", metavar="N", help="No hedge venue in the worst so many hours.")
]
DepthOption = Annotated[
    float | None, typer.Option("--depth-factor", metavar="X", help="On the hedge market's depth; 0.1 is thin.")
]
LoseVenueOption = Annotated[
    str | None, typer.Option("--lose-venue", metavar="NAME", help="winning, or a venue's name, at the extreme.")
]
MarginModelOption = Annotated[
    str | None, typer.Option("--margin-model", metavar="NAME", help="As of flatbook margin; deribit_pm if not given.")
]
HtmlOption = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the picture.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the document, too: .json.")]


_OPTIONS = {"hedge_minutes": "hedge-every", "lost_venue": "lose-venue"}

_HELP = """Stress a book: a grid of spot, vol and time, named scenarios, and the smallest moves that lose a given \
amount.

BOOK and its market are those of `flatbook value`. Everything is a full revaluation: options on the moved smile of \
each scenario, contracts over the counter by their own pricers. With --crisis the book also goes through dated crises, \
step by step as they were recorded, hedged and margined on the way. Ends with 3 where the worst loss is beyond --limit.
"""


def register(app: typer.Typer) -> None:
    """Adds `stress` to the command line."""
    app.command("stress", help=_HELP)(stress)


def stress(
    book: BookArgument,
    chain: ChainOption = None,
    session: SessionOption = None,
    at: AtOption = None,
    scenarios: ScenariosOption = "standard",
    spot: SpotOption = None,
    vol: VolOption = None,
    days: DaysOption = None,
    loss: LossOption = None,
    limit: LimitOption = None,
    crisis: CrisisOption = None,
    data: DataOption = None,
    hedge: HedgeOption = None,
    hedge_every: HedgeEveryOption = None,
    outage_hours: OutageOption = None,
    depth_factor: DepthOption = None,
    lose_venue: LoseVenueOption = None,
    margin_model: MarginModelOption = None,
    html: HtmlOption = None,
    out: OutOption = None,
    as_json: AsJson = False,
) -> None:
    """See `_HELP`."""
    with one_line_errors():
        if out is not None and out.suffix.lower() != ".json":
            raise BadInputError(f"--out {out}: does not end in .json; name a file that does")
        grid = (_numbers("spot", spot, SPOTS), _numbers("vol", vol, VOLS), _numbers("days", days, DAYS))
        request = StressRequest(book, market_choice(chain, session, at), scenarios, *grid, loss, limit)
        wanted = _crisis_request(
            crisis, data=data, hedge=hedge, hedge_minutes=hedge_every, outage_hours=outage_hours,
            depth_factor=depth_factor, lost_venue=lose_venue, margin_model=margin_model,
        )  # fmt: skip
        results = stress_of(request)
        gone_through = None if wanted is None else crises_of(results.opened, wanted)
        document = stress_document(results)
        if gone_through is not None:
            document["crises"] = crises_document(gone_through, limit)
            document["notes"] += gone_through.notes
        _write_files(document, results, gone_through, html, out)
    for note in document["notes"]:
        say(note)
    if as_json:
        print_json(document)
    else:
        Console().print(stress_tables(document))
    if html is not None:
        say(f"picture: {html}")
    if not (results.holds and ("crises" not in document or document["crises"]["holds"])):
        raise typer.Exit(LimitBreachedError.exit_code)


def _numbers(name: str, text: str | None, usual: tuple[float, ...]) -> tuple[float, ...]:
    if text is None:
        return usual
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadInputError(f"--{name} {text!r}: is no list of numbers; write for example -0.2,0,0.2") from None


def _crisis_request(name: str | None, **options: Any) -> CrisisRequest | None:
    given = {field: value for field, value in options.items() if value is not None}
    if name is not None:
        return CrisisRequest(name, **given)
    if given:
        options_of = ", ".join("--" + _OPTIONS.get(field, field.replace("_", "-")) for field in given)
        raise BadInputError(f"{options_of}: of a crisis, and none is asked for; give --crisis all, or one's name")
    return None


def _write_files(
    document: Document, results: StressResults, crises: CrisisResults | None, html: Path | None, out: Path | None
) -> None:
    files = []
    if html is not None:
        charts = stress_charts(document) | ({} if crises is None else {"crises": crises_charts(crises)})
        files.append(("--html", html, render_stress(document, charts, results.request.book.name)))
    if out is not None:
        files.append(("--out", out, json.dumps(document, indent=2, allow_nan=False) + "\n"))
    for option, path, _ in files:
        # None is written where one cannot be.
        if path.is_dir() or not path.parent.is_dir():
            raise BadInputError(f"{option} {path}: cannot be written (no such directory); name a file in a directory")
    for option, path, text in files:
        try:
            write_text(path, text)
        except OSError as error:
            raise BadInputError(
                f"{option} {path}: cannot be written ({error.strerror}); name a file in a directory"
            ) from None
