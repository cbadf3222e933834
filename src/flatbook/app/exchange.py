"""The exchange put together: a venue, those who trade on it, its clients, and the service in front."""

from dataclasses import dataclass

from flatbook.app.markets import SIMULATION_START_NS
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND
from flatbook.service.exchange.api import Api
from flatbook.service.exchange.auth import Auth, Client
from flatbook.sim.venue.crowd import Crowd
from flatbook.sim.venue.cycle import Cycle
from flatbook.sim.venue.exchange import Exchange
from flatbook.venues.deribit import load_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRequest:
    """What is served: the market of `seed` for `hours` from `start_ns`, to clients who each begin with `deposits`."""

    seed: int = 1
    hours: float = 168.0
    start_ns: int = SIMULATION_START_NS
    clients: tuple[tuple[str, str], ...] = (("flatbook", "flatbook"),)
    deposits: tuple[tuple[str, float], ...] = (("BTC", 10.0), ("USDC", 100_000.0))


def open_exchange(request: ExchangeRequest) -> Api:
    """The service at its start.

    Errors      BadInputError for hours that cannot be run, or two clients of one name
    """
    if not 0 < request.hours < 1e4:
        raise BadInputError(f"--hours {request.hours:g}: use more than 0, and at most some months")
    names = [name for name, _ in request.clients]
    if len(set(names)) < len(names):
        raise BadInputError(f"--client: {', '.join(names)}: each name once")
    reference = load_reference()
    exchange = Exchange(reference, request.start_ns)
    cycle = Cycle(exchange)
    steps = round(request.hours * NS_PER_HOUR / NS_PER_SECOND)
    crowd = Crowd(exchange, cycle, reference, seed=request.seed, steps=max(steps, 1))
    for name in names:
        exchange.open_account(name, dict(request.deposits))
    clients = [Client(name, secret, name) for name, secret in request.clients]
    return Api(exchange, cycle, crowd, Auth(clients, f"{request.seed}".encode()))
