"""The service without its sockets: connections and their requests come in with a time, bytes go out. Deterministic.

Time passes by `advance`; before a request is answered the market has lived up to it, and what either set off is told
to those who listen, in order. The answer to a request comes before what the request set off.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_SECOND
from flatbook.service.exchange import connection, private, public, rfq, trading
from flatbook.service.exchange.auth import TOKEN_LIFE_S, Auth
from flatbook.service.exchange.hub import Hub
from flatbook.service.exchange.params import Params
from flatbook.service.exchange.session import Call, Method, Session
from flatbook.sim.venue.account import Account
from flatbook.sim.venue.block_rfq import RfqDesk
from flatbook.sim.venue.cycle import Cycle
from flatbook.sim.venue.events import CashMoved
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.orders import RefusalError
from flatbook.venues.deribit.credits import Credits
from flatbook.venues.deribit.rpc import (
    Code,
    Request,
    RpcError,
    decode_request,
    encode_error,
    encode_heartbeat,
    encode_result,
)

METHODS: dict[str, Method] = public.METHODS | private.METHODS | trading.METHODS | rfq.METHODS | connection.METHODS
API_PATH = "/api/v2"


class Others(Protocol):
    """Who else trades, and lets the venue's time pass."""

    @property
    def volatility(self) -> Sequence[tuple[int, float]]:
        """The volatility index by time: nanoseconds, vol points."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether nobody will trade any more."""
        ...

    def run_until(self, now_ns: int) -> None:
        """Everything that happens up to and at `now_ns`."""
        ...


class Api:
    """One venue's service. Where it `is_stepped` clients let its time pass, by `public/advance`."""

    def __init__(
        self, exchange: Exchange, cycle: Cycle, others: Others, auth: Auth, *, is_stepped: bool = False
    ) -> None:
        self.is_stepped = is_stepped
        self.exchange, self.cycle, self.auth = exchange, cycle, auth
        self.volatility = others.volatility
        self.rfqs = RfqDesk(exchange)
        self.hub = Hub(exchange, others.volatility, self.rfqs)
        self.sessions: dict[int, Session] = {}
        self._others = others
        self._credits: dict[str, Credits] = {}
        self._cash: dict[str, list[CashMoved]] = {}
        self._next_session = 1

    @property
    def has_ended(self) -> bool:
        """Whether the market is over: time passes, and nothing happens in it."""
        return self._others.has_ended

    def connect(self, *, is_websocket: bool = True) -> Session:
        """A new connection."""
        session = Session(self._next_session, is_websocket)
        self._next_session += 1
        if is_websocket:
            self.sessions[session.number] = session
        return session

    def disconnect(self, session: Session, now_ns: int) -> None:
        """A connection is gone: so are its subscriptions, and where it asked for that its account's orders."""
        self.advance(now_ns)
        for name in list(session.channels):
            self.hub.unsubscribe(session, name)
        self.sessions.pop(session.number, None)
        if session.cancels_for is not None:
            self.exchange.cancel_where(session.cancels_for, lambda order: True, "cancel_on_disconnect")
            self._tell()

    def advance(self, now_ns: int) -> None:
        """Lets time pass, and tells what happened; heartbeats that are due are sent."""
        now_ns = max(now_ns, self.exchange.now_ns)
        self._others.run_until(now_ns)
        self._tell()
        self.hub.flush(now_ns)
        for session in self.sessions.values():
            if now_ns >= session.until_ns:
                session.account = None
            self._beat(session, now_ns)

    def receive(self, session: Session, raw: bytes | str, now_ns: int) -> None:
        """A websocket message: its answer and what follows go to outboxes."""
        self.advance(now_ns)
        try:
            request = decode_request(raw)
        except RpcError as error:
            session.outbox.append(encode_error(None, error, self._us(), self._us()))
            return
        self._answer(session, request, Params(request.params))

    def request(self, method: str, target: str, body: bytes, authorization: str, now_ns: int) -> tuple[int, bytes]:
        """An HTTP request: its status and its answer. GET names the method in the path and parameters in the query."""
        self.advance(now_ns)
        session = self.connect(is_websocket=False)
        # Whoever names no account shares one pool: requests cannot be told apart by where they come from.
        session.credits = self._credits.setdefault("", session.credits)
        request = Request("")
        try:
            request, params = _http_request(method, target, body)
            if authorization:
                signed = f"{method}\n{target}\n{body.decode()}\n"
                name = self.auth.account_of_header(authorization, signed, now_ns)
                self.identify(session, name)
        except (RpcError, UnicodeDecodeError) as error:
            failed = error if isinstance(error, RpcError) else RpcError(Code.PARSE_ERROR)
            return 400, encode_error(request.id, failed, self._us(), self._us())
        is_done = self._answer(session, request, params)
        return 200 if is_done else 400, session.outbox[0]

    def identify(self, session: Session, account: str) -> None:
        """The connection is this account's from now on, for as long as a token lives."""
        session.account = self.exchange.accounts[account]
        session.until_ns = self.exchange.now_ns + TOKEN_LIFE_S * NS_PER_SECOND
        session.credits = self._credits.setdefault(account, Credits())

    def settle_changes(self, listing: Listing) -> None:
        """Brings a book's change id up to what it holds."""
        self.hub.settle(listing)

    def cash_of(self, account: Account) -> list[CashMoved]:
        """Cash that an account was paid or paid other than by trades, oldest first."""
        return self._cash.get(account.name, [])

    def date(self, ts_ns: int) -> str:
        """The day of a time, as the venue writes it."""
        return f"{datetime.fromtimestamp(ts_ns // NS_PER_SECOND, tz=UTC):%Y-%m-%d}"

    def _answer(self, session: Session, request: Request, params: Params) -> bool:
        """Answers one request; whether it could be done."""
        in_us, position = self._us(), len(session.outbox)
        greeted: list[Any] = []
        try:
            result = self._call(session, request, params)
            if isinstance(result, connection.Subscribed):
                greeted, result = result.channels, result.names
            told = encode_result(request.id, result, in_us, self._us())
        except RpcError as error:
            told = encode_error(request.id, error, in_us, self._us())
            session.is_closing |= error.code is Code.TOO_MANY_REQUESTS and session.is_websocket
            session.outbox.insert(position, told)
            return False
        # Time that was asked for has passed, and all was told, when that is answered: a client can wait for it.
        session.outbox.insert(len(session.outbox) if request.method == connection.ADVANCE else position, told)
        self._tell()
        for channel in greeted:
            self.hub.greet(session, channel)
        return True

    def _call(self, session: Session, request: Request, params: Params) -> Any:
        method = METHODS.get(request.method)
        if method is None:
            raise RpcError(Code.METHOD_NOT_FOUND)
        is_free = self.is_stepped and request.method == connection.ADVANCE
        if not is_free and not session.credits.spend(self.exchange.now_ns, request.method):
            raise RpcError(Code.TOO_MANY_REQUESTS)
        if params.has("access_token"):
            self.identify(session, self.auth.account_of_token(params.text("access_token"), self.exchange.now_ns))
        if request.method.startswith("private/") and session.account is None:
            raise RpcError(Code.UNAUTHORIZED)
        try:
            return method(Call(self, session, request.method, params))
        except RefusalError as error:
            raise trading.refusal(error) from None
        except BadInputError as error:
            raise RpcError(Code.INVALID_ARGUMENTS, f"{error}") from None

    def _tell(self) -> None:
        exchange = self.exchange
        events, exchange.events = exchange.events, []
        touched, exchange.touched = exchange.touched, {}
        for event in events:
            if isinstance(event, CashMoved):
                self._cash.setdefault(event.account, []).append(event)
        self.hub.publish(events, touched)

    def _beat(self, session: Session, now_ns: int) -> None:
        """Heartbeats: one that is not answered before the next is due ends the connection."""
        if not session.heartbeat_ns or now_ns < session.next_heartbeat_ns:
            return
        if session.is_asked:
            session.is_closing = True
            return
        session.outbox += [encode_heartbeat("heartbeat"), encode_heartbeat("test_request")]
        session.is_asked = True
        session.next_heartbeat_ns = now_ns + session.heartbeat_ns

    def _us(self) -> int:
        return self.exchange.now_ns // 1_000


def _http_request(method: str, target: str, body: bytes) -> tuple[Request, Params]:
    path, _, query = target.partition("?")
    name = path.removeprefix(API_PATH).strip("/")
    if method == "POST" and body:
        request = decode_request(body)
        return request, Params(request.params)
    raw: Mapping[str, str] = dict(parse_qsl(query, keep_blank_values=True))
    return Request(name), Params(raw, is_query=True)
