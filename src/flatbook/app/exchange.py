"""The exchange put together: a venue, those who trade on it, its clients, and the service in front."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flatbook.app.markets import SIMULATION_START_NS
from flatbook.domain.errors import BadInputError
from flatbook.domain.events import MarketEvent
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND, format_utc
from flatbook.risk.margin.deribit_standard import DeribitStandard
from flatbook.service.exchange.api import Api, Others
from flatbook.service.exchange.auth import Auth, Client
from flatbook.sim.calendar import ExpiryPlan
from flatbook.sim.chain import ListingRules
from flatbook.sim.drawn import MarketParameters
from flatbook.sim.venue.crowd import Crowd
from flatbook.sim.venue.cycle import Cycle
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.tape import Tape
from flatbook.store.session import open_session
from flatbook.venues.deribit import load_reference
from flatbook.venues.margin import edition_at

_WARM_UP_NS = 6 * NS_PER_HOUR
"""Of a recorded market goes by before clients come, so that books and marks stand."""

_INDEX_EVERY_S = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRequest:
    """What is served: the market of `seed` for `hours` from `start_ns`, to accounts that each begin with `deposits`.

    Clients are keys: an id and its secret. One `ID@ACCOUNT` is a further key of that account, any other of its own.

    With a `session` it is that recorded market, from `start_ns` or from its own start. Where it `is_stepped` its time
    passes when a client lets it, and by nothing else. The simulated market's index ticks every `index_every_s`, which
    divides ten seconds; of a chain that `is_near` only the next two days' and this week's expiry are listed.
    """

    session: str | None = None
    seed: int = 1
    hours: float = 168.0
    start_ns: int | None = None
    clients: tuple[tuple[str, str], ...] = (("flatbook", "flatbook"),)
    deposits: tuple[tuple[str, float], ...] = (("BTC", 10.0), ("USDC", 100_000.0))
    is_stepped: bool = False
    index_every_s: int = 1
    is_near: bool = False

    @property
    def market(self) -> MarketParameters:
        """The simulated market's parameters."""
        rules = (
            ListingRules(ExpiryPlan(dailies=2, weeklies=1, months=0, quarters=0)) if self.is_near else ListingRules()
        )
        return MarketParameters(listing=rules, index_every_s=self.index_every_s)


def open_exchange(request: ExchangeRequest) -> Api:
    """The service at its start.

    Errors      BadInputError for hours that cannot be run, an index that comes otherwise, or two clients of one name
    """
    if not 0 < request.hours < 1e4:
        raise BadInputError(f"--hours {request.hours:g}: use more than 0, and at most some months")
    if request.index_every_s not in _INDEX_EVERY_S:
        raise BadInputError(f"--index-every {request.index_every_s}: use one of {_INDEX_EVERY_S}, seconds")
    names = [name.partition("@")[0] for name, _ in request.clients]
    if len(set(names)) < len(names):
        raise BadInputError(f"--client: {', '.join(names)}: each name once")
    reference = load_reference()
    begins_ns, start_ns, events = _start(request, reference)
    edition, _ = edition_at("deribit_sm", begins_ns)
    assert isinstance(edition.model, DeribitStandard)
    exchange = Exchange(reference, edition.model, begins_ns)
    cycle = Cycle(exchange)
    others: Others
    if events is None:
        steps = round(request.hours * NS_PER_HOUR / NS_PER_SECOND / request.index_every_s)
        others = Crowd(exchange, cycle, reference, seed=request.seed, steps=max(steps, 1), market=request.market)
    else:
        others = Tape(exchange, cycle, events)
    clients = [_client(name, secret) for name, secret in request.clients]
    for account in dict.fromkeys(client.account for client in clients):
        exchange.open_account(account, dict(request.deposits))
    api = Api(exchange, cycle, others, Auth(clients, f"{request.seed}".encode()), is_stepped=request.is_stepped)
    api.advance(start_ns)
    return api


def _client(name: str, secret: str) -> Client:
    key, _, account = name.partition("@")
    return Client(key, secret, account or key)


def _start(request: ExchangeRequest, reference: ReferenceData) -> tuple[int, int, Iterator[MarketEvent] | None]:
    """When the venue's time begins, when clients may come, and the recorded events, where the market is recorded."""
    if request.session is None:
        start_ns = SIMULATION_START_NS if request.start_ns is None else request.start_ns
        return start_ns, start_ns, None
    session = open_session(Path(request.session))
    start_ns = session.from_ns if request.start_ns is None else request.start_ns
    if not session.from_ns <= start_ns < session.to_ns:
        span = f"{format_utc(session.from_ns)} to {format_utc(session.to_ns)}"
        raise BadInputError(f"{request.session}: holds {span}; --start is not within")
    begins_ns = max(start_ns - _WARM_UP_NS, session.from_ns)
    return begins_ns, start_ns, session.market_events(begins_ns, session.to_ns, reference)
