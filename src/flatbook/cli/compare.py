"""`flatbook compare`: the same markets under several policies, side by side."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from flatbook.app.contest import Contest, Span, places, refuse_to_walk
from flatbook.app.naming import stamped_name
from flatbook.app.run import Run
from flatbook.app.trials import Planned, carry_out_all, carry_out_one, processors
from flatbook.app.variants import parse_candidates
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.progress import ManyProgress, RunProgress, warm_kernels
from flatbook.cli.run import FromOption, HoursOption, OutOption, SeedOption, ToOption, make_request
from flatbook.domain.errors import BadInputError
from flatbook.report.compare import (
    Choice,
    Ranking,
    choices_made,
    comparison,
    comparison_table,
    render_comparison,
    side_by_side,
    table_of,
)
from flatbook.report.contenders import Trial
from flatbook.sim.fills import FillModel
from flatbook.store.atomic import write_text

SessionsOption = Annotated[
    list[str] | None,
    typer.Option("--session", metavar="DIR", help="A recorded session, or several; without, a simulated market."),
]
WindowsOption = Annotated[
    list[str] | None,
    typer.Option("--window", metavar="FROM/TO", help="Recorded: a span to trade in, or several; as --from and --to."),
]
SeedsOption = Annotated[int, typer.Option("--seeds", min=1, help="Run each market under this many seeds from --seed.")]
ManyFillsOption = Annotated[
    list[FillModel] | None,
    typer.Option("--fills", help="Which fills are believed; given several times, each is run, side by side. [queue]"),
]
FitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fit", metavar="FIELD=V,V", help="Choose this field of every policy walking forward over the windows."
    ),
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Runs at once; as many as there are processors if not given.")
]


def register(app: typer.Typer) -> None:
    """Adds `compare` to the command line."""
    app.command()(compare)


def compare(
    policies: Annotated[list[str], typer.Argument(metavar="POLICY...", help="Names or TOML files, two or more.")],
    session: SessionsOption = None,
    window: WindowsOption = None,
    seed: SeedOption = 1,
    seeds: SeedsOption = 1,
    from_: FromOption = None,
    to: ToOption = None,
    hours: HoursOption = None,
    fills: ManyFillsOption = None,
    fit: FitOption = None,
    jobs: JobsOption = None,
    out: OutOption = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Run the same markets under each policy: one table, and one picture of profit against risk.

    Markets are every session, window and seed named. Intervals are of 95 %, by a bootstrap of blocks of hours.

    With --fit each window is traded by the candidates that were best in the windows before it; the first only chooses.
    """
    with one_line_errors():
        if len(policies) < 2:
            raise BadInputError("compare takes two policies or more; for one, use flatbook run")
        spans = _spans(window, from_, to)
        candidates = tuple(parse_candidates(word) for word in fit or ())
        sessions: tuple[str | None, ...] = tuple(session) if session else (None,)
        if candidates:
            refuse_to_walk(sessions, spans)
        models = dict.fromkeys(fills or [FillModel.QUEUE])
        contest = Contest(
            tuple(policies),
            places(sessions, spans, range(seed, seed + seeds), models),
            candidates,
            lambda policy, place: make_request(
                policy, place.session, place.seed, *place.span, hours=hours, fills=place.fills
            ),
        )
        plan = contest.plan()
        warm_kernels()
        group = out / stamped_name(out, "compare")
        trials = _carry_out(plan, group, min(jobs or processors(), len(plan)))
        _say_set_aside(trials)
        rankings, choices = contest.rank(trials, np.random.default_rng(seed))
        page = group / "compare.html"
        write_text(page, render_comparison(rankings, choices))
    if as_json:
        print_json(comparison(rankings, choices))
    else:
        _print_tables(rankings, choices)
        say(f"picture: {page}")


def _print_tables(rankings: Sequence[Ranking], choices: Sequence[Choice]) -> None:
    labels = [contender.label for contender in rankings[0].contenders]
    console = Console()
    console.print(comparison_table(rankings[0].contenders, rankings[0].found))
    for rows in (side_by_side(rankings) if len(rankings) > 1 else [], choices_made(choices, labels)):
        if rows:
            console.print()
            console.print(table_of(rows, labels))


def _spans(windows: list[str] | None, from_: str | None, to: str | None) -> tuple[Span, ...]:
    if not windows:
        return (Span(from_, to),)
    if from_ is not None or to is not None:
        raise BadInputError("--window beside --from or --to: a window has both its ends; leave the others out")
    spans = []
    for window in windows:
        start, slash, end = window.partition("/")
        if not (slash and start and end):
            raise BadInputError(f"--window {window}: give both ends as FROM/TO, such as 2025-04-02/2025-04-03T12:00")
        spans.append(Span(start, end))
    return tuple(spans)


def _carry_out(plan: Sequence[Planned], group: Path, jobs: int) -> list[Trial]:
    if jobs > 1:
        with ManyProgress(len(plan)) as progress:
            return carry_out_all(plan, group, jobs, progress.told)
    trials = []
    for number, planned in enumerate(plan, 1):
        say(f"{number} of {len(plan)}: {planned.request.policy}")
        trials.append(carry_out_one(planned, group, _observe))
    return trials


@contextmanager
def _observe(run: Run) -> Iterator[Callable[[], None]]:
    with RunProgress(run) as progress:
        yield progress.update


def _say_set_aside(trials: Sequence[Trial]) -> None:
    """Rows of the sessions that the runs did without."""
    for line in dict.fromkeys(
        f"{trial.market}: {entry['text']}"
        for trial in trials
        for entry in trial.summary["log"]
        if entry["kind"] == "session"
    ):
        say(line)
