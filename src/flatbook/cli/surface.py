"""`flatbook surface`: a chain of options as a surface of vols."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.domain.errors import BadInputError, LimitBreachedError
from flatbook.domain.units import NS_PER_SECOND, format_utc, parse_utc
from flatbook.market.calibration.parts import CalibrationModel
from flatbook.market.calibration.slices import Calibration
from flatbook.market.calibration.surface import calibrate
from flatbook.report.surface_page import render_surface
from flatbook.report.surface_rows import surface_document
from flatbook.report.surface_text import surface_text
from flatbook.store.atomic import write_text
from flatbook.store.chains import ChainFile, read_chains

surface = typer.Typer(name="surface", no_args_is_help=True, help="Surfaces of vols: calibrate a chain and draw it.")


def register(app: typer.Typer) -> None:
    """Adds `surface` to the command line."""
    app.add_typer(surface)


@surface.callback()
def _group() -> None:
    """Keeps `fit` a word of its own, though it is the only one yet."""


@surface.command()
def fit(
    chain: Annotated[Path, typer.Argument(metavar="CHAIN", help="A chain file.", show_default=False)],
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="The chain last taken at or before this time, UTC.")
    ] = None,
    underlying: Annotated[str | None, typer.Option("--underlying", help="Where the file has several.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="Write the picture: FILE.html, or a directory.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Calibrate one chain: forwards, smiles and the checks for arbitrage, an expiry each.

    CHAIN is Tardis options_chain, Deribit tickers, or a table of quotes with instrument names; without --at the last \
    chain in it is taken. Ends with 3 where an expiry that is quoted enough is not fitted, or a check does not hold.
    """
    with one_line_errors():
        file = read_chains(chain)
        calibration = _calibrated(file, None if at is None else parse_utc(at), underlying)
        document = surface_document(calibration)
        page = None if out is None else _write(calibration, chain.name, out)
    if as_json:
        print_json({"chain": str(chain), "picture": page and str(page), **document})
    else:
        typer.echo(surface_text(document, chain.name))
    if page:
        say(f"picture: {page}")
    if not document["holds"]:
        raise typer.Exit(LimitBreachedError.exit_code)


def _calibrated(file: ChainFile, at_ns: int | None, underlying: str | None) -> Calibration:
    """The chosen chain, warm from the one before it if that is young enough to be published from."""
    snapshot = file.at(at_ns, underlying)
    (history,) = file.select(_name(snapshot.underlying, snapshot.settle)).histories.values()
    chains = len(history.times_ns)
    if at_ns is None and chains > 1:
        taken = format_utc(snapshot.ts_ns)
        say(f"{file.path} holds {chains:,} chains; taken is the last, of {taken}; --at takes another")
    before = history.at(snapshot.ts_ns - 1)
    model = CalibrationModel()
    if before is None or snapshot.ts_ns - before.ts_ns > model.oldest_s * NS_PER_SECOND:
        return calibrate(snapshot, model=model)
    return calibrate(snapshot, calibrate(before, model=model), model)


def _name(underlying: str, settle: str) -> str:
    return underlying if settle == underlying else f"{underlying}_{settle}"


def _write(calibration: Calibration, source: str, out: Path) -> Path:
    page = out if out.suffix.lower() == ".html" else out / "surface.html"
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_text(page, render_surface(calibration, source))
    except OSError as error:
        raise BadInputError(f"{page} cannot be written ({error.strerror}); name a place that can") from None
    return page
