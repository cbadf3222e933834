"""The command line: one module a verb; `main` is the entry point."""

import typer

app = typer.Typer(name="flatbook", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line."""
    app()
