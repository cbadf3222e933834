"""`flatbook paper`: a maker on a venue's real feed, its quotes and orders met by a model of fills on this machine."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flatbook.app.run import carry_out
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.page import DEFAULT_PORT, live_page, nothing_shown
from flatbook.cli.progress import RunProgress, warm_kernels
from flatbook.cli.run import (
    FillsOption,
    HeadlessOption,
    JournalOption,
    OpenOption,
    OutOption,
    PortOption,
    SeedOption,
    make_request,
    require_limits_held,
    with_book,
)
from flatbook.report.terminal import tear_sheet
from flatbook.sim.fills import FillModel

UrlOption = Annotated[str, typer.Option("--url", help="The venue's websocket.")]
IntervalOption = Annotated[str, typer.Option(help="Of the feed: 100ms, agg2, or raw, which needs a key.")]
VenueClockOption = Annotated[
    bool, typer.Option("--venue-clock", help="Put local times on the venue's clock, as `flatbook exchange` needs.")
]
DERIBIT = "wss://www.deribit.com/ws/api/v2"


def register(app: typer.Typer) -> None:
    """Adds `paper` to the command line."""
    app.command()(paper)


def paper(
    url: UrlOption = DERIBIT,
    policy: Annotated[str, typer.Option("--policy", help="A policy's name, or a TOML file.")] = "advanced",
    seconds: Annotated[
        float | None, typer.Option("--for", help="Seconds of trading, on the market's clock; else until Ctrl-C.")
    ] = None,
    warm_up: Annotated[
        float, typer.Option("--warm-up", help="Seconds that the market is heard before anything is quoted.")
    ] = 120.0,
    interval: IntervalOption = "100ms",
    on_venue_clock: VenueClockOption = False,
    fills: FillsOption = FillModel.QUEUE,
    seed: SeedOption = 1,
    book: Annotated[Path | None, typer.Option("--book", metavar="FILE", help="Positions to begin with.")] = None,
    headless: HeadlessOption = False,
    port: PortOption = DEFAULT_PORT,
    open_page: OpenOption = False,
    out: OutOption = Path("runs"),
    journal: JournalOption = None,
    as_json: AsJson = False,
) -> None:
    """Run a maker on a venue's feed as it happens; no order leaves the machine.

    Everything heard is kept in the run's directory, from which `flatbook run --resume` makes the same run again; Ctrl-C
    ends it in order. A key in DERIBIT_API_KEY and DERIBIT_API_SECRET is used to listen, where it is set.
    """
    # Other verbs start without the client.
    from flatbook.app.feed import FeedTerms
    from flatbook.app.paper import PaperRequest, check_request, paper_run

    with one_line_errors():
        asked = PaperRequest(
            run=with_book(make_request(policy, None, seed, None, None, None, fills), book),
            feed=FeedTerms(url=url, interval=interval, on_venue_clock=on_venue_clock),
            warm_up_s=warm_up,
            trade_s=seconds,
        )
        check_request(asked)
        # Before anybody waits at the other end.
        warm_kernels()
        with paper_run(asked, out, journal) as prepared:
            say(f"hearing {url}; quotes begin after {warm_up:g} s; Ctrl-C ends it")
            page = nullcontext(nothing_shown) if headless else live_page(prepared, "real", port, open_page)
            with RunProgress(prepared) as progress, page as show:

                def watch() -> None:
                    progress.update()
                    show()

                finished = carry_out(prepared, watch=watch)
    if as_json:
        print_json(finished.summary)
    else:
        Console().print(tear_sheet(finished.summary))
        say(f"report: {prepared.directory.report_html}")
    require_limits_held(finished.summary)
