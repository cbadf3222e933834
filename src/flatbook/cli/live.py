"""`flatbook live`: a maker on a real account."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.page import DEFAULT_PORT, live_page, nothing_shown
from flatbook.cli.progress import RunProgress, warm_kernels
from flatbook.cli.run import HeadlessOption, JournalOption, OpenOption, PortOption
from flatbook.domain.errors import ConfigurationError
from flatbook.policies import read_policy
from flatbook.report.terminal import tear_sheet

if TYPE_CHECKING:
    from flatbook.app.live_request import LiveRequest

MAIN_NET = "wss://www.deribit.com/ws/api/v2"


def register(app: typer.Typer) -> None:
    """Adds `live` to the command line."""
    app.command()(live)


def live(
    url: Annotated[str, typer.Option(help="The venue's websocket; a test net's, to begin with.")] = MAIN_NET,
    policy: Annotated[str, typer.Option("--policy", help="A policy's name, or a TOML file.")] = "advanced",
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", metavar="FILE", help="DERIBIT_API_KEY=... and DERIBIT_API_SECRET=..., mode 600."),
    ] = None,
    is_live: Annotated[bool, typer.Option("--live", help="Trade. Without it nothing is sent, nor connected.")] = False,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where run directories are made.")] = Path("runs"),
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Rebuild the run in this directory, reconcile, and go on.")
    ] = None,
    on_venue_clock: Annotated[
        bool, typer.Option("--venue-clock", help="Live by the venue's clock, as `flatbook exchange` needs.")
    ] = False,
    warm_up: Annotated[
        float, typer.Option("--warm-up", help="Seconds that the market is heard before anything is quoted.")
    ] = 120.0,
    headless: HeadlessOption = False,
    port: PortOption = DEFAULT_PORT,
    open_page: OpenOption = False,
    journal: JournalOption = None,
    as_json: AsJson = False,
) -> None:
    """Make markets on a Deribit account: quotes by mass quote under its protection, hedges in its perpetual.

    The key is the environment's (DERIBIT_API_KEY, DERIBIT_API_SECRET) or a file's; one that can withdraw is refused.
    Ctrl-C takes every quote and order away, reconciles, and writes the report.
    """
    # Other verbs start without the client.
    from flatbook.app.live import carry_out_live, new_live_run, request_of, resumed_live_run
    from flatbook.app.live_claim import claiming
    from flatbook.app.live_key import live_key
    from flatbook.app.live_request import LiveRequest, check_policy
    from flatbook.store.journal import server_url
    from flatbook.store.lock import state_directory
    from flatbook.venues.deribit.client import socket_url

    with one_line_errors():
        address = socket_url(url)
        _, text = read_policy(policy)
        request = LiveRequest(
            policy=policy, policy_text=text, url=address, on_venue_clock=on_venue_clock, warm_up_s=warm_up
        )
        if resume is not None:
            request = request_of(resume, journal)
        if not is_live:
            _say_what_it_would_do(request, resume)
            raise ConfigurationError("nothing was sent: trading on an account needs --live")
        check_policy(request)
        credentials = live_key(os.environ, key_file)
        server = server_url(journal, resume)
        with claiming(request.url, credentials.client_id, state_directory(os.environ, Path.home()), server) as claim:
            warm_kernels()
            if resume is None:
                with Console(stderr=True).status(f"hearing {request.url}; the books begin after {warm_up:g} s"):
                    run = new_live_run(request, credentials, out, claim, journal)
            else:
                run = resumed_live_run(resume, credentials, claim, journal)
            for said in run.said:
                say(said)
            say(f"trading; Ctrl-C ends it in order. {run.directory.path}")
            page = nullcontext(nothing_shown) if headless else live_page(run, "real", port, open_page)
            with RunProgress(run) as progress, page as show:

                def watch() -> None:
                    progress.update()
                    show()

                finished = carry_out_live(run, watch)
    if as_json:
        print_json(finished.summary)
        return
    Console().print(tear_sheet(finished.summary))
    say(f"report: {run.directory.report_html}")


def _say_what_it_would_do(request: "LiveRequest", resumed: Path | None) -> None:
    from flatbook.app.live_request import check_policy

    policy = check_policy(request)
    protection = policy.protection
    say(
        f"would trade at {request.url} with policy {policy.name}: {request.underlying} options by mass quote, hedged "
        f"in {request.underlying}-PERPETUAL"
    )
    say(
        f"would ask the venue to pull every quote for {protection.mmp_rest_s:g} s once more than "
        f"{protection.mmp_quantity_coin:g} contracts, {protection.mmp_delta_coin:g} {request.underlying} of delta or "
        f"{protection.mmp_vega_usd:,.0f} USD of vega per vol point fill within {protection.mmp_window_s:g} s"
    )
    if resumed is None:
        say("would take over the account: cancel what an earlier run of flatbook left, and begin with what it holds")
    else:
        say(f"would rebuild {resumed}, reconcile it with the account, and go on")
