"""`flatbook data`: recorded sessions in, and what is odd in them."""

from pathlib import Path
from typing import Annotated

import typer

from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.domain.errors import BadInputError, LimitBreachedError
from flatbook.domain.units import parse_until, parse_utc
from flatbook.store.check import CheckReport, Severity, check_session
from flatbook.store.importers import UNSTATED_LICENCE, import_session
from flatbook.store.session import SessionMeta, open_session
from flatbook.venues.deribit import load_reference

data = typer.Typer(name="data", no_args_is_help=True, help="Recorded sessions: import, record, check.")


def register(app: typer.Typer) -> None:
    """Adds `data` to the command line."""
    app.add_typer(data)


@data.command("import")
def import_(
    place: Annotated[
        str, typer.Argument(metavar="PATH|URL", help="What was downloaded, or https://history.deribit.com itself.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The session directory to make.")],
    licence: Annotated[str, typer.Option(help="The source's licence, for session.toml.")] = UNSTATED_LICENCE,
    keep_file_order: Annotated[
        bool,
        typer.Option("--keep-file-order", help="Leave trades without an id in the file's order inside a minute."),
    ] = False,
    from_: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Of a URL: since then, ISO, UTC.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Of a URL: until then.")] = None,
    currency: Annotated[list[str] | None, typer.Option(help="Of a URL: BTC, ETH …; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a download into a session directory; its format is told by its columns. Or fetch Deribit's trade history.

    Rows that cannot be used are set aside and counted. Nothing is half-written.
    """
    with one_line_errors():
        if "://" in place:
            meta = _fetched(place, out, (from_, to), currency, licence)
        elif from_ or to or currency:
            raise BadInputError(f"--from, --to and --currency are for a URL; {place} is imported whole")
        else:
            meta = import_session(Path(place), out, load_reference(), licence=licence, keep_file_order=keep_file_order)
        digest = open_session(out).digest
    if as_json:
        print_json({"session": str(out), "digest": digest, **_summary(meta)})
        return
    typer.echo(f"{out}: {meta.source}, {meta.span.start} to {meta.span.end}")
    for name, count in meta.counts.items():
        typer.echo(f"  {count:>10,}  {name}")
    for reason, count in meta.set_aside.items():
        typer.echo(f"  {count:>10,}  set aside: {reason}")
    for note in meta.notes:
        typer.echo(f"  - {note}")
    typer.echo(f"  digest {digest}")


def _fetched(
    url: str, out: Path, span: tuple[str | None, str | None], currency: list[str] | None, licence: str
) -> SessionMeta:
    # Other imports start without the client.
    from flatbook.app.history import HistoryRequest, import_history
    from flatbook.venues.deribit.history import History

    from_, to = span
    if from_ is None or to is None:
        raise BadInputError(f"{url}: a history needs a span; give --from and --to")
    request = HistoryRequest(
        url=url,
        currencies=tuple(each.upper() for each in currency or ["BTC"]),
        from_ns=parse_utc(from_),
        to_ns=parse_until(to),
        out=out,
        licence=licence,
    )
    history = History(url)
    try:
        return import_history(request, history, say)
    finally:
        history.close()


@data.command()
def record(
    out: Annotated[Path, typer.Option("--out", help="The session directory; one that was left is taken up again.")],
    url: Annotated[str, typer.Option(help="The venue's websocket.")] = "wss://www.deribit.com/ws/api/v2",
    currency: Annotated[list[str] | None, typer.Option(help="BTC, ETH, USDC …; may be repeated.")] = None,
    seconds: Annotated[float | None, typer.Option("--for", help="Seconds; without it, until Ctrl-C.")] = None,
    interval: Annotated[str, typer.Option(help="100ms or agg2; raw needs a key.")] = "100ms",
    on_venue_clock: Annotated[
        bool, typer.Option("--venue-clock", help="Put local times on the venue's clock, as `flatbook exchange` needs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Record Deribit's feed into a session directory: index, perpetual, futures, options and trades of a coin.

    A key is read from DERIBIT_API_KEY and DERIBIT_API_SECRET, where they are set; it is never written or shown.
    """
    # Other verbs start without the client.
    from flatbook.app.feed import FeedTerms
    from flatbook.app.record import RecordRequest, check_request, document
    from flatbook.app.record import record as make

    with one_line_errors():
        feed = FeedTerms(
            url=url,
            currencies=tuple(each.upper() for each in currency or ["BTC"]),
            interval=interval,
            on_venue_clock=on_venue_clock,
        )
        request = RecordRequest(feed=feed, out=out, seconds=seconds)
        check_request(request)
        say(f"recording {', '.join(feed.currencies)} from {url} to {out}; Ctrl-C ends it")
        told = document(make(request), out)
    if as_json:
        print_json(told)
        return
    typer.echo(f"{out}: {told['span']['start']} to {told['span']['end']}")
    for table in ("counts", "set_aside", "unknown_fields"):
        for name, count in told[table].items():
            typer.echo(f"  {count:>10,}  {'' if table == 'counts' else table.replace('_', ' ') + ': '}{name}")
    typer.echo(f"  connects {told['connects']}, gaps {told['gaps']}, unreadable messages {told['unreadable']}")


@data.command()
def check(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A session directory.")], as_json: AsJson = False
) -> None:
    """Say what is odd in a session: holes, clocks, repeats, crossed quotes, and what each means for a replay.

    Ends with 3 where the session cannot be replayed.
    """
    with one_line_errors():
        report = check_session(directory, load_reference())
    if as_json:
        print_json(report.to_dict())
    else:
        _print_report(report)
    if not report.is_usable:
        raise typer.Exit(LimitBreachedError.exit_code)


def _print_report(report: CheckReport) -> None:
    typer.echo(f"{report.path}: {'usable' if report.is_usable else 'UNUSABLE'}, digest {report.digest}")
    for name, count in report.rows.items():
        typer.echo(f"  {count:>10,}  {name}")
    for finding in report.findings:
        colour = {Severity.UNUSABLE: typer.colors.RED, Severity.WARNING: typer.colors.YELLOW}.get(finding.severity)
        typer.secho(f"  {finding.severity}: {finding.table}: {finding.what} ({finding.count:,})", fg=colour)
        typer.echo(f"      {finding.meaning}")


def _summary(meta: SessionMeta) -> dict[str, object]:
    return {
        "source": meta.source,
        "span": {"start": meta.span.start, "end": meta.span.end},
        "counts": meta.counts,
        "set_aside": meta.set_aside,
        "notes": list(meta.notes),
    }
