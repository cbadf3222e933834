"""`flatbook compare`: the same markets under several policies, side by side."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from flatbook.app.naming import plain_name, stamped_name
from flatbook.app.request import RunRequest
from flatbook.app.run import Run
from flatbook.app.trials import Planned, carry_out_all, carry_out_one, processors
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.progress import ManyProgress, RunProgress, warm_kernels
from flatbook.cli.run import (
    FillsOption,
    FromOption,
    HoursOption,
    OutOption,
    SeedOption,
    ToOption,
    make_request,
)
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import format_utc
from flatbook.report.compare import comparison, comparison_table, render_comparison
from flatbook.report.contenders import Contender, Trial, intervals
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
    fills: FillsOption = FillModel.QUEUE,
    jobs: JobsOption = None,
    out: OutOption = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Run the same markets under each policy: one table, and one picture of profit against risk.

    Markets are every session, window and seed named. Intervals are of 95 %, by a bootstrap of blocks of hours.
    """
    with one_line_errors():
        if len(policies) < 2:
            raise BadInputError("compare takes two policies or more; for one, use flatbook run")
        spans = _spans(window, from_, to)
        places: tuple[str | None, ...] = tuple(session) if session else (None,)
        markets = list(product(places, spans, range(seed, seed + seeds)))
        requests = [
            [make_request(policy, place, number, *span, hours, fills) for place, span, number in markets]
            for policy in policies
        ]
        warm_kernels()
        group = out / stamped_name(out, "compare")
        plan = _plan(requests)
        trials = _carry_out(plan, group, min(jobs or processors(), len(plan)))
        _say_set_aside(trials[: len(markets)])
        contenders = _contenders(trials, len(markets), _labels(policies, trials, len(markets)))
        page = group / "compare.html"
        found = intervals(contenders, np.random.default_rng(seed))
        write_text(page, render_comparison(contenders, found))
    if as_json:
        print_json(comparison(contenders, found))
    else:
        Console().print(comparison_table(contenders, found))
        say(f"picture: {page}")


def _spans(windows: list[str] | None, from_: str | None, to: str | None) -> list[tuple[str | None, str | None]]:
    if not windows:
        return [(from_, to)]
    if from_ is not None or to is not None:
        raise BadInputError("--window beside --from or --to: a window has both its ends; leave the others out")
    spans: list[tuple[str | None, str | None]] = []
    for window in windows:
        start, slash, end = window.partition("/")
        if not (slash and start and end):
            raise BadInputError(f"--window {window}: give both ends as FROM/TO, such as 2025-04-02/2025-04-03T12:00")
        spans.append((start, end))
    return spans


def _plan(requests: Sequence[Sequence[RunRequest]]) -> list[Planned]:
    """Every policy's runs, one policy after the other, markets in the same order under each."""
    plan = []
    for number, of_policy in enumerate(requests, 1):
        for place, request in enumerate(of_policy, 1):
            name = f"{number}-{plain_name(Path(request.policy).stem)}"
            several = len(of_policy) > 1
            plan.append(Planned(request, _market(request), f"{name}-{place}" if several else name))
    return plan


def _market(request: RunRequest) -> str:
    if request.session_path is None:
        return f"the simulated market, seed {request.seed}"
    ends = [format_utc(end)[:16] if end is not None else "…" for end in (request.from_ns, request.to_ns)]
    return f"{request.session_path.name} {'/'.join(ends)}, seed {request.seed}"


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
    """Rows of the sessions that these runs did without."""
    for line in dict.fromkeys(
        f"{trial.market}: {entry['text']}"
        for trial in trials
        for entry in trial.summary["log"]
        if entry["kind"] == "session"
    ):
        say(line)


def _labels(policies: Sequence[str], trials: Sequence[Trial], markets: int) -> list[str]:
    """Each policy's own name, with its place in front where two share one."""
    names = [trials[number * markets].summary["run"]["policy"] for number in range(len(policies))]
    return [name if names.count(name) == 1 else f"{number}-{name}" for number, name in enumerate(names, 1)]


def _contenders(trials: Sequence[Trial], markets: int, labels: Sequence[str]) -> list[Contender]:
    return [
        Contender(label, tuple(trials[number * markets : (number + 1) * markets]))
        for number, label in enumerate(labels)
    ]
