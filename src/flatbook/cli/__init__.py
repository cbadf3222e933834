"""The command line: one module a verb; `main` is the entry point."""

import sys
from importlib import import_module

import typer

from flatbook import __version__
from flatbook.cli.outcome import say

VERBS = (
    *("run", "compare", "report", "explain", "price", "value", "stress", "margin", "var", "rfq"),
    *("liquidation", "data", "surface", "exchange", "live", "paper", "doctor"),
)


def command_line(verb: str | None = None) -> typer.Typer:
    """The command line with every verb, or with `verb` alone: its start does not wait for the others' libraries."""
    app = typer.Typer(name="flatbook", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback(invoke_without_command=True)(about)
    for name in (verb,) if verb in VERBS else VERBS:
        import_module(f"flatbook.cli.{name}").register(app)
    return app


def about(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """The inventory engine of a crypto-derivatives market maker."""
    if version:
        typer.echo(f"flatbook {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line. A word on it that means nothing is answered in one line, as any other bad input is."""
    try:
        app = command_line(sys.argv[1] if len(sys.argv) > 1 else None)
        sys.exit(app(prog_name="flatbook", standalone_mode=False))
    except typer.TyperException as error:
        # Empty where the help was asked for, and shown already.
        if message := " ".join(error.format_message().split()):
            say(f"flatbook: {message.removesuffix('.')}; see flatbook --help")
        sys.exit(error.exit_code)
