"""`flatbook run`: the engine through a market, recorded or simulated."""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from flatbook.app.pace import parse_pace
from flatbook.app.request import DEFAULT_VOL, RunRequest
from flatbook.app.run import Run, carry_out, new_run, resumed_run
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.page import DEFAULT_PORT, live_page, nothing_shown
from flatbook.cli.progress import RunProgress, warm_kernels
from flatbook.domain.errors import BadInputError, LimitBreachedError
from flatbook.domain.units import format_utc, parse_until, parse_utc
from flatbook.policies import read_policy
from flatbook.report.summary import Summary
from flatbook.report.terminal import tear_sheet
from flatbook.sim.books.tape import BookTerms
from flatbook.sim.fills import FillModel
from flatbook.store.book_file import read_book_text
from flatbook.store.journal.place import URL_VARIABLE

DEFAULT_HOURS = 24.0

SessionOption = Annotated[
    str | None, typer.Option("--session", metavar="DIR", help="A recorded session; without it, a simulated market.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Everything random comes from this.")]
FromOption = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Recorded: trade from here, ISO, UTC.")]
ToOption = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Recorded: until here, a minute included.")]
HoursOption = Annotated[
    float | None, typer.Option("--hours", min=0.01, help=f"Simulated: for this long; {DEFAULT_HOURS:g} if not given.")
]
FillsOption = Annotated[FillModel, typer.Option("--fills", help="Which fills are believed; all three are reported.")]
JournalOption = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="URL",
        envvar=URL_VARIABLE,
        show_envvar=True,
        help="Keep the journal in PostgreSQL: postgresql://USER@HOST/DATABASE; sqlite is the file, as without it.",
    ),
]
HedgeSessionOption = Annotated[
    str | None,
    typer.Option(
        "--hedge-session", metavar="DIR", help="Recorded order books of another venue that may hedge as well."
    ),
]
VolOption = Annotated[
    float, typer.Option("--vol", help="Order books alone: flat vol at which the book is valued, a decimal.")
]
OrderMsOption = Annotated[
    float, typer.Option("--order-ms", min=0.0, help="Order books: how long an order of ours is on its way.")
]
AnswerMsOption = Annotated[
    float, typer.Option("--answer-ms", min=0.0, help="Order books: and the venue's answer on its way back.")
]
QueuePowerOption = Annotated[
    float,
    typer.Option(
        "--queue-power",
        min=0.0,
        help="Order books: 0, what leaves a level leaves behind us; else the power of the chance that it does.",
    ),
]
HeadlessOption = Annotated[bool, typer.Option("--headless", help="No live page.")]
PortOption = Annotated[int, typer.Option(min=0, max=65535, help="Of the live page on 127.0.0.1.")]
OpenOption = Annotated[bool, typer.Option("--open", help="Open the live page in a browser.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where run directories are made.")]


def register(app: typer.Typer) -> None:
    """Adds `run` to the command line."""
    app.command()(run)


def run(
    context: typer.Context,
    session: SessionOption = None,
    policy: Annotated[str, typer.Option("--policy", help="A policy's name, or a TOML file.")] = "advanced",
    seed: SeedOption = 1,
    from_: FromOption = None,
    to: ToOption = None,
    hours: HoursOption = None,
    pace: Annotated[str, typer.Option(help="max, real, or a multiple of real time such as 60x.")] = "max",
    headless: HeadlessOption = False,
    port: PortOption = DEFAULT_PORT,
    open_page: OpenOption = False,
    fills: FillsOption = FillModel.QUEUE,
    book: Annotated[Path | None, typer.Option("--book", metavar="FILE", help="Positions to begin with.")] = None,
    hedge_session: HedgeSessionOption = None,
    vol: VolOption = DEFAULT_VOL,
    order_ms: OrderMsOption = 10.0,
    answer_ms: AnswerMsOption = 5.0,
    queue_power: QueuePowerOption = 0.0,
    out: OutOption = Path("runs"),
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Continue the run in this directory.")] = None,
    rearm: Annotated[
        str | None, typer.Option("--rearm", metavar="WHY", help="With --resume: a halted maker goes on from there.")
    ] = None,
    journal: JournalOption = None,
    drill: Annotated[
        bool, typer.Option("--drill", help="Take the loss stop through its stages, a minute each.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a maker's book through a market: quotes, hedges, ledger, and the tear sheet at the end.

    Ctrl-C ends the run in order; --resume continues one that was cut off (with --session and --hedge-session where
    those have moved).
    """
    with one_line_errors():
        speed = parse_pace(pace)
        _refuse_empty_rearm(resume, rearm)
        if resume is not None:
            _refuse_new_choices(context)
            warm_kernels()
            prepared = resumed_run(resume, session, journal, hedge_session)
            _say_recovered(prepared)
        else:
            request = with_book(make_request(policy, session, seed, from_, to, hours, fills), book)
            if not (math.isfinite(order_ms) and math.isfinite(answer_ms)):
                raise BadInputError(f"--order-ms {order_ms}, --answer-ms {answer_ms}: name times in milliseconds")
            terms = BookTerms(round(1e6 * order_ms), round(1e6 * answer_ms), queue_power=queue_power, is_partial=True)
            request = msgspec.structs.replace(
                request, drill=drill, hedge_session=hedge_session, flat_vol=vol, book_terms=terms
            )
            warm_kernels()
            prepared = new_run(request, out, journal_url=journal)
        say_set_aside(prepared)
        page = nullcontext(nothing_shown) if headless else live_page(prepared, pace, port, open_page)
        with RunProgress(prepared) as progress, page as show:

            def watch() -> None:
                progress.update()
                show()

            finished = carry_out(prepared, speed, watch, rearm)
    if as_json:
        print_json(finished.summary)
    else:
        Console().print(tear_sheet(finished.summary))
        say(f"report: {prepared.directory.report_html}")
    require_limits_held(finished.summary)


def require_limits_held(summary: Summary) -> None:
    """Ends with the exit code of a limit that does not hold where the book stood beyond one."""
    breaches = summary["risk"]["limit_breaches"]
    if breaches:
        say(f"flatbook: the book stood beyond a limit {breaches} times; report.json's log says which and when")
        raise typer.Exit(LimitBreachedError.exit_code)


def make_request(
    policy: str,
    session: str | None,
    seed: int,
    from_: str | None,
    to: str | None,
    hours: float | None,
    fills: FillModel,
) -> RunRequest:
    """The request that the options of a verb make."""
    _, text = read_policy(policy)
    if session is not None and not Path(session).is_dir():
        raise BadInputError(f"--session {session}: no such directory; make one with flatbook data import")
    if session is not None and hours is not None:
        raise BadInputError("--hours is for the simulated market; with --session choose its part by --from and --to")
    return RunRequest(
        policy=policy,
        policy_text=text,
        session=session,
        from_ns=parse_utc(from_) if from_ else None,
        to_ns=parse_until(to) if to else None,
        seed=seed,
        hours=DEFAULT_HOURS if hours is None else hours,
        fill_model=fills,
    )


def with_book(request: RunRequest, book: Path | None) -> RunRequest:
    """The same run, begun with the positions of a book's file."""
    if book is None:
        return request
    return msgspec.structs.replace(request, book=str(book), book_text=read_book_text(book))


def say_set_aside(prepared: Run) -> None:
    """What of its market is assumed, and rows of the session that this run does without."""
    for note in prepared.market.notes:
        say(note)
    for reason, count in prepared.market.set_aside.items():
        say(f"{prepared.request.session}: set aside: {reason} ({count:,})")


def _say_recovered(prepared: Run) -> None:
    """How the run ended before, where that was not in order."""
    journal, last = prepared.journal, prepared.journal.last_checkpoint()
    if journal.stale_pid is not None:
        until = "its start" if last is None else f"event {last.event_seq:,} at {format_utc(last.ts_ns)}"
        say(f"{journal.place}: process {journal.stale_pid} did not end in order; its run goes on from {until}")
    for said in (journal.recovered, *prepared.said):
        if said is not None:
            say(said)


def _refuse_empty_rearm(resume: Path | None, rearm: str | None) -> None:
    if rearm is not None and resume is None:
        raise BadInputError("--rearm without --resume: a run begins armed; name the halted run by --resume DIR")
    if rearm is not None and not rearm.strip():
        raise BadInputError("--rearm says nothing; say why the maker may go on")


def _refuse_new_choices(context: typer.Context) -> None:
    """What decides a run's outcome was chosen when it began; where its session lies may have changed."""
    chosen = ("policy", "seed", "from_", "to", "hours", "fills", "book", "out", "drill")
    for option in (*chosen, "vol", "order_ms", "answer_ms", "queue_power"):
        source = context.get_parameter_source(option)
        if source is not None and source.name == "COMMANDLINE":
            name = option.removesuffix("_").replace("_", "-")
            raise BadInputError(f"--{name} beside --resume: a run goes on as it was begun; leave --{name} out")
