"""`flatbook exchange`: the simulated exchange as a server that speaks Deribit's API."""

from pathlib import Path
from typing import Annotated

import typer

from flatbook.app.pace import parse_pace
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_SECOND, parse_utc

DEFAULT_PORT = 8766

ClientOption = Annotated[
    list[str] | None,
    typer.Option(
        "--client",
        metavar="ID:SECRET",
        help="A client with an account; may be repeated. ID@ACCOUNT:SECRET is a further key of one.",
    ),
]


def register(app: typer.Typer) -> None:
    """Adds `exchange` to the command line."""
    app.command()(exchange)


def exchange(
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes any.")] = DEFAULT_PORT,
    seed: Annotated[int, typer.Option(min=0, help="The market comes from this.")] = 1,
    session: Annotated[
        str | None, typer.Option("--session", metavar="DIR", help="A recorded session; without it, a simulated market.")
    ] = None,
    hours: Annotated[float, typer.Option(help="Simulated: how long it lasts, in its own time.")] = 168.0,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="The market's time at the start, ISO, UTC.")] = None,
    pace: Annotated[
        str, typer.Option(help="real, a multiple of real time such as 10x, or step: by public/advance alone.")
    ] = "real",
    index_every: Annotated[int, typer.Option(metavar="S", help="Simulated: seconds between ticks: 1, 2, 5 or 10.")] = 1,
    near: Annotated[
        bool, typer.Option("--near", help="Simulated: list only what expires in two days and on Friday.")
    ] = False,
    client: ClientOption = None,
    btc: Annotated[float, typer.Option(min=0, help="Each account begins with so many BTC.")] = 10.0,
    usdc: Annotated[float, typer.Option(min=0, help="Each account begins with so many USDC.")] = 100_000.0,
    as_json: AsJson = False,
) -> None:
    """Serve a simulated exchange that speaks Deribit's API, over websocket and HTTP, on this machine only.

    Point a client of Deribit at the address it prints; without --client there is one account, flatbook:flatbook.
    """
    # Other verbs start without a web server's libraries.
    from flatbook.app.exchange import ExchangeRequest, open_exchange
    from flatbook.service.exchange.server import Service, VenueClock, serve

    with one_line_errors():
        is_stepped = pace == "step"
        speed = 1.0 if is_stepped else parse_pace(pace)
        if speed is None:
            raise BadInputError("--pace max: clients live by the clock; use real, a multiple such as 10x, or step")
        clients = tuple(map(_client, client or ["flatbook:flatbook"]))
        deposits = (("BTC", btc), ("USDC", usdc))
        start_ns = None if start is None else parse_utc(start) // NS_PER_SECOND * NS_PER_SECOND
        if session is not None and not Path(session).is_dir():
            raise BadInputError(f"--session {session}: no such directory; make one with flatbook data import")
        request = ExchangeRequest(
            session=session, seed=seed, hours=hours, start_ns=start_ns, clients=clients, deposits=deposits,
            is_stepped=is_stepped, index_every_s=index_every, is_near=near,
        )  # fmt: skip
        api = open_exchange(request)
        clock = VenueClock(api.exchange.now_ns, speed)

        def started(address: str) -> None:
            places = {"websocket": f"ws://{address}/ws/api/v2", "http": f"http://{address}/api/v2"}
            if as_json:
                print_json(places | {"clients": [name for name, _ in clients]})
                return
            say(f"websocket: {places['websocket']}")
            say(f"http:      {places['http']}")
            say(f"clients:   {', '.join(name for name, _ in clients)}; Ctrl-C ends it")

        def ended() -> None:
            say("the market is over: accounts and books stand as they are, and nobody else trades")

        now_ns = (lambda: api.exchange.now_ns) if is_stepped else clock.now_ns
        serve(Service(api, now_ns, ended), port, started)


def _client(text: str) -> tuple[str, str]:
    name, colon, secret = text.partition(":")
    if not (name and colon and secret):
        raise BadInputError(f"--client {text!r}: write it as ID:SECRET")
    return name, secret
