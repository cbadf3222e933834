"""`flatbook report`: the tear sheet of a run that is in its directory."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.domain.errors import BadInputError
from flatbook.report.html import render
from flatbook.report.tables import conform
from flatbook.report.terminal import tear_sheet
from flatbook.store.run_directory import open_run_directory
from flatbook.store.series import read_series, series_names


def register(app: typer.Typer) -> None:
    """Adds `report` to the command line."""
    app.command()(report)


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")], as_json: AsJson = False
) -> None:
    """Write report.html anew from the run's series, and print its tear sheet."""
    with one_line_errors():
        run = open_run_directory(directory)
        if not run.report_json.is_file():
            raise BadInputError(
                f"{directory}: the run has not ended; continue it with flatbook run --resume {directory}"
            )
        summary = json.loads(run.report_json.read_text(encoding="utf-8"))
        frames = conform({name: read_series(run.path, name) for name in series_names(run.path)})
        run.write_page(render(frames, summary))
    if as_json:
        print_json(summary)
    else:
        Console().print(tear_sheet(summary))
        say(f"report: {run.report_html}")
