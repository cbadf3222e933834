"""`flatbook compare`: the same market under several policies, side by side."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flatbook.app.naming import plain_name, stamped_name
from flatbook.app.run import carry_out, new_run
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.progress import RunProgress, warm_kernels
from flatbook.cli.run import (
    FillsOption,
    FromOption,
    HoursOption,
    OutOption,
    SeedOption,
    SessionOption,
    ToOption,
    make_request,
    say_set_aside,
)
from flatbook.domain.errors import BadInputError, FlatbookError
from flatbook.report.compare import comparison, comparison_table, render_comparison
from flatbook.sim.fills import FillModel
from flatbook.store.atomic import write_text


def register(app: typer.Typer) -> None:
    """Adds `compare` to the command line."""
    app.command()(compare)


def compare(
    policies: Annotated[list[str], typer.Argument(metavar="POLICY...", help="Names or TOML files, two or more.")],
    session: SessionOption = None,
    seed: SeedOption = 1,
    from_: FromOption = None,
    to: ToOption = None,
    hours: HoursOption = None,
    fills: FillsOption = FillModel.QUEUE,
    out: OutOption = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Run the same market once under each policy: one table, and one picture of profit against risk."""
    with one_line_errors():
        if len(policies) < 2:
            raise BadInputError("compare takes two policies or more; for one, use flatbook run")
        requests = [make_request(policy, session, seed, from_, to, hours, fills) for policy in policies]
        warm_kernels()
        group = out / stamped_name(out, "compare")
        summaries = []
        for number, request in enumerate(requests, 1):
            say(f"{number} of {len(requests)}: {request.policy}")
            run = new_run(request, group, f"{number}-{plain_name(Path(request.policy).stem)}")
            if number == 1:
                say_set_aside(run)
            with RunProgress(run) as progress:
                finished = carry_out(run, watch=progress.update)
            if finished.is_cut_short:
                raise FlatbookError(f"interrupted in {run.directory.path}: runs of different length do not compare")
            summaries.append(finished.summary)
        page = group / "compare.html"
        write_text(page, render_comparison(summaries))
    if as_json:
        print_json(comparison(summaries))
    else:
        Console().print(comparison_table(summaries))
        say(f"picture: {page}")
