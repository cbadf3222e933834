"""How a verb ends: one line on stderr and the error's exit code, or one JSON document on stdout."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from flatbook.domain.errors import FlatbookError

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]


def print_json(document: Mapping[str, Any]) -> None:
    """The verb's one document."""
    typer.echo(json.dumps(document, indent=2, allow_nan=False))


def say(text: str) -> None:
    """A line for the person, on stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is where the command line speaks


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the command with one line on stderr and the error's own exit code."""
    try:
        yield
    except FlatbookError as error:
        say(f"flatbook: {error}")
        raise typer.Exit(error.exit_code) from None
