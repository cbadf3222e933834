"""`flatbook liquidation`: what a venue's accounts come to owe in a crash, by how late and how wrong its engine is."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flatbook.app.liquidation import WATERFALLS, LiquidationQuestion, insolvency_of
from flatbook.app.trials import processors
from flatbook.app.workers import Workers
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.domain.errors import BadInputError
from flatbook.report.liquidation_page import render_liquidation
from flatbook.report.liquidation_text import liquidation_text
from flatbook.store.atomic import write_text

_HELP = """A venue through a crash: debts beyond all margin, and who pays them, against how late its margin engine is \
and how much too high it values collateral.

Accounts, futures and books of options, and the path of prices and vols are drawn from the seed; the same ones meet \
every engine. Who is short \
of margin is reduced by steps in a market of finite depth, the bankrupt go to the insurance fund, and what that cannot \
bear to winners by auto-deleveraging, or to everybody. Shares are of open interest.
"""


def register(app: typer.Typer) -> None:
    """Adds `liquidation` to the command line."""
    app.command("liquidation", help=_HELP)(liquidation)


def liquidation(
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Whose margin.")] = "deribit_sm",
    waterfall: Annotated[str, typer.Option("--waterfall", metavar="NAME", help=f"{', '.join(WATERFALLS)}.")] = "ranked",
    late: Annotated[
        str, typer.Option("--late", metavar="S,S", help="Seconds that engines are late.")
    ] = "0,5,15,60,300",
    misvalue: Annotated[
        str, typer.Option("--misvalue", metavar="%,%", help="Per cent that collateral is taken for too much.")
    ] = "0,5,10,20",
    paths: Annotated[int, typer.Option("--paths", min=1, help="Paths drawn.")] = 32,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn.")] = 1,
    accounts: Annotated[int, typer.Option("--accounts", min=2, help="Accounts of the venue.")] = 500,
    hours: Annotated[float, typer.Option("--hours", help="The crash lasts.")] = 1.0,
    vol: Annotated[float, typer.Option("--vol", help="Of its diffusion, per √year: 1.5 is 150 %.")] = 1.5,
    jumps: Annotated[float, typer.Option("--jumps", help="Its jumps an hour, of −2 ± 1.5 %.")] = 6.0,
    fund: Annotated[float, typer.Option("--fund", help="Insurance fund, share of open interest.")] = 0.005,
    depth: Annotated[float, typer.Option("--depth", help="What the market takes a minute, likewise.")] = 0.05,
    options: Annotated[float, typer.Option("--options", help="Share of accounts that hold options; 0 for none.")] = 0.4,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes; all processors if not given.")] = None,
    ray: Annotated[str | None, typer.Option("--ray", metavar="ADDRESS", help="A Ray cluster, or local.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the picture.")] = None,
    as_json: AsJson = False,
) -> None:
    """See `_HELP`."""
    with one_line_errors():
        question = LiquidationQuestion(
            model=model,
            waterfall=waterfall,
            late_s=_numbers("--late", late),
            misvalued=tuple(value / 100.0 for value in _numbers("--misvalue", misvalue)),
            paths=paths,
            seed=seed,
            accounts=accounts,
            hours=hours,
            vol=vol,
            jumps_per_hour=jumps,
            fund_share=fund,
            depth_per_minute=depth,
            option_share=options,
            workers=Workers(min(jobs or processors(), paths), ray),
        )
        document = _watched(question)
        if html is not None:
            _write(html, render_liquidation(document))
    if as_json:
        print_json(document)
    else:
        Console().print(liquidation_text(document))


def _watched(question: LiquidationQuestion) -> dict[str, object]:
    """With a line on stderr, for a person, of how many paths are done."""
    console, done = Console(stderr=True), 0
    with console.status(f"0 of {question.paths} paths") as status:

        def tell() -> None:
            nonlocal done
            done += 1
            status.update(f"{done} of {question.paths} paths")

        return insolvency_of(question, tell)


def _write(path: Path, page: str) -> None:
    try:
        write_text(path, page)
    except OSError as error:
        raise BadInputError(
            f"--html {path}: cannot be written ({error.strerror}); name a file in a directory"
        ) from None
    say(f"picture: {path}")


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        raise BadInputError(f"{option} {text}: is no list of numbers; give them with commas, as 0,5,60") from None
