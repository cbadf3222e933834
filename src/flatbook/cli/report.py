"""`flatbook report`: the tear sheet of a run that is in its directory."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flatbook.app.finish import write
from flatbook.app.rebuild import rebuilt
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.progress import warm_kernels
from flatbook.report.html import render
from flatbook.report.summary import Summary
from flatbook.report.tables import conform
from flatbook.report.terminal import tear_sheet
from flatbook.store.journal import read_journal
from flatbook.store.run_directory import RunDirectory, open_run_directory
from flatbook.store.series import read_series, series_names


def register(app: typer.Typer) -> None:
    """Adds `report` to the command line."""
    app.command()(report)


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")],
    session: Annotated[str | None, typer.Option(metavar="DIR", help="Where its session lies, if it has moved.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a run's report.html anew, and print its tear sheet.

    A run that is still going, or was cut off, is replayed from its journal as far as that reaches.
    """
    with one_line_errors():
        run = open_run_directory(directory)
        summary = _written(run)
        if summary is None:
            warm_kernels()
            finished = rebuilt(directory, session)
            write(finished, run)
            summary = finished.summary
            say("the journal reached further than the report: it was replayed")
        else:
            frames = conform({name: read_series(run.path, name) for name in series_names(run.path)})
            run.write_page(render(frames, summary))
    if as_json:
        print_json(summary)
    else:
        Console().print(tear_sheet(summary))
        say(f"report: {run.report_html}")


def _written(run: RunDirectory) -> Summary | None:
    """The report in the directory; None where there is none, or the journal reaches further."""
    if not run.report_json.is_file():
        return None
    summary: Summary = json.loads(run.report_json.read_text(encoding="utf-8"))
    with read_journal(run.path) as journal:
        last = journal.last_checkpoint()
    return summary if last is None or summary["run"]["events"] >= last.event_seq else None
